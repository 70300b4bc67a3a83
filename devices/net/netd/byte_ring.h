/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_BYTE_RING_H
#define DEVICES_NET_NETD_BYTE_RING_H

#include <stdint.h>
#include <sys/uio.h>

/*
 * Bytes on their way through a connection: a ring that has memory only while something is in it.
 * Memory comes from a pool, which keeps a few pieces for the next and is bounded as a whole, so
 * that no number of connections can take more. Whoever shares a pool has a share of it, which takes
 * more only while that leaves at least as much for the others: one alone gets half of all.
 */
#define BYTE_RING_SIZE (512u << 10)

struct byte_pool {
	void *spare; /* linked through their first words */
	unsigned n_spare, n_out, max;
};

struct byte_share {
	struct byte_pool *pool;
	unsigned n_out;
};

struct byte_ring {
	uint8_t *mem; /* NULL: empty */
	uint32_t head, len;
};

/* At most @max pieces of BYTE_RING_SIZE are out at once. */
void byte_pool_init(struct byte_pool *pool, unsigned max);
/* All rings are empty by now. */
void byte_pool_free(struct byte_pool *pool);

/* The free part, in order, in up to two pieces: how many; 0 if it is full or there is no memory. */
unsigned byte_ring_room(struct byte_ring *ring, struct byte_share *share, struct iovec v[2]);
/* @n bytes were written into the room. */
void byte_ring_add(struct byte_ring *ring, uint32_t n);
/* Copies in what fits: how much. */
uint32_t byte_ring_put(struct byte_ring *ring, struct byte_share *share, const void *p, uint32_t n);
/* What lies together from @off, below ring->len, on: no more than @max bytes. */
struct iovec byte_ring_at(const struct byte_ring *ring, uint32_t off, uint32_t max);
/* The first @n bytes are done with. */
void byte_ring_drop(struct byte_ring *ring, uint32_t n);
/* Gives the memory, and not the bytes in it, to another ring, which is empty. */
void byte_ring_hand_over(struct byte_ring *ring, struct byte_share *share, struct byte_ring *to,
			 struct byte_share *to_share);
/* Gives the memory back to the share that it is of, and the bytes in it up. */
void byte_ring_release(struct byte_ring *ring, struct byte_share *share);

#endif
