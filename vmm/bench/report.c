/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The result as JSON. Pure but for the file it writes.
 */
#include "vmm/bench/report.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "vmm/bench/bench.h"
#include "vmm/log.h"

static json_t *environment(const struct bench *b)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < b->environment.n; i++)
		json_object_set_new(object, b->environment.item[i].key,
				    json_string(b->environment.item[i].value));
	return object;
}

static json_t *places(const struct bench *b)
{
	json_t *list = json_array();

	for (unsigned p = 0; p < PLACE_KINDS; p++)
		if (bench_has_place(b, p))
			json_array_append_new(list, json_pack("{s:s, s:s}", "name", place_names[p],
							      "title", b->titles[p]));
	return list;
}

/* What a machine's second went to, medians. */
static json_t *spent(const struct bench *b, const struct figures *f)
{
	static const char *const keys[SPENT_KINDS] = {
		[SPENT_GUEST] = "guest_ms",   [SPENT_VCPU] = "vcpu_ms",
		[SPENT_OTHERS] = "others_ms", [SPENT_EXITS] = "exits",
		[SPENT_IRQ] = "irq_exits",    [SPENT_IO] = "io_exits",
		[SPENT_MMIO] = "mmio_exits",  [SPENT_HALT] = "halt_exits",
	};
	json_t *object = json_object();

	for (unsigned i = 0; i < SPENT_KINDS; i++)
		if (f[i].n > 0 && (b->spent_has >> i & 1))
			json_object_set_new(object, keys[i], json_real(figures_median(&f[i])));
	return object;
}

static json_t *in_place(const struct figures *f)
{
	json_t *runs = json_array();

	for (unsigned i = 0; i < f->n; i++)
		json_array_append_new(runs, json_real(f->v[i]));
	if (f->n == 0)
		return json_pack("{s:n, s:n, s:n, s:o}", "median", "min", "max", "runs", runs);
	return json_pack("{s:f, s:f, s:f, s:o}", "median", figures_median(f), "min", figures_min(f),
			 "max", figures_max(f), "runs", runs);
}

/* Each place over those before it, medians. */
static json_t *ratios(const struct figures *f)
{
	json_t *object = json_object();

	for (unsigned a = 0; a < PLACE_KINDS; a++) {
		for (unsigned over = 0; over < a; over++) {
			double ratio = figures_ratio(&f[a], &f[over]);
			char key[32];

			if (ratio <= 0)
				continue;
			snprintf(key, sizeof(key), "%s/%s", place_names[a], place_names[over]);
			json_object_set_new(object, key, json_real(ratio));
		}
	}
	return object;
}

/* The command as the host runs it. */
static json_t *command(const struct bench *b, const struct load *load)
{
	struct load_settings s = {
		.cpus = b->o.cpus,
		.seconds = b->o.seconds,
		.size_mib = b->o.size_mib,
		.direct = b->direct,
		.server = "127.0.0.1",
		.port = b->port,
	};
	char text[1024] = "";
	struct words w;

	load_command(load, &s, &w);
	for (unsigned i = 0; i < w.n; i++) {
		size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "", w.v[i]);
	}
	return json_string(text);
}

static json_t *result(const struct bench *b, unsigned load)
{
	const struct figures *f = b->results[load];
	json_t *in = json_object(), *of;

	for (unsigned p = 0; p < PLACE_KINDS; p++) {
		if (!bench_has_place(b, p))
			continue;
		of = in_place(&f[p]);
		if (place_is_machine(p))
			json_object_set_new(of, "a_second", spent(b, b->spent[load][p]));
		json_object_set_new(in, place_names[p], of);
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "name", loads[load].name, "title",
			 loads[load].title, "unit", loads[load].unit, "better",
			 loads[load].less_is_better ? "less" : "more", "command",
			 command(b, &loads[load]), "places", in, "ratios", ratios(f));
}

int report_write(const struct bench *b, const char *path)
{
	json_t *results = json_array(), *root;
	int to_stdout = strcmp(path, "-") == 0;
	FILE *f = to_stdout ? stdout : fopen(path, "we");
	int r;

	if (!f) {
		json_decref(results);
		return log_fail(-errno, "bench: --json: cannot write %s: %s", path,
				strerror(errno));
	}
	for (unsigned i = 0; i < n_loads; i++)
		if (bench_has_load(b, i))
			json_array_append_new(results, result(b, i));
	root = json_pack("{s:s, s:i, s:i, s:i, s:I, s:i, s:o, s:o, s:o}", "skiff", SKIFF_VERSION,
			 "runs", (int)b->o.runs, "seconds", (int)b->o.seconds, "cpus",
			 (int)b->o.cpus, "memory", (json_int_t)b->o.memory, "files_mib",
			 (int)b->o.size_mib, "environment", environment(b), "places", places(b),
			 "results", results);
	r = root ? json_dumpf(root, f, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : -1;
	json_decref(root);
	fputc('\n', f);
	if ((to_stdout ? fflush(f) : fclose(f)) != 0 || r < 0)
		return log_fail(-EIO, "bench: --json: cannot write %s", path);
	return 0;
}
