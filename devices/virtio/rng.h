/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_RNG_H
#define DEVICES_VIRTIO_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "devices/virtio/dev.h"

/*
 * A virtio entropy device (virtio 1.2 §5.4): one queue of buffers that come back with random
 * bytes in them. A request gets at most RNG_REQUEST_MAX bytes, a turn of the loop serves at most
 * RNG_TURN_MAX requests, and between two refills no more than RNG_ALLOWANCE bytes are given out
 * if somebody refills. Lock held for every call.
 */
#define RNG_QUEUE_SIZE  16
#define RNG_REQUEST_MAX 4096u
#define RNG_TURN_MAX    16u
#define RNG_ALLOWANCE   (64u << 10)

struct virtio_rng {
	struct virtio_dev dev;
	/* Fills @dst with @len random bytes. Must not fail. */
	void (*entropy)(void *arg, void *dst, size_t len);
	/*
	 * The allowance is used up and requests wait: call virtio_rng_refill() some time later,
	 * from the loop. NULL: no rate limit.
	 */
	void (*dry)(void *arg);
	void *arg;
	uint32_t allowance;
	uint8_t waiting; /* dry() was called */
	uint64_t bytes;  /* given out so far */
};

/* @entropy, @dry and @arg as above. */
void virtio_rng_init(struct virtio_rng *rng, const struct mem *mem,
		     void (*entropy)(void *arg, void *dst, size_t len), void (*dry)(void *arg),
		     void *arg);

/* A new allowance; requests that wait are served. */
void virtio_rng_refill(struct virtio_rng *rng);

#endif
