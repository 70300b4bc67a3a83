/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_SCROLLBACK_H
#define VMM_SCROLLBACK_H

#include <stddef.h>

/*
 * The last bytes of a text that was not shown, of which some may be wanted after all. Bounded: what
 * is older than SCROLLBACK_BYTES is dropped. {0} is empty; without memory it stays so.
 */
#define SCROLLBACK_BYTES (64u << 10)

struct scrollback {
	char *text;
	size_t len;
};

void scrollback_add(struct scrollback *s, const void *bytes, size_t len);

/* The last @lines lines, the unfinished one among them; 0: all. In place until the next call. */
const char *scrollback_last(const struct scrollback *s, unsigned lines, size_t *len);

void scrollback_free(struct scrollback *s);

#endif
