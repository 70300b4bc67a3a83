/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_CONSOLE_H
#define DEVICES_VIRTIO_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

#include "devices/virtio/dev.h"
#include "vmm/iov.h"

/*
 * A virtio console with one port (virtio 1.2 §5.3).
 *
 *   guest --transmitq--> [ TX ring, 16 KiB ] --tx_peek/tx_consume--> host
 *   guest <--receiveq--- [ RX ring,  1 KiB ] <--rx_put-------------- host
 *
 * Both rings have a fixed size: when the host does not read, the guest's buffers stay in its
 * queue; when the guest does not read, rx_put takes nothing more. Nothing blocks, nothing grows.
 *
 * All calls and callbacks: loop's lock held; everything but virtio_console_init() on the loop's
 * thread.
 */
#define VIRTIO_CONSOLE_F_SIZE 0 /* §5.3.3 */

#define VIRTIO_CONSOLE_RX     0 /* §5.3.2: receiveq, transmitq */
#define VIRTIO_CONSOLE_TX     1

#define CONSOLE_QUEUE_SIZE    64
#define CONSOLE_TX_RING_LEN   16384 /* powers of two */
#define CONSOLE_RX_RING_LEN   1024

/* §5.3.4; little-endian. */
struct virtio_console_config {
	uint16_t cols, rows;
	uint32_t max_nr_ports; /* only with MULTIPORT: 0 */
	uint32_t emerg_wr;     /* only with EMERG_WRITE: 0 */
};

struct console_ring {
	uint8_t *bytes;
	uint32_t size; /* a power of two */
	uint32_t head; /* free-running index of the oldest byte */
	uint32_t count;
};

struct virtio_console {
	struct virtio_dev dev;
	struct virtio_console_config config;
	struct console_ring tx, rx;
	/* The chain of the transmitq that did not fit into the ring, and what is left of it. */
	uint8_t held;
	uint16_t held_head;
	struct iov held_left;
	struct iovec held_v[CONSOLE_QUEUE_SIZE];

	/* Host side; may be NULL. They may call back into this room. */
	void (*tx_ready)(void *arg); /* the TX ring was empty and is not any more */
	void (*rx_room)(void *arg);  /* rx_put() took less than it was given; try again */
	void *arg;
	uint8_t rx_refused; /* rx_room is due */

	uint64_t tx_bytes, rx_bytes; /* counted since init */
	uint8_t tx_bytes_ring[CONSOLE_TX_RING_LEN], rx_bytes_ring[CONSOLE_RX_RING_LEN];
};

/* Everything zero, the size unknown (0 x 0). */
void virtio_console_init(struct virtio_console *vc, const struct mem *mem);

/*
 * The oldest bytes that the guest sent, in place: a pointer and, in @len, how many lie there in
 * one piece (0 if none are left). They stay where they are, also over a reset, until
 * virtio_console_tx_consume(), which takes @len or fewer.
 */
const uint8_t *virtio_console_tx_peek(const struct virtio_console *vc, size_t *len);
void virtio_console_tx_consume(struct virtio_console *vc, size_t len);

/*
 * Gives bytes to the guest: how many of @len were taken. When that is fewer than @len, rx_room is
 * called once there is room again.
 */
size_t virtio_console_rx_put(struct virtio_console *vc, const void *bytes, size_t len);

/* The terminal's size; the driver is told if it changes. */
void virtio_console_resize(struct virtio_console *vc, uint16_t cols, uint16_t rows);

#endif
