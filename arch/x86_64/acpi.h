/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_X86_64_ACPI_H
#define ARCH_X86_64_ACPI_H

#include <stdint.h>

#include "vmm/mem.h"

/*
 * The ACPI tables of the machine (ACPI 6.3 §5.2), in guest RAM below 1 MiB:
 *
 *   RSDP -> XSDT (and RSDT, for 32-bit guests) -> FADT -> DSDT, FACS
 *                                              -> MADT   CPUs, IOAPIC, how ISA IRQs reach it
 *                                              -> MCFG   ECAM of bus 0
 *
 * Addresses, ports and GSIs come from layout.h; what differs from machine to machine is here.
 */
struct acpi_params {
	unsigned cpus;           /* 1 .. LAYOUT_CPUS_MAX */
	const uint32_t *apic_id; /* one for each CPU, below 255 */
	gpa_t mmio64;            /* window for 64-bit BARs, above all RAM */
	uint64_t mmio64_len;     /* not 0 */
};

/*
 * Writes the tables to [LAYOUT_ACPI, LAYOUT_ACPI + LAYOUT_ACPI_LEN) and stores the address of the
 * RSDP. 0, or -EINVAL after one sentence: RAM does not reach up to there, or @p breaks the rules
 * above.
 */
int acpi_build(struct mem *mem, const struct acpi_params *p, gpa_t *rsdp);

#endif
