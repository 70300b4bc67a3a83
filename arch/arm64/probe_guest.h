/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_ARM64_PROBE_GUEST_H
#define ARCH_ARM64_PROBE_GUEST_H

/*
 * What the micro-guest (probe_guest.S) and its host (probe.c) agree upon. A step ends with a 32-bit
 * word written to the address in x0, where there is no memory. It starts at EL1 with interrupts
 * masked and the MMU off, and x1 holds the address of 4 KiB of its own.
 */
#define PROBE_SAYS_RIGHT 1 /* the instruction ran and did what it should */
#define PROBE_SAYS_WRONG 2 /* it ran and did something else */
#define PROBE_SAYS_TRAP \
	3 /* an exception: bits 8 to 15 are its class (ESR_EL1.EC), 16 on its vector's offset */

/* The vectors lie at the guest's start and have to lie at a multiple of this (VBAR_EL1). */
#define PROBE_ALIGN 2048

#ifndef __ASSEMBLER__
extern const unsigned char probe_guest[], probe_guest_end[];

/* Entries of the steps. */
extern const unsigned char probe_start[], probe_sysreg[], probe_brk[], probe_simd[], probe_timer[],
	probe_hvc[];
#endif

#endif
