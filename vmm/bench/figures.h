/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_FIGURES_H
#define VMM_BENCH_FIGURES_H

/* The figures of one load in one place, a run each, and what is said of them. */
#define FIGURES_MAX 100

struct figures {
	double v[FIGURES_MAX]; /* in the order of the runs */
	unsigned n;
};

/* One more; beyond FIGURES_MAX it is dropped. */
void figures_add(struct figures *f, double v);

/* Of an even number, the mean of the two in the middle. 0 of none, here and below. */
double figures_median(const struct figures *f);
double figures_min(const struct figures *f);
double figures_max(const struct figures *f);

/* (max - min) / median. */
double figures_spread(const struct figures *f);

/* Median of @a over that of @b; 0 where one has no figure. */
double figures_ratio(const struct figures *a, const struct figures *b);

#endif
