/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_X86_64_PROBE_GUEST_H
#define ARCH_X86_64_PROBE_GUEST_H

/*
 * What the micro-guest (probe_guest.S) and its host (probe.c) agree upon. A step ends with a 16-bit
 * word written to PROBE_PORT. It starts in 64-bit mode with interrupts off and the low 2 MiB
 * mapped as they are; %rdi holds the address of a PROBE_SCRATCH_LEN area, 64-byte aligned and
 * filled for the step by the host.
 */
#define PROBE_PORT       0x80

#define PROBE_SAYS_RIGHT 1 /* the instruction ran and did what it should */
#define PROBE_SAYS_WRONG 2 /* it ran and did something else */
#define PROBE_SAYS_TRAP \
	3 /* it raised an exception: the low byte is this, the high byte the vector */

/* The scratch area begins with an XSAVE image in the standard form (Intel SDM vol. 1 §13.4). */
#define PROBE_XMM0_OFF    160
#define PROBE_RESULT_OFF  4000 /* where a step may leave 16 bytes of its own */
#define PROBE_SCRATCH_LEN 4096

/* What the host puts into the image's XMM0, low half. */
#define PROBE_PATTERN     0x5af35ec0ffee5af3

#ifndef __ASSEMBLER__
extern const unsigned char probe_guest[], probe_guest_end[];

/* Entries of the steps, and of the handlers for #BP and for the vectors that mean failure. */
extern const unsigned char probe_start[], probe_int3[], probe_cmpxchg16b[], probe_xsetbv[],
	probe_xrstor[], probe_fxrstor[], probe_ldmxcsr[], probe_popcnt[];
extern const unsigned char probe_on_bp[], probe_on_ud[], probe_on_df[], probe_on_gp[],
	probe_on_pf[];
#endif

#endif
