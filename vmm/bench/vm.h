/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_VM_H
#define VMM_BENCH_VM_H

#include "vmm/bench/words.h"

struct bench;

/* Can this host's KVM run Linux? Asks `skiff check`. 0, -ECANCELED, or -ENOTSUP after a sentence.
 */
int vm_check(const struct bench *b);

/* Finds the kernel and its modules into @b->o: 0, or -errno after one sentence. */
int vm_find_kernel(struct bench *b);

/* Makes the initramfs, and a disk for each machine, of @b's root. 0, or -errno after a sentence. */
int vm_build(const struct bench *b);

/* The commands that boot it, the agent on standard input and output. */
void vm_skiff_command(const struct bench *b, struct words *w);
void vm_qemu_command(const struct bench *b, struct words *w);

/* QEMU's program for this architecture, and the Debian package it is in. */
const char *vm_qemu_program(void);
const char *vm_qemu_package(void);

#endif
