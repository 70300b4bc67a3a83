/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps of a pull: what is meant, what its digest should be, whether it is here already; then
 * the bytes, their digest, and the store. Main thread. Knows nothing of HTTP.
 *
 * Nothing gets a name in the store before its digest was compared, so what is found there by name
 * needs no second look.
 */
#include "loader/image/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "devices/block/qcow2.h"
#include "loader/image/catalogue.h"
#include "loader/image/signature.h"
#include "loader/image/sums.h"
#include "loader/image/units.h"
#include "vmm/log.h"
#include "vmm/nearest.h"

#define CHUNK     (1u << 20)
#define NEAR_MAX  (CATALOGUE_ENTRIES_MAX * 2)
#define SHORT_HEX 19 /* "sha256:" and twelve digits */

/* A pull as it goes on. */
struct job {
	const struct pull *p;
	char what[IMAGE_STORE_NAME_MAX + 32];
	struct catalogue catalogue;
	const struct catalogue_entry *known; /* NULL: a URL or a file */
	char *path;                          /* of a file; NULL: source is fetched */
	struct image_store store;
	struct image_entry entry;
	uint64_t began;         /* seconds since 1970 */
	struct digest expected; /* if has_expected */
	int has_expected;
	char list[128]; /* who says so: "--digest", "the publisher's SHA256SUMS" */
	struct part part;
	struct hasher hash;
	struct progress progress;
	struct fetch fetch;
};

/* --- what is meant --------------------------------------------------------------------------- */

static int unknown_name(const struct job *j, const char *name, const char *arch)
{
	const char *names[NEAR_MAX + 1] = {NULL}, *near;
	size_t n = 0;

	for (size_t i = 0; i < j->catalogue.n; i++) {
		const struct catalogue_entry *e = &j->catalogue.entry[i];

		if (catalogue_find(&j->catalogue, name, e->arch))
			return log_fail(-ENOENT, "image pull: %s: is there for %s and not for %s",
					name, e->arch, arch);
		for (const char *const *alias = e->names; *alias && n < NEAR_MAX; alias++)
			names[n++] = *alias;
	}
	if (access(name, F_OK) == 0)
		return log_fail(-ENOENT,
				"image pull: %s: not in the catalogue: to take the file write ./%s",
				name, name);
	near = nearest_word(name, names);
	if (near)
		return log_fail(-ENOENT,
				"image pull: %s: not in the catalogue: did you mean %s? "
				"`skiff image ls --available` lists it",
				name, near);
	return log_fail(
		-ENOENT,
		"image pull: %s: not in the catalogue: `skiff image ls --available` lists it",
		name);
}

static int take_known(struct job *j, const char *arch)
{
	struct image_entry *e = &j->entry;

	if (j->p->format)
		return log_fail(-EINVAL, "image pull: --format: the catalogue says what %s is",
				j->p->target);
	j->known = catalogue_find(&j->catalogue, j->p->target, arch);
	if (!j->known)
		return unknown_name(j, j->p->target, arch);
	snprintf(e->format, sizeof(e->format), "%s", j->known->format);
	snprintf(e->source, sizeof(e->source), "%s", j->known->url);
	if (j->p->name)
		return 0;
	snprintf(e->name, sizeof(e->name), "%s", j->known->names[0]);
	for (const char *const *n = j->known->names + 1; *n; n++) {
		size_t len = strlen(e->aliases);

		if (len + strlen(*n) + 2 < sizeof(e->aliases))
			snprintf(e->aliases + len, sizeof(e->aliases) - len, "%s%s", len ? " " : "",
				 *n);
	}
	return 0;
}

/* Of a URL, the part after the last slash and before ? or #. */
static void last_word(const char *url, char *out, size_t size)
{
	size_t len = strcspn(url, "?#"), from = len;

	while (from && url[from - 1] != '/')
		from--;
	snprintf(out, size, "%.*s", (int)(len - from), url + from);
}

static int ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return a >= b && strcasecmp(s + a - b, end) == 0;
}

