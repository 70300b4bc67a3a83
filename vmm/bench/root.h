/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_ROOT_H
#define VMM_BENCH_ROOT_H

#include <stddef.h>
#include <stdint.h>

/*
 * A directory that becomes a root file system: this host's own programs with the shared libraries
 * that its dynamic loader finds for them, each at its own path. All functions return 0, or -errno
 * after one sentence; @stop_fd ends them early with -ECANCELED.
 */

/* Makes @root with the directories that programs expect, and /data for the files of loads. */
int root_make(const char *root);

/* Program @path (a full path) with all that it is linked against, as @as, or at its own path. */
int root_add_program(const char *root, const char *path, const char *as, int stop_fd);

/* Program @name of PATH, at its own path and, wherever that is, by its name in /usr/bin. */
int root_add_tool(const char *root, const char *name, int stop_fd);

/* A shell with its commands: a static busybox if there is one, else sh alone. */
int root_add_shell(const char *root, int stop_fd);

/* Text @text as the file @as. */
int root_add_text(const char *root, const char *as, const char *text);

/* Copies a file; makes the directories it lies in. */
int root_copy(const char *from, const char *to);

/* Bytes that the files below @root take. */
uint64_t root_size(const char *root);

/* Removes @root and all that is below it. Silent. */
void root_remove(const char *root);

#endif
