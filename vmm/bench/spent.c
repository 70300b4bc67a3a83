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

/* All of the time in file @path, and of that the guest's; 0 if it cannot be read. */
static void read_stat(const char *path, double *total, double *guest)
{
	double ms = 1000.0 / (double)sysconf(_SC_CLK_TCK);
	char line[1024] = "";
	FILE *f = fopen(path, "re");

	if (f && !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	*total = (field(line, UTIME) + field(line, STIME)) * ms;
	*guest = field(line, GUEST_TIME) * ms;
}

static void read_threads(pid_t pid, struct spent *s)
{
	char path[PATH_MAX];
	const struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && s->n < SPENT_THREADS_MAX && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, e->d_name);
		read_stat(path, &s->thread[s->n].total, &s->thread[s->n].guest);
		s->thread[s->n++].tid = (pid_t)strtol(e->d_name, NULL, 10);
	}
	if (d)
		closedir(d);
}

static void read_children(pid_t pid, struct spent *s)
{
	double total, guest;
	char path[64];
	int child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "re");
	for (unsigned n = 0; f && n < CHILDREN_MAX && fscanf(f, "%d", &child) == 1; n++) {
		snprintf(path, sizeof(path), "/proc/%d/stat", child);
		read_stat(path, &total, &guest);
		s->children += total;
	}
	if (f)
		fclose(f);
}

/* --- exits ----------------------------------------------------------------------------------- */

/* Names on x86, or on arm64. */
static const struct {
	enum spent_kind kind;
	const char *name;
} counters[] = {
	{SPENT_EXITS, "exits"},        {SPENT_IRQ, "irq_exits"},       {SPENT_IO, "io_exits"},
	{SPENT_MMIO, "mmio_exits"},    {SPENT_MMIO, "mmio_exit_user"}, {SPENT_HALT, "halt_exits"},
	{SPENT_HALT, "wfi_exit_stat"},
};

static void read_counters(const char *machine, struct spent *s)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s/%s", SPENT_COUNTERS, machine, counters[i].name);
		f = fopen(path, "re");
		if (f && fscanf(f, "%lf", &s->exits[counters[i].kind]) == 1)
			s->has |= 1u << counters[i].kind;
		if (f)
			fclose(f);
	}
}

static void read_exits(pid_t pid, struct spent *s)
{
	DIR *d = opendir(SPENT_COUNTERS);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		char *end;

		if (strtol(e->d_name, &end, 10) == pid && *end == '-')
			read_counters(e->d_name, s);
	}
	if (d)
		closedir(d);
}

void spent_read(pid_t pid, struct spent *s)
{
	char path[64];

	*s = (struct spent){
		.ns = clock_now_ns(),
		.has = 1u << SPENT_GUEST | 1u << SPENT_VCPU | 1u << SPENT_OTHERS,
	};
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	read_stat(path, &s->total, &s->guest);
	read_threads(pid, s);
	read_children(pid, s);
	read_exits(pid, s);
}

/* --- the difference -------------------------------------------------------------------------- */

static double total_of(const struct spent *s, pid_t tid)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->thread[i].tid == tid)
			return s->thread[i].total;
	return 0;
}

/*
 * The guest's time is what the host's ticks met it at, all others are exact: so it is the one to
 * give way where they do not fit.
 */
void spent_between(const struct spent *was, const struct spent *is, double a_second[SPENT_KINDS])
{
	double seconds = (double)(is->ns - was->ns) / CLOCK_NS_A_SECOND, vcpus = 0;
	double spent[SPENT_KINDS] = {[SPENT_GUEST] = is->guest - was->guest};

	for (unsigned i = SPENT_EXITS; i < SPENT_KINDS; i++)
		spent[i] = is->exits[i] - was->exits[i];
	for (unsigned i = 0; i < is->n; i++)
		if (is->thread[i].guest > 0)
			vcpus += is->thread[i].total - total_of(was, is->thread[i].tid);
	if (spent[SPENT_GUEST] > vcpus)
		spent[SPENT_GUEST] = vcpus;
	spent[SPENT_VCPU] = vcpus - spent[SPENT_GUEST];
	spent[SPENT_OTHERS] = is->total - was->total - vcpus + is->children - was->children;
	for (unsigned i = 0; i < SPENT_KINDS; i++)
		a_second[i] = seconds > 0 && spent[i] > 0 ? spent[i] / seconds : 0;
}
