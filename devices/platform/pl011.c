/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PL011's registers, two queues of bytes and one interrupt line. Runs on whichever thread
 * holds the machine's lock: vCPUs for register accesses, the loop for the host side. It may not
 * know where bytes come from or go to, nor what time it is. Sections are those of ARM DDI 0183.
 *
 * Since a character takes no time, the two receive interrupts follow from what the FIFO holds:
 * the 32 bit times without a character, after which the timeout interrupt comes, are over at once.
 */
#include <assert.h>
#include <string.h>

#include "devices/platform/pl011.h"

/* Offsets (§3.2, table 3-1). */
enum {
	DR = 0x00,
	RSR_ECR = 0x04,
	FR = 0x18,
	ILPR = 0x20,
	IBRD = 0x24,
	FBRD = 0x28,
	LCR_H = 0x2c,
	CR = 0x30,
	IFLS = 0x34,
	IMSC = 0x38,
	RIS = 0x3c,
	MIS = 0x40,
	ICR = 0x44,
	DMACR = 0x48,
	PERIPH_ID0 = 0xfe0,
};

#define RSR_OE     0x08 /* §3.3.2 */

/* §3.3.3 */
#define FR_CTS     0x001
#define FR_DSR     0x002
#define FR_DCD     0x004
#define FR_RXFE    0x010
#define FR_TXFF    0x020
#define FR_RXFF    0x040
#define FR_TXFE    0x080
#define FR_RI      0x100
/* What the other end of the cable says: it is there and ready. */
#define FR_PEER    (FR_CTS | FR_DSR | FR_DCD)

#define LCR_H_FEN  0x10 /* §3.3.7: FIFOs enabled */

/* §3.3.8 */
#define CR_UARTEN  0x0001
#define CR_LBE     0x0080
#define CR_RXE     0x0200
#define CR_RESET   0x0300
#define CR_DTR     0x0400
#define CR_RTS     0x0800
#define CR_OUT1    0x1000
#define CR_OUT2    0x2000
#define CR_BITS    0xff87

#define IFLS_RESET 0x12 /* §3.3.9: both at one half */
#define IFLS_BITS  0x3f

/* §3.3.10 to §3.3.13 */
#define INT_RX     0x010
#define INT_TX     0x020
#define INT_RT     0x040
#define INT_OE     0x400
#define INT_BITS   0x7ff

