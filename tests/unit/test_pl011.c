/* SPDX-License-Identifier: BSD-2-Clause */
/* The PL011 as a driver and as the host side see it. Sections are those of ARM DDI 0183. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/platform/pl011.h"

enum {
	DR = 0x00,
	RSR = 0x04,
	FR = 0x18,
	IBRD = 0x24,
	FBRD = 0x28,
	LCR_H = 0x2c,
	CR = 0x30,
	IFLS = 0x34,
	IMSC = 0x38,
	RIS = 0x3c,
	MIS = 0x40,
	ICR = 0x44,
};

/* Interrupts, §3.3.10. */
enum { RX = 0x10, TX = 0x20, RT = 0x40, OE = 0x400 };

/* FR, §3.3.3, with a peer that is there and ready. */
enum { PEER = 0x07, RXFE = 0x10, TXFF = 0x20, RXFF = 0x40, TXFE = 0x80 };

struct wire {
	struct irq_line line;
	int level, edges;
};

static struct pl011 uart;
static struct wire wire;
static int ready_calls, room_calls;

static void wire_set(struct irq_line *line, int level)
{
	struct wire *w = (struct wire *)line;

	assert_int_not_equal(level, w->level); /* a change is a system call */
	w->edges += level;
	w->level = level;
}

static void on_ready(void *arg)
{
	assert_ptr_equal(arg, &wire);
	ready_calls++;
}

static void on_room(void *arg)
{
	assert_ptr_equal(arg, &wire);
	room_calls++;
}

static int setup(void **state)
{
	(void)state;
	wire = (struct wire){.line.set = wire_set};
	ready_calls = room_calls = 0;
	pl011_init(&uart, &wire.line);
	uart.tx_ready = on_ready;
	uart.rx_room = on_room;
	uart.arg = &wire;
	return 0;
}

static uint32_t in(unsigned reg)
{
	return (uint32_t)pl011_ops.read(&uart, reg, 4);
}

static void out(unsigned reg, uint32_t value)
{
	pl011_ops.write(&uart, reg, 4, value);
}

/* As a driver leaves the port: FIFOs on, both triggers at one half, transmitter and receiver on. */
static void open_port(uint32_t imsc)
{
	out(IBRD, 13);
	out(FBRD, 1);
	out(LCR_H, 0x70);
	out(CR, 0xf01);
	out(IMSC, imsc);
}

/* What the host has of what was sent. */
static size_t take(void *buf, size_t max)
{
	size_t done = 0, len;
	const uint8_t *from;

	while (done < max && (from = pl011_tx_peek(&uart, &len), len > 0)) {
		if (len > max - done)
			len = max - done;
		memcpy((uint8_t *)buf + done, from, len);
		pl011_tx_consume(&uart, len);
		done += len;
	}
	return done;
}

