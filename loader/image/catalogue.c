/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The catalogue's parser: lines of words, cut where they lie. Main thread. Knows nothing of
 * fetching. What is wrong with a line is said with the file's name and the line's number, and then
 * none of that file is used: a typing error must not silently bring another image.
 */
#include "loader/image/catalogue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "loader/image_store.h"
#include "vmm/log.h"
#include "vmm/xdg.h"

/* A line being read. */
struct reader {
	const char *file;
	unsigned line;
	char *save; /* strtok_r's */
};

#define BAD(r, fmt, ...) \
	log_fail(-EINVAL, "%s:%u: " fmt, (r)->file, (r)->line __VA_OPT__(, ) __VA_ARGS__)

static int is_url(const char *s)
{
	size_t scheme = strncasecmp(s, "https://", 8) == 0  ? 8
			: strncasecmp(s, "http://", 7) == 0 ? 7
							    : 0;

	return scheme && s[scheme] && s[scheme] != '/';
}

static char *next_word(struct reader *r)
{
	return strtok_r(NULL, " \t\r", &r->save);
}

static int take_names(struct reader *r, struct catalogue_entry *e, char *word)
{
	size_t n = 0;
	char *save;

	for (char *name = strtok_r(word, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		if (n == CATALOGUE_NAMES_MAX)
			return BAD(r, "%s: more than %u names", name, CATALOGUE_NAMES_MAX);
		if (!image_store_name_is_good(name))
			return BAD(r, "%s: not a name: use letters, digits and . _ : + -", name);
		e->names[n++] = name;
	}
	return n ? 0 : BAD(r, "a line begins with the image's name");
}

/* A word that is a URL or the name of a file beside the image. */
static int take_place(struct reader *r, const char *key, const char *value, const char **out)
{
	char url[CATALOGUE_URL_MAX];
	struct catalogue_entry probe = {.url = "https://localhost/file"};

	if (*out)
		return BAD(r, "%s=: given twice", key);
	if (!*value || (strstr(value, "://") && !is_url(value)) || strchr(value, '#') ||
	    catalogue_url(&probe, value, url))
		return BAD(r, "%s=%s: give an https:// or http:// URL, or a file beside the image",
			   key, value);
	*out = value;
	return 0;
}

static int take_option(struct reader *r, struct catalogue_entry *e, char *word)
{
	char *value = strchr(word, '=');

	if (!value)
		return BAD(r, "%s: not one of sha256= sha512= digest= signature= keyring=", word);
	*value++ = '\0';
	if (strcmp(word, "sha256") == 0 || strcmp(word, "sha512") == 0) {
		e->sums_kind = word[3] == '2' ? DIGEST_SHA256 : DIGEST_SHA512;
		return take_place(r, word, value, &e->sums);
	}
	if (strcmp(word, "signature") == 0)
		return take_place(r, word, value, &e->signature);
	if (strcmp(word, "keyring") == 0) {
		if (e->keyring || !*value)
			return BAD(r, "keyring=: give one file");
		e->keyring = value;
		return 0;
	}
	if (strcmp(word, "digest") == 0) {
		if (e->has_digest || digest_parse(value, &e->digest))
			return BAD(r, "digest=%s: give one sha256: or sha512: and its hex digits",
				   value);
		e->has_digest = 1;
		return 0;
	}
	return BAD(r, "%s=: not one of sha256= sha512= digest= signature= keyring=", word);
}

static int take_line(struct reader *r, struct catalogue_entry *e, char *first)
{
	const char *arch, *format, *url;
	char *word;
	int ret = take_names(r, e, first);

	if (ret)
		return ret;
	arch = next_word(r);
	format = next_word(r);
	url = next_word(r);
	if (!url)
		return BAD(r, "%s: a line is NAME ARCH FORMAT URL", e->names[0]);
	e->arch = image_store_arch(arch);
	if (!e->arch)
		return BAD(r, "%s: not an architecture: amd64 or arm64", arch);
	if (strcmp(format, "qcow2") != 0 && strcmp(format, "raw") != 0)
		return BAD(r, "%s: not a format: qcow2 or raw", format);
	e->format = format;
	if (!is_url(url) || strlen(url) >= CATALOGUE_URL_MAX)
		return BAD(r, "%s: not an https:// or http:// URL", url);
	e->url = url;
	e->line = r->line;
	while ((word = next_word(r))) {
		ret = take_option(r, e, word);
		if (ret)
			return ret;
	}
	if (e->signature && (!e->sums || !e->keyring))
		return BAD(r, "signature=: goes with sha256= or sha512= and keyring=");
	if (e->sums && e->has_digest)
		return BAD(r, "digest=: takes the place of sha256= and sha512=");
	return 0;
}

/* A name must not mean two images of one architecture in one file: entries from @from on. */
static int check_names(struct reader *r, const struct catalogue *c, size_t from)
{
	const struct catalogue_entry *e = &c->entry[c->n];
	struct catalogue seen = {.entry = c->entry + from, .n = c->n - from};

	for (const char *const *name = e->names; *name; name++) {
		const struct catalogue_entry *other = catalogue_find(&seen, *name, e->arch);

		if (other)
			return BAD(r, "%s for %s: line %u has it already", *name, e->arch,
				   other->line);
	}
	return 0;
}

static int parse_lines(struct catalogue *c, struct reader *r, char *text)
{
	size_t from = c->n;
	char *next;

	for (char *line = text; line; line = next) {
		struct catalogue_entry *more;
		char *word;
		int ret;

		r->line++;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		word = strtok_r(line, " \t\r", &r->save);
		if (!word || word[0] == '#')
			continue;
		if (c->n == CATALOGUE_ENTRIES_MAX)
			return BAD(r, "more than %u images", CATALOGUE_ENTRIES_MAX);
		more = realloc(c->entry, (c->n + 1) * sizeof(*more));
		if (!more)
			return log_fail(-ENOMEM, "%s: not enough memory to read it", r->file);
		c->entry = more;
		memset(&more[c->n], 0, sizeof(*more));
		ret = take_line(r, &more[c->n], word);
		if (!ret)
			ret = check_names(r, c, from);
		if (ret)
			return ret;
		c->n++;
	}
	return 0;
}

int catalogue_parse(struct catalogue *c, const char *file, const char *text, size_t len)
{
	struct reader r = {.file = file};
	char **slot = c->text[0] ? &c->text[1] : &c->text[0];
	size_t before = c->n;
	int ret;

	if (len > CATALOGUE_BYTES_MAX)
		return log_fail(-EFBIG, "%s: longer than 1 MiB", file);
	if (memchr(text, '\0', len))
		return log_fail(-EINVAL, "%s: not a text file: it has NUL bytes", file);
	*slot = malloc(len + 1);
	if (!*slot)
		return log_fail(-ENOMEM, "%s: not enough memory to read it", file);
	memcpy(*slot, text, len);
	(*slot)[len] = '\0';
	ret = parse_lines(c, &r, *slot);
	if (ret) {
		c->n = before;
		free(*slot);
		*slot = NULL;
	}
	return ret;
}

void catalogue_free(struct catalogue *c)
{
	free(c->entry);
	free(c->text[0]);
	free(c->text[1]);
	memset(c, 0, sizeof(*c));
}

const struct catalogue_entry *catalogue_find(const struct catalogue *c, const char *name,
					     const char *arch)
{
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->entry[i].arch, arch) != 0)
			continue;
		for (const char *const *n = c->entry[i].names; *n; n++)
			if (strcmp(*n, name) == 0)
				return &c->entry[i];
	}
	return NULL;
}

