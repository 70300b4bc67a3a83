/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_CLOCK_H
#define DEVICES_NET_NETD_CLOCK_H

#include "vmm/clock.h"

/* Milliseconds of a clock that only goes forward. */
static inline uint64_t clock_ms(void)
{
	return clock_now_ns() / CLOCK_NS_A_MS;
}

#endif
