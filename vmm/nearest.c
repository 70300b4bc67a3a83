/* SPDX-License-Identifier: BSD-2-Clause */
/* "Did you mean": the nearest of some words. Any thread; it knows nothing of what they name. */
#include "vmm/nearest.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

/* Levenshtein distance, for short words; long ones are as far as can be. */
static unsigned distance(const char *a, const char *b)
{
	enum { MAX = 32 };
	unsigned row[MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > MAX || lb > MAX)
		return UINT_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned change = diagonal + (a[i - 1] != b[j - 1]);
			unsigned best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = change < best ? change : best;
		}
	}
	return row[lb];
}

const char *nearest_word(const char *word, const char *const *words)
{
	const char *best = NULL;
	size_t len = strlen(word);
	unsigned best_distance = (unsigned)len / 3 + 2;

	for (; *words; words++) {
		unsigned d = distance(word, *words);

		if (len > 2 && strncmp(word, *words, len) == 0)
			return *words; /* shortened */
		if (d < best_distance) {
			best_distance = d;
			best = *words;
		}
	}
	return best;
}