int catalogue_url(const struct catalogue_entry *e, const char *word, char out[CATALOGUE_URL_MAX])
{
	const char *last = strrchr(e->url, '/');
	int n;

	if (strstr(word, "://"))
		n = snprintf(out, CATALOGUE_URL_MAX, "%s", word);
	else
		n = snprintf(out, CATALOGUE_URL_MAX, "%.*s/%s", (int)(last - e->url), e->url, word);
	return n < CATALOGUE_URL_MAX ? 0 : -ENAMETOOLONG;
}

/* --- files ----------------------------------------------------------------------------------- */

/* The user's own entries, if there are any. */
static int load_own(struct catalogue *c)
{
	size_t size = CATALOGUE_BYTES_MAX + 1, len = 0;
	char path[PATH_MAX], *text;
	ssize_t n = 0;
	int fd, r;

	if (xdg_path(XDG_CONFIG, "catalogue", path, sizeof(path)))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : log_fail(-errno, "%s: %s", path, strerror(errno));
	text = malloc(size);
	while (text && len < size && (n = read(fd, text + len, size - len)) > 0)
		len += (size_t)n;
	if (!text)
		r = log_fail(-ENOMEM, "%s: not enough memory to read it", path);
	else if (n < 0)
		r = log_fail(-errno, "%s: %s", path, strerror(errno));
	else
		r = catalogue_parse(c, path, text, len);
	free(text);
	close(fd);
	return r;
}

int catalogue_load(struct catalogue *c)
{
	int r;

	memset(c, 0, sizeof(*c));
	r = load_own(c);
	if (!r)
		r = catalogue_parse(c, "catalogue", catalogue_text,
				    (size_t)(catalogue_text_end - catalogue_text));
	if (r)
		catalogue_free(c);
	return r;
}
