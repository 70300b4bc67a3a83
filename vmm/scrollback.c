/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps the end of a text. Whoever calls; knows nothing of what it says. */
#include "vmm/scrollback.h"

#include <stdlib.h>
#include <string.h>

void scrollback_add(struct scrollback *s, const void *bytes, size_t len)
{
	const char *from = bytes;
	size_t keep;

	if (!s->text)
		s->text = malloc(SCROLLBACK_BYTES);
	if (!s->text)
		return;
	if (len > SCROLLBACK_BYTES) {
		from += len - SCROLLBACK_BYTES;
		len = SCROLLBACK_BYTES;
	}
	/* Half is dropped at once, so that not every byte moves all others. */
	if (len > SCROLLBACK_BYTES - s->len) {
		keep = SCROLLBACK_BYTES / 2;
		if (keep > SCROLLBACK_BYTES - len)
			keep = SCROLLBACK_BYTES - len;
		if (keep > s->len)
			keep = s->len;
		memmove(s->text, s->text + s->len - keep, keep);
		s->len = keep;
	}
	memcpy(s->text + s->len, from, len);
	s->len += len;
}

const char *scrollback_last(const struct scrollback *s, unsigned lines, size_t *len)
{
	size_t at = lines ? s->len : 0;

	while (at > 0 && (s->text[at - 1] != '\n' || --lines > 0))
		at--;
	*len = s->len - at;
	return s->text ? s->text + at : "";
}

void scrollback_free(struct scrollback *s)
{
	free(s->text);
	*s = (struct scrollback){0};
}
