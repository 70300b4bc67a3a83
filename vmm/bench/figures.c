/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statistics of a handful of runs: a median, which one run gone wrong does not move, and the range.
 * Pure; knows nothing of what was measured.
 */
#include "vmm/bench/figures.h"

#include <stdlib.h>
#include <string.h>

void figures_add(struct figures *f, double v)
{
	if (f->n < FIGURES_MAX)
		f->v[f->n++] = v;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double figures_median(const struct figures *f)
{
	double v[FIGURES_MAX];

	if (f->n == 0)
		return 0;
	memcpy(v, f->v, f->n * sizeof(v[0]));
	qsort(v, f->n, sizeof(v[0]), ascending);
	return (v[(f->n - 1) / 2] + v[f->n / 2]) / 2;
}

double figures_min(const struct figures *f)
{
	double low = f->n ? f->v[0] : 0;

	for (unsigned i = 1; i < f->n; i++)
		low = f->v[i] < low ? f->v[i] : low;
	return low;
}

double figures_max(const struct figures *f)
{
	double high = f->n ? f->v[0] : 0;

	for (unsigned i = 1; i < f->n; i++)
		high = f->v[i] > high ? f->v[i] : high;
	return high;
}

double figures_spread(const struct figures *f)
{
	double median = figures_median(f);

	return median > 0 ? (figures_max(f) - figures_min(f)) / median : 0;
}

double figures_ratio(const struct figures *a, const struct figures *b)
{
	double over = figures_median(b);

	return over > 0 ? figures_median(a) / over : 0;
}
