/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The micro-guest of `skiff check`: one step for each kind of thing that stock kernels do early and
 * that needs the processor's or KVM's help. probe_guest.h says what holds at the entry of a step.
 * This is data: probe.c copies it into guest memory. It is position-independent.
 */
#include "arch/arm64/probe_guest.h"

	.section .rodata.probe_guest, "a", %progbits
	.globl probe_guest, probe_guest_end
	.balign PROBE_ALIGN

/* Sixteen vectors of 128 bytes (Arm ARM D1.3.1.4); each leaves its own offset in x20. */
probe_guest:
	.set offset, 0
	.rept 16
	mov	x20, #offset
	b	on_exception
	.balign 128
	.set offset, offset + 128
	.endr

/* brk is stepped over and counted in x19; everything else ends the step. */
on_exception:
	mrs	x21, esr_el1
	ubfx	x22, x21, #26, #6
	cmp	x22, #0x3c
	b.ne	1f
	mrs	x21, elr_el1
	add	x21, x21, #4
	msr	elr_el1, x21
	add	x19, x19, #1
	eret
1:	mov	w2, #PROBE_SAYS_TRAP
	bfi	w2, w22, #8, #8
	bfi	w2, w20, #16, #16
	b	say

.macro step name
	.globl probe_\name
probe_\name:
	adr	x2, probe_guest
	msr	vbar_el1, x2
	isb
.endm

/* Any guest needs this much: a step that fails here says that nothing runs at all. */
step start
	b	right

/* System registers of EL1. */
step sysreg
	mov	x2, #0x5af3
	msr	tpidr_el1, x2
	mrs	x3, tpidr_el1
	cmp	x2, x3
	b	judge

/* Exceptions into the guest and back: Linux's BUG, WARN and kprobes. */
step brk
	mov	x19, #0
	brk	#0
	cmp	x19, #1
	b	judge

/* Vector registers, after the guest has allowed them to itself. */
step simd
	mov	x2, #3 << 20
	msr	cpacr_el1, x2
	isb
	movi	v0.16b, #0x5a
	addv	b1, v0.16b
	umov	w2, v1.b[0]
	cmp	w2, #0xa0
	b	judge

/* The generic timer: it has a frequency, and it goes on. */
step timer
	mrs	x2, cntfrq_el0
	cbz	x2, wrong
	isb
	mrs	x2, cntvct_el0
	isb
	mov	x4, #0x100000
1:	mrs	x3, cntvct_el0
	isb
	cmp	x3, x2
	b.ne	2f
	subs	x4, x4, #1
	b.ne	1b
	b	wrong
2:	b.lo	wrong
	b	right

/* KVM's firmware: PSCI_VERSION (ARM DEN 0022 §5.1) is 0.2 or later. */
step hvc
	mov	x19, x0
	mov	w0, #0x84000000
	hvc	#0
	mov	w2, w0
	mov	x0, x19
	cmp	w2, #2
	b.lt	wrong
	b	right

judge:
	b.ne	wrong
right:
	mov	w2, #PROBE_SAYS_RIGHT
	b	say
wrong:
	mov	w2, #PROBE_SAYS_WRONG
/* Nobody enters the guest again after this; the loop is for a host that does. */
say:
	str	w2, [x0]
1:	b	1b

probe_guest_end:
	.section .note.GNU-stack, "", %progbits
