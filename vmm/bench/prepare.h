/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_PREPARE_H
#define VMM_BENCH_PREPARE_H

struct bench;

/*
 * Sees whether this host has all that @b asks for, before anything is made: tools, processors, KVM,
 * a kernel. Each thing that is missing is said in a sentence. 0 or -errno.
 */
int prepare_check(struct bench *b);

/*
 * Makes the working directory with all that the places need, and starts iperf3 for them. 0,
 * -ECANCELED, or -errno after one sentence. Undone by prepare_undo() in any case.
 */
int prepare_make(struct bench *b);

void prepare_undo(struct bench *b);

#endif
