/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_PLATFORM_I8042_H
#define DEVICES_PLATFORM_I8042_H

#include <stdint.h>

#include "vmm/bus.h"

/*
 * The PC's keyboard controller (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller") without a keyboard or a mouse: what is left of it are the reset
 * pulse, the A20 gate (always open, however it is set) and answers that let a driver which looks
 * for devices give up at once. The FADT says that there is no such controller, so Linux does not
 * even look, and still resets through it with `reboot=k`.
 *
 * It raises no interrupts: nothing ever arrives unasked. The machine's lock is held for every
 * access and in the callback.
 */
struct i8042_state {
	uint8_t command; /* controller command byte */
	uint8_t output;  /* output port; bit 0: not in reset, bit 1: A20 */
	uint8_t pending; /* the command that waits for its data byte, or 0 */
	uint8_t data;    /* what port 0x60 reads */
	uint8_t status;  /* the bits of port 0x64 that tell of @data */
};

struct i8042 {
	struct i8042_state s;
	void (*reset)(void *arg); /* the guest pulls the processor's reset line; may be NULL */
	void *arg;
};

/* One port each, 0x60 and 0x64; @dev is the struct i8042. */
extern const struct bus_ops i8042_data_ops;
extern const struct bus_ops i8042_cmd_ops;

/* Power-on state; the callback is NULL. */
void i8042_init(struct i8042 *kbc);

/* Power-on state; the callback stays. */
void i8042_reset(struct i8042 *kbc);

#endif
