/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include "vmm/terminal.h"

struct machine;

/*
 * The machine's console: what `--console` asked for (terminal.h), with the guest's ports connected
 * to it. `Ctrl-] x` ends the machine. m->console is set by console_create(), 0 or -errno after a
 * sentence. console_destroy() comes before the devices go: it writes out what the guest said before
 * it ended (not for long, if nobody reads it) and restores the terminal; a second call is harmless.
 */
int console_create(struct machine *m);
void console_destroy(struct machine *m);

/* Connects a port; what is typed goes to the one connected last with @input set. */
void console_attach(struct machine *m, const struct console_port *port, int input);

/* For devices: a port has something to show, or can take input again. Any thread, lock held. */
void console_output(struct machine *m);
void console_input(struct machine *m);

#endif
