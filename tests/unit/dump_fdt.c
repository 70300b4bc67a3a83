/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the device tree of an arm64 machine with a given number of CPUs and version of interrupt
 * controller to a file, for tests/lint/fdt.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arm64/fdt.h"
#include "arch/arm64/layout.h"

int main(int argc, char **argv)
{
	static uint8_t buf[LAYOUT_FDT_LEN];
	struct mem mem = {.region = {{LAYOUT_RAM, 1 << 30, NULL}}, .count = 1};
	uint64_t mpidr[LAYOUT_CPUS_MAX];
	struct fdt_params p = {
		.mem = &mem,
		.cmdline = "console=ttyAMA0",
		.initrd = LAYOUT_RAM + 0x1000000,
		.initrd_len = 12345,
		.mpidr = mpidr,
		.has_pmu = 1,
		.mmio64 = LAYOUT_MMIO64_MIN,
		.has_seeds = 1,
	};
	int len;
	FILE *f;

	if (argc != 4) {
		fprintf(stderr, "usage: dump_fdt FILE CPUS GIC_VERSION\n");
		return 2;
	}
	p.cpus = (unsigned)atoi(argv[2]);
	p.gic_version = (unsigned)atoi(argv[3]);
	if (p.cpus < 1 || p.cpus > LAYOUT_CPUS_MAX)
		return 2;
	/* As KVM numbers them: sixteen to a cluster. */
	for (unsigned i = 0; i < p.cpus; i++)
		mpidr[i] = 1u << 31 | (i >> 4) << 8 | (i & 15);
	len = fdt_build(buf, sizeof(buf), &p);
	f = len < 0 ? NULL : fopen(argv[1], "wb");
	if (!f || fwrite(buf, 1, (size_t)len, f) != (size_t)len || fclose(f)) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
