/* SPDX-License-Identifier: BSD-2-Clause */
/* Medians and ranges, for 1 to N figures in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vmm/bench/figures.h"

static void same(double a, double b)
{
	assert_true(a > b - 1e-9 && a < b + 1e-9);
}

static struct figures of(const double *v, unsigned n)
{
	struct figures f = {.n = 0};

	for (unsigned i = 0; i < n; i++)
		figures_add(&f, v[i]);
	return f;
}

static void test_table(void **state)
{
	static const struct {
		unsigned n;
		double v[6], median, min, max, spread;
	} cases[] = {
		{0, {0}, 0, 0, 0, 0},
		{1, {4}, 4, 4, 4, 0},
		{2, {4, 2}, 3, 2, 4, 2 / 3.0},
		{3, {9, 1, 2}, 2, 1, 9, 4},
		{4, {4, 1, 3, 2}, 2.5, 1, 4, 3 / 2.5},
		{5, {5, 5, 5, 5, 1000}, 5, 5, 1000, 199},
		{6, {6, 1, 5, 2, 4, 3}, 3.5, 1, 6, 5 / 3.5},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct figures f = of(cases[i].v, cases[i].n);

		same(figures_median(&f), cases[i].median);
		same(figures_min(&f), cases[i].min);
		same(figures_max(&f), cases[i].max);
		same(figures_spread(&f), cases[i].spread);
		/* The order of the runs is kept. */
		for (unsigned k = 0; k < f.n; k++)
			same(f.v[k], cases[i].v[k]);
	}
}

/* Of 1..n, backwards, the median is the middle, whatever n is. */
static void test_all_sizes(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= FIGURES_MAX; n++) {
		struct figures f = {.n = 0};

		for (unsigned i = n; i > 0; i--)
			figures_add(&f, i);
		same(figures_median(&f), (n + 1) / 2.0);
		same(figures_min(&f), 1);
		same(figures_max(&f), n);
	}
}

static void test_full(void **state)
{
	struct figures f = {.n = 0};

	(void)state;
	for (unsigned i = 0; i < FIGURES_MAX + 5; i++)
		figures_add(&f, 1);
	assert_int_equal(f.n, FIGURES_MAX);
}

static void test_ratio(void **state)
{
	struct figures none = {.n = 0}, a = of((double[]){2, 4, 3}, 3), b = of((double[]){6}, 1);

	(void)state;
	same(figures_ratio(&a, &b), 0.5);
	same(figures_ratio(&b, &a), 2);
	same(figures_ratio(&a, &none), 0);
	same(figures_ratio(&none, &a), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_all_sizes),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_ratio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
