/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connects the machine's console ports to the terminal, and notes when the guest first spoke.
 * Main thread but for console_output() and console_input(). Knows neither devices nor the tty.
 */
#include <unistd.h>

#include "vmm/boot_status.h"
#include "vmm/clock.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/loop.h"
#include "vmm/machine.h"

/* A pipe that nobody reads holds the end of the machine up for so long. */
#define DRAIN_MS 2000

static void on_quit(void *arg)
{
	machine_end(arg, MACHINE_QUIT);
}

int console_create(struct machine *m)
{
	struct terminal_params params = {
		.loop = m->loop,
		.spec = m->config->console,
		.in = STDIN_FILENO,
		.out = STDOUT_FILENO,
		.end = on_quit,
		.arg = m,
	};

	int r = terminal_open(&m->console, &params);

	if (r == 0 && m->config->boot)
		boot_status_attach(m->config->boot, m->loop, m->console);
	return r;
}

void console_destroy(struct machine *m)
{
	if (!m->console)
		return;
	if (m->config->boot)
		boot_status_detach(m->config->boot);
	terminal_drain(m->console, DRAIN_MS);
	terminal_close(m->console);
	m->console = NULL;
}

void console_attach(struct machine *m, const struct console_port *port, int input)
{
	loop_lock(m->loop);
	terminal_attach(m->console, port, input);
	loop_unlock(m->loop);
}

void console_output(struct machine *m)
{
	if (!m->console)
		return; /* the machine has ended; a device still empties its queue */
	if (!m->first_byte_ns)
		m->first_byte_ns = clock_now_ns();
	terminal_output(m->console);
}

void console_input(struct machine *m)
{
	if (m->console)
		terminal_input(m->console);
}
