/* SPDX-License-Identifier: BSD-2-Clause */
/* COM1 as a driver and as the host side see it. Section numbers are those of the PC16550D sheet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/platform/uart16550.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define FCR IIR

struct wire {
	struct irq_line line;
	int level, edges;
};

static struct uart16550 uart;
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
	uart_init(&uart, &wire.line);
	uart.tx_ready = on_ready;
	uart.rx_room = on_room;
	uart.arg = &wire;
	return 0;
}

static uint8_t in(unsigned reg)
{
	return (uint8_t)uart16550_ops.read(&uart, reg, 1);
}

static void out(unsigned reg, uint8_t value)
{
	uart16550_ops.write(&uart, reg, 1, value);
}

/* As a driver leaves the port: FIFOs on, OUT2 so that the line is connected. */
static void open_port(uint8_t ier)
{
	out(LCR, 0x03);
	out(FCR, 0x07);
	out(MCR, 0x0b);
	out(IER, ier);
}

static void reset_values(void **state)
{
	(void)state;
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(LCR), 0);
	assert_int_equal(in(MCR), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0); /* a peer is there and ready, no deltas */
	assert_int_equal(wire.edges, 0);
}

static void divisor_latch_and_scratch(void **state)
{
	(void)state;
	out(IER, 0x0f);
	out(LCR, 0x83);
	out(DATA, 0x0c);
	out(IER, 0x34);
	assert_int_equal(in(DATA), 0x0c);
	assert_int_equal(in(IER), 0x34);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0x0f);
	out(SCR, 0xa5);
	assert_int_equal(in(SCR), 0xa5);
	assert_int_equal(uart.tx_bytes, 0);
}

static void reserved_bits_read_zero(void **state)
{
	(void)state;
	out(IER, 0xff);
	out(MCR, 0xff);
	assert_int_equal(in(IER), 0x0f);
	assert_int_equal(in(MCR), 0x1f);
}

/* The accesses of Linux's 8250 autoconfig that decide what the part is taken for. */
static void linux_takes_it_for_a_16550a(void **state)
{
	(void)state;
	out(IER, 0);
	assert_int_equal(in(IER)&0x0f, 0);
	out(IER, 0x0f);
	assert_int_equal(in(IER)&0x0f, 0x0f);
	out(IER, 0);
	out(MCR, 0x1a); /* loop, RTS, OUT2 */
	assert_int_equal(in(MSR)&0xf0, 0x90);
	out(MCR, 0);
	out(LCR, 0xbf);
	out(FCR, 0);
	out(LCR, 0);
	out(FCR, 1);
	assert_int_equal(in(IIR) >> 6, 3);
	out(LCR, 0x80); /* an EFR that is 0 and stays 0: no 16650 */
	assert_int_equal(in(IIR), 0);
	out(FCR, 0xa8);
	assert_int_equal(in(IIR), 0);
	out(LCR, 0);
	out(FCR, 0x21); /* no 64-byte FIFO */
	assert_int_equal(in(IIR) >> 5, 6);
	assert_int_equal(wire.edges, 0);
}

/* serial8250_do_startup: the THRE test and the TXEN test. */
static void thre_is_raised_each_time_it_is_enabled(void **state)
{
	(void)state;
	open_port(0);
	for (int i = 0; i < 3; i++) {
		out(IER, 0x02);
		assert_int_equal(wire.level, 1);
		assert_int_equal(in(IIR), 0xc2);
		assert_int_equal(wire.level, 0); /* §8.6: reading IIR resets it */
		assert_int_equal(in(IIR), 0xc1);
		out(IER, 0);
	}
	assert_int_equal(wire.edges, 3);
}

static void enabling_what_is_enabled_raises_nothing(void **state)
{
	(void)state;
	open_port(0x02);
	in(IIR);
	out(IER, 0x03);
	assert_int_equal(in(IIR), 0xc1);
}

static void sixteen_bytes_cost_one_interrupt(void **state)
{
	(void)state;
	open_port(0x02);
	in(IIR);
	wire.edges = 0;
	for (int i = 0; i < 16; i++)
		out(DATA, (uint8_t)i);
	assert_int_equal(wire.edges, 1);
	assert_int_equal(in(IIR), 0xc2);
	assert_int_equal(in(LSR), 0x60);
}

static void out2_and_loopback_cut_the_line(void **state)
{
	(void)state;
	out(IER, 0x02);
	assert_int_equal(wire.level, 0);
	out(MCR, 0x08);
	assert_int_equal(wire.level, 1);
	out(MCR, 0x18);
	assert_int_equal(wire.level, 0);
	assert_int_equal(in(IIR), 0x02); /* still to be seen by polling */
}

