/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_X86_64_SMBIOS_H
#define ARCH_X86_64_SMBIOS_H

#include <stdint.h>

#include "vmm/mem.h"

/*
 * What the machine says of itself (SMBIOS 3.0, DSP0134): firmware, system, chassis, one processor
 * package, memory as @mem has it, and strings that the user gives. Manufacturer "Skiff", product
 * "Skiff VM": cloud-init takes neither for a cloud.
 */
struct smbios_params {
	const char *version; /* of this program */
	const char *serial;  /* system serial number (cloud-init reads `ds=nocloud...`); or NULL */
	uint8_t uuid[16];    /* in the order in which it is printed; not starting "ec2" in print,
			      * which cloud-init takes for Amazon's */
	unsigned cpus;       /* cores of the one package, 1 thread each */
	const char *const *oem; /* type 11, e.g. systemd's `io.systemd.credential:NAME=VALUE` */
	unsigned oem_count;     /* 0 .. 255 */
};

/*
 * Writes the entry point to LAYOUT_SMBIOS and the structures behind it. 0, or -errno after one
 * sentence: -E2BIG when the strings do not fit (64 KiB in all), -EINVAL for an empty OEM string,
 * which a table cannot hold, or RAM that does not reach up to there.
 */
int smbios_build(struct mem *mem, const struct smbios_params *p);

#endif
