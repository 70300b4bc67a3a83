/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that reads and writes ports: COM1, keyboard controller, RTC and ACPI power together on
 * one bus, as in the machine. A step of the input is one access or one act of the host; most go to
 * a port where something is.
 *
 * Oracles: bytes out of the UART never exceed bytes written to it, and come out in order and
 * unchanged; what it takes in is at most a FIFO; a line is only set when it changes; the RTC's next
 * event is never closer than the clock moves and ticking at it always makes progress; a register
 * reads no more bits than its access is wide.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/layout.h"
#include "devices/platform/acpi_pm.h"
#include "devices/platform/i8042.h"
#include "devices/platform/rtc_cmos.h"
#include "devices/platform/uart16550.h"
#include "vmm/bus.h"

#define S               1000000000ll
#define HELD_MAX        (1 << 16)
#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct wire {
	struct irq_line line;
	int level;
};

struct machine {
	struct bus bus;
	struct uart16550 uart;
	struct i8042 kbc;
	struct rtc_cmos rtc;
	struct acpi_pm pm;
	struct wire com1, irq8, sci;
	int64_t now;
	unsigned resets, offs;
	/* What the UART was given in order, against what comes out. */
	uint8_t sent[HELD_MAX];
	uint32_t in, out;
};

static struct machine m;

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

static void count_up(void *arg)
{
	++*(unsigned *)arg;
}

static void set_up(void)
{
	memset(&m, 0, sizeof(m));
	m.now = 1700000000ll * S;
	m.com1.line.set = m.irq8.line.set = m.sci.line.set = wire_set;
	uart_init(&m.uart, &m.com1.line);
	i8042_init(&m.kbc);
	rtc_init(&m.rtc, &m.irq8.line, clock_now, NULL);
	acpi_pm_init(&m.pm, &m.sci.line);
	m.kbc.reset = m.pm.reset = count_up;
	m.kbc.arg = m.pm.arg = &m.resets;
	m.pm.power_off = count_up;
	MUST(bus_add(&m.bus, LAYOUT_PORT_COM1, LAYOUT_PORT_COM1_LEN, &uart16550_ops, &m.uart) == 0);
	MUST(bus_add(&m.bus, LAYOUT_PORT_I8042_DATA, 1, &i8042_data_ops, &m.kbc) == 0);
	MUST(bus_add(&m.bus, LAYOUT_PORT_I8042_CMD, 1, &i8042_cmd_ops, &m.kbc) == 0);
	MUST(bus_add(&m.bus, LAYOUT_PORT_RTC, LAYOUT_PORT_RTC_LEN, &rtc_cmos_ops, &m.rtc) == 0);
	MUST(bus_add(&m.bus, LAYOUT_PORT_PM, LAYOUT_PORT_PM_LEN, &acpi_pm_ops, &m.pm) == 0);
}

/* A port of a device for most values, any port for the rest. */
static uint64_t pick_port(uint8_t where, uint8_t low)
{
	switch (where & 7) {
	case 0:
	case 1:
	case 2:
		return LAYOUT_PORT_COM1 + (low & 7);
	case 3:
		return LAYOUT_PORT_RTC + (low & 1);
	case 4:
		return LAYOUT_PORT_PM + (low & 7);
	case 5:
		return low & 1 ? LAYOUT_PORT_I8042_CMD : LAYOUT_PORT_I8042_DATA;
	default:
		return (uint64_t)where << 5 ^ low;
	}
}

/* Before a write: the bytes among it that the UART must send. */
static void expect_sent(uint64_t port, unsigned size, uint64_t value)
{
	const struct uart16550_state *s = &m.uart.s;

	if (port != LAYOUT_PORT_COM1 || size > LAYOUT_PORT_COM1_LEN || (s->lcr & 0x80) ||
	    (s->mcr & 0x10) || s->tx_count == UART_TX_RING_LEN)
		return;
	m.sent[m.in++ % HELD_MAX] = (uint8_t)value;
}

static void take_from_uart(unsigned max)
{
	uint8_t got[256];
	size_t n = uart_tx_take(&m.uart, got, max);

	MUST(n <= max && n <= m.in - m.out);
	for (size_t i = 0; i < n; i++)
		MUST(got[i] == m.sent[m.out++ % HELD_MAX]);
}

static void give_to_uart(const uint8_t *bytes, size_t len)
{
	size_t room = UART_FIFO_LEN - m.uart.s.rx_count, n = uart_rx_put(&m.uart, bytes, len);

	MUST(n <= len && n <= room && m.uart.s.rx_count <= UART_FIFO_LEN);
}

/* Time goes on, by up to 65 s; the owner of the RTC serves it as its header says. */
static void pass_time(unsigned ms)
{
	int64_t until = m.now + ms * (S / 1000), next, before = 0;

	while ((next = rtc_next_event(&m.rtc)) <= until) {
		MUST(next > before);
		before = next;
		if (next > m.now)
			m.now = next;
		rtc_tick(&m.rtc);
		MUST(m.irq8.level == 1);
		MUST(rtc_next_event(&m.rtc) == RTC_NO_EVENT); /* until the guest reads register C */
	}
	m.now = until;
}

static void host_acts(uint8_t what, uint8_t a, uint8_t b)
{
	const uint8_t bytes[2] = {a, b};

	switch (what & 7) {
	case 0:
	case 1:
		take_from_uart(a);
		break;
	case 2:
		give_to_uart(bytes, 2);
		break;
	case 3:
	case 4:
		pass_time(a << 8 | b);
		break;
	case 5:
		MUST((acpi_pm_press(&m.pm) == 0) == (m.sci.level == 1));
		break;
	case 6:
		m.now -= (int64_t)(a << 8 | b) * S; /* somebody sets the host's clock back */
		rtc_tick(&m.rtc);
		break;
	case 7:
		uart_reset(&m.uart);
		i8042_reset(&m.kbc);
		rtc_reset(&m.rtc);
		acpi_pm_reset(&m.pm);
		MUST(!m.com1.level && !m.irq8.level && !m.sci.level);
		break;
	}
}

/* Six bytes a step: kind and width, port (2), value (2), repetitions as of a string instruction. */
static void step(const uint8_t *d)
{
	unsigned size = 1u << (d[0] >> 1 & 3), times = d[0] & 0x40 ? d[5] : 1;
	uint64_t port = pick_port(d[1], d[2]);
	uint64_t value = (d[3] | (uint64_t)d[4] << 8) * 0x0001000100010001;

	/* Half of the accesses are one byte wide. */
	if (d[0] & 0x08)
		size = 1;
	if (d[0] & 0x80) {
		host_acts(d[1], d[3], d[4]);
		return;
	}
	while (times--) {
		if (d[0] & 1) {
			expect_sent(port, size, value);
			bus_write(&m.bus, port, size, value);
		} else {
			bus_read(&m.bus, port, size);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	set_up();
	for (; size >= 6; data += 6, size -= 6)
		step(data);
	MUST(m.uart.s.tx_count == m.in - m.out && m.uart.tx_bytes == m.in);
	while (m.out != m.in)
		take_from_uart(256);
	MUST(m.uart.s.tx_count == 0);
	return 0;
}