static void transmit_in_order_and_tell_the_host_once(void **state)
{
	char got[64];

	(void)state;
	for (const char *s = "login: "; *s; s++)
		out(DATA, (uint8_t)*s);
	assert_int_equal(ready_calls, 1);
	assert_int_equal(uart_tx_take(&uart, got, sizeof(got)), 7);
	assert_memory_equal(got, "login: ", 7);
	assert_int_equal(uart_tx_take(&uart, got, sizeof(got)), 0);
	out(DATA, 'x');
	assert_int_equal(ready_calls, 2);
}

static void ring_wraps(void **state)
{
	uint8_t got[1000], next_in = 0, next_out = 0;

	(void)state;
	for (int turn = 0; turn < 40; turn++) {
		for (int i = 0; i < 997; i++)
			out(DATA, next_in++);
		for (size_t n = uart_tx_take(&uart, got, sizeof(got)), i = 0; i < n; i++)
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
	out(DATA, 'a');
	out(DATA, 'b');
	p = uart_tx_peek(&uart, &len);
	assert_int_equal(len, 2);
	out(DATA, 'c');
	out(FCR, 0x07);
	uart_reset(&uart);
	assert_memory_equal(p, "abc", 3);
	uart_tx_consume(&uart, len);
	p = uart_tx_peek(&uart, &len);
	assert_int_equal(len, 1);
	assert_int_equal(*p, 'c');
}

/* A host that does not read: the guest sees a busy transmitter, and one that ignores it loses. */
static void full_ring_is_back_pressure(void **state)
{
	static uint8_t got[UART_TX_RING_LEN];
	size_t sent = 0;

	(void)state;
	open_port(0x02);
	while (in(LSR)&0x20)
		for (int i = 0; i < UART_FIFO_LEN; i++, sent++)
			out(DATA, (uint8_t)sent);
	assert_int_equal(sent, UART_TX_RING_LEN);
	assert_int_equal(in(LSR), 0);
	assert_int_equal(in(IIR), 0xc1);
	assert_int_equal(wire.level, 0);
	assert_int_equal(uart.tx_dropped, 0);
	for (int i = 0; i < 5; i++)
		out(DATA, 0xee);
	assert_int_equal(uart.tx_dropped, 5);
	assert_int_equal(uart_tx_take(&uart, got, UART_FIFO_LEN - 1), UART_FIFO_LEN - 1);
	assert_int_equal(in(LSR), 0); /* a whole FIFO must fit */
	assert_int_equal(uart_tx_take(&uart, got, 1), 1);
	assert_int_equal(wire.level, 1);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0xc2);
	assert_int_equal(uart_tx_take(&uart, got, sizeof(got)), UART_TX_RING_LEN - 16);
	assert_int_equal(got[0], 16);
}

static void receive_by_trigger_level(void **state)
{
	(void)state;
	open_port(0x01);
	out(FCR, 0x81); /* 8 bytes */
	assert_int_equal(uart_rx_put(&uart, "1234567", 7), 7);
	assert_int_equal(wire.level, 1);
	assert_int_equal(in(IIR), 0xcc); /* timeout at once: the line has no speed */
	assert_int_equal(uart_rx_put(&uart, "8", 1), 1);
	assert_int_equal(in(IIR), 0xc4);
	for (int i = 1; i <= 8; i++) {
		assert_int_equal(in(LSR), 0x61);
		assert_int_equal(wire.level, 1);
		assert_int_equal(in(DATA), '0' + i);
	}
	assert_int_equal(wire.level, 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(DATA), 0); /* nothing left, and nothing breaks */
}

static void receive_is_bounded_and_asks_again(void **state)
{
	char many[100];

	(void)state;
	memset(many, 'm', sizeof(many));
	open_port(0x01);
	assert_int_equal(uart_rx_put(&uart, many, sizeof(many)), UART_FIFO_LEN);
	assert_int_equal(uart_rx_put(&uart, many, 1), 0);
	for (int i = 0; i < UART_FIFO_LEN; i++) {
		assert_int_equal(room_calls, 0);
		in(DATA);
	}
	assert_int_equal(room_calls, 1);
	assert_int_equal(uart_rx_put(&uart, many, 3), 3);
	in(DATA);
	in(DATA);
	in(DATA);
	assert_int_equal(room_calls, 1); /* all of it had fitted */
	assert_int_equal(uart.rx_bytes, UART_FIFO_LEN + 3);
}

