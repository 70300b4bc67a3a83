/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of a bench: rounds, loads, places. One thread. What a place is and how a load runs is
 * known elsewhere.
 */
#include "vmm/bench/measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/bench/bench.h"
#include "vmm/bench/container.h"
#include "vmm/bench/place.h"
#include "vmm/bench/progress.h"
#include "vmm/log.h"

struct round {
	struct bench *b;
	struct place places[PLACE_KINDS];
	unsigned number; /* 0 for the first */
	unsigned done, steps;
};

static int try_runtime(struct bench *b, const char *name)
{
	struct place p = {.bench = b, .kind = PLACE_CONTAINER};
	int r;

	b->runtime = name;
	snprintf(b->titles[PLACE_CONTAINER], sizeof(b->titles[0]), "container (%s)", name);
	r = container_build(b);
	if (r == 0)
		r = place_start(&p);
	place_stop(&p, 0);
	return r;
}

/* What a runtime says that does not work is no error while there is another. */
static void warn(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	log_set_sink(NULL, NULL);
	log_line(LOG_WARN, "%s: trying another way", line);
	log_set_sink(warn, NULL);
}

int measure_choose_runtime(struct bench *b)
{
	int r = -ENOENT;

	if (b->o.container)
		return try_runtime(b, b->o.container);
	for (unsigned i = 0; r < 0 && r != -ECANCELED && container_runtimes[i]; i++) {
		if (!container_installed(container_runtimes[i]))
			continue;
		if (container_runtimes[i + 1])
			log_set_sink(warn, NULL);
		r = try_runtime(b, container_runtimes[i]);
		log_set_sink(NULL, NULL);
	}
	return r;
}

static void add_spent(struct bench *b, unsigned load, unsigned kind, const struct spent *was,
		      const struct spent *is)
{
	double a_second[SPENT_KINDS];

	spent_between(was, is, a_second);
	for (unsigned i = 0; i < SPENT_KINDS; i++)
		figures_add(&b->spent[load][kind][i], a_second[i]);
	b->spent_has |= is->has;
}

/* One load in one place. Only -ECANCELED comes back. */
static int one(struct round *round, unsigned load, unsigned kind)
{
	struct place *p = &round->places[kind];
	struct bench *b = round->b;
	struct spent was, is;
	double figure;
	int r = 0;

	progress_step(round->done++, "run %u of %u: %s: %s", round->number + 1, b->o.runs,
		      b->titles[kind], loads[load].title);
	if (p->pid == 0)
		r = place_start(p);
	if (r == 0)
		r = place_prepare(p, &loads[load]);
	if (r == 0 && place_is_machine(kind))
		spent_read(p->pid, &was);
	if (r == 0)
		r = place_run(p, &loads[load], &figure);
	if (r == 0 && place_is_machine(kind)) {
		spent_read(p->pid, &is);
		add_spent(b, load, kind, &was, &is);
	}
	progress_clear();
	if (r == 0)
		figures_add(&b->results[load][kind], figure);
	if (r < 0 && r != -ECANCELED) {
		b->failed = 1;
		/* The tool failed: the place is well. Else it is begun anew. */
		if (r != -EBADMSG)
			place_stop(p, 1);
	}
	return r == -ECANCELED ? r : 0;
}

/* All places with one load; who begins moves on with each load and each round. */
static int through_places(struct round *round, unsigned load)
{
	unsigned first = (round->number + load) % PLACE_KINDS;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < PLACE_KINDS; i++) {
		unsigned kind = (first + i) % PLACE_KINDS;

		if (bench_has_place(round->b, kind))
			r = one(round, load, kind);
	}
	return r;
}

static int one_round(struct round *round)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n_loads; i++)
		if (bench_has_load(round->b, i))
			r = through_places(round, i);
	for (unsigned p = 0; p < PLACE_KINDS; p++)
		place_stop(&round->places[p], r < 0);
	return r;
}

int measure_all(struct bench *b)
{
	struct round round = {.b = b};
	unsigned n = (unsigned)(__builtin_popcount(b->o.loads) * __builtin_popcount(b->o.places));
	int r = 0;

	for (unsigned p = 0; p < PLACE_KINDS; p++)
		round.places[p] = (struct place){.bench = b, .kind = p, .tick = progress_draw};
	progress_begin(n * b->o.runs);
	for (; r == 0 && round.number < b->o.runs; round.number++)
		r = one_round(&round);
	progress_clear();
	return r;
}
