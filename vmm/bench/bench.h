/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_BENCH_H
#define VMM_BENCH_BENCH_H

#include <limits.h>
#include <string.h>
#include <sys/types.h>

#include "vmm/bench/environment.h"
#include "vmm/bench/figures.h"
#include "vmm/bench/loads.h"
#include "vmm/bench/options.h"
#include "vmm/bench/spent.h"

/*
 * One bench: what is asked for, what was made for it, and what came out. The working directory
 * @work holds, while it runs: root/  the root file system of container and guest     host/  files
 * of loads on the host bundle/, state/  the container runtime's               initramfs, vm.img,
 * qemu.img
 */
struct bench {
	struct bench_options o;
	char work[PATH_MAX - 64]; /* room for a name behind it */
	char self[PATH_MAX], skiff[PATH_MAX];
	int stop_fd;         /* readable once the user wants an end */
	int direct;          /* the file system of @work can go around the page cache */
	const char *runtime; /* what makes the container */
	unsigned port;       /* where iperf3 listens for all places */
	pid_t server;
	struct environment environment;
	struct figures results[LOADS_MAX][PLACE_KINDS];
	/* Of those that are machines: each kind a second of the load's time. */
	struct figures spent[LOADS_MAX][PLACE_KINDS][SPENT_KINDS];
	unsigned spent_has;           /* bit per kind */
	char titles[PLACE_KINDS][32]; /* as the table heads them */
	int failed;                   /* something has no figure */
};

static inline int bench_has_load(const struct bench *b, unsigned load)
{
	return b->o.loads >> load & 1;
}

static inline int bench_has_place(const struct bench *b, unsigned place)
{
	return b->o.places >> place & 1;
}

/* Does a load with that tool take part? */
static inline int bench_has_tool(const struct bench *b, const char *tool)
{
	for (unsigned i = 0; i < n_loads; i++)
		if (bench_has_load(b, i) && strcmp(loads[i].tool, tool) == 0)
			return 1;
	return 0;
}

#endif
