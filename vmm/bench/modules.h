/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_MODULES_H
#define VMM_BENCH_MODULES_H

#include <stddef.h>

/*
 * Which module files of a kernel a guest must load, and in which order, by the kernel's own lists
 * in its directory (modules.dep, modules.builtin; depmod(8)).
 */
#define MODULES_MAX 64

struct modules {
	char *path[MODULES_MAX]; /* below the directory; ours */
	unsigned n;
};

/*
 * Adds module @name (- and _ are the same) with all that it depends on, each once, dependencies
 * first. 0 also if it is built into the kernel; -ENOENT if the kernel in @dir has no such module,
 * -EIO if it has no lists, -E2BIG if there are too many; silent.
 */
int modules_add(struct modules *m, const char *dir, const char *name);

void modules_free(struct modules *m);

#endif
