/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds the kernel's command line and looks into it the way Linux does: words between blanks. Runs
 * on the main thread before any vCPU does. Does not know what the words mean.
 */
#include "loader/cmdline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/log.h"

/* Linux's command line parsers take every byte up to the space for a blank. */
static int is_blank(char c)
{
	return (unsigned char)c <= ' ';
}

int cmdline_append(struct cmdline *c, const char *words)
{
	size_t len = strlen(words), gap = c->len > 0;
	char *text;

	if (len == 0)
		return 0;
	for (const char *w = words; *w != '\0'; w++)
		if ((unsigned char)*w < ' ' && *w != '\t')
			return log_fail(-EINVAL,
					"command line: holds a newline or another control "
					"character: %.40s: give it on one line",
					words);
	if (len >= CMDLINE_SIZE_MAX - c->len - gap)
		return log_fail(-E2BIG, "command line: is longer than %d bytes; shorten it",
				CMDLINE_SIZE_MAX - 1);
	text = realloc(c->text, c->len + gap + len + 1);
	if (text == NULL)
		return log_fail(-ENOMEM, "command line: there is no memory for %zu bytes", len);
	if (gap)
		text[c->len] = ' ';
	memcpy(text + c->len + gap, words, len + 1);
	c->text = text;
	c->len += gap + len;
	return 0;
}

void cmdline_free(struct cmdline *c)
{
	free(c->text);
	*c = (struct cmdline){0};
}

/* Steps over one word: its start in *@word, its length returned; 0 when there is no more. */
static size_t next_word(const char **at, const char **word)
{
	while (**at != '\0' && is_blank(**at))
		(*at)++;
	*word = *at;
	while (!is_blank(**at)) /* ends at the NUL, too */
		(*at)++;
	return (size_t)(*at - *word);
}

int cmdline_has_word(const char *text, const char *word)
{
	size_t want = strlen(word), len;
	const char *w;

	while ((len = next_word(&text, &w)) > 0)
		if (len == want && memcmp(w, word, len) == 0)
			return 1;
	return 0;
}

const char *cmdline_value(const char *text, const char *key, size_t *len)
{
	size_t key_len = strlen(key), n;
	const char *w, *value = NULL;

	while ((n = next_word(&text, &w)) > 0) {
		if (n <= key_len || w[key_len] != '=' || memcmp(w, key, key_len) != 0)
			continue;
		value = w + key_len + 1;
		*len = n - key_len - 1;
	}
	return value;
}

int cmdline_check(const struct cmdline *c, const struct image *img, const char *path)
{
	if (c->len <= img->cmdline_max)
		return 0;
	return log_fail(-E2BIG,
			"command line: is %zu bytes too long for kernel %s, which takes %u; "
			"shorten it",
			c->len - img->cmdline_max, path, img->cmdline_max);
}
