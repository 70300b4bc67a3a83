/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of cluster numbers: which clusters of an image hold tables. An open hash with linear
 * probing. Knows nothing of images; whoever owns the set owns the thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/block/qcow2_image.h"

static size_t home(const struct qcow2_set *set, uint64_t key)
{
	return (size_t)((key * 0x9e3779b97f4a7c15ull) >> 20) & set->mask;
}

static size_t find(const struct qcow2_set *set, uint64_t key)
{
	size_t i = home(set, key);

	while (set->key[i] && set->key[i] != key)
		i = (i + 1) & set->mask;
	return i;
}

/* Twice the places: at most half of them are ever taken. */
static int grow(struct qcow2_set *set)
{
	struct qcow2_set larger = {.mask = set->key ? set->mask * 2 + 1 : 63, .n = set->n};

	larger.key = calloc(larger.mask + 1, sizeof(*larger.key));
	if (!larger.key)
		return -ENOMEM;
	for (size_t i = 0; set->key && i <= set->mask; i++)
		if (set->key[i])
			larger.key[find(&larger, set->key[i])] = set->key[i];
	free(set->key);
	*set = larger;
	return 0;
}

int set_add(struct qcow2_set *set, uint64_t cluster)
{
	size_t i;

	if (!set->key || set->n * 2 > set->mask) {
		int r = grow(set);

		if (r < 0)
			return r;
	}
	i = find(set, cluster + 1);
	if (set->key[i])
		return -EEXIST;
	set->key[i] = cluster + 1;
	set->n++;
	return 0;
}

int set_has(const struct qcow2_set *set, uint64_t cluster)
{
	return set->key && set->key[find(set, cluster + 1)];
}

void set_remove(struct qcow2_set *set, uint64_t cluster)
{
	size_t i, k;

	if (!set_has(set, cluster))
		return;
	i = find(set, cluster + 1);
	set->n--;
	/* Moves up whatever would not be found any more across the gap. */
	for (k = (i + 1) & set->mask; set->key[k]; k = (k + 1) & set->mask) {
		size_t from_home = (k - home(set, set->key[k])) & set->mask;

		if (from_home >= ((k - i) & set->mask)) {
			set->key[i] = set->key[k];
			i = k;
		}
	}
	set->key[i] = 0;
}

void set_free(struct qcow2_set *set)
{
	free(set->key);
	*set = (struct qcow2_set){0};
}