/* A URL or file: its name, and its format, which is stated or no format. */
static int take_stated(struct job *j)
{
	struct image_entry *e = &j->entry;
	const char *format = j->p->format;
	char word[256];

	last_word(j->path ? j->path : j->p->target, word, sizeof(word));
	if (!format && ends_with(word, ".qcow2"))
		format = "qcow2";
	else if (!format && ends_with(word, ".raw"))
		format = "raw";
	if (!format)
		return log_fail(-EINVAL,
				"image pull: %s: say what it is: --format qcow2 or --format raw "
				"(Ubuntu's .img files are qcow2)",
				j->p->target);
	snprintf(e->format, sizeof(e->format), "%s", format);
	if (j->p->name)
		return 0;
	if (!image_store_name_is_good(word))
		return log_fail(-EINVAL, "image pull: %s: give it a name: --name my:1",
				j->p->target);
	snprintf(e->name, sizeof(e->name), "%.95s", word);
	return 0;
}

/* The path that a file: URL means. */
static int take_file_url(struct job *j, const char *path)
{
	char *plain;

	if (strncmp(path, "//", 2) == 0) /* a host may stand there: none, or this one */
		path += strncmp(path + 2, "localhost/", 10) == 0 ? 11 : 2;
	plain = path[0] == '/' ? curl_easy_unescape(NULL, path, 0, NULL) : NULL;
	j->path = plain ? strdup(plain) : NULL;
	curl_free(plain);
	return j->path ? 0
		       : log_fail(-EINVAL, "image pull: %s: a file URL is file:///PATH",
				  j->p->target);
}

/* Where a file lies, for the entry: without links and dots. */
static int take_path(struct job *j)
{
	char *real = realpath(j->path, NULL);

	if (!real)
		return log_fail(-errno, "image pull: %s: %s", j->path, strerror(errno));
	snprintf(j->entry.source, sizeof(j->entry.source), "%s", real);
	free(real);
	return 0;
}

static int understand(struct job *j)
{
	const struct pull *p = j->p;
	struct image_entry *e = &j->entry;
	const char *target = p->target, *arch = image_store_host_arch();
	int r = 0;

	if (p->arch && !(arch = image_store_arch(p->arch)))
		return log_fail(-EINVAL, "image pull: --arch %s: give amd64 or arm64", p->arch);
	if (p->format && strcmp(p->format, "qcow2") != 0 && strcmp(p->format, "raw") != 0)
		return log_fail(-EINVAL, "image pull: --format %s: give qcow2 or raw", p->format);
	if (p->name && !image_store_name_is_good(p->name))
		return log_fail(-EINVAL,
				"image pull: --name %s: use letters, digits and . _ : + -, at most "
				"%u, the first a letter or digit",
				p->name, IMAGE_STORE_NAME_MAX - 1);
	snprintf(e->arch, sizeof(e->arch), "%s", arch);
	if (p->name)
		snprintf(e->name, sizeof(e->name), "%s", p->name);
	if (strncasecmp(target, "file:", 5) == 0)
		r = take_file_url(j, target + 5);
	else if (strncasecmp(target, "https://", 8) == 0 || strncasecmp(target, "http://", 7) == 0)
		snprintf(e->source, sizeof(e->source), "%s", target);
	else if (strstr(target, "://"))
		r = log_fail(-EINVAL, "image pull: %s: not an https, http or file URL", target);
	else if (strchr(target, '/') && !(j->path = strdup(target)))
		r = log_fail(-ENOMEM, "image pull: not enough memory");
	if (r)
		return r;
	if (strlen(target) >= sizeof(e->source))
		return log_fail(-EINVAL, "image pull: %s: too long", target);
	if (!j->path && !e->source[0])
		return take_known(j, arch);
	if (j->path && (r = take_path(j)))
		return r;
	return take_stated(j);
}

/* --- what its digest should be ---------------------------------------------------------------- */

