/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio console: moves bytes between two queues and two rings. On its loop with the lock
 * held. It does not know where the bytes come from or go to, and does not look at them.
 */
#include "devices/virtio/console.h"

#include <endian.h>
#include <string.h>

#include "vmm/container_of.h"

static struct virtio_console *to_console(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_console, dev);
}

/* --- rings --------------------------------------------------------------------------------- */

static uint32_t ring_room(const struct console_ring *ring)
{
	return ring->size - ring->count;
}

/* The free bytes behind the newest one that lie in one piece; at most @max. */
static uint32_t ring_tail(const struct console_ring *ring, uint32_t max, uint8_t **at)
{
	uint32_t tail = (ring->head + ring->count) & (ring->size - 1), len = ring->size - tail;

	*at = ring->bytes + tail;
	if (len > ring_room(ring))
		len = ring_room(ring);
	return len < max ? len : max;
}

static const uint8_t *ring_peek(const struct console_ring *ring, size_t *len)
{
	uint32_t head = ring->head & (ring->size - 1), n = ring->size - head;

	*len = n < ring->count ? n : ring->count;
	return ring->bytes + head;
}

static void ring_drop(struct console_ring *ring, size_t len)
{
	uint32_t n = len < ring->count ? (uint32_t)len : ring->count;

	ring->head += n;
	ring->count -= n;
}

/* --- guest to host ------------------------------------------------------------------------- */

/* Moves what fits of the held chain into the ring; gives the chain back when all of it did. */
static void move_held(struct virtio_console *vc)
{
	while (vc->held_left.left > 0 && ring_room(&vc->tx) > 0) {
		uint32_t max =
			vc->held_left.left > UINT32_MAX ? UINT32_MAX : (uint32_t)vc->held_left.left;
		uint8_t *to;
		uint32_t len = ring_tail(&vc->tx, max, &to);

		/* Cannot fail: so many bytes are left. */
		iov_get(&vc->held_left, to, len);
		vc->tx.count += len;
		vc->tx_bytes += len;
	}
	if (vc->held_left.left > 0)
		return;
	vc->held = 0;
	/* Nothing is written into what the driver sends, also not into device-writable parts. */
	virtio_push(&vc->dev, VIRTIO_CONSOLE_TX, vc->held_head, 0);
}

/* The next chain of the transmitq becomes the held one: 0 if there is none. */
static int hold_next(struct virtio_console *vc)
{
	struct vq_chain chain = {.v = vc->held_v, .max = CONSOLE_QUEUE_SIZE};

	if (!virtio_pop(&vc->dev, VIRTIO_CONSOLE_TX, &chain))
		return 0;
	vc->held = 1;
	vc->held_head = chain.head;
	/* A chain's lengths add up in 32 bits. */
	iov_init(&vc->held_left, vc->held_v, chain.out);
	return 1;
}

static void kick_tx(struct virtio_console *vc)
{
	int was_empty = vc->tx.count == 0;
	unsigned n = 0;

	for (; n < VIRTIO_BUDGET; n++) {
		if (!vc->held && !hold_next(vc))
			break;
		move_held(vc);
		if (vc->held)
			break;
	}
	if (n == VIRTIO_BUDGET)
		virtio_kick_later(&vc->dev, VIRTIO_CONSOLE_TX);
	if (was_empty && vc->tx.count > 0 && vc->tx_ready)
		vc->tx_ready(vc->arg);
}

const uint8_t *virtio_console_tx_peek(const struct virtio_console *vc, size_t *len)
{
	return ring_peek(&vc->tx, len);
}

void virtio_console_tx_consume(struct virtio_console *vc, size_t len)
{
	ring_drop(&vc->tx, len);
	if (vc->held)
		virtio_kick_later(&vc->dev, VIRTIO_CONSOLE_TX);
}

/* --- host to guest ------------------------------------------------------------------------- */

