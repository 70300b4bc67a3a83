/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that reads and writes the registers of the arm64 machine's platform devices: PL011 and
 * PL031 on one bus, as in the machine. A step of the input is one access or one act of the host;
 * most go to a register that does something.
 *
 * Oracles: bytes out of the UART never exceed bytes written to it, and come out in order and
 * unchanged; what it takes in is at most a FIFO; a line is only set when it changes, and is what
 * the masked interrupt register says; the RTC's next event lies ahead, and ticking then raises it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arm64/layout.h"
#include "devices/platform/pl011.h"
#include "devices/platform/pl031.h"
#include "vmm/bus.h"

#define S               INT64_C(1000000000)
#define HELD_MAX        (1 << 16)
#define MUST(condition) ((condition) ? (void)0 : abort())

/* Registers that the oracles look at (ARM DDI 0183 and 0224 §3.2). */
#define UART_DR         LAYOUT_PL011
#define UART_MIS        (LAYOUT_PL011 + 0x40)
#define RTC_MIS         (LAYOUT_PL031 + 0x18)
#define CR_LBE          0x80

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct wire {
	struct irq_line line;
	int level;
};

static struct {
	struct bus bus;
	struct pl011 uart;
	struct pl031 rtc;
	struct wire uart_wire, rtc_wire;
	int64_t now;
	/* What the UART was given in order, against what comes out. */
	uint8_t sent[HELD_MAX];
	uint32_t in, out;
} m;

static void wire_set(struct irq_line *line, int level)
{
	struct wire *w = (struct wire *)line;

	MUST(level != w->level && (level == 0 || level == 1));
	w->level = level;
}

static int64_t clock_now(void *arg)
{
	(void)arg;
	return m.now;
}

static void set_up(void)
{
	memset(&m, 0, sizeof(m));
	m.now = 1700000000 * S;
	m.uart_wire.line.set = m.rtc_wire.line.set = wire_set;
	pl011_init(&m.uart, &m.uart_wire.line);
	pl031_init(&m.rtc, &m.rtc_wire.line, clock_now, NULL);
	MUST(bus_add(&m.bus, LAYOUT_PL011, LAYOUT_PL011_LEN, &pl011_ops, &m.uart) == 0);
	MUST(bus_add(&m.bus, LAYOUT_PL031, LAYOUT_PL031_LEN, &pl031_ops, &m.rtc) == 0);
}

/* A register of a device for most values, any byte of their pages for the rest. */
static uint64_t pick_address(uint8_t where, uint8_t low)
{
	switch (where & 7) {
	case 0:
	case 1:
	case 2:
		return LAYOUT_PL011 + low % 0x13 * 4;
	case 3:
		return UART_DR;
	case 4:
	case 5:
		return LAYOUT_PL031 + (low & 7) * 4;
	case 6:
		return LAYOUT_PL011 + ((uint64_t)(where >> 3) << 8 | low) % LAYOUT_PL011_LEN;
	default:
		return LAYOUT_PL031 + ((uint64_t)(where >> 3) << 8 | low) % LAYOUT_PL031_LEN;
	}
}

static void take_from_uart(size_t max)
{
	size_t len;
	const uint8_t *from = pl011_tx_peek(&m.uart, &len);

	if (len > max)
		len = max;
	MUST(len <= m.in - m.out);
	for (size_t i = 0; i < len; i++)
		MUST(from[i] == m.sent[m.out++ % HELD_MAX]);
	pl011_tx_consume(&m.uart, len);
}

static void give_to_uart(const uint8_t *bytes, size_t len)
{
	size_t room = PL011_FIFO_LEN - m.uart.s.rx_count, n = pl011_rx_put(&m.uart, bytes, len);

	MUST(n <= len && n <= room && m.uart.s.rx_count <= PL011_FIFO_LEN);
}

/* Time goes on; the owner of the RTC serves it as its header says. */
static void pass_time(int64_t seconds)
{
	int64_t until = m.now + seconds * S, next = pl031_next_event(&m.rtc);

	MUST(next > m.now);
	if (next <= until) {
		m.now = next;
		pl031_tick(&m.rtc);
		MUST(m.rtc_wire.level == 1);
		MUST(pl031_next_event(&m.rtc) == PL031_NO_EVENT); /* until the guest clears it */
	}
	m.now = until;
}

static void host_acts(uint8_t what, uint8_t a, uint8_t b)
{
	const uint8_t bytes[2] = {a, b};

	switch (what & 7) {
	case 0:
	case 1:
		take_from_uart((size_t)a << 3);
		break;
	case 2:
	case 3:
		give_to_uart(bytes, 2);
		break;
	case 4:
	case 5:
		pass_time(a << 8 | b);
		break;
	case 6:
		m.now -= (int64_t)(a << 8 | b) * S; /* somebody sets the host's clock back */
		pl031_tick(&m.rtc);
		break;
	case 7:
		pl011_reset(&m.uart);
		pl031_reset(&m.rtc);
		MUST(!m.uart_wire.level && !m.rtc_wire.level);
		break;
	}
}

static void write_register(uint64_t at, unsigned size, uint64_t value)
{
	int sends =
		at == UART_DR && !(m.uart.s.cr & CR_LBE) && m.uart.s.tx_count < PL011_TX_RING_LEN;

	if (sends)
		m.sent[m.in++ % HELD_MAX] = (uint8_t)value;
	bus_write(&m.bus, at, size, value);
}

/* Seven bytes a step: kind and width, where (2), value (3), repetitions. */
static void step(const uint8_t *d)
{
	unsigned size = d[0] & 0x08 ? 4 : 1u << (d[0] >> 1 & 3), times = d[0] & 0x40 ? d[6] : 1;
	uint64_t at = pick_address(d[1], d[2]);
	uint64_t value = (d[3] | (uint64_t)d[4] << 8) | (uint64_t)d[5] << 16;

	if (d[0] & 0x80) {
		host_acts(d[1], d[3], d[4]);
		return;
	}
	/* Half of the alarms and times are near the clock. */
	if (d[0] & 0x10)
		value += m.rtc.s.seen;
	while (times--) {
		if (d[0] & 1)
			write_register(at, size, value);
		else
			bus_read(&m.bus, at, size);
	}
	MUST(m.uart_wire.level == (bus_read(&m.bus, UART_MIS, 4) != 0));
	MUST(bus_read(&m.bus, RTC_MIS, 4) == (uint64_t)m.rtc_wire.level);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	set_up();
	for (; size >= 7; data += 7, size -= 7)
		step(data);
	MUST(m.uart.s.tx_count == m.in - m.out && m.uart.tx_bytes == m.in);
	while (m.out != m.in)
		take_from_uart(PL011_TX_RING_LEN);
	MUST(m.uart.s.tx_count == 0);
	return 0;
}
