/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts programs and collects what they say. One thread; knows nothing of what the programs are.
 */
#include "vmm/bench/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXEC_FAILED 127
#define MORE_DIRS   "/usr/sbin:/sbin" /* where mke2fs is, which people's PATH leaves out */

int child_find(const char *name, char *path, size_t size)
{
	const char *env = getenv("PATH"), *lists[] = {env ? env : "/usr/bin:/bin", MORE_DIRS};

	if (strchr(name, '/'))
		return snprintf(path, size, "%s", name) < (int)size && access(path, X_OK) == 0
			       ? 0
			       : -ENOENT;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *at = lists[i];

		while (at && *at) {
			int len = (int)strcspn(at, ":");

			if (snprintf(path, size, "%.*s/%s", len, at, name) < (int)size &&
			    access(path, X_OK) == 0)
				return 0;
			at += len + (at[len] == ':');
		}
	}
	return -ENOENT;
}

/* The first @n of the processors that we may use. */
static void use_cpus(unsigned n)
{
	cpu_set_t ours, theirs;

	if (n == 0 || sched_getaffinity(0, sizeof(ours), &ours) < 0)
		return;
	CPU_ZERO(&theirs);
	for (unsigned i = 0; i < CPU_SETSIZE && n; i++) {
		if (!CPU_ISSET(i, &ours))
			continue;
		CPU_SET(i, &theirs);
		n--;
	}
	sched_setaffinity(0, sizeof(theirs), &theirs);
}

/* In the child: @fd, or /dev/null, becomes number @as. Both are above 2 by now. */
static void place_fd(int fd, int as)
{
	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	dup2(fd, as);
}

static void become(const struct child_spec *spec, const char *path, pid_t parent)
{
	sigset_t none;
	int fds[3] = {spec->in, spec->out, spec->err};

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXEC_FAILED);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	use_cpus(spec->cpus);
	if (spec->dir && chdir(spec->dir) < 0)
		_exit(EXEC_FAILED);
	/* Out of the way first, so that no copy lands on another. */
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 3; i++)
		place_fd(fds[i], i);
	execv(path, spec->argv);
	_exit(EXEC_FAILED);
}

int child_start(const struct child_spec *spec, pid_t *pid)
{
	pid_t parent = getpid();
	char path[PATH_MAX];

	if (child_find(spec->argv[0], path, sizeof(path)) < 0)
		return -ENOENT;
	*pid = fork();
	if (*pid < 0)
		return -errno;
	if (*pid == 0)
		become(spec, path, parent);
	setpgid(*pid, *pid); /* whichever of us comes first */
	return 0;
}

static int status_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int child_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status_of(status);
}

void child_end(pid_t pid, int grace_ms)
{
	kill(-pid, SIGTERM);
	for (; grace_ms > 0; grace_ms -= 10) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000}, NULL);
	}
	kill(-pid, SIGKILL);
	child_wait(pid);
}

/* Reads @fd to its end, keeping what fits. 0, or -ECANCELED. */
static int drain(int fd, int stop_fd, char *text, size_t size)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
	size_t used = 0;
	char rest[4096];

	text[0] = '\0';
	for (;;) {
		char *into = used + 1 < size ? text + used : rest;
		size_t room = used + 1 < size ? size - 1 - used : sizeof(rest);
		ssize_t n;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents)
			return -ECANCELED;
		if (!p[0].revents)
			continue;
		n = read(fd, into, room);
		if (n <= 0)
			return 0;
		if (into != rest) {
			used += (size_t)n;
			text[used] = '\0';
		}
	}
}

/* @with has the write end where the child shall have it. */
static int run(struct child_spec *with, int stop_fd, const int end[2], char *text, size_t size)
{
	pid_t pid;
	int r = child_start(with, &pid);

	close(end[1]);
	if (r < 0)
		return r;
	r = drain(end[0], stop_fd, text, size);
	if (r < 0)
		child_end(pid, 0);
	return r < 0 ? r : child_wait(pid);
}

int child_capture(const struct child_spec *spec, int stop_fd, char *text, size_t size)
{
	struct child_spec with = *spec;
	int end[2], r;

	text[0] = '\0';
	if (pipe2(end, O_CLOEXEC) < 0)
		return -errno;
	with.out = end[1];
	with.err = end[1];
	r = run(&with, stop_fd, end, text, size);
	close(end[0]);
	return r;
}

int child_to_file(const struct child_spec *spec, int stop_fd, const char *out, char *text,
		  size_t size)
{
	struct child_spec with = *spec;
	int end[2], r;

	text[0] = '\0';
	if (pipe2(end, O_CLOEXEC) < 0)
		return -errno;
	with.err = end[1];
	with.out = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (with.out < 0) {
		r = -errno;
		close(end[1]);
	} else {
		r = run(&with, stop_fd, end, text, size);
		close(with.out);
	}
	close(end[0]);
	return r;
}
