/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_CHART_H
#define VMM_BENCH_CHART_H

struct bench;

/*
 * Draws @dir/bench.svg and @dir/bench.png, which @dir is made for: how fast each place is beside
 * the first one. 0, or -errno after one sentence.
 */
int chart_draw(const struct bench *b, const char *dir);

#endif
