/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks at a virtual machine from outside, as any process may: proc(5), and for root KVM's
 * counters. The same for skiff and for QEMU.
 */
#include "vmm/bench/spent.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/clock.h"

#define CHILDREN_MAX 64

/* --- processor time -------------------------------------------------------------------------- */

/* Fields of proc(5)'s stat, counted from 1. */
enum { UTIME = 14, STIME = 15, GUEST_TIME = 43 };

/* What is there in line @stat, in clock ticks. */
static double field(const char *stat, unsigned n)
{
	const char *at = strrchr(stat, ')'); /* the end of field 2, which may hold anything */

	for (unsigned i = 2; at && i < n; i++)
		at = strchr(at + 1, ' ');
	return at ? strtod(at, NULL) : 0;
}

static void add_thread(pid_t pid, const char *tid, int is_machine, struct spent *s)
{
	double ms = 1000.0 / (double)sysconf(_SC_CLK_TCK), guest, all;
	char path[PATH_MAX], line[1024];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, tid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(line, sizeof(line), f)) {
		guest = field(line, GUEST_TIME);
		all = field(line, UTIME) + field(line, STIME); /* the guest's included */
		s->v[SPENT_GUEST] += guest * ms;
		s->v[is_machine && guest > 0 ? SPENT_VCPU : SPENT_OTHERS] += (all - guest) * ms;
	}
	fclose(f);
}

static void add_process(pid_t pid, int is_machine, struct spent *s)
{
	char path[64];
	const struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			add_thread(pid, e->d_name, is_machine, s);
	if (d)
		closedir(d);
}

static void add_children(pid_t pid, struct spent *s)
{
	char path[64];
	int child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "re");
	for (unsigned n = 0; f && n < CHILDREN_MAX && fscanf(f, "%d", &child) == 1; n++)
		add_process(child, 0, s);
	if (f)
		fclose(f);
}

/* --- exits ----------------------------------------------------------------------------------- */

static const char *const counters[SPENT_KINDS] = {
	[SPENT_EXITS] = "exits",     [SPENT_IRQ] = "irq_exits",   [SPENT_IO] = "io_exits",
	[SPENT_MMIO] = "mmio_exits", [SPENT_HALT] = "halt_exits",
};

/* Those that an architecture has not stay 0. */
static int read_counters(const char *machine, struct spent *s)
{
	char path[PATH_MAX];
	int n = 0;

	for (unsigned i = 0; i < SPENT_KINDS; i++) {
		FILE *f;

		if (!counters[i])
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", SPENT_COUNTERS, machine, counters[i]);
		f = fopen(path, "re");
		if (f && fscanf(f, "%lf", &s->v[i]) == 1)
			n++;
		if (f)
			fclose(f);
	}
	return n;
}

static void read_exits(pid_t pid, struct spent *s)
{
	DIR *d = opendir(SPENT_COUNTERS);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		char *end;

		if (strtol(e->d_name, &end, 10) == pid && *end == '-')
			s->has_exits |= read_counters(e->d_name, s) > 0;
	}
	if (d)
		closedir(d);
}

void spent_read(pid_t pid, struct spent *s)
{
	*s = (struct spent){.ns = clock_now_ns()};
	add_process(pid, 1, s);
	add_children(pid, s);
	read_exits(pid, s);
}