/* The signature of the list: 0, or -errno, said. What came of it is in the entry. */
static int check_signature(struct job *j, char **text, size_t *len)
{
	const struct catalogue_entry *known = j->known;
	char keyring[PATH_MAX], url[CATALOGUE_URL_MAX], said[SIGNATURE_TEXT_MAX], *sig = NULL;
	char *out = j->entry.signature;
	size_t size = sizeof(j->entry.signature), sig_len = 0;
	int r = 0;

	if (!known->signature) {
		snprintf(out, size, "not checked: the catalogue knows of none");
		return 0;
	}
	if (signature_keyring(known->keyring, keyring, sizeof(keyring))) {
		snprintf(out, size,
			 "not checked: no keyring %s in ~/.config/skiff/keyrings or "
			 "/usr/share/keyrings",
			 known->keyring);
		return 0;
	}
	if (strcmp(known->signature, "inline") != 0) {
		catalogue_url(known, known->signature, url);
		r = fetch_text(&j->fetch, url, &sig, &sig_len);
	}
	if (!r)
		r = signature_check(j->what, keyring, text, len, sig, sig_len, said);
	free(sig);
	if (r >= 0)
		snprintf(out, size, "%s%.*s", r ? "" : "not checked: ", (int)size - 16, said);
	return r < 0 ? r : 0;
}

static int ask_publisher(struct job *j)
{
	const struct catalogue_entry *known = j->known;
	char url[CATALOGUE_URL_MAX], file[256], list[96], *text;
	size_t len;
	int r;

	if (catalogue_url(known, known->sums, url))
		return log_fail(-EINVAL, "%s: the checksum list's URL is too long", j->what);
	r = fetch_text(&j->fetch, url, &text, &len);
	if (r)
		return r;
	r = check_signature(j, &text, &len);
	last_word(known->url, file, sizeof(file));
	last_word(url, list, sizeof(list));
	if (!r) {
		r = sums_find(text, len, known->sums_kind, file, &j->expected);
		if (r)
			log_line(LOG_ERROR, "%s: %s: %s %s of %s", j->what, url,
				 r == -ENOENT ? "has no" : "has two different",
				 digest_name(known->sums_kind), file);
	}
	free(text);
	j->has_expected = !r;
	snprintf(j->list, sizeof(j->list), "the publisher's %s", list);
	return r;
}

static int expect(struct job *j)
{
	int r = 0;

	if (j->p->digest) {
		if (digest_parse(j->p->digest, &j->expected))
			return log_fail(
				-EINVAL,
				"image pull: --digest %s: give sha256: and 64 hex digits, or "
				"sha512: and 128",
				j->p->digest);
		j->has_expected = 1;
		snprintf(j->list, sizeof(j->list), "--digest");
	} else if (j->known && j->known->has_digest) {
		j->expected = j->known->digest;
		j->has_expected = 1;
		snprintf(j->list, sizeof(j->list), "the catalogue");
	} else if (j->known && j->known->sums) {
		r = ask_publisher(j);
	}
	if (j->has_expected)
		digest_print(&j->expected, j->entry.published);
	return r;
}

/* --- whether it is here ----------------------------------------------------------------------- */

static int is_same(const struct job *j, const struct image_entry *e)
{
	if (strcmp(e->format, j->entry.format) != 0)
		return 0;
	if (!j->has_expected) /* what a pull that was waited for has brought just now */
		return j->part.waited && strcmp(e->source, j->entry.source) == 0 &&
		       e->pulled >= j->began;
	return strcmp(e->digest, j->entry.published) == 0 ||
	       strcmp(e->published, j->entry.published) == 0;
}

/* 1 and the entry's name points to what is here; 0 it is to be fetched; -errno. */
static int is_here(struct job *j)
{
	struct image_entry *all, *e = &j->entry;
	const struct image_entry *same = NULL;
	size_t n;
	int r = image_store_list(&j->store, &all, &n);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		int own = strcmp(all[i].name, e->name) == 0 && strcmp(all[i].arch, e->arch) == 0;

		if (is_same(j, &all[i]) && (!same || own))
			same = &all[i];
	}
	if (same) {
		snprintf(e->digest, sizeof(e->digest), "%s", same->digest);
		e->pulled = (uint64_t)time(NULL);
		r = image_store_point(&j->store, e);
	}
	free(all);
	if (r)
		return r == -ENOENT ? 0 : r;
	return same != NULL;
}

/* --- the bytes -------------------------------------------------------------------------------- */

