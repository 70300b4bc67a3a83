/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory of pulled images. Main thread, blocking. Linked into skiff and skiff-image, so it
 * knows nothing of fetching, of digests (it takes them as words) or of what is in an image.
 */
#include "loader/image_store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "vmm/log.h"
#include "vmm/xdg.h"

#define RECORD_MAX 4096
#define TMP_NAME   ".new" /* in names/; made and renamed under the lock */

/* --- paths and words ------------------------------------------------------------------------- */

int image_store_home(const char *what, char *path, size_t size)
{
	int r = xdg_path(XDG_DATA, what, path, size);

	if (r == -ENOENT)
		return log_fail(r, "image: cannot tell where your files are: set HOME or "
				   "XDG_DATA_HOME");
	if (r < 0)
		return log_fail(r, "image: the path of your data directory is too long");
	return 0;
}

const char *image_store_arch(const char *name)
{
	static const char *const known[][2] = {
		{"amd64", "amd64"}, {"x86_64", "amd64"}, {"arm64", "arm64"}, {"aarch64", "arm64"}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i][0]) == 0)
			return known[i][1];
	return NULL;
}

const char *image_store_host_arch(void)
{
	struct utsname u;
	const char *arch = uname(&u) == 0 ? image_store_arch(u.machine) : NULL;

	return arch ? arch : "amd64";
}

int image_store_name_is_good(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < IMAGE_STORE_NAME_MAX && isalnum((unsigned char)name[0]) &&
	       strspn(name,
		      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:+-") == n;
}

/* "sha256:HEX" -> "sha256-HEX", which may be a file's name. 0 or -EINVAL. */
static int blob_name(const char *digest, char out[72])
{
	if (strncmp(digest, "sha256:", 7) != 0 || strlen(digest) != 71 ||
	    strspn(digest + 7, "0123456789abcdef") != 64)
		return -EINVAL;
	snprintf(out, 72, "sha256-%s", digest + 7);
	return 0;
}

static int set_path(struct image_store *s, struct image_entry *e, const char *blob)
{
	int n = snprintf(e->path, sizeof(e->path), "%s/blobs/%s", s->dir, blob);

	return (size_t)n < sizeof(e->path) ? 0 : -ENAMETOOLONG;
}

static int failed(struct image_store *s, const char *what)
{
	int r = -errno;

	return log_fail(r, "image: %s/%s: %s", s->dir, what, strerror(-r));
}

/* --- opening --------------------------------------------------------------------------------- */

int image_store_make_dirs(const char *path)
{
	int r = xdg_make_dirs(path);

	if (r < 0)
		return log_fail(
			r, "image: cannot make %s: %s: set XDG_DATA_HOME to where you may write",
			path, strerror(-r));
	return 0;
}

int image_store_open(struct image_store *s, int make)
{
	static const char *const rooms[] = {"blobs", "names", "parts"};
	int r;

	s->fd = -1;
	r = image_store_home("images", s->dir, sizeof(s->dir));
	if (!r && make)
		r = image_store_make_dirs(s->dir);
	if (r)
		return r;
	s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0) {
		r = -errno;
		return r == -ENOENT ? r : log_fail(r, "image: %s: %s", s->dir, strerror(-r));
	}
	for (size_t i = 0; make && i < sizeof(rooms) / sizeof(rooms[0]); i++)
		if (mkdirat(s->fd, rooms[i], 0700) && errno != EEXIST)
			return failed(s, rooms[i]);
	return 0;
}