static void clearing_the_fifo_drops_and_makes_room(void **state)
{
	char many[20] = {0};

	(void)state;
	open_port(0x01);
	uart_rx_put(&uart, many, sizeof(many));
	out(FCR, 0x03);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(wire.level, 0);
	assert_int_equal(room_calls, 1);
	uart_rx_put(&uart, many, 4);
	out(FCR, 0x00); /* §8.5: turning the FIFOs off clears them */
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0x01);
}

static void interrupts_in_order_of_priority(void **state)
{
	(void)state;
	open_port(0);
	out(MCR, 0x1f); /* loop: what is sent comes back, outputs are inputs */
	for (int i = 0; i < UART_FIFO_LEN + 1; i++)
		out(DATA, (uint8_t)i);
	out(MCR, 0x1b); /* OUT1, which is RI, falls */
	out(IER, 0x0f);
	assert_int_equal(in(IIR), 0xc6);
	assert_int_equal(in(LSR), 0x63); /* overrun, reset by the read */
	assert_int_equal(in(IIR), 0xc4);
	for (int i = 0; i < UART_FIFO_LEN; i++)
		assert_int_equal(in(DATA), i); /* the byte that found no room is the lost one */
	assert_int_equal(in(IIR), 0xc2);
	assert_int_equal(in(IIR), 0xc0);
	assert_int_equal(in(MSR), 0xb4); /* TERI; the other inputs are as the peer had them */
	assert_int_equal(in(IIR), 0xc1);
	assert_int_equal(in(MSR), 0xb0);
	assert_int_equal(uart.tx_bytes, 0);
}

static void loopback_keeps_the_host_out(void **state)
{
	(void)state;
	out(MCR, 0x10);
	assert_int_equal(in(MSR), 0x0b); /* CTS, DSR and DCD fell */
	assert_int_equal(uart_rx_put(&uart, "x", 1), 0);
	assert_int_equal(room_calls, 0);
	out(MCR, 0x00);
	assert_int_equal(room_calls, 1);
	assert_int_equal(uart_rx_put(&uart, "x", 1), 1);
	assert_int_equal(in(DATA), 'x');
}

static void wide_accesses_are_bytes(void **state)
{
	(void)state;
	uart16550_ops.write(&uart, SCR - 1, 2, 0x5a00);
	assert_int_equal(in(SCR), 0x5a);
	assert_int_equal(uart16550_ops.read(&uart, LCR, 4), 0xb0600000);
	uart16550_ops.write(&uart, DATA, 8, 0x4142434445464748);
	assert_int_equal(in(SCR), 0x41);
}

static void reset_drops_the_line(void **state)
{
	(void)state;
	open_port(0x03);
	uart_rx_put(&uart, "abc", 3);
	assert_int_equal(wire.level, 1);
	uart_reset(&uart);
	assert_int_equal(wire.level, 0);
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(LSR), 0x60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reset_values, setup),
		cmocka_unit_test_setup(divisor_latch_and_scratch, setup),
		cmocka_unit_test_setup(reserved_bits_read_zero, setup),
		cmocka_unit_test_setup(linux_takes_it_for_a_16550a, setup),
		cmocka_unit_test_setup(thre_is_raised_each_time_it_is_enabled, setup),
		cmocka_unit_test_setup(enabling_what_is_enabled_raises_nothing, setup),
		cmocka_unit_test_setup(sixteen_bytes_cost_one_interrupt, setup),
		cmocka_unit_test_setup(out2_and_loopback_cut_the_line, setup),
		cmocka_unit_test_setup(transmit_in_order_and_tell_the_host_once, setup),
		cmocka_unit_test_setup(ring_wraps, setup),
		cmocka_unit_test_setup(peek_is_in_place_and_survives_the_guest, setup),
		cmocka_unit_test_setup(full_ring_is_back_pressure, setup),
		cmocka_unit_test_setup(receive_by_trigger_level, setup),
		cmocka_unit_test_setup(receive_is_bounded_and_asks_again, setup),
		cmocka_unit_test_setup(clearing_the_fifo_drops_and_makes_room, setup),
		cmocka_unit_test_setup(interrupts_in_order_of_priority, setup),
		cmocka_unit_test_setup(loopback_keeps_the_host_out, setup),
		cmocka_unit_test_setup(wide_accesses_are_bytes, setup),
		cmocka_unit_test_setup(reset_drops_the_line, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
