/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The micro-guest of `skiff check`: one step for each instruction that stock kernels execute early
 * and that a KVM without VT-x or SVM often cannot run. probe_guest.h says what holds at the entry
 * of a step. This is data: probe.c copies it into guest memory. It is position-independent.
 */
#include "arch/x86_64/probe_guest.h"

	.section .rodata.probe_guest, "a", @progbits
	.globl probe_guest, probe_guest_end
	.balign 16
probe_guest:

.macro step name
	.globl probe_\name
probe_\name:
.endm

.macro say what
	mov	$\what, %eax
	jmp	out
.endm

/* Any guest needs this much: a step that fails here says that nothing runs at all. */
step start
	say	PROBE_SAYS_RIGHT

/* Linux patches its own code under int3, on every boot (text_poke). */
step int3
	xor	%ebx, %ebx
	int3
	cmp	$1, %ebx
	jmp	judge

/* The slab allocator's fast path. */
step cmpxchg16b
	movq	$1, (%rdi)
	movq	$2, 8(%rdi)
	mov	$1, %eax
	mov	$2, %edx
	mov	$3, %ebx
	mov	$4, %ecx
	lock cmpxchg16b (%rdi)
	jne	wrong
	cmpq	$3, (%rdi)
	jne	wrong
	cmpq	$4, 8(%rdi)
	jmp	judge

/* Switching on extended state: x87 and SSE. */
step xsetbv
	xor	%ecx, %ecx
	xor	%edx, %edx
	mov	$3, %eax
	xsetbv
	xor	%ecx, %ecx
	xgetbv
	cmp	$3, %eax
	jmp	judge

/* Every switch to a task that has used vector registers. */
step xrstor
	xor	%edx, %edx
	mov	$3, %eax
	xrstor64 (%rdi)
	jmp	judge_xmm0

/* The same on processors without XSAVE. */
step fxrstor
	fxrstor64 (%rdi)
	jmp	judge_xmm0

/* Before the kernel itself uses vector registers: RAID, encryption, compression. */
step ldmxcsr
	movl	$0x1f80, PROBE_RESULT_OFF(%rdi)
	ldmxcsr	PROBE_RESULT_OFF(%rdi)
	movl	$0, PROBE_RESULT_OFF(%rdi)
	stmxcsr	PROBE_RESULT_OFF(%rdi)
	cmpl	$0x1f80, PROBE_RESULT_OFF(%rdi)
	jmp	judge

/* Counting bits in CPU masks. */
step popcnt
	mov	$0x5af3, %ecx
	popcnt	%ecx, %eax
	cmp	$10, %eax
	jmp	judge

judge_xmm0:
	movdqu	%xmm0, PROBE_RESULT_OFF(%rdi)
	movabs	$PROBE_PATTERN, %rax
	cmp	%rax, PROBE_RESULT_OFF(%rdi)
judge:
	jne	wrong
	say	PROBE_SAYS_RIGHT
wrong:
	say	PROBE_SAYS_WRONG

/* The handlers. Only #BP returns. */
	.globl probe_on_bp
probe_on_bp:
	inc	%ebx
	iretq

.macro fatal name, vector
	.globl probe_on_\name
probe_on_\name:
	say	(PROBE_SAYS_TRAP | \vector << 8)
.endm

	fatal	ud, 6
	fatal	df, 8
	fatal	gp, 13
	fatal	pf, 14

/* Nobody enters the guest again after this; the loop is for a host that does. */
out:
	out	%ax, $PROBE_PORT
1:	jmp	1b

probe_guest_end:
	.section .note.GNU-stack, "", @progbits
