/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_FILTER_H
#define LOADER_IMAGE_FILTER_H

/*
 * From here on the process may read and write descriptors that it has, manage its own memory,
 * signal itself, and end; any other system call ends it at once (SIGSYS). 0, or -errno after one
 * sentence. No path is looked at either: a program with this room in it has an fstat() that makes
 * the system call of that name.
 */
int filter_enter(const char *who);

#endif