void image_store_close(struct image_store *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int image_store_lock(struct image_store *s)
{
	int fd = openat(s->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600), r = 0;

	if (fd < 0)
		return failed(s, "lock");
	while (flock(fd, LOCK_EX) && !r)
		if (errno != EINTR)
			r = failed(s, "lock");
	if (r)
		close(fd);
	return r ? r : fd;
}

void image_store_unlock(int lock)
{
	close(lock);
}

/* --- records --------------------------------------------------------------------------------- */

static const struct field {
	const char *key;
	size_t at, size;
} fields[] = {
#define FIELD(f)                                                                          \
	{                                                                                 \
#f, offsetof(struct image_entry, f), sizeof(((struct image_entry *)0)->f) \
	}
	FIELD(name),   FIELD(aliases),   FIELD(arch),      FIELD(format),
	FIELD(digest), FIELD(published), FIELD(signature), FIELD(source),
#undef FIELD
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static void take_line(struct image_entry *e, char *line)
{
	char *value = strchr(line, ' ');

	if (!value)
		return;
	*value++ = '\0';
	if (strcmp(line, "pulled") == 0)
		e->pulled = strtoull(value, NULL, 10);
	for (size_t i = 0; i < N_FIELDS; i++)
		if (strcmp(line, fields[i].key) == 0 && strlen(value) < fields[i].size)
			memcpy((char *)e + fields[i].at, value, strlen(value) + 1);
}

/* Reads at most @size - 1 bytes of a small file. Their number, or -errno. */
static ssize_t read_small(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		n = -errno;
	else
		buf[n] = '\0';
	close(fd);
	return n;
}

/* The record in names/@file: 0; -ENOENT if it is not there; -EINVAL. */
static int read_record(struct image_store *s, const char *file, struct image_entry *e)
{
	char text[RECORD_MAX], path[300], blob[72], *save = NULL;
	ssize_t n;

	memset(e, 0, sizeof(*e));
	snprintf(path, sizeof(path), "names/%s", file);
	n = read_small(s->fd, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		take_line(e, line);
	if (!image_store_name_is_good(e->name) || !image_store_arch(e->arch) ||
	    (strcmp(e->format, "qcow2") != 0 && strcmp(e->format, "raw") != 0) ||
	    blob_name(e->digest, blob))
		return -EINVAL;
	return set_path(s, e, blob);
}

/*
 * The same, with a blob that is there. Nobody is locked out meanwhile: a blob that is gone went
 * because its name got another, and then the record tells of that one.
 */
static int read_whole(struct image_store *s, const char *file, struct image_entry *e)
{
	char digest[sizeof(e->digest)];
	int r = read_record(s, file, e);

	while (!r && access(e->path, F_OK)) {
		memcpy(digest, e->digest, sizeof(digest));
		r = read_record(s, file, e);
		if (!r && strcmp(digest, e->digest) == 0)
			r = -EINVAL;
	}
	return r;
}

static int by_name(const void *a, const void *b)
{
	const struct image_entry *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : strcmp(x->arch, y->arch);
}

/* As image_store_list(); *@damaged is set if there was a record that could not be read. */
static int list(struct image_store *s, struct image_entry **out, size_t *n, int *damaged)
{
	int fd = openat(s->fd, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	int r = 0, record;

	*out = NULL;
	*n = 0;
	*damaged = 0;
	if (!dir) {
		r = errno == ENOENT ? 0 : failed(s, "names");
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (d = readdir(dir))) {
		struct image_entry *more;

		if (d->d_name[0] == '.')
			continue;
		more = realloc(*out, (*n + 1) * sizeof(**out));
		if (!more) {
			r = log_fail(-ENOMEM, "image: not enough memory to list the images");
			break;
		}
		*out = more;
		record = read_whole(s, d->d_name, &more[*n]);
		*n += record == 0;
		if (record == 0 || record == -ENOENT) /* taken away just now */
			continue;
		*damaged = 1;
		log_line(LOG_WARN, "image: %s/names/%s: damaged: pull that image again", s->dir,
			 d->d_name);
	}
	closedir(dir);
	if (r) {
		free(*out);
		*out = NULL;
		*n = 0;
	} else if (*n) {
		qsort(*out, *n, sizeof(**out), by_name);
	}
	return r;
}

int image_store_list(struct image_store *s, struct image_entry **out, size_t *n)
{
	int damaged;

	return list(s, out, n, &damaged);
}

static int has_alias(const struct image_entry *e, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = e->aliases; *p; p += strspn(p, " ")) {
		size_t word = strcspn(p, " ");

		if (word == len && strncmp(p, name, len) == 0)
			return 1;
		p += word;
	}
	return 0;
}

int image_store_look(struct image_store *s, const char *name, const char *arch,
		     struct image_entry *out)
{
	struct image_entry *all;
	const struct image_entry *best = NULL;
	size_t n;
	int r;

	if (!arch)
		arch = image_store_host_arch();
	r = image_store_list(s, &all, &n);
	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(all[i].arch, arch) != 0)
			continue;
		if (strcmp(all[i].name, name) == 0) {
			best = &all[i];
			break;
		}
		/* An alias like `latest` moves on: the one pulled last has it. */
		if (has_alias(&all[i], name) && (!best || all[i].pulled > best->pulled))
			best = &all[i];
	}
	if (best)
		*out = *best;
	free(all);
	return best ? 0 : -ENOENT;
}

int image_store_find(const char *name, const char *arch, struct image_entry *out)
{
	struct image_store s;
	int r = image_store_open(&s, 0);

	if (!r)
		r = image_store_look(&s, name, arch, out);
	image_store_close(&s);
	return r;
}

/* --- changing -------------------------------------------------------------------------------- */

static int sync_dir(struct image_store *s, const char *name)
{
	int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0 || fsync(fd))
		r = failed(s, name);
	if (fd >= 0)
		close(fd);
	return r;
}

