/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs programs and keeps what they print. Knows nothing of what they are asked. */
#include "tests/lib/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 32

extern char **environ;

static int find(const char *program, char *path, size_t size)
{
	char dirs[4096], *rest = dirs, *dir;

	snprintf(dirs, sizeof(dirs), "%s:/usr/sbin:/sbin",
		 getenv("PATH") ? getenv("PATH") : "/bin");
	while ((dir = strsep(&rest, ":"))) {
		snprintf(path, size, "%s/%s", dir, program);
		if (access(path, X_OK) == 0)
			return 1;
	}
	return 0;
}

static void read_all(int fd, char *out, size_t size)
{
	char lost[256];
	size_t len = 0;
	ssize_t n;

	for (;;) {
		int full = len + 1 >= size;

		n = read(fd, full ? lost : out + len, full ? sizeof(lost) : size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (!full)
			len += (size_t)n;
	}
	out[len] = '\0';
}

int tool_run(char *out, size_t size, const char *program, ...)
{
	const char *argv[ARGS_MAX] = {program};
	posix_spawn_file_actions_t files;
	int status = -1, r, p[2];
	char path[4096];
	va_list more;
	pid_t pid;

	va_start(more, program);
	for (unsigned i = 1; i < ARGS_MAX - 1 && argv[i - 1]; i++)
		argv[i] = va_arg(more, const char *);
	va_end(more);
	out[0] = '\0';
	if (!find(program, path, sizeof(path)) || pipe2(p, O_CLOEXEC))
		return -1;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, p[1], 1);
	posix_spawn_file_actions_adddup2(&files, p[1], 2);
	r = posix_spawn(&pid, path, &files, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	close(p[1]);
	if (!r)
		read_all(p[0], out, size);
	close(p[0]);
	if (r || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int tool_is_there(const char *program)
{
	char path[4096];

	return find(program, path, sizeof(path));
}