/* What was fetched before goes through the hasher again. */
static int rehash(struct job *j)
{
	char *buf = malloc(CHUNK);
	int r = buf ? 0 : log_fail(-ENOMEM, "%s: not enough memory", j->what);

	for (uint64_t off = 0; !r && off < j->part.have;) {
		uint64_t left = j->part.have - off;
		ssize_t n = pread(j->part.fd, buf, left < CHUNK ? (size_t)left : CHUNK, (off_t)off);

		if (n <= 0)
			r = log_fail(n ? -errno : -EIO, "%s: cannot read what is here: %s", j->what,
				     n ? strerror(errno) : "it became shorter");
		else
			hasher_add(&j->hash, buf, (size_t)n);
		off += n > 0 ? (uint64_t)n : 0;
		if (*j->p->stop)
			r = -EINTR;
	}
	free(buf);
	return r;
}

static int copy_bytes(struct job *j, int fd, uint64_t size)
{
	char *buf = malloc(CHUNK);
	int r = buf ? 0 : log_fail(-ENOMEM, "%s: not enough memory", j->what);
	ssize_t n = 1;

	progress_from(&j->progress, 0, size);
	while (!r && (n = read(fd, buf, CHUNK)) > 0) {
		hasher_add(&j->hash, buf, (size_t)n);
		r = part_add(&j->part, buf, (size_t)n);
		progress_set(&j->progress, j->part.have);
		if (r)
			progress_end(&j->progress);
		if (r == -ENOSPC || r == -EDQUOT)
			part_no_space(&j->part, j->what, size);
		else if (r)
			log_line(LOG_ERROR, "%s: cannot write in %s: %s", j->what, j->store.dir,
				 strerror(-r));
		if (!r && *j->p->stop)
			r = -EINTR;
	}
	progress_end(&j->progress);
	if (!r && n < 0)
		r = log_fail(-errno, "%s: %s: %s", j->what, j->path, strerror(errno));
	free(buf);
	return r;
}