/* §3.2, table 3-1 */
static void reset_values(void **state)
{
	static const struct {
		unsigned reg;
		uint32_t value;
	} table[] = {
		{RSR, 0},    {FR, PEER | RXFE | TXFE},
		{0x20, 0},   {IBRD, 0},
		{FBRD, 0},   {LCR_H, 0},
		{CR, 0x300}, {IFLS, 0x12},
		{IMSC, 0},   {RIS, 0},
		{MIS, 0},    {0x48, 0},
		{0x80, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (in(table[i].reg) != table[i].value)
			fail_msg("%#x reads %#x", table[i].reg, in(table[i].reg));
	assert_int_equal(wire.edges, 0);
}

/* §3.3.15, §3.3.16: Linux takes 32-byte FIFOs from the revision. */
static void identification(void **state)
{
	static const uint8_t id[8] = {0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(in(0xfe0 + 4 * i), id[i]);
}

static void registers_keep_what_they_have(void **state)
{
	static const struct {
		unsigned reg;
		uint32_t kept;
	} table[] = {{0x20, 0xff}, {IBRD, 0xffff}, {FBRD, 0x3f},  {LCR_H, 0xff},
		     {CR, 0xff87}, {IFLS, 0x3f},   {IMSC, 0x7ff}, {0x48, 7}};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		out(table[i].reg, 0xffffffff);
		if (in(table[i].reg) != table[i].kept)
			fail_msg("%#x keeps %#x", table[i].reg, in(table[i].reg));
	}
	out(FR, 0);
	out(RIS, 0);
	out(0xfe0, 0);
	assert_int_equal(in(0xfe0), 0x11);
	assert_int_equal(uart.tx_bytes, 0);
}

/* An early console writes to a port that nobody has opened, by bytes or by words. */
static void early_console(void **state)
{
	char got[8];

	(void)state;
	assert_int_equal(in(FR)&TXFF, 0);
	pl011_ops.write(&uart, DR, 1, 'o');
	pl011_ops.write(&uart, DR, 4, 'k');
	assert_int_equal(in(FR)&0x08, 0); /* not busy */
	assert_int_equal(take(got, sizeof(got)), 2);
	assert_memory_equal(got, "ok", 2);
	assert_int_equal(wire.edges, 0);
}

static void transmit_in_order_and_tell_the_host_once(void **state)
{
	char got[64];

	(void)state;
	for (const char *s = "login: "; *s; s++)
		out(DR, (uint8_t)*s);
	assert_int_equal(ready_calls, 1);
	assert_int_equal(take(got, sizeof(got)), 7);
	assert_memory_equal(got, "login: ", 7);
	assert_int_equal(take(got, sizeof(got)), 0);
	out(DR, 'x');
	assert_int_equal(ready_calls, 2);
}

static void ring_wraps(void **state)
{
	uint8_t got[1000], next_in = 0, next_out = 0;

	(void)state;
	for (int turn = 0; turn < 40; turn++) {
		for (int i = 0; i < 997; i++)
			out(DR, next_in++);
		for (size_t n = take(got, sizeof(got)), i = 0; i < n; i++)
			assert_int_equal(got[i], next_out++);
	}
	assert_int_equal(uart.tx_bytes, 40 * 997);
	assert_int_equal(uart.s.tx_count, 0);
}

static void peek_is_in_place_and_survives_the_guest(void **state)
{
	const uint8_t *p;
	size_t len;

	(void)state;
	out(DR, 'a');
	out(DR, 'b');
	p = pl011_tx_peek(&uart, &len);
	assert_int_equal(len, 2);
	out(DR, 'c');
	out(LCR_H, 0x10);
	pl011_reset(&uart);
	assert_memory_equal(p, "abc", 3);
	pl011_tx_consume(&uart, len);
	p = pl011_tx_peek(&uart, &len);
	assert_int_equal(len, 1);
	assert_int_equal(*p, 'c');
}

/* A driver fills the FIFO, waits for the interrupt and fills it again, half at a time. */
static void transmit_by_interrupt(void **state)
{
	(void)state;
	open_port(0);
	assert_int_equal(in(RIS)&TX, 0); /* nothing sent, nothing drained */
	for (int i = 0; i < PL011_FIFO_LEN; i++)
		out(DR, (uint8_t)i);
	out(IMSC, TX);
	assert_int_equal(wire.level, 1);
	assert_int_equal(in(MIS), TX);
	wire.edges = 0;
	out(ICR, TX);
	assert_int_equal(wire.level, 0);
	for (int i = 0; i < PL011_FIFO_LEN / 2; i++)
		out(DR, (uint8_t)i);
	assert_int_equal(wire.edges, 1);
	assert_int_equal(wire.level, 1);
	out(IMSC, 0);
	assert_int_equal(wire.level, 0);
}

/* A host that does not read: the guest sees a full FIFO, and one that ignores it loses. */
static void full_ring_is_back_pressure(void **state)
{
	static uint8_t got[PL011_TX_RING_LEN];
	size_t sent = 0;

	(void)state;
	open_port(TX);
	while (!(in(FR)&TXFF))
		for (int i = 0; i < PL011_FIFO_LEN; i++, sent++)
			out(DR, (uint8_t)sent);
	assert_int_equal(sent, PL011_TX_RING_LEN);
	assert_int_equal(in(FR), PEER | RXFE | TXFF);
	assert_int_equal(in(MIS), 0);
	assert_int_equal(wire.level, 0);
	assert_int_equal(uart.tx_dropped, 0);
	for (int i = 0; i < 5; i++)
		out(DR, 0xee);
	assert_int_equal(uart.tx_dropped, 5);
	assert_int_equal(take(got, PL011_FIFO_LEN - 1), PL011_FIFO_LEN - 1);
	assert_int_equal(in(FR)&TXFF, TXFF); /* a whole FIFO must fit */
	assert_int_equal(take(got, 1), 1);
	assert_int_equal(wire.level, 1);
	assert_int_equal(in(FR), PEER | RXFE | TXFE);
	assert_int_equal(in(MIS), TX);
	assert_int_equal(take(got, sizeof(got)), PL011_TX_RING_LEN - PL011_FIFO_LEN);
	assert_int_equal(got[0], PL011_FIFO_LEN);
}

/* §3.3.9: at each setting, how many bytes it takes for "received data". */
static void receive_by_trigger_level(void **state)
{
	static const unsigned level[8] = {4, 8, 16, 24, 28, 28, 28, 28};
	char many[PL011_FIFO_LEN];

	(void)state;
	memset(many, 'm', sizeof(many));
	for (unsigned i = 0; i < 8; i++) {
		setup(NULL);
		open_port(RX | RT);
		out(IFLS, i << 3);
		assert_int_equal(pl011_rx_put(&uart, many, level[i] - 1), level[i] - 1);
		assert_int_equal(in(MIS), RT); /* the line has no speed: timeout at once */
		assert_int_equal(pl011_rx_put(&uart, many, 1), 1);
		assert_int_equal(in(MIS), RT | RX);
		out(ICR, RT | RX);
		assert_int_equal(wire.level, 1); /* there is still something to read */
		for (unsigned k = 0; k < level[i]; k++) {
			assert_int_equal(in(FR)&RXFE, 0);
			assert_int_equal(in(DR), 'm');
		}
		assert_int_equal(wire.level, 0);
		assert_int_equal(in(FR)&RXFE, RXFE);
		assert_int_equal(in(DR), 0); /* nothing left, and nothing breaks */
	}
}

static void receive_is_bounded_and_asks_again(void **state)
{
	char many[100];

	(void)state;
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = (char)i;
	open_port(RX | RT);
	assert_int_equal(pl011_rx_put(&uart, many, sizeof(many)), PL011_FIFO_LEN);
	assert_int_equal(in(FR)&RXFF, RXFF);
	assert_int_equal(pl011_rx_put(&uart, many, 1), 0);
	for (int i = 0; i < PL011_FIFO_LEN; i++) {
		assert_int_equal(room_calls, 0);
		assert_int_equal(in(DR), i);
	}
	assert_int_equal(room_calls, 1);
	assert_int_equal(pl011_rx_put(&uart, many, 3), 3);
	in(DR);
	in(DR);
	in(DR);
	assert_int_equal(room_calls, 1); /* all of it had fitted */
	assert_int_equal(uart.rx_bytes, PL011_FIFO_LEN + 3);
}

/* What is typed before a driver is there waits on the host's side. */
static void a_closed_port_takes_nothing(void **state)
{
	(void)state;
	assert_int_equal(pl011_rx_put(&uart, "early", 5), 0);
	assert_int_equal(room_calls, 0);
	out(CR, 0xf01);
	assert_int_equal(room_calls, 1);
	assert_int_equal(pl011_rx_put(&uart, "early", 5),
			 1); /* FIFOs are off: one holding register */
	assert_int_equal(in(FR)&RXFF, RXFF);
	assert_int_equal(in(RIS), RX | RT);
	assert_int_equal(in(DR), 'e');
	assert_int_equal(room_calls, 2);
	out(CR, 0xd01); /* receiver off */
	assert_int_equal(pl011_rx_put(&uart, "arly", 4), 0);
}

/* A full FIFO that is switched off while it holds bytes. */
static void bytes_outlive_the_fifo(void **state)
{
	char many[PL011_FIFO_LEN] = {0};

	(void)state;
	open_port(0);
	assert_int_equal(pl011_rx_put(&uart, many, sizeof(many)), sizeof(many));
	out(LCR_H, 0x60);
	assert_int_equal(in(FR) & (RXFF | RXFE), RXFF);
	assert_int_equal(pl011_rx_put(&uart, many, 1), 0);
	for (int i = 0; i < PL011_FIFO_LEN; i++) {
		assert_int_equal(in(FR)&RXFE, 0);
		in(DR);
	}
	assert_int_equal(in(FR)&RXFE, RXFE);
}

static void loopback(void **state)
{
	(void)state;
	open_port(OE);
	out(CR, 0x381 | 0x0800); /* loop, RTS */
	assert_int_equal(in(FR)&0x107, 0x001);
	out(CR, 0x381 | 0x3400); /* DTR, OUT1, OUT2 */
	assert_int_equal(in(FR)&0x107, 0x106);
	assert_int_equal(pl011_rx_put(&uart, "x", 1), 0);
	for (int i = 0; i < PL011_FIFO_LEN; i++)
		out(DR, (uint8_t)i);
	assert_int_equal(wire.level, 0);
	out(DR, 0xff); /* finds no room */
	assert_int_equal(in(MIS), OE);
	assert_int_equal(wire.level, 1);
	assert_int_equal(in(RSR), 0x08);
	out(RSR, 0);
	assert_int_equal(wire.level, 0);
	out(DR, 0xff);
	out(ICR, OE);
	assert_int_equal(in(RSR), 0);
	for (int i = 0; i < PL011_FIFO_LEN; i++)
		assert_int_equal(in(DR), i);
	assert_int_equal(uart.tx_bytes, 0);
	out(CR, 0x301);
	assert_int_equal(room_calls, 1);
}

static void odd_accesses(void **state)
{
	(void)state;
	out(IBRD, 0x1234);
	assert_int_equal(pl011_ops.read(&uart, IBRD + 1, 1) & 0xff, 0x12);
	pl011_ops.write(&uart, IBRD + 1, 1, 0xff);
	assert_int_equal(in(IBRD), 0x1234);
	pl011_ops.write(&uart, DR, 8, 0x4142434445464748);
	assert_int_equal(uart.tx_bytes, 1);
	assert_int_equal(pl011_ops.read(&uart, 0xff8, 8), 0x05);
}

static void reset_drops_the_line(void **state)
{
	(void)state;
	open_port(RX | RT);
	pl011_rx_put(&uart, "abc", 3);
	assert_int_equal(wire.level, 1);
	pl011_reset(&uart);
	assert_int_equal(wire.level, 0);
	assert_int_equal(in(FR)&RXFE, RXFE);
	assert_int_equal(in(IMSC), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reset_values, setup),
		cmocka_unit_test_setup(identification, setup),
		cmocka_unit_test_setup(registers_keep_what_they_have, setup),
		cmocka_unit_test_setup(early_console, setup),
		cmocka_unit_test_setup(transmit_in_order_and_tell_the_host_once, setup),
		cmocka_unit_test_setup(ring_wraps, setup),
		cmocka_unit_test_setup(peek_is_in_place_and_survives_the_guest, setup),
		cmocka_unit_test_setup(transmit_by_interrupt, setup),
		cmocka_unit_test_setup(full_ring_is_back_pressure, setup),
		cmocka_unit_test_setup(receive_by_trigger_level, setup),
		cmocka_unit_test_setup(receive_is_bounded_and_asks_again, setup),
		cmocka_unit_test_setup(a_closed_port_takes_nothing, setup),
		cmocka_unit_test_setup(bytes_outlive_the_fifo, setup),
		cmocka_unit_test_setup(loopback, setup),
		cmocka_unit_test_setup(odd_accesses, setup),
		cmocka_unit_test_setup(reset_drops_the_line, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
