/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes of the host behind virtio-rng, by the spoonful. Runs on the loop. Knows getrandom()
 * and a timer; what a request looks like is the device's business.
 */
#include <errno.h>
#include <linux/time_types.h>
#include <stdlib.h>
#include <sys/random.h>

#include "vmm/container_of.h"
#include "vmm/entropy.h"
#include "vmm/log.h"
#include "vmm/loop.h"

/* How long the guest waits for more once it has had its share. */
#define REFILL_NS 50000000u

struct entropy {
	struct virtio_rng rng;
	struct loop *loop;
	struct op refill;
	struct __kernel_timespec ts;
	int timer_runs;
};

static void random_bytes(void *arg, void *dst, size_t len)
{
	uint8_t *to = dst;

	(void)arg;
	while (len > 0) {
		ssize_t n = getrandom(to, len, 0);

		/* Only a signal interrupts it: the pool has been ready since the host booted. */
		if (n < 0)
			continue;
		to += n;
		len -= (size_t)n;
	}
}

static void on_dry(void *arg)
{
	struct entropy *e = arg;

	if (e->timer_runs)
		return;
	e->timer_runs = 1;
	loop_timer(e->loop, &e->refill, &e->ts, REFILL_NS);
}

static void on_refill(struct op *op, int res)
{
	struct entropy *e = container_of(op, struct entropy, refill);

	(void)res;
	e->timer_runs = 0;
	virtio_rng_refill(&e->rng);
}

int entropy_create(struct entropy **out, struct loop *loop, const struct mem *mem)
{
	struct entropy *e = calloc(1, sizeof(*e));

	if (!e)
		return log_fail(-ENOMEM, "rng: out of memory");
	e->loop = loop;
	e->refill.fn = on_refill;
	virtio_rng_init(&e->rng, mem, random_bytes, on_dry, e);
	*out = e;
	return 0;
}

void entropy_destroy(struct entropy *e)
{
	free(e);
}

int entropy_is_idle(const struct entropy *e)
{
	return !e->timer_runs;
}

struct virtio_dev *entropy_dev(struct entropy *e)
{
	return &e->rng.dev;
}