/* §3.3.15, §3.3.16: part 0x011 of ARM's, revision r1p5, whose FIFOs hold 32; then the cell ID. */
static const uint8_t id[8] = {0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

static unsigned fifo_len(const struct pl011_state *s)
{
	return s->lcr_h & LCR_H_FEN ? PL011_FIFO_LEN : 1;
}

/* §3.3.9: bytes in the receive FIFO that make "received data" out of "timeout". */
static unsigned rx_trigger(const struct pl011_state *s)
{
	static const uint8_t level[8] = {4, 8, 16, 24, 28, 28, 28, 28};

	return s->lcr_h & LCR_H_FEN ? level[s->ifls >> 3 & 7] : 1;
}

static uint16_t raw_interrupts(const struct pl011_state *s)
{
	return (s->rx_count >= rx_trigger(s) ? INT_RX : 0) | (s->rx_count ? INT_RT : 0) |
	       (s->tx_int ? INT_TX : 0) | (s->overrun ? INT_OE : 0);
}

/* A line is only set when it changes: each change is a system call. */
static void update_irq(struct pl011 *uart)
{
	int level = (raw_interrupts(&uart->s) & uart->s.imsc) != 0;

	if (level != uart->irq_level) {
		uart->irq_level = level;
		irq_set(uart->irq, level);
	}
}

static unsigned rx_room(const struct pl011_state *s)
{
	int open = (s->cr & (CR_UARTEN | CR_RXE | CR_LBE)) == (CR_UARTEN | CR_RXE);

	return open && s->rx_count < fifo_len(s) ? fifo_len(s) - s->rx_count : 0;
}

/* Waits for the FIFO to be empty: the host wakes once for 32 bytes, not once for each. */
static void rx_announce_room(struct pl011 *uart)
{
	if (uart->rx_refused && uart->s.rx_count == 0 && rx_room(&uart->s)) {
		uart->rx_refused = 0;
		if (uart->rx_room)
			uart->rx_room(uart->arg);
	}
}

static void rx_push(struct pl011_state *s, uint8_t byte)
{
	s->rx[(s->rx_head + s->rx_count) % PL011_FIFO_LEN] = byte;
	s->rx_count++;
}

static uint8_t rx_pop(struct pl011_state *s)
{
	uint8_t byte = s->rx[s->rx_head];

	if (s->rx_count == 0)
		return 0;
	s->rx_head = (s->rx_head + 1) % PL011_FIFO_LEN;
	s->rx_count--;
	return byte;
}

/*
 * A driver that took the transmit interrupt may write half a FIFO without looking, so full is said
 * while a whole one still fits. Draining below that passes the trigger level: an interrupt.
 */
static void tx_set_full(struct pl011_state *s)
{
	uint8_t full = s->tx_count > PL011_TX_RING_LEN - PL011_FIFO_LEN;

	if (s->tx_full && !full)
		s->tx_int = 1;
	s->tx_full = full;
}

static void tx_write(struct pl011 *uart, uint8_t byte)
{
	struct pl011_state *s = &uart->s;
	int was_empty = s->tx_count == 0;

	if (s->cr & CR_LBE) {
		if (s->rx_count >= fifo_len(s))
			s->overrun = 1;
		else
			rx_push(s, byte);
		s->tx_int = !s->tx_full;
		return;
	}
	if (s->tx_count == PL011_TX_RING_LEN) {
		uart->tx_dropped++;
		return;
	}
	s->tx[(s->tx_head + s->tx_count) % PL011_TX_RING_LEN] = byte;
	s->tx_count++;
	uart->tx_bytes++;
	tx_set_full(s);
	/* §2.8.3: raised when the FIFO drains past its trigger level, which it has. */
	s->tx_int = !s->tx_full;
	if (was_empty && uart->tx_ready)
		uart->tx_ready(uart->arg);
}

/* §3.3.3 and, in loopback, §2.4.4: the four outputs are the four inputs. */
static uint16_t flags(const struct pl011_state *s)
{
	uint16_t modem = FR_PEER;

	if (s->cr & CR_LBE)
		modem = (s->cr & CR_RTS ? FR_CTS : 0) | (s->cr & CR_DTR ? FR_DSR : 0) |
			(s->cr & CR_OUT1 ? FR_DCD : 0) | (s->cr & CR_OUT2 ? FR_RI : 0);
	return modem | (s->rx_count == 0 ? FR_RXFE : 0) |
	       (s->rx_count >= fifo_len(s) ? FR_RXFF : 0) | (s->tx_full ? FR_TXFF : FR_TXFE);
}

static uint32_t reg_read(struct pl011_state *s, uint64_t off)
{
	switch (off) {
	case DR:
		return rx_pop(s);
	case RSR_ECR:
		return s->overrun ? RSR_OE : 0;
	case FR:
		return flags(s);
	case ILPR:
		return s->ilpr;
	case IBRD:
		return s->ibrd;
	case FBRD:
		return s->fbrd;
	case LCR_H:
		return s->lcr_h;
	case CR:
		return s->cr;
	case IFLS:
		return s->ifls;
	case IMSC:
		return s->imsc;
	case RIS:
		return raw_interrupts(s);
	case MIS:
		return raw_interrupts(s) & s->imsc;
	case DMACR:
		return s->dmacr;
	}
	return off >= PERIPH_ID0 ? id[(off - PERIPH_ID0) / 4] : 0;
}

static void reg_write(struct pl011 *uart, uint64_t off, uint32_t value)
{
	struct pl011_state *s = &uart->s;

	switch (off) {
	case DR:
		/* Whatever CR says: early consoles rely on firmware that has opened the port. */
		tx_write(uart, (uint8_t)value);
		break;
	case RSR_ECR:
		s->overrun = 0;
		break;
	case ILPR:
		s->ilpr = (uint8_t)value;
		break;
	case IBRD:
		s->ibrd = (uint16_t)value;
		break;
	case FBRD:
		s->fbrd = value & 0x3f;
		break;
	case LCR_H:
		s->lcr_h = (uint8_t)value;
		break;
	case CR:
		s->cr = value & CR_BITS;
		break;
	case IFLS:
		s->ifls = value & IFLS_BITS;
		break;
	case IMSC:
		s->imsc = value & INT_BITS;
		break;
	case ICR:
		if (value & INT_TX)
			s->tx_int = 0;
		if (value & INT_OE)
			s->overrun = 0;
		break;
	case DMACR:
		s->dmacr = value & 7;
		break;
	}
}

/* Registers are words; of a narrow access inside one, reads give its bytes and writes nothing. */
static uint64_t pl011_read(void *dev, uint64_t off, unsigned size)
{
	struct pl011 *uart = dev;
	uint32_t value = reg_read(&uart->s, off & ~3ull);

	(void)size;
	update_irq(uart);
	rx_announce_room(uart);
	return value >> 8 * (off & 3);
}

static void pl011_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct pl011 *uart = dev;

	if (off & 3)
		return;
	reg_write(uart, off, size == 1 ? (uint8_t)value : (uint32_t)value);
	update_irq(uart);
	rx_announce_room(uart);
}

const struct bus_ops pl011_ops = {.read = pl011_read, .write = pl011_write};

void pl011_reset(struct pl011 *uart)
{
	struct pl011_state *s = &uart->s;

	s->ibrd = s->imsc = 0;
	s->fbrd = s->ilpr = s->lcr_h = s->dmacr = 0;
	s->cr = CR_RESET;
	s->ifls = IFLS_RESET;
	s->overrun = s->tx_int = 0;
	s->rx_head = s->rx_count = 0;
	update_irq(uart);
}

void pl011_init(struct pl011 *uart, struct irq_line *irq)
{
	memset(uart, 0, sizeof(*uart));
	uart->irq = irq;
	pl011_reset(uart);
}

const uint8_t *pl011_tx_peek(const struct pl011 *uart, size_t *len)
{
	const struct pl011_state *s = &uart->s;
	uint32_t at = s->tx_head % PL011_TX_RING_LEN;

	*len = s->tx_count < PL011_TX_RING_LEN - at ? s->tx_count : PL011_TX_RING_LEN - at;
	return s->tx + at;
}

void pl011_tx_consume(struct pl011 *uart, size_t len)
{
	struct pl011_state *s = &uart->s;

	assert(len <= s->tx_count);
	s->tx_head += (uint32_t)len;
	s->tx_count -= (uint32_t)len;
	tx_set_full(s);
	update_irq(uart);
}

size_t pl011_rx_put(struct pl011 *uart, const void *buf, size_t len)
{
	size_t room = rx_room(&uart->s);
	size_t n = len < room ? len : room;

	for (size_t i = 0; i < n; i++)
		rx_push(&uart->s, ((const uint8_t *)buf)[i]);
	uart->rx_bytes += n;
	uart->rx_refused = n < len;
	update_irq(uart);
	return n;
}
