/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_MEASURE_H
#define VMM_BENCH_MEASURE_H

struct bench;

/*
 * Chooses @b's container runtime: the one that was asked for, or the first that is installed and
 * can really make a container of its root. 0, -ECANCELED, or -errno after one sentence.
 */
int measure_choose_runtime(struct bench *b);

/*
 * Runs all loads in all places, as often as was asked for, into @b->results. Each round starts the
 * places anew and takes each load through all of them before the next, first one place first, then
 * another, so that what changes on the host falls on all. A load that fails leaves no figure, sets
 * @b->failed and is said. 0, or -ECANCELED; nothing is left running.
 */
int measure_all(struct bench *b);

#endif
