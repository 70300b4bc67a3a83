/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The result as a table: a row a load, a column a place, the ratios that were asked for at the end.
 * Pure but for the stream it prints to.
 */
#include "vmm/bench/table.h"

#include <string.h>

#include "vmm/bench/bench.h"
#include "vmm/bench/container.h"

/* Ratios that get a column, where both places take part. */
static const struct {
	enum place_kind of, over;
	const char *title;
} ratios[] = {
	{PLACE_VM, PLACE_CONTAINER, "VM/container"},
	{PLACE_VM, PLACE_HOST, "VM/host"},
	{PLACE_VM, PLACE_QEMU, "VM/QEMU"},
};

#define N_RATIOS (sizeof(ratios) / sizeof(ratios[0]))

#define CELL_MIN 14 /* `1234567 (10%)*` */

/* Columns of a place, without the two blanks before them. */
static int width_of(const struct bench *b, unsigned place)
{
	int title = (int)strlen(b->titles[place]);

	return title > CELL_MIN ? title : CELL_MIN;
}

static int has_ratio(const struct bench *b, size_t i)
{
	return bench_has_place(b, ratios[i].of) && bench_has_place(b, ratios[i].over);
}

/* Four digits that mean something, and no exponent. */
static void print_number(char *text, size_t size, double v)
{
	int decimals = v >= 1000 ? 0 : v >= 100 ? 1 : v >= 10 ? 2 : 3;

	snprintf(text, size, "%.*f", decimals, v);
}

static void print_cell(FILE *out, int width, const struct figures *f, unsigned runs)
{
	const char *mark = f->n < runs ? "*" : "";
	char number[32], text[48];

	print_number(number, sizeof(number), figures_median(f));
	if (f->n == 0)
		snprintf(text, sizeof(text), "failed");
	else if (f->n == 1)
		snprintf(text, sizeof(text), "%s%s", number, mark);
	else
		snprintf(text, sizeof(text), "%s (%2.0f%%)%s", number, figures_spread(f) * 100,
			 mark);
	fprintf(out, "  %*s", width, text);
}

static void print_head(const struct bench *b, FILE *out, int title_width)
{
	fprintf(out, "%-*s %-8s %-6s", title_width, "", "unit", "better");
	for (unsigned p = 0; p < PLACE_KINDS; p++)
		if (bench_has_place(b, p))
			fprintf(out, "  %*s", width_of(b, p), b->titles[p]);
	for (size_t i = 0; i < N_RATIOS; i++)
		if (has_ratio(b, i))
			fprintf(out, "  %12s", ratios[i].title);
	fputc('\n', out);
}

static void print_row(const struct bench *b, FILE *out, unsigned load, int title_width)
{
	const struct figures *f = b->results[load];

	fprintf(out, "%-*s %-8s %-6s", title_width, loads[load].title, loads[load].unit,
		loads[load].less_is_better ? "less" : "more");
	for (unsigned p = 0; p < PLACE_KINDS; p++)
		if (bench_has_place(b, p))
			print_cell(out, width_of(b, p), &f[p], b->o.runs);
	for (size_t i = 0; i < N_RATIOS; i++) {
		double ratio = figures_ratio(&f[ratios[i].of], &f[ratios[i].over]);

		if (!has_ratio(b, i))
			continue;
		if (ratio > 0)
			fprintf(out, "  %12.3f", ratio);
		else
			fprintf(out, "  %12s", "-");
	}
	fputc('\n', out);
}

