/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wall-clock alarms on the loop. Asked for on vCPU threads, armed and ticked on the loop's. Knows
 * one device by two functions and nothing else of it.
 */
#include <errno.h>
#include <time.h>

#include "vmm/alarm.h"
#include "vmm/clock.h"
#include "vmm/container_of.h"

int64_t alarm_wall_clock_ns(void *arg)
{
	(void)arg;
	return (int64_t)clock_ns(CLOCK_REALTIME);
}

/* A timer that runs is cut short first; its completion comes back here. */
static void arm(struct op *op, int res)
{
	struct alarm *a = container_of(op, struct alarm, arm);
	int64_t at = a->next_ns(a->dev), now = alarm_wall_clock_ns(NULL);

	(void)res;
	if (a->runs) {
		loop_cancel(a->loop, &a->timer);
	} else if (at != ALARM_NEVER) {
		a->runs = 1;
		loop_timer(a->loop, &a->timer, &a->ts, at > now ? (uint64_t)(at - now) : 0);
	}
}

static void timer_came(struct op *op, int res)
{
	struct alarm *a = container_of(op, struct alarm, timer);

	a->runs = 0;
	if (res != -ECANCELED)
		a->tick(a->dev);
	arm(&a->arm, 0);
}

void alarm_init(struct alarm *a, struct loop *loop, int64_t (*next_ns)(const void *dev),
		void (*tick)(void *dev), void *dev)
{
	*a = (struct alarm){
		.loop = loop,
		.next_ns = next_ns,
		.tick = tick,
		.dev = dev,
		.arm.fn = arm,
		.timer.fn = timer_came,
	};
}

void alarm_rearm(struct alarm *a)
{
	if (a->runs || a->next_ns(a->dev) != ALARM_NEVER)
		loop_soon(a->loop, &a->arm);
}
