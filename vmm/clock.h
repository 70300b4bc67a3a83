/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CLOCK_H
#define VMM_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_A_SECOND 1000000000u
#define CLOCK_NS_A_MS     1000000u

/* What @clock says, in nanoseconds. */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * CLOCK_NS_A_SECOND + (uint64_t)t.tv_nsec;
}

/* Time that only goes forward, from a start that means nothing. */
static inline uint64_t clock_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

#endif
