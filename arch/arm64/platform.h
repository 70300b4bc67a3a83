/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_ARM64_PLATFORM_H
#define ARCH_ARM64_PLATFORM_H

#include "devices/platform/pl011.h"
#include "devices/platform/pl031.h"
#include "vmm/alarm.h"

struct machine;

/* What struct machine calls its platform: the devices that are not on PCI, and what KVM granted. */
struct platform {
	struct machine *machine;
	struct pl011 uart;
	struct pl031 rtc;
	struct alarm rtc_alarm;
	/* Of the VM that runs, for its device tree. */
	unsigned gic_version;
	int has_pmu;
};

#endif
