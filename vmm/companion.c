/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds and starts the programs that belong to skiff. Runs at start-up, before the guest, on the
 * main thread. Knows nothing of what they do.
 */
#include "vmm/companion.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/log.h"

#define SAFE_FD 64 /* above every number that a program is given */

extern char **environ;

int companion_find(const char *what, const char *name, char *path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	if (len <= 0)
		return log_fail(-ENOENT, "%s: cannot find this program's own path in /proc", what);
	path[len] = '\0';
	slash = strrchr(path, '/');
	len = slash ? slash + 1 - path : 0;
	if ((size_t)snprintf(path + len, size - (size_t)len, "%s", name) >= size - (size_t)len)
		return log_fail(-ENOENT, "%s: the path of this program is too long", what);
	if (access(path, X_OK))
		return log_fail(-ENOENT,
				"%s: %s: not there or not executable: it belongs beside skiff; "
				"install both",
				what, path);
	return 0;
}

static int default_signals(posix_spawnattr_t *attr)
{
	sigset_t all, none;
	int r;

	sigfillset(&all);
	sigemptyset(&none);
	r = posix_spawnattr_setsigdefault(attr, &all);
	if (!r)
		r = posix_spawnattr_setsigmask(attr, &none);
	if (!r)
		r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	return r;
}

int companion_start(const char *what, const char *program, char **argv,
		    const struct companion_fd *fds, unsigned n, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int up[COMPANION_FDS_MAX], r;

	assert(n <= COMPANION_FDS_MAX);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	r = default_signals(&attr);
	/* Out of the way first, so that no copy can land on another. */
	for (unsigned i = 0; i < n; i++) {
		up[i] = fcntl(fds[i].ours, F_DUPFD_CLOEXEC, SAFE_FD);
		if (up[i] < 0 && !r)
			r = errno;
		if (!r)
			r = posix_spawn_file_actions_adddup2(&files, up[i], fds[i].theirs);
	}
	if (!r)
		r = posix_spawn(pid, program, &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	for (unsigned i = 0; i < n; i++)
		if (up[i] >= 0)
			close(up[i]);
	if (r)
		return log_fail(-r, "%s: %s: cannot start it: %s", what, program, strerror(r));
	return 0;
}

int companion_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
