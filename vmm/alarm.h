/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ALARM_H
#define VMM_ALARM_H

#include <linux/time_types.h>
#include <stdint.h>

#include "vmm/loop.h"

/*
 * A clock device's next event as a timer of the loop. The device says when that is, in nanoseconds
 * of wall-clock time since 1970 (ALARM_NEVER: none), and is ticked then. Lock held for each call.
 */
#define ALARM_NEVER INT64_MAX

struct alarm {
	struct loop *loop;
	int64_t (*next_ns)(const void *dev);
	void (*tick)(void *dev);
	void *dev;
	struct op arm, timer;
	struct __kernel_timespec ts;
	int runs;
};

void alarm_init(struct alarm *alarm, struct loop *loop, int64_t (*next_ns)(const void *dev),
		void (*tick)(void *dev), void *dev);

/* The device's next event may be another one now. Any thread. */
void alarm_rearm(struct alarm *alarm);

/* The wall clock: nanoseconds since 1970, UTC. @arg is not looked at: it is a device's callback. */
int64_t alarm_wall_clock_ns(void *arg);

#endif
