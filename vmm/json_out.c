/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A JSON writer for short answers to machines: commas, indentation and escapes. Any thread, one
 * for one stream. It knows nothing of what is written and keeps no text.
 */
#include <inttypes.h>
#include <string.h>

#include "vmm/json_out.h"

void json_out_init(struct json_out *j, FILE *f)
{
	j->f = f;
	j->depth = 0;
	j->first = 1;
}

/*
 * Bytes of the UTF-8 sequence that @s starts with, 0 if that is none: no overlong forms, no
 * surrogates, nothing above U+10FFFF (RFC 3629 §4).
 */
static unsigned utf8_len(const unsigned char *s)
{
	static const struct {
		unsigned char first, last, second_min, second_max;
		unsigned len;
	} form[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (unsigned i = 0; i < sizeof(form) / sizeof(form[0]); i++) {
		if (s[0] < form[i].first || s[0] > form[i].last)
			continue;
		if (s[1] < form[i].second_min || s[1] > form[i].second_max)
			return 0;
		/* A NUL is no continuation byte, so this stops at the string's end. */
		for (unsigned n = 2; n < form[i].len; n++)
			if (s[n] < 0x80 || s[n] > 0xbf)
				return 0;
		return form[i].len;
	}
	return 0;
}

static void put_escaped(FILE *f, unsigned char c)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *at = strchr(plain, c);

	if (at)
		fprintf(f, "\\%c", letter[at - plain]);
	else if (c < 0x20 || c == 0x7f)
		fprintf(f, "\\u%04x", c);
	else
		fputc(c, f);
}

static void put_string(FILE *f, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	fputc('"', f);
	while (*s) {
		unsigned n;

		if (*s < 0x80) {
			put_escaped(f, *s++);
			continue;
		}
		n = utf8_len(s);
		if (n)
			fwrite(s, 1, n, f);
		else
			fputs("\\ufffd", f);
		s += n ? n : 1;
	}
	fputc('"', f);
}

/* What stands before any value: a comma, a new line, the key. */
static void begin(struct json_out *j, const char *key)
{
	if (j->depth)
		fprintf(j->f, "%s\n%*s", j->first ? "" : ",", (int)j->depth * 2, "");
	j->first = 0;
	if (key) {
		put_string(j->f, key);
		fputs(": ", j->f);
	}
}

void json_out_open(struct json_out *j, const char *key, char bracket)
{
	begin(j, key);
	fputc(bracket, j->f);
	j->depth++;
	j->first = 1;
}

void json_out_close(struct json_out *j, char bracket)
{
	j->depth--;
	if (!j->first)
		fprintf(j->f, "\n%*s", (int)j->depth * 2, "");
	fputc(bracket, j->f);
	j->first = 0;
	if (j->depth == 0)
		fputc('\n', j->f);
}

void json_out_string(struct json_out *j, const char *key, const char *value)
{
	begin(j, key);
	put_string(j->f, value);
}

void json_out_uint(struct json_out *j, const char *key, uint64_t value)
{
	begin(j, key);
	fprintf(j->f, "%" PRIu64, value);
}

void json_out_bool(struct json_out *j, const char *key, int value)
{
	begin(j, key);
	fputs(value ? "true" : "false", j->f);
}
