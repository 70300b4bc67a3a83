/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_CHART_H
#define VMM_BENCH_CHART_H

struct bench;

/*
 * Draws bench.svg and bench.png into the directory @dir, in whose path are no quotes: how fast each
 * place is beside the first one. 0, -ECANCELED, or -errno after one sentence.
 */
int chart_draw(const struct bench *b, const char *dir);

#endif