static int write_record(struct image_store *s, const struct image_entry *e)
{
	char path[300];
	int fd = openat(s->fd, "names/" TMP_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	int r = 0;

	if (!f) {
		r = failed(s, "names/" TMP_NAME);
		if (fd >= 0)
			close(fd);
		return r;
	}
	for (size_t i = 0; i < N_FIELDS; i++)
		fprintf(f, "%s %s\n", fields[i].key, (const char *)e + fields[i].at);
	fprintf(f, "pulled %" PRIu64 "\n", e->pulled);
	if (fflush(f) || ferror(f) || fsync(fd))
		r = failed(s, "names/" TMP_NAME);
	fclose(f);
	snprintf(path, sizeof(path), "names/%s@%s", e->name, e->arch);
	if (!r && renameat(s->fd, "names/" TMP_NAME, s->fd, path))
		r = failed(s, path);
	if (r)
		unlinkat(s->fd, "names/" TMP_NAME, 0);
	return r ? r : sync_dir(s, "names");
}

/* The blob that a machine is laid over, or "" if it is over none. False if that cannot be told. */
static int blob_of(int machines, const char *name, char blob[72])
{
	char text[PATH_MAX + 2], path[300];
	const char *last;
	ssize_t n;

	blob[0] = '\0';
	snprintf(path, sizeof(path), "%s/image", name);
	n = read_small(machines, path, text, sizeof(text));
	if (n == -ENOENT) { /* with its uuid it is a machine that has lost it */
		snprintf(path, sizeof(path), "%s/uuid", name);
		return faccessat(machines, path, F_OK, 0) != 0;
	}
	if (n <= 0)
		return n == -ENOTDIR;
	text[strcspn(text, "\r\n")] = '\0';
	last = strrchr(text, '/');
	last = last ? last + 1 : text;
	if (strlen(last) < 72)
		memcpy(blob, last, strlen(last) + 1);
	return 1;
}

/* Whether a machine is laid over the blob, or may be: its name in @machine. */
static int machine_over(const char *blob, char *machine, size_t size)
{
	char home[PATH_MAX], over[72];
	struct dirent *d;
	int found = 0;
	DIR *dir;

	if (image_store_home("machines", home, sizeof(home)))
		return 0;
	dir = opendir(home);
	if (!dir) {
		found = errno != ENOENT;
		snprintf(machine, size, "?");
		return found;
	}
	while (!found && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		found = !blob_of(dirfd(dir), d->d_name, over) || strcmp(over, blob) == 0;
		if (found)
			snprintf(machine, size, "%s", d->d_name);
	}
	closedir(dir);
	return found;
}

static int is_named(const struct image_entry *all, size_t n, const char *blob)
{
	char name[72];

	for (size_t i = 0; i < n; i++)
		if (blob_name(all[i].digest, name) == 0 && strcmp(name, blob) == 0)
			return 1;
	return 0;
}

/* Removes blobs that nothing points to. Under the lock; what cannot be removed stays. */
static void sweep(struct image_store *s)
{
	struct image_entry *all;
	char machine[256];
	struct dirent *d;
	int fd, damaged;
	size_t n;
	DIR *dir;

	if (list(s, &all, &n, &damaged))
		return;
	if (damaged) { /* it may name one of them */
		free(all);
		return;
	}
	fd = openat(s->fd, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.' && !is_named(all, n, d->d_name) &&
		    !machine_over(d->d_name, machine, sizeof(machine)))
			unlinkat(fd, d->d_name, 0);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	free(all);
}

int image_store_point(struct image_store *s, struct image_entry *e)
{
	char blob[72];
	int lock, r;

	if (blob_name(e->digest, blob) || !image_store_name_is_good(e->name))
		return -EINVAL;
	lock = image_store_lock(s);
	if (lock < 0)
		return lock;
	r = set_path(s, e, blob);
	if (!r)
		r = access(e->path, F_OK) ? -errno : write_record(s, e);
	if (!r)
		sweep(s);
	image_store_unlock(lock);
	return r;
}

int image_store_add(struct image_store *s, int fd, const char *part, struct image_entry *e)
{
	char from[300], blob[72], to[80];
	int lock, r;

	if (blob_name(e->digest, blob) || !image_store_name_is_good(e->name))
		return -EINVAL;
	snprintf(from, sizeof(from), "parts/%s", part);
	snprintf(to, sizeof(to), "blobs/%s", blob);
	if (fchmod(fd, 0444) || fsync(fd))
		return failed(s, from);
	lock = image_store_lock(s);
	if (lock < 0)
		return lock;
	r = renameat(s->fd, from, s->fd, to) ? failed(s, from) : sync_dir(s, "blobs");
	if (!r)
		r = write_record(s, e);
	if (!r)
		sweep(s);
	image_store_unlock(lock);
	return r ? r : set_path(s, e, blob);
}

static int remove_locked(struct image_store *s, const char *name, const char *arch)
{
	struct image_entry e, *all;
	char machine[256], blob[72], path[300];
	size_t n, sharing = 0;
	int r = image_store_look(s, name, arch, &e);

	if (!r)
		r = image_store_list(s, &all, &n);
	if (r)
		return r;
	for (size_t i = 0; i < n; i++)
		sharing += strcmp(all[i].digest, e.digest) == 0;
	free(all);
	blob_name(e.digest, blob);
	if (sharing < 2 && machine_over(blob, machine, sizeof(machine)))
		return log_fail(
			-EBUSY,
			"image rm: %s: machine `%s` is laid over it, or cannot be read: remove that "
			"machine first, or run this as whoever it belongs to",
			e.name, machine);
	snprintf(path, sizeof(path), "names/%s@%s", e.name, e.arch);
	if (unlinkat(s->fd, path, 0))
		return failed(s, path);
	sweep(s);
	return sync_dir(s, "names");
}

int image_store_remove(struct image_store *s, const char *name, const char *arch)
{
	int lock = image_store_lock(s), r;

	if (lock < 0)
		return lock;
	r = remove_locked(s, name, arch);
	image_store_unlock(lock);
	return r;
}
