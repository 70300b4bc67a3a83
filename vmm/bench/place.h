/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_PLACE_H
#define VMM_BENCH_PLACE_H

#include "vmm/bench/bench.h"

/*
 * A place in which loads run: a program that was started there, with the agent at the other end of
 * two pipes. What a function could not do is said in one sentence that begins with the place's
 * title.
 */
struct place {
	const struct bench *bench;
	enum place_kind kind;
	void (*tick)(void); /* called twice a second while an answer is awaited; may be NULL */
	pid_t pid;          /* 0: it does not run */
	int to, from;
	char buf[4096]; /* what came and has not been looked at */
	size_t used;
	char last[200]; /* the last line that meant nothing to us: a guest's console */
};

/* Starts it and waits until the agent is ready. 0, -ECANCELED, or -errno after a sentence. */
int place_start(struct place *p);

/*
 * Has what a load needs written, before the time that counts: 0, -ECANCELED, or -errno after a
 * sentence: -EBADMSG if the tool failed, and the place is well.
 */
int place_prepare(struct place *p, const struct load *load);

/* Runs a load in it: 0 with *@figure; else as above. */
int place_run(struct place *p, const struct load *load, double *figure);

/* Ends it, gently unless @at_once. A place that does not run is fine. */
void place_stop(struct place *p, int at_once);

#endif
