/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_QUEUE_H
#define DEVICES_VIRTIO_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/mem.h"

/*
 * A split virtqueue (virtio 1.2 §2.7) seen from the device. queue.c is the only file that touches
 * ring memory. Every ring word is loaded once into a local and the local is judged; whatever the
 * driver writes, a pop visits at most `size` descriptors and hands out only segments in RAM.
 *
 *   driver                                        device
 *     desc[]  avail.ring[], avail.idx    ->    vq_pop   (last_avail)
 *     used.ring[], used.idx              <-    vq_push  (used_next), vq_publish
 *
 * A chain is out segments (the driver's bytes, to read) and then in segments (to fill); no other
 * shape is assumed: framing is the driver's choice (§2.7.4.1).
 */
#define VQ_SIZE_MAX 1024

/* Guest-visible state: what a snapshot would hold. */
struct vq_state {
	gpa_t desc, avail, used;
	uint16_t size;       /* as the driver set it; a power of two up to size_max */
	uint16_t last_avail; /* next entry of the available ring to look at */
	uint16_t used_next;  /* next entry of the used ring to fill */
	uint8_t enabled;
	uint8_t event_idx; /* VIRTIO_F_EVENT_IDX was negotiated */
	uint8_t indirect;  /* VIRTIO_F_INDIRECT_DESC was negotiated */
};

struct vq {
	struct vq_state s;
	const struct mem *mem;
	uint16_t size_max;
	/* Host handles, resolved once by vq_start() from s: NULL when the queue is not running. */
	void *desc, *avail, *used;
	uint64_t in_flight[VQ_SIZE_MAX / 64]; /* heads popped and not pushed yet */
	uint16_t published;                   /* used.idx as last written */
	uint8_t broken;    /* the driver broke the ring: nothing more until reset */
	uint8_t kicks_off; /* the driver was told not to kick */
};

/* A chain under way. The caller gives the segment array; it stays the caller's. */
struct vq_chain {
	uint16_t head;
	struct iovec *v;        /* out segments first */
	unsigned max;           /* room in v, given by the caller */
	unsigned out, in;       /* number of segments of each kind */
	size_t out_len, in_len; /* their bytes; the sum fits 32 bits */
};

/* Back to the state after reset; size becomes @size_max. */
void vq_init(struct vq *vq, const struct mem *mem, uint16_t size_max);

/*
 * Checks size and addresses (alignment, §2.7; all three rings wholly in RAM; no two of them
 * overlapping) and starts the queue: 0, or -EINVAL with the queue stopped. vq_stop() may be
 * called at any time; chains in flight are then forgotten and vq_push() of one does nothing.
 */
int vq_start(struct vq *vq);
void vq_stop(struct vq *vq);

/*
 * 1: @chain holds the next chain. 0: empty, and kicks are re-armed. -EPROTO: the driver broke a
 * MUST (§2.7.5..§2.7.13): the queue is broken until reset. -E2BIG: the chain is well formed but
 * has more than chain->max segments; it shows none of them, counts as popped and may be pushed
 * with 0 written. Zero-length descriptors are allowed and make no segment; only 1 shows any.
 */
int vq_pop(struct vq *vq, struct vq_chain *chain);

/*
 * For a device that can go on for a while with what it has: vq_pop(), but when the queue is empty
 * no kick is asked for. vq_ask_kick() does that once it has too little; nonzero if chains have come
 * meanwhile, for which there will be no kick.
 */
int vq_pop_quietly(struct vq *vq, struct vq_chain *chain);
int vq_ask_kick(struct vq *vq);

/* Takes back the last vq_pop(): the next pop yields the same chain. */
void vq_unpop(struct vq *vq, uint16_t head);

/* Gives a chain back with @written bytes filled in. Seen by the driver after vq_publish(). */
void vq_push(struct vq *vq, uint16_t head, uint32_t written);

/* Publishes what was pushed since the last time; true if the driver asked to be interrupted. */
int vq_publish(struct vq *vq);

/* Number of chains that the driver has made available and vq_pop() has not taken. */
uint16_t vq_available(const struct vq *vq);

#endif
