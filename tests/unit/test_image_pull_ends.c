/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a pull ends that is not let through: Ctrl-C on a terminal, a full disk. The command itself
 * runs in a child, on a terminal of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/image/pull.h"
#include "tests/lib/http_server.h"
#include "tests/lib/scratch_home.h"

#define SIZE   (4u << 20)
#define IMAGES "data/skiff/images/"
#define SKIP   77

static struct http_server server;
static struct http_file *file;
static uint8_t disk[SIZE];
static char shown[1 << 16];
static size_t n_shown;

static int setup(void **state)
{
	scratch_home_make(state);
	memset(disk, 'x', SIZE);
	http_start(&server);
	file = http_add(&server, "/disk.raw", disk, SIZE);
	file->etag = "\"one\"";
	n_shown = 0;
	return 0;
}

static int teardown(void **state)
{
	http_stop(&server);
	return scratch_home_remove(state);
}

static pid_t start(int *terminal, struct termios *before)
{
	char *argv[] = {(char *)http_url(&server, "/disk.raw"), NULL};
	struct winsize size = {.ws_col = 80, .ws_row = 24};
	pid_t pid;

	http_rest(&server);
	pid = forkpty(terminal, NULL, NULL, &size);
	if (pid == 0)
		exit(pull_main(1, argv));
	http_go_on(&server);
	assert_true(pid > 0);
	assert_int_equal(tcgetattr(*terminal, before), 0);
	return pid;
}

/* Reads the terminal until @words are there, or its end if NULL. */
static void read_until(int terminal, const char *words)
{
	for (;;) {
		struct pollfd p = {terminal, POLLIN, 0};
		ssize_t n;

		shown[n_shown] = '\0';
		if (words && strstr(shown, words))
			return;
		if (poll(&p, 1, 10000) != 1)
			fail_msg("nothing more came after `%s`", shown);
		n = read(terminal, shown + n_shown, sizeof(shown) - 1 - n_shown);
		if (n <= 0) {
			if (words)
				fail_msg("`%s` has no `%s`", shown, words);
			return;
		}
		n_shown += (size_t)n;
	}
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_interrupted(void **state)
{
	struct termios before, after;
	int terminal;
	pid_t pid;

	(void)state;
	file->piece = 64 << 10;
	file->piece_ms = 20;
	pid = start(&terminal, &before);
	read_until(terminal, "MiB/s");
	assert_int_equal(write(terminal, "\003", 1), 1);
	read_until(terminal, "the same command goes on from here");
	assert_int_equal(tcgetattr(terminal, &after), 0);
	assert_int_equal(before.c_lflag, after.c_lflag);
	assert_int_equal(before.c_iflag, after.c_iflag);
	assert_int_equal(before.c_oflag, after.c_oflag);
	assert_int_equal(status_of(pid), 130);
	assert_null(strchr(shown, 033)); /* no escape sequences */
	close(terminal);
	assert_int_equal(scratch_home_count(IMAGES "parts"), 2);
	assert_int_equal(scratch_home_count(IMAGES "names"), 0);

	file->piece_ms = 0;
	n_shown = 0;
	pid = start(&terminal, &before);
	read_until(terminal, "disk.raw (");
	assert_int_equal(status_of(pid), 0);
	close(terminal);
	assert_true(file->last_from > 0);
	assert_true(file->body_bytes < 2 * SIZE);
	assert_int_equal(scratch_home_count(IMAGES "parts"), 0);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 1);
}

/* --- a full disk ------------------------------------------------------------------------------ */

/* Puts a disk of 2 MiB under the store: 0, or SKIP if this host does not let us. */
static int small_disk(void)
{
	unsigned uid = getuid(), gid = getgid();
	char map[32];
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return SKIP;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	fd = open("/proc/self/setgroups", O_WRONLY);
	if (fd >= 0 && write(fd, "deny", 4) < 0)
		return SKIP;
	close(fd);
	fd = open("/proc/self/uid_map", O_WRONLY);
	if (fd < 0 || write(fd, map, strlen(map)) < 0)
		return SKIP;
	close(fd);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	fd = open("/proc/self/gid_map", O_WRONLY);
	if (fd < 0 || write(fd, map, strlen(map)) < 0)
		return SKIP;
	close(fd);
	scratch_home_write("data/there", "", 0);
	return mount("small", scratch_home_path("data"), "tmpfs", 0, "size=2m") ? SKIP : 0;
}

#define INSIST(x)                                            \
	do {                                                 \
		if (!(x)) {                                  \
			fprintf(stderr, "not so: %s\n", #x); \
			return 1;                            \
		}                                            \
	} while (0)

/* In a child: 0, 1 after a sentence, or SKIP. */
static int on_a_small_disk(const char *path)
{
	static volatile sig_atomic_t stop;
	struct pull p = {.target = http_url(&server, path), .stop = &stop, .wait_ms = 1};
	char summary[PULL_SUMMARY_MAX];
	struct image_entry e;
	int r = small_disk();

	if (r)
		return r;
	INSIST(pull_run(&p, &e, summary) == -ENOSPC);
	INSIST(scratch_home_count(IMAGES "names") == 0);
	INSIST(scratch_home_count(IMAGES "blobs") == 0);
	/* With room for it the same pull succeeds. */
	INSIST(mount("small", scratch_home_path("data"), "tmpfs", MS_REMOUNT, "size=16m") == 0);
	INSIST(pull_run(&p, &e, summary) == 0);
	INSIST(scratch_home_count(IMAGES "parts") == 0);
	return 0;
}

static void fills_the_disk(const char *words)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = http_fork(&server);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		_exit(on_a_small_disk("/disk.raw"));
	}
	close(fds[1]);
	n_shown = 0;
	while ((n = read(fds[0], shown + n_shown, sizeof(shown) - 1 - n_shown)) > 0)
		n_shown += (size_t)n;
	shown[n_shown] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP) {
		print_message("no disk of one's own to be had here\n");
		skip();
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) || !strstr(shown, words))
		fail_msg("it said `%s`, not `%s`", shown, words);
}

/* The size is known: it is said before a byte is written. */
static void test_disk_too_small(void **state)
{
	(void)state;
	fills_the_disk("the disk is full: 4.0 MiB more are needed in ");
}

/* It is not known, and the disk fills up on the way. */
static void test_disk_fills_up(void **state)
{
	(void)state;
	file->chunked = 1;
	fills_the_disk("the server does not say how much there is): make room in ");
}

int main(void)
{
#define WITH_SERVER(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_SERVER(test_interrupted),
		WITH_SERVER(test_disk_too_small),
		WITH_SERVER(test_disk_fills_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
