/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_X86_64_BOOT_H
#define ARCH_X86_64_BOOT_H

#include <stdint.h>

#include "loader/image.h"
#include "vmm/mem.h"

/*
 * The hand-over to a kernel: what lies in RAM and what is in the registers of vCPU 0 when it
 * starts. Two ways in:
 *
 *   IMAGE_LINUX64  Linux x86 boot protocol, 64-bit entry (Documentation/arch/x86/boot.rst):
 *                  long mode, identity-mapped, %rsi -> struct boot_params
 *   IMAGE_PVH      x86/HVM direct boot ABI: 32-bit protected mode, no paging,
 *                  %ebx -> struct hvm_start_info
 */
struct boot_info {
	const struct image *image;
	const char *cmdline;
	gpa_t initrd;
	uint64_t initrd_len; /* 0: none */
	gpa_t rsdp;
};

/* Writes the structures for @info->image->kind into RAM: 0, or -errno after a sentence. */
int boot_write(struct mem *mem, const struct boot_info *info);

#endif
