/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_PLATFORM_PL011_H
#define DEVICES_PLATFORM_PL011_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/irq.h"

/*
 * The serial port of arm64 machines: ARM's PrimeCell UART PL011 r1p5 (ARM DDI 0183).
 *
 *   guest --DR--> [ TX ring, 16 KiB ] --pl011_tx_peek/consume--> host
 *   guest <--DR-- [ RX FIFO, 32     ] <--pl011_rx_put----------- host
 *
 * As with uart16550.h the line has no speed: what the guest writes has been sent, as far as it can
 * tell, until the ring is full. Then FR says that the transmit FIFO is full and a driver waits;
 * bytes of one that does not wait are dropped and counted. No access ever blocks. There is no DMA
 * and no error on the line but an overrun, which loopback alone can cause.
 *
 * Memory of known size, no clock, no descriptor. The machine's lock is held for every call here
 * and in the callbacks.
 */
#define PL011_FIFO_LEN    32
#define PL011_TX_RING_LEN 16384 /* a power of two */
#define PL011_LEN         0x1000

/* What the guest sees. */
struct pl011_state {
	uint16_t ibrd, cr, imsc;
	uint8_t fbrd, ilpr, lcr_h, ifls, dmacr;
	uint8_t overrun; /* RSR.OE and the raw overrun interrupt */
	uint8_t tx_int;  /* the raw transmit interrupt */
	uint8_t tx_full; /* FR.TXFF */
	uint8_t rx_head; /* oldest byte of the FIFO */
	uint8_t rx_count;
	uint8_t rx[PL011_FIFO_LEN];
	uint32_t tx_head; /* free-running index of the oldest byte of the ring */
	uint32_t tx_count;
	uint8_t tx[PL011_TX_RING_LEN];
};

struct pl011 {
	struct pl011_state s;
	struct irq_line *irq; /* may be NULL */
	int irq_level;        /* what irq was last set to */

	/* Host side; both may be NULL. They may call back into this room. */
	void (*tx_ready)(void *arg); /* the TX ring was empty and is not any more */
	void (*rx_room)(void *arg);  /* pl011_rx_put() took less than it was given; try again */
	void *arg;
	int rx_refused; /* rx_room is due */

	uint64_t tx_bytes, rx_bytes, tx_dropped; /* counted since pl011_init() */
};

/* Offsets 0..0xfff (§3.2); @dev is the struct pl011. */
extern const struct bus_ops pl011_ops;

/* Everything zero, registers as after reset (§3.2); @irq may be NULL. */
void pl011_init(struct pl011 *uart, struct irq_line *irq);

/* PRESETn: registers and RX FIFO. Bytes in the TX ring have been sent and stay. */
void pl011_reset(struct pl011 *uart);

/*
 * The oldest bytes that the guest sent, in place: a pointer and, in @len, how many lie there in
 * one piece (0 if none are left). They stay where they are, whatever the guest does, until
 * pl011_tx_consume(), which takes @len or fewer.
 */
const uint8_t *pl011_tx_peek(const struct pl011 *uart, size_t *len);
void pl011_tx_consume(struct pl011 *uart, size_t len);

/*
 * Gives bytes to the guest: how many of @len fitted. When that is fewer than @len, rx_room is
 * called once the guest has read what is there. Nothing fits while the guest has the receiver
 * switched off, as it is from reset until a driver opens the port, or in loopback.
 */
size_t pl011_rx_put(struct pl011 *uart, const void *buf, size_t len);

#endif
