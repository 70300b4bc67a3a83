/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes disk images with other people's tools. Knows nothing of how they are read. */
#include "tests/lib/image_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 40

extern char **environ;

static char dir[64];

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "image_rig: %s: %s\n", what, strerror(errno));
	abort();
}

static int run(const char *program, char *const *argv)
{
	posix_spawn_file_actions_t files;
	int status = -1, r;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(&pid, program, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (r || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int image_rig_run(const char *program, ...)
{
	const char *argv[ARGS_MAX] = {program};
	va_list more;

	va_start(more, program);
	for (unsigned i = 1; i < ARGS_MAX - 1; i++) {
		argv[i] = va_arg(more, const char *);
		if (!argv[i])
			break;
	}
	va_end(more);
	return run(program, (char *const *)argv);
}

int image_rig_is_there(void)
{
	static const char *const tools[][2] = {{"mke2fs", "-V"}, {"sgdisk", "-V"}};
	const char *path = getenv("PATH");
	char more[4096];

	/* They are the administrator's, but serve anyone. */
	snprintf(more, sizeof(more), "%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
	setenv("PATH", more, 1);
	for (unsigned i = 0; i < 2; i++) {
		if (image_rig_run(tools[i][0], tools[i][1], NULL) == 0)
			continue;
		printf("there is no %s here\n", tools[i][0]);
		return 0;
	}
	return 1;
}

void image_rig_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_image.XXXXXX");
	insist(mkdtemp(dir) != NULL, dir);
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *at)
{
	(void)st;
	(void)what;
	(void)at;
	return remove(path);
}

void image_rig_down(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *image_rig_path(const char *name)
{
	static char paths[8][512];
	static unsigned next;

	next = (next + 1) % 8;
	snprintf(paths[next], sizeof(paths[0]), "%s/%s", dir, name);
	return paths[next];
}

/* The path of @name, after its directories have been made. */
static const char *make_way(const char *name)
{
	const char *path = image_rig_path(name);
	char way[512];

	snprintf(way, sizeof(way), "%s", path);
	for (char *p = way + strlen(dir) + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		insist(mkdir(way, 0755) == 0 || errno == EEXIST, way);
		*p = '/';
	}
	return path;
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	const char *path = make_way(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	insist(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && close(fd) == 0, path);
}

void image_rig_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

void image_rig_bytes(const char *name, uint32_t seed, size_t size)
{
	uint8_t *bytes = malloc(size + 1);

	insist(bytes != NULL, name);
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(seed >> 24);
	}
	write_file(name, bytes, size);
	free(bytes);
}

void image_rig_link(const char *name, const char *target)
{
	insist(symlink(target, make_way(name)) == 0, name);
}

static void make_empty(const char *name, unsigned mib)
{
	const char *path = make_way(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	insist(fd >= 0 && ftruncate(fd, (off_t)mib << 20) == 0 && close(fd) == 0, path);
}

void image_rig_ext(const char *name, const char *from, unsigned mib, const char *type,
		   const char *label, const char *uuid, const char *features)
{
	char *argv[ARGS_MAX] = {"mke2fs", "-q", "-F", "-t", (char *)type, "-L", (char *)label};
	unsigned n = 7;

	make_empty(name, mib);
	if (uuid) {
		argv[n++] = "-U";
		argv[n++] = (char *)uuid;
	}
	if (features) {
		argv[n++] = "-O";
		argv[n++] = (char *)features;
	}
	if (from) {
		argv[n++] = "-d";
		argv[n++] = (char *)image_rig_path(from);
	}
	argv[n] = (char *)image_rig_path(name);
	insist(run("mke2fs", argv) == 0, "mke2fs");
}

void image_rig_disk(const char *name, unsigned mib, const char *const *words)
{
	char *argv[ARGS_MAX] = {"sgdisk"};
	unsigned n = 1;

	make_empty(name, mib);
	for (; *words; words++)
		argv[n++] = (char *)*words;
	argv[n] = (char *)image_rig_path(name);
	insist(run("sgdisk", argv) == 0, "sgdisk");
}

void image_rig_put(const char *name, uint64_t sector, const char *from)
{
	int out = open(image_rig_path(name), O_WRONLY | O_CLOEXEC);
	int in = open(image_rig_path(from), O_RDONLY | O_CLOEXEC);
	static uint8_t buf[1 << 20], none[1 << 20];
	uint64_t at = 0;
	ssize_t n;

	insist(out >= 0 && in >= 0, from);
	for (; (n = read(in, buf, sizeof(buf))) > 0; at += (uint64_t)n)
		if (memcmp(buf, none, (size_t)n) != 0)
			insist(pwrite(out, buf, (size_t)n, (off_t)(sector * 512 + at)) == n, name);
	close(in);
	close(out);
}

void image_rig_poke(const char *name, uint64_t at, const void *bytes, size_t len)
{
	int fd = open(image_rig_path(name), O_WRONLY | O_CLOEXEC);

	insist(fd >= 0 && pwrite(fd, bytes, len, (off_t)at) == (ssize_t)len, name);
	close(fd);
}
