/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_TOOL_H
#define TESTS_LIB_TOOL_H

#include <stddef.h>

/*
 * Other people's programs as judges. tool_run() runs @program with the arguments, up to NULL, with
 * nothing to read, and returns its exit code, or -1; what it printed, standard error too, is in
 * @out, cut to @size and with a NUL. Directories for root's programs are looked into as well.
 */
int tool_run(char *out, size_t size, const char *program, ...) __attribute__((sentinel));

/* Whether it is installed. */
int tool_is_there(const char *program);

#endif