/* Fills the driver's buffers with what the ring holds. */
static void drain_rx(struct virtio_console *vc)
{
	struct iovec v[CONSOLE_QUEUE_SIZE];
	unsigned n = 0;

	for (; n < VIRTIO_BUDGET && vc->rx.count > 0; n++) {
		struct vq_chain chain = {.v = v, .max = CONSOLE_QUEUE_SIZE};
		uint32_t written = 0;
		struct iov in;

		if (!virtio_pop(&vc->dev, VIRTIO_CONSOLE_RX, &chain))
			return;
		iov_init(&in, v + chain.out, chain.in);
		while (in.left > 0 && vc->rx.count > 0) {
			size_t len;
			const uint8_t *from = ring_peek(&vc->rx, &len);

			if (len > in.left)
				len = in.left;
			iov_put(&in, from, len);
			ring_drop(&vc->rx, len);
			written += (uint32_t)len;
		}
		virtio_push(&vc->dev, VIRTIO_CONSOLE_RX, chain.head, written);
	}
	if (n == VIRTIO_BUDGET)
		virtio_kick_later(&vc->dev, VIRTIO_CONSOLE_RX);
}

size_t virtio_console_rx_put(struct virtio_console *vc, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	size_t taken = 0;

	while (taken < len) {
		uint32_t max = len - taken > UINT32_MAX ? UINT32_MAX : (uint32_t)(len - taken);
		uint8_t *to;
		uint32_t n = ring_tail(&vc->rx, max, &to);

		if (n == 0)
			break;
		memcpy(to, from + taken, n);
		vc->rx.count += n;
		taken += n;
		/* Not before DRIVER_OK (§3.1.2): the driver's buffers are not ours until then. */
		if (vc->dev.started)
			drain_rx(vc);
	}
	vc->rx_bytes += taken;
	vc->rx_refused = taken < len;
	return taken;
}

static void kick_rx(struct virtio_console *vc)
{
	drain_rx(vc);
	if (!vc->rx_refused || !ring_room(&vc->rx))
		return;
	vc->rx_refused = 0;
	if (vc->rx_room)
		vc->rx_room(vc->arg);
}

/* --- the device ---------------------------------------------------------------------------- */

static void console_kick(struct virtio_dev *dev, unsigned q)
{
	if (q == VIRTIO_CONSOLE_TX)
		kick_tx(to_console(dev));
	else
		kick_rx(to_console(dev));
}

/* Linux's driver does not look at the size until it is told that it changed. */
static void console_start(struct virtio_dev *dev)
{
	const struct virtio_console_config *c = &to_console(dev)->config;

	if (virtio_has(dev, VIRTIO_CONSOLE_F_SIZE) && (c->cols || c->rows))
		virtio_config_changed(dev);
}

static void console_reset(struct virtio_dev *dev, int q)
{
	(void)q;
	/* What it has sent so far has been sent; the rest of a held chain is the driver's again. */
	to_console(dev)->held = 0;
	virtio_reset_done(dev);
}

static const struct virtio_dev_ops console_ops = {
	.name = "console",
	.type = VIRTIO_ID_CONSOLE,
	.start = console_start,
	.kick = console_kick,
	.reset = console_reset,
};

void virtio_console_init(struct virtio_console *vc, const struct mem *mem)
{
	memset(vc, 0, sizeof(*vc));
	virtio_dev_init(&vc->dev, &console_ops, mem, 2, CONSOLE_QUEUE_SIZE);
	vc->dev.offered |= 1u << VIRTIO_CONSOLE_F_SIZE;
	vc->dev.config = (uint8_t *)&vc->config;
	vc->dev.config_len = sizeof(vc->config);
	vc->tx = (struct console_ring){vc->tx_bytes_ring, CONSOLE_TX_RING_LEN, 0, 0};
	vc->rx = (struct console_ring){vc->rx_bytes_ring, CONSOLE_RX_RING_LEN, 0, 0};
}

void virtio_console_resize(struct virtio_console *vc, uint16_t cols, uint16_t rows)
{
	struct virtio_console_config *c = &vc->config;

	if (c->cols == htole16(cols) && c->rows == htole16(rows))
		return;
	c->cols = htole16(cols);
	c->rows = htole16(rows);
	virtio_config_changed(&vc->dev);
}
