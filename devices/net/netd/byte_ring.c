/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of connections. Belongs to netd's one thread; knows no protocol.
 *
 * System calls: mmap, munmap.
 */
#include "devices/net/netd/byte_ring.h"

#include <string.h>
#include <sys/mman.h>

#define SPARE_MAX 4u

void byte_pool_init(struct byte_pool *pool, unsigned max)
{
	*pool = (struct byte_pool){.max = max};
}

void byte_pool_free(struct byte_pool *pool)
{
	while (pool->spare) {
		void *mem = pool->spare;

		memcpy(&pool->spare, mem, sizeof(pool->spare));
		munmap(mem, BYTE_RING_SIZE);
	}
	pool->n_spare = 0;
}

static uint8_t *share_take(struct byte_share *share)
{
	struct byte_pool *pool = share->pool;
	void *mem = pool->spare;

	if (share->n_out >= pool->max - pool->n_out)
		return NULL;
	if (mem) {
		memcpy(&pool->spare, mem, sizeof(pool->spare));
		pool->n_spare--;
	} else {
		mem = mmap(NULL, BYTE_RING_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mem == MAP_FAILED)
			return NULL;
	}
	pool->n_out++;
	share->n_out++;
	return mem;
}

void byte_ring_release(struct byte_ring *ring, struct byte_share *share)
{
	struct byte_pool *pool = share->pool;

	if (!ring->mem)
		return;
	pool->n_out--;
	share->n_out--;
	if (pool->n_spare < SPARE_MAX) {
		memcpy(ring->mem, &pool->spare, sizeof(pool->spare));
		pool->spare = ring->mem;
		pool->n_spare++;
	} else {
		munmap(ring->mem, BYTE_RING_SIZE);
	}
	*ring = (struct byte_ring){0};
}

void byte_ring_hand_over(struct byte_ring *ring, struct byte_share *share, struct byte_ring *to,
			 struct byte_share *to_share)
{
	share->n_out--;
	to_share->n_out++;
	*to = (struct byte_ring){.mem = ring->mem};
	*ring = (struct byte_ring){0};
}

unsigned byte_ring_room(struct byte_ring *ring, struct byte_share *share, struct iovec v[2])
{
	uint32_t tail = (ring->head + ring->len) % BYTE_RING_SIZE,
		 room = BYTE_RING_SIZE - ring->len;
	uint32_t first = BYTE_RING_SIZE - tail;

	if (!room)
		return 0;
	if (!ring->mem) {
		ring->mem = share_take(share);
		if (!ring->mem)
			return 0;
	}
	if (first > room)
		first = room;
	v[0] = (struct iovec){ring->mem + tail, first};
	v[1] = (struct iovec){ring->mem, room - first};
	return room > first ? 2 : 1;
}

void byte_ring_add(struct byte_ring *ring, uint32_t n)
{
	ring->len += n;
}

uint32_t byte_ring_put(struct byte_ring *ring, struct byte_share *share, const void *p, uint32_t n)
{
	struct iovec v[2];
	unsigned pieces = byte_ring_room(ring, share, v);
	uint32_t done = 0;

	for (unsigned i = 0; i < pieces && done < n; i++) {
		size_t part = v[i].iov_len < n - done ? v[i].iov_len : n - done;

		memcpy(v[i].iov_base, (const uint8_t *)p + done, part);
		done += (uint32_t)part;
	}
	ring->len += done;
	return done;
}

struct iovec byte_ring_at(const struct byte_ring *ring, uint32_t off, uint32_t max)
{
	uint32_t at = (ring->head + off) % BYTE_RING_SIZE, n = ring->len - off;

	if (n > BYTE_RING_SIZE - at)
		n = BYTE_RING_SIZE - at;
	return (struct iovec){ring->mem + at, n < max ? n : max};
}

void byte_ring_drop(struct byte_ring *ring, uint32_t n)
{
	ring->len -= n;
	/* From the start again: then nothing is cut at the end. */
	ring->head = ring->len ? (ring->head + n) % BYTE_RING_SIZE : 0;
}
