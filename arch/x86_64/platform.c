/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform devices of the x86-64 machine, wired to its buses, wires and clock: COM1, RTC,
 * keyboard controller, ACPI power. Set up on the main thread; callbacks come from vCPU threads with
 * the lock held. The devices know nothing of this room.
 */
#include <errno.h>
#include <linux/time_types.h>
#include <stdlib.h>
#include <time.h>

#include "arch/arch.h"
#include "arch/x86_64/layout.h"
#include "devices/platform/acpi_pm.h"
#include "devices/platform/i8042.h"
#include "devices/platform/rtc_cmos.h"
#include "devices/platform/uart16550.h"
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
	/* The RTC's next event as a timer of the loop. */
	struct op rtc_arm, rtc_timer;
	struct __kernel_timespec rtc_ts;
	int rtc_timer_runs;
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

static int64_t wall_clock_ns(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
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

/* The RTC wants another event than the timer runs for: any thread. */
static void on_rtc_rearm(void *arg)
{
	struct platform *p = arg;

	if (p->rtc_timer_runs || rtc_next_event(&p->rtc) != RTC_NO_EVENT)
		loop_soon(p->machine->loop, &p->rtc_arm);
}

/* On the loop: a running timer is cut short first; its completion comes back here. */
static void rtc_arm(struct op *op, int res)
{
	struct platform *p = container_of(op, struct platform, rtc_arm);
	int64_t at = rtc_next_event(&p->rtc), now = wall_clock_ns(NULL);

	(void)res;
	if (p->rtc_timer_runs) {
		loop_cancel(p->machine->loop, &p->rtc_timer);
	} else if (at != RTC_NO_EVENT) {
		p->rtc_timer_runs = 1;
		loop_timer(p->machine->loop, &p->rtc_timer, &p->rtc_ts,
			   at > now ? (uint64_t)(at - now) : 0);
	}
}

static void on_rtc_timer(struct op *op, int res)
{
	struct platform *p = container_of(op, struct platform, rtc_timer);

	p->rtc_timer_runs = 0;
	if (res != -ECANCELED)
		rtc_tick(&p->rtc);
	rtc_arm(&p->rtc_arm, 0);
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
	rtc_init(&p->rtc, irqchip_line(m->irqchip, LAYOUT_GSI_RTC), wall_clock_ns, p);
	acpi_pm_init(&p->pm, irqchip_line(m->irqchip, LAYOUT_GSI_SCI));
	p->i8042.reset = on_reset;
	p->i8042.arg = p;
	p->pm.power_off = on_power_off;
	p->pm.reset = on_reset;
	p->pm.arg = p;
	p->rtc.rearm = on_rtc_rearm;
	p->rtc_arm.fn = rtc_arm;
	p->rtc_timer.fn = on_rtc_timer;
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
