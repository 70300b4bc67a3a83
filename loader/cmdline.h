/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_CMDLINE_H
#define LOADER_CMDLINE_H

#include <stddef.h>

#include "loader/image.h"

/* No kernel takes a longer command line than this, its NUL included. */
#define CMDLINE_SIZE_MAX 65536

/* A kernel command line that grows at its end. {0} is an empty one. */
struct cmdline {
	char *text; /* NUL-terminated, or NULL while nothing was appended */
	size_t len; /* without the NUL */
};

/*
 * Appends @words after a space (none at the start; an empty string appends nothing). 0, -EINVAL if
 * they hold a newline or another control character, -E2BIG past CMDLINE_SIZE_MAX, or -ENOMEM; says
 * why and leaves the line as it was.
 */
int cmdline_append(struct cmdline *c, const char *words);

/* Frees the text; may be called on {0}. */
void cmdline_free(struct cmdline *c);

/* Whether @word, such as "nokaslr", stands in @text alone between blanks, as Linux looks for it. */
int cmdline_has_word(const char *text, const char *word);

/*
 * The value of the last `@key=value` in @text, which is what Linux goes by; *@len is its length up
 * to the next blank. NULL if there is none. Quotes are not looked into.
 */
const char *cmdline_value(const char *text, const char *key, size_t *len);

/*
 * 0, or -E2BIG if the line is longer than the kernel @img takes; says by how many bytes. @path is
 * the kernel's, for the message.
 */
int cmdline_check(const struct cmdline *c, const struct image *img, const char *path);

#endif
