/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_ARM64_FDT_H
#define ARCH_ARM64_FDT_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/mem.h"

/*
 * The flattened device tree that tells the kernel what machine this is (Devicetree Specification
 * 0.4; bindings by name in Linux's Documentation/devicetree/bindings). Addresses and interrupts are
 * layout.h's; what differs from machine to machine is here.
 */
#define FDT_RNG_SEED_LEN 64

struct fdt_params {
	const struct mem *mem;
	const char *cmdline;
	gpa_t initrd;
	uint64_t initrd_len; /* 0: none */
	unsigned cpus;
	const uint64_t *mpidr; /* MPIDR_EL1 of each */
	unsigned gic_version;  /* 2, or 3, which comes with an ITS */
	int has_pmu;
	gpa_t mmio64;
	int has_seeds; /* the host had randomness to give */
	uint64_t kaslr_seed;
	uint8_t rng_seed[FDT_RNG_SEED_LEN];
};

/*
 * Writes the tree to @buf of @len bytes; its length, or -errno after a sentence. @len of
 * LAYOUT_FDT_LEN is enough for the longest command line and the most vCPUs.
 */
int fdt_build(void *buf, size_t len, const struct fdt_params *params);

#endif
