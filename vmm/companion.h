/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_COMPANION_H
#define VMM_COMPANION_H

#include <stddef.h>
#include <sys/types.h>

/*
 * The programs that belong to skiff and lie beside it: skiff-netd, skiff-image. They get
 * descriptors rather than paths, default signals, and nothing else of ours. @what begins the
 * messages: the option or the command that wants the program.
 */
#define COMPANION_FDS_MAX 24

struct companion_fd {
	int ours;   /* stays open here */
	int theirs; /* the number it has in the program */
};

/*
 * The path of program @name, into @path of @size bytes: 0, or -ENOENT after one sentence if it is
 * not there or not executable.
 */
int companion_find(const char *what, const char *name, char *path, size_t size);

/*
 * Starts @program with @argv (NULL-terminated) and the @n descriptors of @fds, at most
 * COMPANION_FDS_MAX; standard input, output and error are inherited unless they are among them.
 * 0 with *@pid, the caller's to wait for; or -errno after one sentence.
 */
int companion_start(const char *what, const char *program, char **argv,
		    const struct companion_fd *fds, unsigned n, pid_t *pid);

/* Waits for it to end: its exit status (0..255), 128 + the signal that ended it, or -errno. */
int companion_wait(pid_t pid);

#endif
