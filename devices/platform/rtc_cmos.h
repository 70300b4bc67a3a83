/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_PLATFORM_RTC_CMOS_H
#define DEVICES_PLATFORM_RTC_CMOS_H

#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/irq.h"

/*
 * The PC's real-time clock and CMOS RAM (Motorola MC146818A data sheet; the century at 0x32 is
 * where the FADT says). Time is the host's, UTC, plus an offset that the guest makes by setting it.
 *
 * Always BCD and 24 hours: the bits of register B that would change that read as such and ignore
 * writes. The alarm and the update-ended interrupt work; the periodic interrupt, square wave and
 * daylight saving do not: their bits hold what was written, nothing follows. Dates from 1970 to
 * 2223 can be set.
 *
 * The room has no timer. Whoever owns it calls rtc_tick() at the time that rtc_next_event() gives,
 * and asks again after each tick and each call of rearm. No two events are less than a second
 * apart. The machine's lock is held for every call here and in the callbacks.
 */
#define RTC_PORTS        2
#define RTC_CMOS_LEN     128
#define RTC_FADT_CENTURY 0x32
#define RTC_NO_EVENT     INT64_MAX

struct rtc_state {
	int64_t offset_ns;          /* what the guest's clock is ahead of the host's */
	int64_t seen_s;             /* the guest's second up to which the flags in C are right */
	int64_t stopped_ns;         /* the guest's time when the clock was stopped */
	uint8_t stopped;            /* SET, or the divider in reset: time is what cmos[] holds */
	uint8_t div_reset;          /* the divider has been in reset since the clock was stopped */
	uint8_t index;              /* what port 0x71 shows */
	uint8_t cmos[RTC_CMOS_LEN]; /* registers; those of time are filled when it is stopped */
};

struct rtc_cmos {
	struct rtc_state s;
	struct irq_line *irq; /* IRQ 8; may be NULL */
	int irq_level;        /* what irq was last set to */

	int64_t (*now_ns)(void *arg); /* the host's time: ns since 1970, UTC, not negative */
	void (*rearm)(void *arg);     /* rtc_next_event() may have changed; may be NULL */
	void *arg;                    /* for both */
};

/* Two ports, 0x70 and 0x71; @dev is the struct rtc_cmos. */
extern const struct bus_ops rtc_cmos_ops;

/* A clock with a charged battery that shows the host's time. @irq may be NULL. */
void rtc_init(struct rtc_cmos *rtc, struct irq_line *irq, int64_t (*now_ns)(void *arg), void *arg);

/* The RESET pin: interrupts off and their flags clear; time, alarm and RAM stay. */
void rtc_reset(struct rtc_cmos *rtc);

/* Host time (as by now_ns) of the next interrupt, or RTC_NO_EVENT. */
int64_t rtc_next_event(const struct rtc_cmos *rtc);

/* Brings the flags and the line up to now. Harmless when called early, late or for nothing. */
void rtc_tick(struct rtc_cmos *rtc);

#endif
