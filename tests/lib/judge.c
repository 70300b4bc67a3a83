/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The specification's word on a chain, for comparison with queue.c: copies whole tables out of
 * guest memory first and judges the copy, one rule after another over the finished list. Slow,
 * and written without a look at the device's way of doing it.
 */
#include <endian.h>
#include <stdlib.h>

#include "tests/lib/driver.h"

struct list {
	struct vring_desc d[VQ_SIZE_MAX];
	unsigned n;
};

static int fetch(const struct mem *mem, gpa_t table, uint32_t at, struct vring_desc *d)
{
	if (mem_read(mem, table + 16ull * at, d, sizeof(*d)))
		return -1;
	d->addr = le64toh(d->addr);
	d->len = le32toh(d->len);
	d->flags = le16toh(d->flags);
	d->next = le16toh(d->next);
	return 0;
}

/* Follows `next` through one table of @entries: 0, or -1. Stops at an INDIRECT descriptor. */
static int follow(const struct mem *mem, gpa_t table, uint32_t entries, uint32_t at, unsigned size,
		  struct list *list)
{
	struct vring_desc d;

	do {
		if (at >= entries || fetch(mem, table, at, &d))
			return -1;
		/* §2.7.5.3.1: longer than the queue, or a loop, which is longer than anything. */
		if (!(d.flags & VRING_DESC_F_INDIRECT) && list->n == size)
			return -1;
		if (list->n == VQ_SIZE_MAX)
			return -1;
		list->d[list->n++] = d;
		at = d.next;
	} while ((d.flags & VRING_DESC_F_NEXT) && !(d.flags & VRING_DESC_F_INDIRECT));
	return 0;
}

/* §2.7.5.3: replaces the final INDIRECT descriptor by its table's chain: 0, or -1. */
static int expand(const struct mem *mem, const struct vq_state *s, struct list *list)
{
	struct vring_desc d = list->d[list->n - 1];

	if (!(d.flags & VRING_DESC_F_INDIRECT))
		return 0;
	if (!s->indirect || (d.flags & VRING_DESC_F_NEXT) || !d.len || d.len % 16)
		return -1;
	if (!mem_at(mem, d.addr, d.len))
		return -1;
	list->n--;
	if (follow(mem, d.addr, d.len / 16, 0, s->size, list))
		return -1;
	return list->d[list->n - 1].flags & VRING_DESC_F_INDIRECT ? -1 : 0;
}

static enum driver_verdict weigh(const struct mem *mem, const struct list *list,
				 struct driver_chain *chain)
{
	int seen_writable = 0;
	uint64_t total = 0;

	for (unsigned i = 0; i < list->n; i++) {
		const struct vring_desc *d = &list->d[i];
		int writable = (d->flags & VRING_DESC_F_WRITE) != 0;

		if (seen_writable && !writable)
			return DRIVER_WRONG;
		seen_writable |= writable;
		total += d->len;
		if (total > UINT32_MAX)
			return DRIVER_WRONG;
		if (d->len && !mem_at(mem, d->addr, d->len))
			return DRIVER_WRONG;
		if (d->len && writable) {
			chain->in++;
			chain->in_len += d->len;
		} else if (d->len) {
			chain->out++;
			chain->out_len += d->len;
		}
	}
	return DRIVER_VALID;
}

enum driver_verdict driver_judge(const struct mem *mem, const struct vq_state *s,
				 struct driver_chain *chain)
{
	enum driver_verdict verdict = DRIVER_WRONG;
	uint16_t idx, head;
	struct list *list;

	*chain = (struct driver_chain){0};
	if (mem_read(mem, s->avail + 2, &idx, 2))
		return DRIVER_WRONG;
	idx = le16toh(idx);
	if (idx == s->last_avail)
		return DRIVER_EMPTY;
	if ((uint16_t)(idx - s->last_avail) > s->size)
		return DRIVER_WRONG;
	if (mem_read(mem, s->avail + 4 + 2u * (s->last_avail % s->size), &head, 2))
		return DRIVER_WRONG;
	chain->head = le16toh(head);

	list = calloc(1, sizeof(*list));
	if (!list)
		abort();
	if (!follow(mem, s->desc, s->size, chain->head, s->size, list) && !expand(mem, s, list))
		verdict = weigh(mem, list, chain);
	free(list);
	return verdict;
}
