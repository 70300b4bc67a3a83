/* SPDX-License-Identifier: BSD-2-Clause */
/* Checksum lists. Any thread, no state. Knows nothing of where they come from. */
#include "loader/image/sums.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *at;
	size_t len;
};

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trimmed(struct span s)
{
	while (s.len && is_blank(s.at[0])) {
		s.at++;
		s.len--;
	}
	while (s.len && is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

/* Whether @s names @file: as it is, or as `./FILE`. */
static int names(struct span s, const char *file)
{
	if (s.len > 2 && s.at[0] == '.' && s.at[1] == '/') {
		s.at += 2;
		s.len -= 2;
	}
	return s.len == strlen(file) && memcmp(s.at, file, s.len) == 0;
}

/* `HEX  NAME`, `HEX *NAME`. */
static int gnu_line(struct span s, enum digest_kind kind, const char *file, struct digest *out)
{
	size_t digits = 2 * digest_size(kind);
	struct span name;

	if (s.len < digits + 2 || !is_blank(s.at[digits]))
		return 0;
	name = trimmed((struct span){s.at + digits, s.len - digits});
	if (name.len && name.at[0] == '*') {
		name.at++;
		name.len--;
	}
	return names(name, file) && digest_parse_hex(kind, s.at, digits, out) == 0;
}

/* `SHA256 (NAME) = HEX`. */
static int bsd_line(struct span s, enum digest_kind kind, const char *file, struct digest *out)
{
	static const char between[] = ") = ";
	size_t word = strlen(digest_name(kind)), digits = 2 * digest_size(kind);
	size_t rest = word + 2 + strlen(between) + digits; /* all but the name */

	if (s.len <= rest || strncasecmp(s.at, digest_name(kind), word) != 0 ||
	    memcmp(s.at + word, " (", 2) != 0)
		return 0;
	s.at += word + 2;
	s.len -= rest;
	return memcmp(s.at + s.len, between, strlen(between)) == 0 && names(s, file) &&
	       digest_parse_hex(kind, s.at + s.len + strlen(between), digits, out) == 0;
}

int sums_find(const char *text, size_t len, enum digest_kind kind, const char *file,
	      struct digest *out)
{
	const char *end = text + len;
	unsigned found = 0, lines = 0;
	struct digest one, bare;
	int is_bare = 0;

	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		struct span s = trimmed((struct span){text, (size_t)((nl ? nl : end) - text)});

		text = nl ? nl + 1 : end;
		if (!s.len)
			continue;
		lines++;
		if (digest_parse_hex(kind, s.at, s.len, &bare) == 0)
			is_bare = 1;
		if (!gnu_line(s, kind, file, &one) && !bsd_line(s, kind, file, &one))
			continue;
		if (found++ && !digest_equal(&one, out))
			return -EINVAL;
		*out = one;
	}
	if (!found && is_bare && lines == 1) {
		*out = bare;
		return 0;
	}
	return found ? 0 : -ENOENT;
}
