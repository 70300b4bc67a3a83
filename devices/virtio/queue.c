/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's side of a split virtqueue. It belongs to the device's loop and is called with the
 * loop's lock held; the other side of the ring is the guest, which runs at the same time and may
 * write anything. This is the only file that touches ring memory, through ring.h; it knows
 * neither devices nor transports.
 */
#include "devices/virtio/queue.h"

#include <errno.h>
#include <string.h>

#include "devices/virtio/ring.h"

/* §2.7.6, §2.7.8: flags, idx, ring, and after the ring the word of §2.7.10. */
#define RING_FLAGS 0
#define RING_IDX   2
#define RING_FIRST 4

static uint64_t desc_bytes(uint16_t size)
{
	return 16u * (uint64_t)size;
}

static uint64_t avail_bytes(uint16_t size)
{
	return 6u + 2u * (uint64_t)size;
}

static uint64_t used_bytes(uint16_t size)
{
	return 6u + 8u * (uint64_t)size;
}

static uint8_t *used_event(const struct vq *vq)
{
	return (uint8_t *)vq->avail + RING_FIRST + 2u * vq->s.size;
}

static uint8_t *avail_event(const struct vq *vq)
{
	return (uint8_t *)vq->used + RING_FIRST + 8u * vq->s.size;
}

static uint16_t load_avail_idx(const struct vq *vq)
{
	/* Acquire: the entries up to idx, and their descriptors, are read after it. */
	return ring_load16_acquire((uint8_t *)vq->avail + RING_IDX);
}

static int overlap(gpa_t a, uint64_t a_len, gpa_t b, uint64_t b_len)
{
	/* Both ranges lie in RAM: neither sum wraps. */
	return a < b + b_len && b < a + a_len;
}

static int is_in_flight(const struct vq *vq, uint16_t head)
{
	return vq->in_flight[head / 64] >> (head % 64) & 1;
}

void vq_init(struct vq *vq, const struct mem *mem, uint16_t size_max)
{
	memset(vq, 0, sizeof(*vq));
	vq->mem = mem;
	vq->size_max = size_max;
	vq->s.size = size_max;
}

/* Tells the driver that a kick is wanted for the next chain (§2.7.10). */
static void kicks_on(struct vq *vq)
{
	if (vq->s.event_idx)
		ring_store16(avail_event(vq), vq->s.last_avail);
	else
		ring_store16((uint8_t *)vq->used + RING_FLAGS, 0);
	vq->kicks_off = 0;
	/*
	 * The driver stores avail.idx and then looks whether we want a kick; we say that we want
	 * one and then look at avail.idx. With a full barrier on both sides one of us sees it.
	 */
	ring_full_barrier();
}

/* While chains are being taken a kick would tell us nothing new. */
static void kicks_off(struct vq *vq)
{
	if (vq->kicks_off)
		return;
	vq->kicks_off = 1;
	/* With EVENT_IDX the event that was asked for lies in the past now: nothing to say. */
	if (!vq->s.event_idx)
		ring_store16((uint8_t *)vq->used + RING_FLAGS, VRING_USED_F_NO_NOTIFY);
}

int vq_start(struct vq *vq)
{
	const struct vq_state *s = &vq->s;
	uint64_t desc_len = desc_bytes(s->size), avail_len = avail_bytes(s->size),
		 used_len = used_bytes(s->size);
	uint8_t *desc, *avail, *used;

	vq_stop(vq);
	if (!s->size || s->size > vq->size_max || (s->size & (s->size - 1)))
		return -EINVAL;
	if (s->desc % 16 || s->avail % 2 || s->used % 4)
		return -EINVAL;
	desc = mem_at(vq->mem, s->desc, desc_len);
	avail = mem_at(vq->mem, s->avail, avail_len);
	used = mem_at(vq->mem, s->used, used_len);
	if (!desc || !avail || !used)
		return -EINVAL;
	if (overlap(s->desc, desc_len, s->avail, avail_len) ||
	    overlap(s->desc, desc_len, s->used, used_len) ||
	    overlap(s->avail, avail_len, s->used, used_len))
		return -EINVAL;

	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	vq->published = s->used_next;
	kicks_on(vq);
	return 0;
}

void vq_stop(struct vq *vq)
{
	vq->desc = vq->avail = vq->used = NULL;
	vq->broken = 0;
	vq->kicks_off = 0;
	memset(vq->in_flight, 0, sizeof(vq->in_flight));
}

/* Adds one descriptor's bytes to the chain: 0, or -EPROTO. */
static int add_segment(const struct vq *vq, struct vq_chain *chain, const struct vring_desc *d,
		       int *writable)
{
	int write = (d->flags & VRING_DESC_F_WRITE) != 0;
	unsigned n = chain->out + chain->in;
	uint8_t *p;

	/* Device-readable descriptors come first (§2.7.4.2). */
	if (*writable && !write)
		return -EPROTO;
	*writable = write;
	if (!d->len)
		return 0;
	/* "Not longer than 2^32 bytes in total" (§2.7.5); used.len has 32 bits. */
	if (d->len > UINT32_MAX - (chain->out_len + chain->in_len))
		return -EPROTO;
	p = mem_at(vq->mem, d->addr, d->len);
	if (!p)
		return -EPROTO;
	if (n < chain->max)
		chain->v[n] = (struct iovec){.iov_base = p, .iov_len = d->len};
	if (write) {
		chain->in++;
		chain->in_len += d->len;
	} else {
		chain->out++;
		chain->out_len += d->len;
	}
	return 0;
}

