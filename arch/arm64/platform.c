/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform devices of the arm64 machine, wired to its bus, wires and clock: PL011, PL031. Set
 * up on the main thread; callbacks come from vCPU threads with the lock held. The devices know
 * nothing of this room.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "arch/arm64/layout.h"
#include "arch/arm64/platform.h"
#include "vmm/console.h"
#include "vmm/devices.h"
#include "vmm/irqchip.h"
#include "vmm/log.h"
#include "vmm/machine.h"

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
	return pl011_tx_peek(dev, len);
}

static void uart_port_consume(void *dev, size_t len)
{
	pl011_tx_consume(dev, len);
}

static size_t uart_port_put(void *dev, const void *bytes, size_t len)
{
	return pl011_rx_put(dev, bytes, len);
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
	return pl031_next_event(rtc);
}

static void rtc_due(void *rtc)
{
	pl031_tick(rtc);
}

static int add_devices(struct machine *m, struct platform *p)
{
	const struct {
		uint64_t base, len;
		const struct bus_ops *ops;
		void *dev;
	} devices[] = {
		{LAYOUT_PL011, LAYOUT_PL011_LEN, &pl011_ops, &p->uart},
		{LAYOUT_PL031, LAYOUT_PL031_LEN, &pl031_ops, &p->rtc},
	};

	for (unsigned i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		int r = bus_add(&m->mmio, devices[i].base, devices[i].len, devices[i].ops,
				devices[i].dev);

		if (r < 0)
			return log_fail(r, "platform: address %#llx is taken",
					(unsigned long long)devices[i].base);
	}
	return 0;
}

/* SPI 0 as KVM_IRQ_LINE calls it (api.rst §4.25): an INTID with its kind. */
#define KVM_SPI_FIRST \
	((uint32_t)KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | LAYOUT_SPI_FIRST_INTID)

int arch_create_devices(struct machine *m)
{
	struct platform *p = calloc(1, sizeof(*p));

	if (!p)
		return log_fail(-ENOMEM, "platform: out of memory");
	m->platform = p;
	p->machine = m;
	irqchip_number_lines(m->irqchip, KVM_SPI_FIRST);
	pl011_init(&p->uart, irqchip_line(m->irqchip, LAYOUT_SPI_PL011));
	pl031_init(&p->rtc, irqchip_line(m->irqchip, LAYOUT_SPI_PL031), alarm_wall_clock_ns, p);
	p->rtc.rearm = on_rtc_rearm;
	alarm_init(&p->rtc_alarm, m->loop, rtc_next, rtc_due, &p->rtc);
	connect_uart(m, p);
	return add_devices(m, p);
}

void arch_reset_devices(struct machine *m)
{
	struct platform *p = m->platform;

	pl011_reset(&p->uart);
	pl031_reset(&p->rtc);
}

/*
 * Without ACPI there is no button that every kernel knows: Debian's cloud kernel has no gpio-keys,
 * and ACPI on arm64 takes UEFI. What all stock kernels have is virtio-input, as a module that udev
 * loads; systemd-logind (HandlePowerKey=) and acpid then see KEY_POWER and shut down. In a guest
 * without udev, such as an initramfs, nobody listens and nothing happens.
 */
void arch_press_power_button(struct machine *m)
{
	devices_press_power_key(m->devices);
}

void arch_destroy_devices(struct machine *m)
{
	free(m->platform);
	m->platform = NULL;
}