/* A file of this host becomes the part: from the start, and all of it or nothing. */
static int copy_file(struct job *j)
{
	int fd = open(j->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		r = log_fail(-errno, "%s: %s: %s", j->what, j->path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		r = log_fail(-EINVAL, "%s: %s: not a regular file", j->what, j->path);
	else if ((uint64_t)st.st_size > j->fetch.limit)
		r = log_fail(-EFBIG, "%s: %s: too large", j->what, j->path);
	if (!r)
		r = part_restart(&j->part);
	if (!r && part_room(&j->part, (uint64_t)st.st_blocks * 512))
		r = part_no_space(&j->part, j->what, (uint64_t)st.st_blocks * 512);
	if (!r)
		r = copy_bytes(j, fd, (uint64_t)st.st_size);
	if (r)
		part_drop(&j->part);
	if (fd >= 0)
		close(fd);
	return r;
}

/* --- what came -------------------------------------------------------------------------------- */

static int compare(struct job *j)
{
	char is[DIGEST_TEXT_MAX], should[DIGEST_TEXT_MAX];
	struct digest sha256, other;

	hasher_end(&j->hash, DIGEST_SHA256, &sha256);
	digest_print(&sha256, is);
	snprintf(j->entry.digest, sizeof(j->entry.digest), "%.71s", is);
	if (!j->has_expected)
		return 0;
	other = sha256;
	if (j->expected.kind != DIGEST_SHA256)
		hasher_end(&j->hash, j->expected.kind, &other);
	if (digest_equal(&other, &j->expected))
		return 0;
	digest_print(&other, is);
	digest_print(&j->expected, should);
	return log_fail(-EBADMSG, "%s: has the wrong digest: %s; by %s it is %s: nothing is kept",
			j->what, is, j->list, should);
}

/* The file must be of the format that was stated, and stand alone. */
static int judge_format(struct job *j)
{
	char path[PATH_MAX + 100], magic[4] = "";
	struct qcow2_info info;
	int r;

	if (strcmp(j->entry.format, "raw") == 0) {
		if (pread(j->part.fd, magic, 4, 0) == 4 && memcmp(magic, "QFI\xfb", 4) == 0)
			return log_fail(
				-EINVAL,
				"%s: stated as raw, and begins as a qcow2 file does: if that "
				"is what it is, say --format qcow2; nothing is kept",
				j->what);
		return 0;
	}
	snprintf(path, sizeof(path), "%s/parts/%s", j->store.dir, j->part.name);
	r = qcow2_info(path, &info);
	if (r)
		return log_fail(r, "%s: not a qcow2 file that can be used: nothing is kept",
				j->what);
	if (info.backing[0])
		return log_fail(-EINVAL,
				"%s: is laid over another file (%s), which an image in the store "
				"must not be: nothing is kept",
				j->what, info.backing);
	return 0;
}

static int bring(struct job *j)
{
	struct image_entry *e = &j->entry;
	int r = hasher_start(&j->hash, j->has_expected && j->expected.kind == DIGEST_SHA512);

	if (r)
		return r;
	if (j->path) {
		r = copy_file(j);
	} else {
		r = rehash(j);
		if (!r)
			r = fetch_part(&j->fetch, e->source, &j->part, &j->hash);
		progress_end(&j->progress);
	}
	if (r)
		return r;
	r = compare(j);
	if (!r)
		r = judge_format(j);
	if (r) {
		part_drop(&j->part);
		return r;
	}
	e->pulled = (uint64_t)time(NULL);
	r = image_store_add(&j->store, j->part.fd, j->part.name, e);
	if (!r)
		part_done(&j->part);
	return r;
}

/* Parts are known by what they shall become: the source, and its digest where that is known. */
static int open_part(struct job *j)
{
	char text[DIGEST_TEXT_MAX], key[33];
	struct digest d;
	struct hasher h;
	int r = hasher_start(&h, 0);

	if (r)
		return r;
	hasher_add(&h, j->entry.source, strlen(j->entry.source) + 1);
	hasher_add(&h, j->entry.published, strlen(j->entry.published));
	hasher_end(&h, DIGEST_SHA256, &d);
	hasher_free(&h);
	digest_print(&d, text);
	snprintf(key, sizeof(key), "%.32s", text + strlen("sha256:"));
	return part_open(&j->part, &j->store, key, j->p->stop);
}

static void summarize(const struct job *j, int was_here, char out[PULL_SUMMARY_MAX])
{
	const struct image_entry *e = &j->entry;
	char size[UNITS_TEXT_MAX];
	struct stat st;

	units_bytes(stat(e->path, &st) ? 0 : (uint64_t)st.st_size, size);
	snprintf(out, PULL_SUMMARY_MAX, "%s (%s): %s%s, %.*s, %s%s%s%s", e->name, e->arch,
		 was_here ? "here already: " : "", size, SHORT_HEX, e->digest,
		 j->has_expected ? "as in " : "compared with nothing: no --digest was given",
		 j->has_expected ? j->list : "", e->signature[0] ? "; signature: " : "",
		 e->signature);
}

static int run(struct job *j, char summary[PULL_SUMMARY_MAX])
{
	int r = catalogue_load(&j->catalogue), here = 0;

	if (!r)
		r = understand(j);
	if (r)
		return r;
	snprintf(j->what, sizeof(j->what), "image pull: %s", j->entry.name);
	j->began = (uint64_t)time(NULL);
	progress_start(&j->progress, j->p->quiet ? -1 : STDERR_FILENO, j->entry.name);
	r = expect(j);
	if (!r)
		r = image_store_open(&j->store, 1);
	if (!r)
		r = here = is_here(j);
	if (r == 0) {
		r = open_part(j);
		if (!r && j->part.waited) /* the other one may have brought it */
			r = here = is_here(j);
		if (r == 0)
			r = bring(j);
		else if (here == 1)
			part_drop(&j->part);
	}
	if (r < 0)
		return r;
	summarize(j, here, summary);
	return 0;
}

int pull_run(const struct pull *p, struct image_entry *out, char summary[PULL_SUMMARY_MAX])
{
	struct job j = {
		.p = p, .store.fd = -1, .part.fd = -1, .fetch = {FETCH_DEFAULTS, .what = j.what}};
	int r;

	j.fetch.progress = &j.progress;
	j.fetch.stop = p->stop;
	if (p->tries)
		j.fetch.tries = p->tries;
	if (p->wait_ms)
		j.fetch.wait_ms = p->wait_ms;
	if (p->stall_s)
		j.fetch.stall_s = p->stall_s;
	progress_start(&j.progress, -1, "");
	r = run(&j, summary);
	*out = j.entry;
	part_close(&j.part);
	image_store_close(&j.store);
	hasher_free(&j.hash);
	catalogue_free(&j.catalogue);
	free(j.path);
	return r;
}
