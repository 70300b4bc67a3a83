/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_WORDS_H
#define VMM_BENCH_WORDS_H

#include <stddef.h>

/*
 * The argument vector of a program, as it is composed: v[n] is always NULL. What does not fit is
 * left out and remembered, so that a caller asks once, at the end.
 */
#define WORDS_MAX   64
#define WORDS_BYTES 8192

struct words {
	char *v[WORDS_MAX + 1];
	unsigned n;
	size_t used;
	int overflow;
	char text[WORDS_BYTES];
};

void words_init(struct words *w);

/* One word more. */
void words_add(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Each of @many in turn; NULL ends them. */
void words_add_all(struct words *w, const char *const *many);

/*
 * The words of @template, which single blanks part. In them {KEY} becomes what @value(@arg, KEY)
 * gives; what it does not know stays.
 */
void words_fill(struct words *w, const char *template,
		const char *(*value)(void *arg, const char *key), void *arg);

#endif
