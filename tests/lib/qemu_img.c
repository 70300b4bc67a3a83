/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs qemu-img and qemu-io. Knows nothing of what they are asked. */
#include "tests/lib/qemu_img.h"

#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 32

extern char **environ;

static char output[4096];

static int run(const char *program, const char *arg, va_list more)
{
	const char *argv[ARGS_MAX] = {program, arg};
	int out = memfd_create("qemu-img", MFD_CLOEXEC), status = -1, r;
	posix_spawn_file_actions_t files;
	ssize_t n;
	pid_t pid;

	for (unsigned i = 2; i < ARGS_MAX - 1; i++) {
		argv[i] = va_arg(more, const char *);
		if (!argv[i])
			break;
	}
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, out, 2);
	r = posix_spawnp(&pid, program, &files, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (r || waitpid(pid, &status, 0) != pid)
		status = -1;
	n = pread(out, output, sizeof(output) - 1, 0);
	output[n < 0 ? 0 : n] = 0;
	close(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *qemu_img_said(void)
{
	return output;
}

int qemu_img(const char *arg, ...)
{
	va_list more;
	int r;

	va_start(more, arg);
	r = run("qemu-img", arg, more);
	va_end(more);
	return r;
}

int qemu_io(const char *arg, ...)
{
	va_list more;
	int r;

	va_start(more, arg);
	r = run("qemu-io", arg, more);
	va_end(more);
	return r;
}

int qemu_img_is_there(void)
{
	static int there = -1;

	if (there < 0)
		there = qemu_img("--version", NULL) == 0;
	return there;
}
