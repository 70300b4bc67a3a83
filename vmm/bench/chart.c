/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The result as a chart, by gnuplot: groups of bars, a group a load, a bar a place. All is relative
 * to the median of the first place (the host, if it takes part) and turned so that higher is
 * better; whiskers go from the worst run to the best. The scale is logarithmic where one load is
 * far slower than another.
 */
#include "vmm/bench/chart.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/bench/bench.h"
#include "vmm/bench/child.h"
#include "vmm/log.h"

static unsigned first_place(const struct bench *b)
{
	unsigned p = 0;

	while (!bench_has_place(b, p))
		p++;
	return p;
}

/* How good @v is beside @base: above 1 is better. */
static double beside(const struct load *load, double v, double base)
{
	if (v <= 0 || base <= 0)
		return 0;
	return load->less_is_better ? base / v : v / base;
}

/* A line a load: name, then for each place median, low and high. */
static void write_data(const struct bench *b, FILE *f)
{
	unsigned first = first_place(b);

	fputs("$data << END\n", f);
	for (unsigned i = 0; i < n_loads; i++) {
		double base = figures_median(&b->results[i][first]);

		if (!bench_has_load(b, i) || base <= 0)
			continue;
		fprintf(f, "%s", loads[i].name);
		for (unsigned p = 0; p < PLACE_KINDS; p++) {
			const struct figures *r = &b->results[i][p];
			double low = beside(&loads[i], figures_min(r), base);
			double high = beside(&loads[i], figures_max(r), base);

			if (!bench_has_place(b, p))
				continue;
			if (r->n == 0)
				fputs(" NaN NaN NaN", f);
			else
				fprintf(f, " %.6g %.6g %.6g",
					beside(&loads[i], figures_median(r), base),
					low < high ? low : high, low < high ? high : low);
		}
		fputc('\n', f);
	}
	fputs("END\n", f);
}

/* The lowest and the highest of what is drawn. */
static void range_of(const struct bench *b, double *low, double *high)
{
	unsigned first = first_place(b);

	*low = *high = 1;
	for (unsigned i = 0; i < n_loads; i++) {
		double base = figures_median(&b->results[i][first]);

		for (unsigned p = 0; p < PLACE_KINDS; p++) {
			double ends[2] = {figures_min(&b->results[i][p]),
					  figures_max(&b->results[i][p])};

			for (unsigned e = 0; e < 2; e++) {
				double v = beside(&loads[i], ends[e], base);

				*low = v > 0 && v < *low ? v : *low;
				*high = v > *high ? v : *high;
			}
		}
	}
}

/* Linear where bars that short can still be told apart, else logarithmic; room for labels above. */
static void write_scale(const struct bench *b, FILE *f)
{
	double low, high, bottom = 1;

	range_of(b, &low, &high);
	if (low >= 0.1) {
		fprintf(f, "set yrange [0:%g]\n", high * 1.2);
		return;
	}
	while (bottom > low)
		bottom /= 10;
	fprintf(f, "set logscale y\nset yrange [%g:%g]\n", bottom, high * 3);
}

static void write_plot(const struct bench *b, FILE *f)
{
	static const char *const colours[PLACE_KINDS] = {"#8c96a0", "#3b7dd8", "#e07b39",
							 "#5a9e6f"};
	unsigned n = (unsigned)__builtin_popcount(b->o.places), nth = 0, first = first_place(b);

	for (unsigned p = 0; p < PLACE_KINDS; p++) {
		unsigned column = 2 + nth * 3;

		if (!bench_has_place(b, p))
			continue;
		fprintf(f, "%s $data using %u:%u:%u:xtic(1) title \"%s\" linecolor rgb \"%s\"",
			nth ? ", \\\n" : "plot", column, column + 1, column + 2, b->titles[p],
			colours[p]);
		/* A group is one wide and has a gap as wide as a bar. The first place is 1. */
		if (p != first)
			fprintf(f,
				", \\\n $data using ($0 + %g):%u:(gprintf(\"%%.2f\", $%u)) with labels "
				"rotate left offset 0,0.5 font \",9\" notitle",
				(nth - (n - 1) / 2.0) / (n + 1), column + 2, column);
		nth++;
	}
	fputc('\n', f);
}

/* Text between quotes of gnuplot's. */
static void write_text(FILE *f, const char *text)
{
	for (; *text; text++)
		if (!strchr("\"\\", *text))
			fputc(*text, f);
}

static void write_script(const struct bench *b, FILE *f, const char *terminal, const char *out)
{
	fprintf(f, "set terminal %s\nset output \"%s\"\n", terminal, out);
	write_data(b, f);
	fprintf(f, "set title \"Performance beside the %s's (higher is better, median of %u)\\n",
		b->titles[first_place(b)], b->o.runs);
	write_text(f, environment_value(&b->environment, "cpu"));
	fputs(", ", f);
	write_text(f, environment_value(&b->environment, "kernel"));
	fprintf(f, ", %u CPU\" noenhanced\n", b->o.cpus);
	fprintf(f, "set xrange [-0.6:%g]\n", __builtin_popcount(b->o.loads) - 0.4);
	write_scale(b, f);
	fputs("set style data histograms\n"
	      "set style histogram errorbars gap 1 linewidth 1\n"
	      "set style fill solid 0.9 border rgb \"#404448\"\n"
	      "set boxwidth 0.9\n"
	      "set errorbars 0.5\n"
	      "set format y \"%g\"\n"
	      "set grid ytics linecolor rgb \"#d0d4d8\"\n"
	      "set xtics rotate by -35 scale 0 noenhanced\n"
	      "set rmargin 9\n"
	      "set key outside top center horizontal\n"
	      "set border 3\n"
	      "set tics nomirror\n",
	      f);
	write_plot(b, f);
}

static int draw(const struct bench *b, const char *terminal, const char *out)
{
	char script[PATH_MAX], text[512];
	char *argv[] = {"gnuplot", script, NULL};
	struct child_spec spec = {.argv = argv, .in = -1};
	FILE *f;
	int r;

	snprintf(script, sizeof(script), "%s/chart", b->work);
	f = fopen(script, "we");
	if (!f)
		return log_fail(-errno, "bench: --chart: %s: %s", script, strerror(errno));
	write_script(b, f, terminal, out);
	fclose(f);
	r = child_capture(&spec, b->stop_fd, text, sizeof(text));
	if (r > 0)
		return log_fail(-EIO, "bench: --chart: gnuplot could not draw %s: %.*s", out,
				(int)strcspn(text + strspn(text, "\n"), "\n"),
				text + strspn(text, "\n"));
	return r;
}

int chart_draw(const struct bench *b, const char *dir)
{
	static const struct {
		const char *terminal, *name;
	} kinds[] = {
		{"svg size 1100,560 dynamic font \"sans,13\" background \"#ffffff\"", "bench.svg"},
		{"pngcairo size 1100,560 font \"sans,11\" background \"#ffffff\"", "bench.png"},
	};
	char out[PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(out, sizeof(out), "%s/%s", dir, kinds[i].name);
		r = draw(b, kinds[i].terminal, out);
	}
	return r;
}
