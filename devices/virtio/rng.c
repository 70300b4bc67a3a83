/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio entropy device. On its loop with the lock held. Where the randomness comes from and
 * how time passes is its owner's affair.
 */
#include "devices/virtio/rng.h"

#include <string.h>

#include "vmm/container_of.h"

/* §5.4.6.1: one or more random bytes from the first device-writable one on; how many. */
static uint32_t fill(struct virtio_rng *rng, const struct vq_chain *chain)
{
	size_t left = chain->in_len < RNG_REQUEST_MAX ? chain->in_len : RNG_REQUEST_MAX;
	const struct iovec *v = chain->v + chain->out;
	uint32_t written = 0;

	if (rng->dry && left > rng->allowance)
		left = rng->allowance;
	for (; left > 0; v++) {
		size_t len = v->iov_len < left ? v->iov_len : left;

		rng->entropy(rng->arg, v->iov_base, len);
		written += (uint32_t)len;
		left -= len;
	}
	rng->allowance -= rng->dry ? written : 0;
	rng->bytes += written;
	return written;
}

static void rng_kick(struct virtio_dev *dev, unsigned q)
{
	struct virtio_rng *rng = container_of(dev, struct virtio_rng, dev);
	struct iovec v[RNG_QUEUE_SIZE];

	for (unsigned n = 0; n < RNG_TURN_MAX; n++) {
		struct vq_chain chain = {.v = v, .max = RNG_QUEUE_SIZE};

		if (rng->dry && !rng->allowance) {
			if (!rng->waiting) {
				rng->waiting = 1;
				rng->dry(rng->arg);
			}
			return;
		}
		if (!virtio_pop(dev, q, &chain))
			return;
		virtio_push(dev, q, chain.head, fill(rng, &chain));
	}
	virtio_kick_later(dev, q);
}

static const struct virtio_dev_ops rng_ops = {
	.name = "rng",
	.type = VIRTIO_ID_RNG,
	.kick = rng_kick,
};

void virtio_rng_init(struct virtio_rng *rng, const struct mem *mem,
		     void (*entropy)(void *arg, void *dst, size_t len), void (*dry)(void *arg),
		     void *arg)
{
	memset(rng, 0, sizeof(*rng));
	virtio_dev_init(&rng->dev, &rng_ops, mem, 1, RNG_QUEUE_SIZE);
	rng->entropy = entropy;
	rng->dry = dry;
	rng->arg = arg;
	rng->allowance = RNG_ALLOWANCE;
}

void virtio_rng_refill(struct virtio_rng *rng)
{
	rng->waiting = 0;
	rng->allowance = RNG_ALLOWANCE;
	virtio_kick_later(&rng->dev, 0);
}
