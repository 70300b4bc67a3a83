/* SPDX-License-Identifier: BSD-2-Clause */
/* The device of echo.h. It watches dev.c too: calls that dev.h rules out are counted. */
#include "tests/lib/echo.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/container_of.h"

static struct echo *of(struct virtio_dev *dev)
{
	return container_of(dev, struct echo, dev);
}

/* Copies out to in, byte for byte: the number copied. */
static uint32_t copy(const struct vq_chain *c)
{
	const struct iovec *src = c->v, *dst = c->v + c->out;
	size_t s = 0, d = 0, n = c->out_len < c->in_len ? c->out_len : c->in_len;

	for (size_t i = 0; i < n; i++) {
		while (s == src->iov_len)
			src++, s = 0;
		while (d == dst->iov_len)
			dst++, d = 0;
		((uint8_t *)dst->iov_base)[d++] = ((const uint8_t *)src->iov_base)[s++];
	}
	return (uint32_t)n;
}

static void answer(struct echo *e, const struct echo_chain *c)
{
	virtio_push(&e->dev, c->q, c->chain.head, copy(&c->chain));
	e->answered++;
}

static void start(struct virtio_dev *dev)
{
	of(dev)->starts++;
}

static void kick(struct virtio_dev *dev, unsigned q)
{
	struct echo *e = of(dev);
	struct echo_chain *c;
	unsigned n;

	e->kicks++;
	if (!dev->started || dev->resetting || e->question == (int)q)
		e->wrong_calls++;
	for (n = 0; !e->lazy && n < VIRTIO_BUDGET && e->n_held < ECHO_HELD; n++) {
		c = &e->held[e->n_held];
		c->q = q;
		c->chain.v = c->v;
		c->chain.max = ECHO_SEGS;
		if (!virtio_pop(dev, q, &c->chain))
			return;
		if (e->slow)
			e->n_held++;
		else
			answer(e, c);
	}
	if (n == VIRTIO_BUDGET)
		virtio_kick_later(dev, q);
}

static int holds(const struct echo *e, int q)
{
	for (unsigned i = 0; i < e->n_held; i++)
		if (q < 0 || e->held[i].q == (unsigned)q)
			return 1;
	return 0;
}

static void settle(struct echo *e)
{
	if (e->question == -2 || holds(e, e->question))
		return;
	e->question = -2;
	virtio_reset_done(&e->dev);
}

static void reset(struct virtio_dev *dev, int q)
{
	struct echo *e = of(dev);

	e->resets++;
	if (e->question != -2)
		e->wrong_calls++;
	e->question = q;
	settle(e);
}

static void config_written(struct virtio_dev *dev, uint32_t off, uint32_t len)
{
	struct echo *e = of(dev);

	e->config_writes++;
	if (off >= dev->config_writable || len > dev->config_writable - off)
		e->wrong_calls++;
}

void echo_finish(struct echo *e, unsigned n)
{
	for (; n && e->n_held; n--) {
		struct echo_chain c = e->held[0];

		c.chain.v = c.v;
		e->n_held--;
		memmove(&e->held[0], &e->held[1], e->n_held * sizeof(e->held[0]));
		answer(e, &c);
	}
	settle(e);
}

/* The type is part of the const table: one a type that tests use. */
#define OPS(id)                                                                             \
	{                                                                                   \
		.name = "echo", .type = (id), .start = start, .kick = kick, .reset = reset, \
		.config_written = config_written,                                           \
	}
static const struct virtio_dev_ops ops[] = {OPS(VIRTIO_ID_NET), OPS(VIRTIO_ID_BLOCK),
					    OPS(VIRTIO_ID_CONSOLE), OPS(VIRTIO_ID_RNG),
					    OPS(ECHO_TYPE)};

void echo_init(struct echo *e, const struct mem *mem, unsigned queues, uint16_t size, uint16_t type)
{
	unsigned i = 0;

	memset(e, 0, sizeof(*e));
	e->held = calloc(ECHO_HELD, sizeof(e->held[0]));
	while (i < sizeof(ops) / sizeof(ops[0]) && ops[i].type != type)
		i++;
	if (!e->held || i == sizeof(ops) / sizeof(ops[0]))
		abort();
	e->question = -2;
	virtio_dev_init(&e->dev, &ops[i], mem, queues, size);
	e->dev.offered |= 1ull << VIRTIO_F_RING_RESET;
	e->dev.config = e->config;
	e->dev.config_len = ECHO_CONFIG;
	e->dev.config_writable = 8;
	for (unsigned n = 0; n < ECHO_CONFIG; n++)
		e->config[n] = (uint8_t)(0xc0 + n);
}

void echo_destroy(struct echo *e)
{
	free(e->held);
}
