/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_PCI_RIG_H
#define TESTS_LIB_PCI_RIG_H

#include "devices/virtio/pci_spec.h"
#include "tests/lib/board.h"
#include "tests/lib/cases.h"
#include "tests/lib/echo.h"

/* A board with one echo device in RIG_SLOT, and a driver that can reach it in several ways. */
#define RIG_SLOT   2
#define RIG_QUEUES 2
#define RIG_SIZE   32

struct pci_rig {
	struct board *b;
	struct board_function *fn;
	struct echo echo;
	struct driver drv;
	struct driver_pci pci;
};
extern struct pci_rig rig;

/* cmocka setup and teardown: a transitional device with MSI-X. The teardown checks the board. */
int rig_up(void **state);
int rig_down(void **state);

/* The same with another identity, without I/O ports, or with other numbers of vectors. */
void rig_plug(uint16_t type, int has_io, unsigned vectors);

/* Attaches the driver and starts it: 0, or what driver_attach_pci() or driver_start() said. */
int rig_start(enum driver_pci_way way, int msix);

/* One request through queue @q: true if it was answered rightly. */
int rig_works(unsigned q);

/* Resets the device and the function, starts it anew, and checks that it works. */
void rig_revive(void);

/* A request on queue 0 that stays in flight until echo_finish(). */
void rig_hold_one(void);

#endif
