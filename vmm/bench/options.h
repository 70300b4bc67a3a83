/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_OPTIONS_H
#define VMM_BENCH_OPTIONS_H

#include <stdint.h>

#include "vmm/bench/figures.h"

/* The places that a load can run in. */
enum place_kind { PLACE_HOST, PLACE_CONTAINER, PLACE_VM, PLACE_QEMU, PLACE_KINDS };

/* Their names on the command line and in JSON. */
extern const char *const place_names[PLACE_KINDS];

static inline int place_is_machine(unsigned place)
{
	return place == PLACE_VM || place == PLACE_QEMU;
}

struct bench_options {
	unsigned runs, seconds, cpus;
	unsigned size_mib; /* of the files that loads read and write */
	uint64_t memory;   /* bytes */
	unsigned loads;    /* a bit for each of `loads` */
	unsigned places;   /* a bit for each place_kind */
	const char *kernel, *modules, *dir, *container, *json, *chart;
	int quick, list, help;
};

/*
 * Reads the options of `skiff bench`: 0, or -EINVAL after one sentence. Strings are the command
 * line's own, or last for ever.
 */
int bench_options_parse(int argc, char **argv, struct bench_options *o);

void options_print_help(void);

#endif
