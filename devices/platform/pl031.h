/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_PLATFORM_PL031_H
#define DEVICES_PLATFORM_PL031_H

#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/irq.h"

/*
 * The real-time clock of arm64 machines: ARM's PrimeCell PL031 (ARM DDI 0224), a counter of seconds
 * with one alarm. Time is the host's, UTC, plus an offset that the guest makes by setting it. The
 * clock always runs.
 *
 * The room has no timer. Whoever owns it calls pl031_tick() at the time that pl031_next_event()
 * gives, and asks again after each tick and each call of rearm. The machine's lock is held for
 * every call here and in the callbacks.
 */
#define PL031_LEN      0x1000
#define PL031_NO_EVENT INT64_MAX

struct pl031_state {
	uint32_t offset; /* seconds that the guest's clock is ahead of the host's, modulo 2^32 */
	uint32_t seen;   /* the guest's second up to which the raw interrupt is right */
	uint32_t match, load;
	uint8_t imsc, ris;
};

struct pl031 {
	struct pl031_state s;
	struct irq_line *irq; /* may be NULL */
	int irq_level;        /* what irq was last set to */

	int64_t (*now_ns)(void *arg); /* the host's time: ns since 1970, UTC, not negative */
	void (*rearm)(void *arg);     /* pl031_next_event() may have changed; may be NULL */
	void *arg;                    /* for both */
};

/* Offsets 0..0xfff (§3.2); @dev is the struct pl031. */
extern const struct bus_ops pl031_ops;

/* A clock that shows the host's time. @irq may be NULL. */
void pl031_init(struct pl031 *rtc, struct irq_line *irq, int64_t (*now_ns)(void *arg), void *arg);

/* PRESETn: the alarm off and its interrupt clear; the time that the guest set stays. */
void pl031_reset(struct pl031 *rtc);

/* Host time (as by now_ns) of the next interrupt, or PL031_NO_EVENT. */
int64_t pl031_next_event(const struct pl031 *rtc);

/* Brings the interrupt up to now. Harmless when called early, late or for nothing. */
void pl031_tick(struct pl031 *rtc);

#endif
