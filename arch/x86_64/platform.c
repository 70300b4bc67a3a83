/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform devices of the x86-64 machine, wired to its buses, wires and clock: COM1, RTC,
 * keyboard controller, ACPI power. Set up on the main thread; callbacks come from vCPU threads with
 * the lock held. The devices know nothing of this room.
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "arch/x86_64/layout.h"
#include "devices/platform/acpi_pm.h"
#include "devices/platform/i8042.h"
#include "devices/platform/rtc_cmos.h"
#include "devices/platform/uart16550.h"
#include "vmm/alarm.h"
#include "vmm/console.h"
#include "vmm/container_of.h"
#include "vmm/irqchip.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/machine.h"

struct platform {
	struct machine *machine;
	struct uart16550 uart;
	struct i8042 i8042;
	struct rtc_cmos rtc;
	struct acpi_pm pm;
	struct alarm rtc_alarm;
};

static void on_power_off(void *arg)
{
	struct platform *p = arg;

	machine_end(p->machine, MACHINE_POWER_OFF);
}

static void on_reset(void *arg)
{
	struct platform *p = arg;

	machine_end(p->machine, MACHINE_RESET);
}

static void on_uart_tx(void *arg)
{
	struct platform *p = arg;

	console_output(p->machine);
}

static void on_uart_room(void *arg)
{
	struct platform *p = arg;

	console_input(p->machine);
}

static const uint8_t *uart_port_peek(void *dev, size_t *len)
{
	return uart_tx_peek(dev, len);
}

static void uart_port_consume(void *dev, size_t len)
{
	uart_tx_consume(dev, len);
}

static size_t uart_port_put(void *dev, const void *bytes, size_t len)
{
	return uart_rx_put(dev, bytes, len);
}

static void connect_uart(struct machine *m, struct platform *p)
{
	struct console_port port = {
		.dev = &p->uart,
		.peek = uart_port_peek,
		.consume = uart_port_consume,
		.put = uart_port_put,
	};

	p->uart.tx_ready = on_uart_tx;
	p->uart.rx_room = on_uart_room;
	p->uart.arg = p;
	console_attach(m, &port, 1);
}

static void on_rtc_rearm(void *arg)
{
	struct platform *p = arg;

	alarm_rearm(&p->rtc_alarm);
}

static int64_t rtc_next(const void *rtc)
{
	return rtc_next_event(rtc);
}

static void rtc_due(void *rtc)
{
	rtc_tick(rtc);
}

static int add_ports(struct machine *m, struct platform *p)
{
	const struct {
		uint64_t base, len;
		const struct bus_ops *ops;
		void *dev;
	} ports[] = {
		{LAYOUT_PORT_COM1, LAYOUT_PORT_COM1_LEN, &uart16550_ops, &p->uart},
		{LAYOUT_PORT_I8042_DATA, 1, &i8042_data_ops, &p->i8042},
		{LAYOUT_PORT_I8042_CMD, 1, &i8042_cmd_ops, &p->i8042},
		{LAYOUT_PORT_RTC, LAYOUT_PORT_RTC_LEN, &rtc_cmos_ops, &p->rtc},
		{LAYOUT_PORT_PM, LAYOUT_PORT_PM_LEN, &acpi_pm_ops, &p->pm},
	};

	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		int r = bus_add(&m->pio, ports[i].base, ports[i].len, ports[i].ops, ports[i].dev);

		if (r < 0)
			return log_fail(r, "platform: port %#llx is taken",
					(unsigned long long)ports[i].base);
	}
	return 0;
}

int arch_create_devices(struct machine *m)
{
	struct platform *p = calloc(1, sizeof(*p));

	if (!p)
		return log_fail(-ENOMEM, "platform: out of memory");
	m->platform = p;
	p->machine = m;
	uart_init(&p->uart, irqchip_line(m->irqchip, LAYOUT_GSI_COM1));
	i8042_init(&p->i8042);
	rtc_init(&p->rtc, irqchip_line(m->irqchip, LAYOUT_GSI_RTC), alarm_wall_clock_ns, p);
	acpi_pm_init(&p->pm, irqchip_line(m->irqchip, LAYOUT_GSI_SCI));
	p->i8042.reset = on_reset;
	p->i8042.arg = p;
	p->pm.power_off = on_power_off;
	p->pm.reset = on_reset;
	p->pm.arg = p;
	p->rtc.rearm = on_rtc_rearm;
	alarm_init(&p->rtc_alarm, m->loop, rtc_next, rtc_due, &p->rtc);
	connect_uart(m, p);
	return add_ports(m, p);
}

void arch_reset_devices(struct machine *m)
{
	struct platform *p = m->platform;

	uart_reset(&p->uart);
	i8042_reset(&p->i8042);
	rtc_reset(&p->rtc);
	acpi_pm_reset(&p->pm);
}

void arch_destroy_devices(struct machine *m)
{
	free(m->platform);
	m->platform = NULL;
}

void arch_press_power_button(struct machine *m)
{
	acpi_pm_press(&m->platform->pm);
}
