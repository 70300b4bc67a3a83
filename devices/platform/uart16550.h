/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_PLATFORM_UART16550_H
#define DEVICES_PLATFORM_UART16550_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/irq.h"

/*
 * A serial port: the 16550A of a PC (National Semiconductor PC16550D data sheet), wired as COM1.
 *
 *   guest --THR--> [ TX ring, 16 KiB ] --uart_tx_peek/consume--> host
 *   guest <--RBR-- [ RX FIFO, 16     ] <--uart_rx_put----------- host
 *
 * The line has no speed: what the guest writes has been sent, as far as it can tell, until the
 * ring is full. Then LSR says that the transmitter is busy and a driver waits; bytes of one that
 * does not wait are dropped and counted. No access ever blocks.
 *
 * Memory of known size, no clock, no descriptor. The machine's lock is held for every call here
 * and in the callbacks.
 */
#define UART_FIFO_LEN    16
#define UART_TX_RING_LEN 16384 /* a power of two */
#define UART_PORTS       8     /* length of the register file on its bus */

/* What the guest sees. */
struct uart16550_state {
	uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
	uint8_t overrun;  /* LSR.OE */
	uint8_t thre_int; /* the transmitter's interrupt waits to be seen */
	uint8_t tx_full;  /* LSR.THRE is 0 */
	uint8_t rx_head;  /* oldest byte of the FIFO */
	uint8_t rx_count;
	uint8_t rx[UART_FIFO_LEN];
	uint32_t tx_head; /* free-running index of the oldest byte of the ring */
	uint32_t tx_count;
	uint8_t tx[UART_TX_RING_LEN];
};

struct uart16550 {
	struct uart16550_state s;
	struct irq_line *irq; /* may be NULL */
	int irq_level;        /* what irq was last set to */

	/* Host side; both may be NULL. They may call back into this room. */
	void (*tx_ready)(void *arg); /* the TX ring was empty and is not any more */
	void (*rx_room)(void *arg);  /* uart_rx_put() took less than it was given; try again */
	void *arg;
	int rx_refused; /* rx_room is due */

	uint64_t tx_bytes, rx_bytes, tx_dropped; /* counted since uart_init() */
};

/* Offsets 0..7 (PC16550D table II); @dev is the struct uart16550. */
extern const struct bus_ops uart16550_ops;

/* Everything zero, registers as after master reset (PC16550D table I); @irq may be NULL. */
void uart_init(struct uart16550 *uart, struct irq_line *irq);

/* Master reset: registers and RX FIFO. Bytes in the TX ring have been sent and stay. */
void uart_reset(struct uart16550 *uart);

/*
 * The oldest bytes that the guest sent, in place: a pointer and, in @len, how many lie there in
 * one piece (0 if none are left). They stay where they are, whatever the guest does, until
 * uart_tx_consume(), which takes @len or fewer.
 */
const uint8_t *uart_tx_peek(const struct uart16550 *uart, size_t *len);
void uart_tx_consume(struct uart16550 *uart, size_t len);

/* Copies and consumes up to @max bytes; how many. */
size_t uart_tx_take(struct uart16550 *uart, void *buf, size_t max);

/*
 * Gives bytes to the guest: how many of @len fitted. When that is fewer than @len, rx_room is
 * called once the guest has read what is there. Nothing fits while the guest has the port in
 * loopback.
 */
size_t uart_rx_put(struct uart16550 *uart, const void *buf, size_t len);

#endif
