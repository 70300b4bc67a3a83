/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_PLATFORM_ACPI_PM_H
#define DEVICES_PLATFORM_ACPI_PM_H

#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/irq.h"

/*
 * ACPI fixed hardware (ACPI 6.3 §4.8): soft off, the power button, the reset register.
 *
 *   0  PM1_STS  2 bytes, a 1 written clears the bit    4  PM1_CNT  2 bytes
 *   2  PM1_EN   2 bytes                                6  RESET    1 byte      7  nothing
 *
 * Why fixed hardware and not the hardware-reduced kind: this machine has 8259s and a PIT, which
 * Linux does not use once the FADT says "reduced"; and unikernels power off by writing PM1_CNT,
 * which a reduced machine does not have. What it costs Linux is about a dozen accesses a boot.
 * There is one register block, no GPEs, no SMI command (so ACPI mode is always on) and no PM
 * timer (optional since ACPI 5.0a): Linux would read it for 5 ms only to prefer another clock.
 *
 * The machine's lock is held for every call here and in the callbacks.
 */
#define ACPI_PM_PORTS       8
#define ACPI_PM1_EVT        0 /* offset and length of the FADT's PM1a_EVT_BLK */
#define ACPI_PM1_EVT_LEN    4
#define ACPI_PM1_CNT        4
#define ACPI_PM1_CNT_LEN    2
#define ACPI_PM_RESET       6

#define ACPI_PM_RESET_VALUE 1 /* what resets the machine when written to RESET */
#define ACPI_PM_S5_TYPE     5 /* SLP_TYP of \_S5 */

struct acpi_pm_state {
	uint16_t sts, en, cnt;
};

struct acpi_pm {
	struct acpi_pm_state s;
	struct irq_line *sci; /* level, asserted while a status bit and its enable bit are set */
	int sci_level;        /* what sci was last set to */

	/* Both may be NULL. They may be called more than once. */
	void (*power_off)(void *arg);
	void (*reset)(void *arg);
	void *arg;
};

/* Offsets 0..7; @dev is the struct acpi_pm. */
extern const struct bus_ops acpi_pm_ops;

/* Everything zero; @sci may be NULL. */
void acpi_pm_init(struct acpi_pm *pm, struct irq_line *sci);

/* All registers zero, the line low; the callbacks stay. */
void acpi_pm_reset(struct acpi_pm *pm);

/*
 * Presses the power button. 0, or -EAGAIN if the guest does not listen to it (yet): the press is
 * then remembered and seen by a driver only if it does not clear the status before it starts.
 */
int acpi_pm_press(struct acpi_pm *pm);

#endif
