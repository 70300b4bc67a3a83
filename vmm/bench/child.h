/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_CHILD_H
#define VMM_BENCH_CHILD_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Programs that are started and waited for. Each is its own process group, which is killed as a
 * whole, and dies with this process.
 */
struct child_spec {
	char *const *argv; /* argv[0] is looked for in PATH, /usr/sbin and /sbin */
	int in, out, err;  /* descriptors; -1: /dev/null */
	const char *dir;   /* to work in, or NULL */
	unsigned cpus;     /* only the first so many of those we may use; 0: all */
};

/* 0 with *@pid, or -errno, silent. A program that cannot be executed exits with 127. */
int child_start(const struct child_spec *spec, pid_t *pid);

/* Its exit status, 128 + the signal that ended it, or -errno. */
int child_wait(pid_t pid);

/* Ends the group and waits for the child: SIGTERM, and SIGKILL @grace_ms later. */
void child_end(pid_t pid, int grace_ms);

/*
 * Runs a program to its end and keeps what it prints, to standard output and error, as a string:
 * its first @size - 1 bytes. Its exit status, or -ECANCELED when @stop_fd (-1: none) became
 * readable or hung up, in which case it is killed.
 */
int child_capture(const struct child_spec *spec, int stop_fd, char *text, size_t size);

/* The same, with its standard output going into the file @out; complaints into @text. */
int child_to_file(const struct child_spec *spec, int stop_fd, const char *out, char *text,
		  size_t size);

/* Path of a program as child_start() finds it: 0, or -ENOENT. */
int child_find(const char *name, char *path, size_t size);

#endif
