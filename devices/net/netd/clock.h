/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_CLOCK_H
#define DEVICES_NET_NETD_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of a clock that only goes forward. */
static inline uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
