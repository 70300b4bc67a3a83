/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_RING_H
#define DEVICES_VIRTIO_RING_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "devices/virtio/spec.h"

/*
 * How queue.c reads and writes ring memory: these functions and no others. The guest may change
 * any word at any moment, so a word is loaded exactly once, into a local, by a load that the
 * compiler may neither repeat nor split.
 *
 * The fields of rings are naturally aligned, which vq_start() has checked; an indirect table may
 * lie at any address, so a descriptor is copied as bytes.
 */
#ifdef RING_LOAD_HOOK
/*
 * Tests and fuzzers build queue.c with RING_LOAD_HOOK. The hook sees each load and its result,
 * gives the value that the device is to see, and may change guest memory behind it.
 */
extern uint64_t (*ring_load_hook)(const void *at, unsigned size, uint64_t value);
#define RING_LOADED(at, size, value) \
	(ring_load_hook ? ring_load_hook((at), (size), (value)) : (uint64_t)(value))
#else
#define RING_LOADED(at, size, value) (value)
#endif

/* A flags or event word. */
static inline uint16_t ring_load16(const uint8_t *at)
{
	uint16_t v = __atomic_load_n((const uint16_t *)at, __ATOMIC_RELAXED);

	return (uint16_t)RING_LOADED(at, 2, le16toh(v));
}

/* An index: what the other side wrote before it is seen by loads after it. */
static inline uint16_t ring_load16_acquire(const uint8_t *at)
{
	uint16_t v = __atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE);

	return (uint16_t)RING_LOADED(at, 2, le16toh(v));
}

static inline void ring_load_desc(struct vring_desc *d, const uint8_t *at)
{
	memcpy(d, at, sizeof(*d));
	/* From here on the compiler may not go back to guest memory for a field of *d. */
	__asm__ volatile("" : : "r"(d) : "memory");
	d->addr = RING_LOADED(at, 8, le64toh(d->addr));
	d->len = (uint32_t)RING_LOADED(at + 8, 4, le32toh(d->len));
	d->flags = (uint16_t)RING_LOADED(at + 12, 2, le16toh(d->flags));
	d->next = (uint16_t)RING_LOADED(at + 14, 2, le16toh(d->next));
}

static inline void ring_store16(uint8_t *at, uint16_t v)
{
	__atomic_store_n((uint16_t *)at, htole16(v), __ATOMIC_RELAXED);
}

/* An index: what was written before it is seen by whoever sees it. */
static inline void ring_store16_release(uint8_t *at, uint16_t v)
{
	__atomic_store_n((uint16_t *)at, htole16(v), __ATOMIC_RELEASE);
}

static inline void ring_store32(uint8_t *at, uint32_t v)
{
	__atomic_store_n((uint32_t *)at, htole32(v), __ATOMIC_RELAXED);
}

/* Stores before it are seen by the other side before loads after it are done. */
static inline void ring_full_barrier(void)
{
	__sync_synchronize();
}

#endif
