/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_X86_64_REGISTERS_H
#define ARCH_X86_64_REGISTERS_H

#include "loader/image.h"
#include "vmm/mem.h"

/*
 * Sets the registers of the boot vCPU to enter @image, and writes the GDT and (for the 64-bit
 * entry) the identity map of 4 GiB that they name: 0, or -errno after a sentence. boot_write()
 * has put what %rsi or %ebx points to.
 */
int registers_set_entry(int vcpu_fd, struct mem *mem, const struct image *image);

/* MSRs that firmware would have set, on any vCPU: 0, or -errno after a sentence. */
int registers_set_msrs(int vcpu_fd);

#endif
