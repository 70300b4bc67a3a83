/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 16550A's registers, two queues of bytes and one interrupt line. Runs on whichever thread
 * holds the machine's lock: vCPUs for register accesses, the loop for the host side. It may not
 * know where bytes come from or go to, nor what time it is.
 *
 * Two things are as they are to keep a driver from needless accesses, each of them an exit:
 * the THRE interrupt is raised whenever it is enabled while the transmitter is empty (drivers
 * that miss it poll with a timer), and the register at offset 2 answers 0 while DLAB is set.
 */
#include <assert.h>
#include <string.h>

#include "devices/platform/uart16550.h"

/* Offsets (PC16550D table II). */
enum { RBR_THR = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

/* §8.7 */
#define IER_RDA      0x01 /* received data */
#define IER_THRE     0x02
#define IER_RLS      0x04 /* line status */
#define IER_MS       0x08 /* modem status */

/* §8.6, table III: in the order of priority */
#define IIR_RLS      0x06
#define IIR_RDA      0x04
#define IIR_TIMEOUT  0x0c
#define IIR_THRE     0x02
#define IIR_MS       0x00
#define IIR_NONE     0x01
#define IIR_FIFOS    0xc0

/* §8.5 */
#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_KEPT     0xc9 /* enable, DMA mode, trigger level */

#define LCR_DLAB     0x80

/* §8.8 */
#define MCR_DTR      0x01
#define MCR_RTS      0x02
#define MCR_OUT1     0x04
#define MCR_OUT2     0x08
#define MCR_LOOP     0x10
#define MCR_BITS     0x1f

/* §8.4 */
#define LSR_DR       0x01
#define LSR_OE       0x02
#define LSR_THRE     0x20
#define LSR_TEMT     0x40

/* §8.9 */
#define MSR_DCTS     0x01
#define MSR_DDSR     0x02
#define MSR_TERI     0x04
#define MSR_DDCD     0x08
#define MSR_DELTAS   0x0f
#define MSR_CTS      0x10
#define MSR_DSR      0x20
#define MSR_RI       0x40
#define MSR_DCD      0x80

/* What the other end of the cable says: it is there and ready. */
#define MSR_PEER     (MSR_CTS | MSR_DSR | MSR_DCD)

static int fifo_enabled(const struct uart16550_state *s)
{
	return s->fcr & FCR_ENABLE;
}

/* §8.5: bytes in the FIFO that make "received data" out of "timeout". */
static unsigned rx_trigger(const struct uart16550_state *s)
{
	static const uint8_t level[4] = {1, 4, 8, 14};

	return fifo_enabled(s) ? level[s->fcr >> 6] : 1;
}

static uint8_t pending(const struct uart16550_state *s)
{
	if ((s->ier & IER_RLS) && s->overrun)
		return IIR_RLS;
	/* The line has no speed: four characters' time pass at once, so less than the trigger
	 * level is a timeout without delay. */
	if ((s->ier & IER_RDA) && s->rx_count)
		return s->rx_count >= rx_trigger(s) ? IIR_RDA : IIR_TIMEOUT;
	if ((s->ier & IER_THRE) && s->thre_int)
		return IIR_THRE;
	if ((s->ier & IER_MS) && (s->msr & MSR_DELTAS))
		return IIR_MS;
	return IIR_NONE;
}

/*
 * On a PC the output OUT2 connects the interrupt pin to the line; in loopback OUT2 is inactive
 * whatever MCR says (§8.8). A line is only set when it changes: each change is a system call.
 */
static void update_irq(struct uart16550 *uart)
{
	const struct uart16550_state *s = &uart->s;
	int level = (s->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && pending(s) != IIR_NONE;

	if (level != uart->irq_level) {
		uart->irq_level = level;
		irq_set(uart->irq, level);
	}
}

/* Waits for the FIFO to be empty: the host wakes once for 16 bytes, not once for each. */
static void rx_announce_room(struct uart16550 *uart)
{
	if (uart->rx_refused && uart->s.rx_count == 0 && !(uart->s.mcr & MCR_LOOP)) {
		uart->rx_refused = 0;
		if (uart->rx_room)
			uart->rx_room(uart->arg);
	}
}

static void rx_push(struct uart16550_state *s, uint8_t byte)
{
	s->rx[(s->rx_head + s->rx_count) % UART_FIFO_LEN] = byte;
	s->rx_count++;
}

static uint8_t rx_pop(struct uart16550_state *s)
{
	uint8_t byte = s->rx[s->rx_head];

	if (s->rx_count == 0)
		return 0;
	s->rx_head = (s->rx_head + 1) % UART_FIFO_LEN;
	s->rx_count--;
	return byte;
}

/* A driver that finds THRE set may write a whole FIFO without looking again. */
static void tx_set_full(struct uart16550_state *s)
{
	uint8_t full = s->tx_count > UART_TX_RING_LEN - UART_FIFO_LEN;

	if (s->tx_full && !full)
		s->thre_int = 1;
	s->tx_full = full;
}

static void tx_write(struct uart16550 *uart, uint8_t byte)
{
	struct uart16550_state *s = &uart->s;
	int was_empty = s->tx_count == 0;

	if (s->mcr & MCR_LOOP) {
		if (s->rx_count == UART_FIFO_LEN)
			s->overrun = 1;
		else
			rx_push(s, byte);
		s->thre_int = !s->tx_full;
		return;
	}
	if (s->tx_count == UART_TX_RING_LEN) {
		uart->tx_dropped++;
		return;
	}
	s->tx[(s->tx_head + s->tx_count) % UART_TX_RING_LEN] = byte;
	s->tx_count++;
	uart->tx_bytes++;
	tx_set_full(s);
	s->thre_int = !s->tx_full;
	if (was_empty && uart->tx_ready)
		uart->tx_ready(uart->arg);
}

static void ier_write(struct uart16550_state *s, uint8_t value)
{
	uint8_t risen = value & ~s->ier;

	s->ier = value & 0x0f;
	/* §8.6: the interrupt follows from THRE and IER, so enabling it raises it again even if
	 * an earlier read of IIR has reset it. */
	if ((risen & IER_THRE) && !s->tx_full)
		s->thre_int = 1;
}

static void fcr_write(struct uart16550_state *s, uint8_t value)
{
	/* §8.5: a change of the enable bit clears the FIFOs; the other bits hold only with it. */
	if (((value ^ s->fcr) & FCR_ENABLE) || (value & FCR_CLEAR_RX))
		s->rx_count = 0;
	s->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
}

/* §8.8: in loopback the four outputs are the four inputs. */
static uint8_t modem_inputs(uint8_t mcr)
{
	if (!(mcr & MCR_LOOP))
		return MSR_PEER;
	return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
	       (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void mcr_write(struct uart16550_state *s, uint8_t value)
{
	uint8_t now, changed;

	s->mcr = value & MCR_BITS;
	now = modem_inputs(s->mcr);
	changed = now ^ s->msr;
	s->msr |= (changed & MSR_CTS ? MSR_DCTS : 0) | (changed & MSR_DSR ? MSR_DDSR : 0) |
		  (changed & MSR_DCD ? MSR_DDCD : 0) |
		  (changed & MSR_RI && !(now & MSR_RI) ? MSR_TERI : 0);
	s->msr = now | (s->msr & MSR_DELTAS);
}

static uint8_t iir_read(struct uart16550_state *s)
{
	uint8_t id = pending(s);

	/*
	 * The data sheet leaves DLAB out of this register's address. Parts that have another
	 * register here (NXP's DUARTs: alternate function, 0 after reset) spare a Linux that
	 * looks for extended 16550s the measuring of the FIFO: 20 ms and 300 accesses a probe.
	 */
	if (s->lcr & LCR_DLAB)
		return 0;
	if (id == IIR_THRE)
		s->thre_int = 0;
	return id | (fifo_enabled(s) ? IIR_FIFOS : 0);
}

static uint8_t lsr_read(struct uart16550_state *s)
{
	uint8_t lsr = (s->rx_count ? LSR_DR : 0) | (s->overrun ? LSR_OE : 0) |
		      (s->tx_full ? 0 : LSR_THRE | LSR_TEMT);

	s->overrun = 0;
	return lsr;
}

static uint8_t msr_read(struct uart16550_state *s)
{
	uint8_t msr = s->msr;

	s->msr &= ~MSR_DELTAS;
	return msr;
}

static uint8_t reg_read(struct uart16550_state *s, uint64_t off)
{
	int dlab = s->lcr & LCR_DLAB;

	switch (off) {
	case RBR_THR:
		return dlab ? s->dll : rx_pop(s);
	case IER:
		return dlab ? s->dlm : s->ier;
	case IIR_FCR:
		return iir_read(s);
	case LCR:
		return s->lcr;
	case MCR:
		return s->mcr;
	case LSR:
		return lsr_read(s);
	case MSR:
		return msr_read(s);
	case SCR:
		return s->scr;
	}
	return 0xff;
}

static void reg_write(struct uart16550 *uart, uint64_t off, uint8_t value)
{
	struct uart16550_state *s = &uart->s;
	int dlab = s->lcr & LCR_DLAB;

	switch (off) {
	case RBR_THR:
		if (dlab)
			s->dll = value;
		else
			tx_write(uart, value);
		break;
	case IER:
		if (dlab)
			s->dlm = value;
		else
			ier_write(s, value);
		break;
	case IIR_FCR:
		if (!dlab)
			fcr_write(s, value);
		break;
	case LCR:
		s->lcr = value;
		break;
	case MCR:
		mcr_write(s, value);
		break;
	case SCR:
		s->scr = value;
		break;
	}
}

/* A wide access to an 8-bit part is one access a byte, as on the ISA bus. */
static uint64_t uart_read(void *dev, uint64_t off, unsigned size)
{
	struct uart16550 *uart = dev;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)reg_read(&uart->s, off + i) << (8 * i);
	update_irq(uart);
	rx_announce_room(uart);
	return value;
}

static void uart_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct uart16550 *uart = dev;

	for (unsigned i = 0; i < size; i++)
		reg_write(uart, off + i, (uint8_t)(value >> (8 * i)));
	update_irq(uart);
	rx_announce_room(uart);
}

const struct bus_ops uart16550_ops = {.read = uart_read, .write = uart_write};

void uart_reset(struct uart16550 *uart)
{
	struct uart16550_state *s = &uart->s;

	/* Table I. The divisor and the scratch register keep their values. */
	s->ier = s->fcr = s->lcr = s->mcr = 0;
	s->msr = MSR_PEER;
	s->overrun = s->thre_int = 0;
	s->rx_head = s->rx_count = 0;
	update_irq(uart);
	rx_announce_room(uart);
}

void uart_init(struct uart16550 *uart, struct irq_line *irq)
{
	memset(uart, 0, sizeof(*uart));
	uart->irq = irq;
	uart_reset(uart);
}

const uint8_t *uart_tx_peek(const struct uart16550 *uart, size_t *len)
{
	const struct uart16550_state *s = &uart->s;
	uint32_t at = s->tx_head % UART_TX_RING_LEN;

	*len = s->tx_count < UART_TX_RING_LEN - at ? s->tx_count : UART_TX_RING_LEN - at;
	return s->tx + at;
}

void uart_tx_consume(struct uart16550 *uart, size_t len)
{
	struct uart16550_state *s = &uart->s;

	assert(len <= s->tx_count);
	s->tx_head += (uint32_t)len;
	s->tx_count -= (uint32_t)len;
	tx_set_full(s);
	update_irq(uart);
}

size_t uart_tx_take(struct uart16550 *uart, void *buf, size_t max)
{
	size_t done = 0, len;
	const uint8_t *from;

	while (done < max && (from = uart_tx_peek(uart, &len), len > 0)) {
		if (len > max - done)
			len = max - done;
		memcpy((uint8_t *)buf + done, from, len);
		uart_tx_consume(uart, len);
		done += len;
	}
	return done;
}

size_t uart_rx_put(struct uart16550 *uart, const void *buf, size_t len)
{
	struct uart16550_state *s = &uart->s;
	size_t room = s->mcr & MCR_LOOP ? 0 : UART_FIFO_LEN - s->rx_count;
	size_t n = len < room ? len : room;

	for (size_t i = 0; i < n; i++)
		rx_push(s, ((const uint8_t *)buf)[i]);
	uart->rx_bytes += n;
	uart->rx_refused = n < len;
	update_irq(uart);
	return n;
}