/* What a reader must know before the figures; all of it is in the JSON. */
static void print_environment(const struct bench *b, FILE *out)
{
	static const char *const shown[] = {"cpu", "kernel", "kvm", "governor", "mitigations"};
	const struct environment *e = &b->environment;
	const char *before = "  versions    ";

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		fprintf(out, "  %-11s %s\n", shown[i], environment_value(e, shown[i]));
	for (unsigned i = 0; i < e->n; i++) {
		if (strncmp(e->item[i].key, "version.", 8) != 0)
			continue;
		fprintf(out, "%s%s: %s", before, e->item[i].key + 8, e->item[i].value);
		before = ", ";
	}
	fprintf(out, "\n  %-11s %u CPU for each; container and VM: %llu MiB of memory\n", "limits",
		b->o.cpus, (unsigned long long)b->o.memory >> 20);
	if (bench_has_place(b, PLACE_CONTAINER))
		fprintf(out, "  %-11s %s; memory %s; the network is the host's\n", "container",
			b->runtime, container_memory_note(b));
	if (bench_has_place(b, PLACE_VM) || bench_has_place(b, PLACE_QEMU))
		fprintf(out, "  %-11s %s\n", "guest", b->o.kernel);
	if (!b->direct && (bench_has_tool(b, "fio")))
		fprintf(out, "  %-11s page cache %s\n", "fio",
			environment_value(e, "page_cache_of_fio"));
	fputc('\n', out);
}

/* --- what the machines' time went to ---------------------------------------------------------- */

static const struct {
	enum spent_kind kind;
	int is_time;
	const char *title;
} columns[] = {
	{SPENT_GUEST, 1, "in guest"}, {SPENT_VCPU, 1, "at exits"},  {SPENT_OTHERS, 1, "others"},
	{SPENT_EXITS, 0, "exits"},    {SPENT_IRQ, 0, "interrupts"}, {SPENT_IO, 0, "port I/O"},
	{SPENT_MMIO, 0, "MMIO"},      {SPENT_HALT, 0, "halts"},
};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static int column_width(size_t i)
{
	int title = (int)strlen(columns[i].title);

	return title > 7 ? title : 7;
}

static void print_spent_row(const struct bench *b, FILE *out, unsigned load, unsigned place,
			    int width)
{
	const struct figures *f = b->spent[load][place];

	fprintf(out, "%-*s %-10s", width, loads[load].title, b->titles[place]);
	for (size_t i = 0; i < N_COLUMNS; i++) {
		double v = figures_median(&f[columns[i].kind]);

		if (columns[i].is_time) /* milliseconds a second */
			fprintf(out, "  %*.1f%%", column_width(i) - 1, v / 10);
		else if (b->spent_has >> columns[i].kind & 1)
			fprintf(out, "  %*.0f", column_width(i), v);
		else
			fprintf(out, "  %*s", column_width(i), "-");
	}
	fputc('\n', out);
}

static void print_spent(const struct bench *b, FILE *out, int width)
{
	fputs("\nWhere the machines' processor time went, of one CPU's, and their exits a second:\n",
	      out);
	fprintf(out, "%-*s %-10s", width, "", "");
	for (size_t i = 0; i < N_COLUMNS; i++)
		fprintf(out, "  %*s", column_width(i), columns[i].title);
	fputc('\n', out);
	for (unsigned load = 0; load < n_loads; load++)
		for (unsigned p = 0; p < PLACE_KINDS; p++)
			if (bench_has_load(b, load) && bench_has_place(b, p) &&
			    place_is_machine(p) && b->spent[load][p][SPENT_GUEST].n > 0)
				print_spent_row(b, out, load, p, width);
	if (!(b->spent_has >> SPENT_EXITS & 1))
		fputs("(Exits: KVM's counters are in " SPENT_COUNTERS
		      ", for root, where debugfs is "
		      "mounted.)\n",
		      out);
}

void table_print(const struct bench *b, FILE *out)
{
	int width = 0;

	for (unsigned i = 0; i < n_loads; i++)
		if (bench_has_load(b, i) && (int)strlen(loads[i].title) > width)
			width = (int)strlen(loads[i].title);
	print_environment(b, out);
	print_head(b, out, width);
	for (unsigned i = 0; i < n_loads; i++)
		if (bench_has_load(b, i))
			print_row(b, out, i, width);
	if (b->o.runs > 1)
		fprintf(out, "\nMedians of %u runs; in brackets (max - min) / median.\n",
			b->o.runs);
	else
		fputs("\nOne run: of the spread nothing is known.\n", out);
	if (b->failed)
		fputs("* of fewer runs: the others failed.\n", out);
	if (bench_has_place(b, PLACE_VM) || bench_has_place(b, PLACE_QEMU))
		print_spent(b, out, width);
}
