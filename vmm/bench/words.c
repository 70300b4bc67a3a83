/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Composes argument vectors without a shell, so that no path needs quoting. Pure; any thread, one
 * for one vector.
 */
#include "vmm/bench/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void words_init(struct words *w)
{
	w->n = 0;
	w->used = 0;
	w->overflow = 0;
	w->v[0] = NULL;
}

void words_add(struct words *w, const char *fmt, ...)
{
	size_t room = sizeof(w->text) - w->used;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(w->text + w->used, room, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= room || w->n == WORDS_MAX) {
		w->overflow = 1;
		return;
	}
	w->v[w->n++] = w->text + w->used;
	w->v[w->n] = NULL;
	w->used += (size_t)len + 1;
}

void words_add_all(struct words *w, const char *const *many)
{
	for (; *many; many++)
		words_add(w, "%s", *many);
}

/* One word, with its keys replaced, into @out; what does not fit is cut. */
static void fill_word(const char *word, size_t len, char *out, size_t size,
		      const char *(*value)(void *arg, const char *key), void *arg)
{
	size_t at = 0;

	for (size_t i = 0; i < len && at + 1 < size;) {
		size_t key_len = word[i] == '{' ? strcspn(word + i, "} ") : 0;
		const char *v = NULL;
		char key[32];

		if (key_len > 1 && key_len <= sizeof(key) && i + key_len < len &&
		    word[i + key_len] == '}') {
			snprintf(key, sizeof(key), "%.*s", (int)key_len - 1, word + i + 1);
			v = value(arg, key);
		}
		if (v) {
			at += (size_t)snprintf(out + at, size - at, "%s", v);
			i += key_len + 1;
		} else {
			out[at++] = word[i++];
		}
	}
	out[at < size ? at : size - 1] = '\0';
}

void words_fill(struct words *w, const char *template,
		const char *(*value)(void *arg, const char *key), void *arg)
{
	char word[256];

	for (const char *at = template; *at;) {
		size_t len = strcspn(at, " ");

		fill_word(at, len, word, sizeof(word), value, arg);
		words_add(w, "%s", word);
		at += len + (at[len] == ' ');
	}
}
