/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_SCRATCH_HOME_H
#define TESTS_LIB_SCRATCH_HOME_H

#include <stddef.h>

/*
 * A home directory for a test: HOME, XDG_DATA_HOME (data/ in it), XDG_CONFIG_HOME (config/) and
 * XDG_CACHE_HOME (cache/) point into it, and no proxy is set. Both return 0, as cmocka wants of
 * setup and teardown.
 */
int scratch_home_make(void **state);
int scratch_home_remove(void **state);

/* @path within it, in a static buffer (of four). */
const char *scratch_home_path(const char *path);

/* Makes the directories before @path and writes the file. Aborts if it cannot. */
void scratch_home_write(const char *path, const void *data, size_t len);

/* How many files there are in directory @path; 0 if it is not there. */
unsigned scratch_home_count(const char *path);

#endif