/* §2.7.5.3.1: not nested, not continued, whole entries, all of it RAM. NULL otherwise. */
static const uint8_t *indirect_table(const struct vq *vq, const struct vring_desc *d)
{
	if (!vq->s.indirect || (d->flags & VRING_DESC_F_NEXT))
		return NULL;
	if (!d->len || d->len % sizeof(struct vring_desc))
		return NULL;
	return mem_at(vq->mem, d->addr, d->len);
}

/*
 * Follows the chain from chain->head: 0, or -EPROTO. A chain is no longer than the queue
 * (§2.7.5.3.1), so counting descriptors is what ends a loop.
 */
static int walk(const struct vq *vq, struct vq_chain *chain)
{
	const uint8_t *table = vq->desc;
	uint32_t entries = vq->s.size, at = chain->head;
	unsigned left = vq->s.size;
	int indirect = 0, writable = 0, r;
	struct vring_desc d;

	for (;;) {
		if (at >= entries || !left)
			return -EPROTO;
		ring_load_desc(&d, table + at * sizeof(d));
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (indirect)
				return -EPROTO;
			table = indirect_table(vq, &d);
			if (!table)
				return -EPROTO;
			entries = d.len / sizeof(d);
			indirect = 1;
			at = 0;
			continue;
		}
		left--;
		r = add_segment(vq, chain, &d, &writable);
		if (r)
			return r;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		at = d.next;
	}
}

/* 1 if a chain is available, 0 if not, with kicks on unless @quiet; -EPROTO: avail.idx has jumped.
 */
static int look(struct vq *vq, int quiet)
{
	uint16_t ahead = (uint16_t)(load_avail_idx(vq) - vq->s.last_avail);

	if (!ahead && vq->kicks_off && !quiet) {
		kicks_on(vq);
		ahead = (uint16_t)(load_avail_idx(vq) - vq->s.last_avail);
	}
	if (!ahead)
		return 0;
	/* No more than `size` chains can be available at a time. */
	if (ahead > vq->s.size)
		return -EPROTO;
	kicks_off(vq);
	return 1;
}

/* What a caller who forgets to look at the result gets to see. */
static void show_nothing(struct vq_chain *chain)
{
	chain->out = chain->in = 0;
	chain->out_len = chain->in_len = 0;
}

static int pop(struct vq *vq, struct vq_chain *chain, int quiet)
{
	uint16_t slot, head;
	int r;

	chain->head = 0;
	show_nothing(chain);
	if (vq->broken)
		return -EPROTO;
	if (!vq->desc)
		return 0;
	r = look(vq, quiet);
	if (!r)
		return 0;
	if (r < 0)
		goto out_broken;

	slot = vq->s.last_avail & (vq->s.size - 1);
	head = ring_load16((uint8_t *)vq->avail + RING_FIRST + 2u * slot);
	/* A head that is ours already would be given back twice. */
	if (head >= vq->s.size || is_in_flight(vq, head))
		goto out_broken;
	chain->head = head;
	if (walk(vq, chain))
		goto out_broken;
	vq->s.last_avail++;
	vq->in_flight[head / 64] |= 1ull << (head % 64);
	if (chain->out + chain->in <= chain->max)
		return 1;
	show_nothing(chain);
	return -E2BIG;

out_broken:
	vq->broken = 1;
	show_nothing(chain);
	return -EPROTO;
}

int vq_pop(struct vq *vq, struct vq_chain *chain)
{
	return pop(vq, chain, 0);
}

int vq_pop_quietly(struct vq *vq, struct vq_chain *chain)
{
	return pop(vq, chain, 1);
}

int vq_ask_kick(struct vq *vq)
{
	if (!vq->desc || vq->broken)
		return 0;
	kicks_on(vq);
	return load_avail_idx(vq) != vq->s.last_avail;
}

void vq_unpop(struct vq *vq, uint16_t head)
{
	if (!vq->desc || head >= vq->s.size || !is_in_flight(vq, head))
		return;
	vq->in_flight[head / 64] &= ~(1ull << (head % 64));
	vq->s.last_avail--;
}

void vq_push(struct vq *vq, uint16_t head, uint32_t written)
{
	uint8_t *elem;

	if (!vq->desc || vq->broken || head >= vq->s.size || !is_in_flight(vq, head))
		return;
	vq->in_flight[head / 64] &= ~(1ull << (head % 64));
	elem = (uint8_t *)vq->used + RING_FIRST + 8u * (vq->s.used_next & (vq->s.size - 1));
	ring_store32(elem, head);
	ring_store32(elem + 4, written);
	vq->s.used_next++;
}

int vq_publish(struct vq *vq)
{
	uint16_t old = vq->published, next = vq->s.used_next, event;

	if (!vq->desc || vq->broken || old == next)
		return 0;
	/* Release: the entries, and the bytes of the chains, are there before idx says so. */
	ring_store16_release((uint8_t *)vq->used + RING_IDX, next);
	vq->published = next;
	/*
	 * The driver says whether it wants an interrupt and then looks at used.idx; we store
	 * used.idx and then look what it wants. With a full barrier one of us sees it.
	 */
	ring_full_barrier();
	if (!vq->s.event_idx)
		return !(ring_load16((uint8_t *)vq->avail + RING_FLAGS) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	/* §2.7.10: due if idx passed the event with this step. */
	event = ring_load16(used_event(vq));
	return (uint16_t)(next - event - 1) < (uint16_t)(next - old);
}

uint16_t vq_available(const struct vq *vq)
{
	uint16_t ahead;

	if (!vq->desc || vq->broken)
		return 0;
	ahead = (uint16_t)(load_avail_idx(vq) - vq->s.last_avail);
	/* More than `size` is a broken ring, which the next vq_pop() will say. */
	return ahead < vq->s.size ? ahead : vq->s.size;
}
