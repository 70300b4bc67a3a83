/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `skiff image create|info|check|resize`: what they make and say, judged by qemu-img where there is
 * one, and what they refuse, in one sentence each.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "loader/image/disk_file.h"
#include "tests/lib/cases.h"
#include "tests/lib/qemu_img.h"
#include "tests/lib/said.h"
#include "vmm/log.h"

#define ARGS_MAX 12

static char dir[64], out[8192];

static int up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_disk_file.XXXXXX");
	if (!mkdtemp(dir) || chdir(dir))
		return -1;
	said_start();
	return 0;
}

static int down(void **state)
{
	static const char *const names[] = {"a", "b", "c", "raw", "out"};

	(void)state;
	log_set_sink(NULL, NULL);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	return chdir("/") || rmdir(dir);
}

/* Runs a command with the words of @line; its status. What it prints is in out. */
static int run(int (*command)(int argc, char **argv), const char *line)
{
	int before = dup(1), fd = open("out", O_RDWR | O_CREAT | O_TRUNC, 0600), argc = 0, status;
	char *words = strdup(line), *argv[ARGS_MAX + 1] = {NULL};
	ssize_t n;

	for (char *w = strtok(words, " "); w && argc < ARGS_MAX; w = strtok(NULL, " "))
		argv[argc++] = w;
	fflush(stdout);
	dup2(fd, 1);
	said_clear();
	status = command(argc, argv);
	fflush(stdout);
	dup2(before, 1);
	close(before);
	n = pread(fd, out, sizeof(out) - 1, 0);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	free(words);
	return status;
}

static void need_judge(void)
{
	if (!qemu_img_is_there()) {
		print_message("no qemu-img here\n");
		skip();
	}
}

static void test_what_is_refused(void **state)
{
	static const struct {
		int (*command)(int argc, char **argv);
		const char *line;
		int status;
		const char *says;
	} cases[] = {
		{disk_file_create, "", 2, "give the file"},
		{disk_file_create, "a", 2, "give its size"},
		{disk_file_create, "a 0", 2, "multiple of 512"},
		{disk_file_create, "a 513", 2, "multiple of 512"},
		{disk_file_create, "a 1X", 2, "size such as"},
		{disk_file_create, "a 1G b", 2, "too many"},
		{disk_file_create, "a 16000000T", 2, "multiple of 512"},
		{disk_file_create, "a 1G --format vmdk", 2, "raw or qcow2"},
		{disk_file_create, "a 1G --formta raw", 2, "did you mean --format"},
		{disk_file_create, "a 1G --cluster-size 100", 2, "power of two"},
		{disk_file_create, "a 1G --cluster-size 4M", 2, "power of two"},
		{disk_file_create, "a 1G --cluster-size 3K", 2, "power of two"},
		{disk_file_create, "a 1G --format raw --cluster-size 4K", 2, "raw files have none"},
		{disk_file_create, "a 1G --backing raw", 2, "--backing-format"},
		{disk_file_create, "a 1G --backing-format raw", 2, "--backing"},
		{disk_file_create, "a 1G --backing nowhere --backing-format raw", 1, "nowhere"},
		{disk_file_create, "a 1G --backing /dev --backing-format raw", 2, "regular file"},
		{disk_file_create, "a 1G --backing raw --backing-format qcow2", 2, "not a qcow2"},
		{disk_file_create, "a 1G --backing raw --backing-format vdi", 2, "raw or qcow2"},
		{disk_file_create, "raw 1G", 1, "File exists"},
		{disk_file_create, "raw 1G --format raw", 1, "File exists"},
		{disk_file_create, "nowhere/a 1G", 1, "nowhere/a"},
		{disk_file_create, "a 1T --cluster-size 512", 1, "too many"},
		{disk_file_info, "", 2, "give the file"},
		{disk_file_info, "nowhere", 1, "nowhere"},
		{disk_file_info, "/dev/null", 1, "regular file"},
		{disk_file_info, "raw --format qcow2", 2, "not a qcow2"},
		{disk_file_info, "raw --json=1", 2, "takes no value"},
		{disk_file_check, "", 1, "give the file"},
		{disk_file_check, "nowhere", 1, "nowhere"},
		{disk_file_check, "raw", 1, "not a qcow2"},
		{disk_file_resize, "raw", 2, "give its new size"},
		{disk_file_resize, "raw 1G", 1, "not a qcow2"},
		{disk_file_resize, "raw 512 --format raw", 1, "only become larger"},
		{disk_file_resize, "raw 1000 --format raw", 2, "multiple of 512"},
		{disk_file_resize, "nowhere 1G --format raw", 1, "nowhere"},
	};

	(void)state;
	assert_int_equal(run(disk_file_create, "raw 1M --format raw"), 0);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		case_begin("%s", cases[i].line);
		CHECK(run(cases[i].command, cases[i].line) == cases[i].status);
		CHECK(strstr(said(), cases[i].says));
		CHECK(said_count() == 1);
		CHECK(out[0] == '\0');
		CHECK(access("a", F_OK) != 0);
	}
}

static void test_create(void **state)
{
	static const struct {
		const char *line, *judge;
	} cases[] = {
		{"a 20G", "qcow2"},
		{"a 1536M --cluster-size 2M --format=qcow2", "qcow2"},
		{"100M a --cluster-size 512", NULL},
		{"--cluster-size 512 a 100M", "qcow2"},
		{"a 3M --format raw", "raw"},
	};

	(void)state;
	need_judge();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		case_begin("%s", cases[i].line);
		if (!cases[i].judge) {
			CHECK(run(disk_file_create, cases[i].line) == 2);
			continue;
		}
		CHECK(run(disk_file_create, cases[i].line) == 0);
		CHECK(out[0] == '\0' && !said_count());
		CHECK(qemu_img("info", "-f", cases[i].judge, "a", NULL) == 0);
		if (!strcmp(cases[i].judge, "qcow2"))
			CHECK(qemu_img("check", "-f", "qcow2", "a", NULL) == 0);
		unlink("a");
	}
}

/* qemu-img finds the file below by the same name, and the same bytes in it. */
static void test_overlay(void **state)
{
	(void)state;
	need_judge();
	assert_int_equal(qemu_img("create", "-f", "raw", "raw", "3M", NULL), 0);
	assert_int_equal(qemu_io("-f", "raw", "-c", "write -P 5 1M 1M", "raw", NULL), 0);
	assert_int_equal(run(disk_file_create, "a --backing raw --backing-format raw"), 0);
	assert_int_equal(run(disk_file_create, "b 5M --backing a --backing-format qcow2"), 0);
	assert_int_equal(qemu_img("compare", "-f", "qcow2", "-F", "raw", "a", "raw", NULL), 0);
	assert_int_equal(qemu_io("-f", "qcow2", "-c", "read -P 5 1M 1M", "b", NULL), 0);
	assert_int_equal(run(disk_file_info, "b"), 0);
	assert_non_null(strstr(out, "backing file   a\n"));
	assert_non_null(strstr(out, "its format     qcow2\n"));
	assert_non_null(strstr(out, "5.0 MiB (5242880 bytes)"));
}

static void test_info(void **state)
{
	(void)state;
	need_judge();
	assert_int_equal(qemu_img("create", "-f", "qcow2", "-o",
				  "lazy_refcounts=on,compression_type=zstd,cluster_size=4k,"
				  "refcount_bits=1",
				  "a", "10G", NULL),
			 0);
	assert_int_equal(run(disk_file_info, "a"), 0);
	assert_non_null(strstr(out, "qcow2, by its first bytes"));
	assert_non_null(strstr(out, "10.0 GiB (10737418240 bytes)"));
	assert_non_null(strstr(out, "1-bit, lazy"));
	assert_non_null(strstr(out, "zstd"));
	assert_int_equal(run(disk_file_info, "a --json --format qcow2"), 0);
	assert_non_null(strstr(out, "\"size\": 10737418240"));
	assert_non_null(strstr(out, "\"cluster_size\": 4096"));
	assert_non_null(strstr(out, "\"compression\": \"zstd\""));
	assert_non_null(strstr(out, "\"dirty\": false"));
	/* As raw it is what it is: bytes. */
	assert_int_equal(run(disk_file_info, "a --format raw"), 0);
	assert_null(strstr(out, "10737418240"));
}

/* A name out of an image does not drive the terminal. */
static void test_info_is_printable(void **state)
{
	static const char name[] = "\033[31mred";
	int fd;

	(void)state;
	assert_int_equal(run(disk_file_create, "raw 1M --format raw"), 0);
	assert_int_equal(run(disk_file_create, "a --backing raw --backing-format raw"), 0);
	fd = open("a", O_RDWR);
	assert_int_equal(pwrite(fd, "\0\0\0\x08", 4, 16), 4);
	assert_int_equal(pwrite(fd, name, 8, 136), 8);
	close(fd);
	assert_int_equal(run(disk_file_info, "a"), 0);
	assert_null(strchr(out, '\033'));
	assert_non_null(strstr(out, "?[31mred"));
}

static void test_check(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(run(disk_file_create, "a 8M"), 0);
	assert_int_equal(run(disk_file_check, "a"), 0);
	assert_non_null(strstr(out, "no errors"));
	/* A cluster behind all others, counted once. */
	fd = open("a", O_RDWR);
	assert_int_equal(ftruncate(fd, 5 << 16), 0);
	assert_int_equal(pwrite(fd, "\0\x01", 2, (2 << 16) + 8), 2);
	assert_int_equal(run(disk_file_check, "a"), 3);
	assert_non_null(strstr(out, "leaked: 1 "));
	/* The L1 table is not counted. */
	assert_int_equal(pwrite(fd, "\0\0", 2, (2 << 16) + 6), 2);
	assert_int_equal(run(disk_file_check, "a"), 2);
	assert_non_null(strstr(out, "errors: 1 "));
	assert_null(strstr(out, "not closed"));
	if (qemu_img_is_there())
		assert_int_equal(qemu_img("check", "a", NULL), 2);
	/* The dirty bit says as much. */
	assert_int_equal(pwrite(fd, "\x01", 1, 79), 1);
	close(fd);
	assert_int_equal(run(disk_file_check, "a"), 2);
	assert_non_null(strstr(out, "not closed"));
	assert_int_equal(run(disk_file_resize, "a 16M"), 0);
	assert_int_equal(run(disk_file_check, "a"), 0);
	if (qemu_img_is_there())
		assert_int_equal(qemu_img("check", "a", NULL), 0);
}

/* Somebody who writes to it has the lock. */
static void test_in_use(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd;

	(void)state;
	assert_int_equal(run(disk_file_create, "a 8M"), 0);
	fd = open("a", O_RDWR);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(run(disk_file_check, "a"), 1);
	assert_non_null(strstr(said(), "in use"));
	assert_int_equal(run(disk_file_resize, "a 1G"), 1);
	assert_non_null(strstr(said(), "in use"));
	assert_int_equal(run(disk_file_resize, "a 1G --format raw"), 1);
	assert_non_null(strstr(said(), "in use"));
	assert_int_equal(run(disk_file_info, "a"), 0);
	close(fd);
}

static void test_resize(void **state)
{
	struct stat st;

	(void)state;
	need_judge();
	assert_int_equal(qemu_img("create", "-f", "raw", "raw", "3M", NULL), 0);
	assert_int_equal(qemu_io("-f", "raw", "-c", "write -P 5 1M 2M", "raw", NULL), 0);
	/* As clouds publish them: compressed. */
	assert_int_equal(qemu_img("convert", "-c", "-O", "qcow2", "raw", "a", NULL), 0);
	assert_int_equal(run(disk_file_resize, "a 20G"), 0);
	assert_int_equal(qemu_img("check", "a", NULL), 0);
	assert_int_equal(
		qemu_io("-f", "qcow2", "-c", "read -P 5 1M 2M", "-c", "read -P 0 3M 1M", "a", NULL),
		0);
	assert_int_equal(run(disk_file_info, "a"), 0);
	assert_non_null(strstr(out, "20.0 GiB (21474836480 bytes)"));
	assert_int_equal(run(disk_file_resize, "a 1G"), 1);
	assert_non_null(strstr(said(), "only become larger"));
	assert_int_equal(run(disk_file_resize, "a 20G"), 0);
	assert_int_equal(run(disk_file_resize, "a 30G --format raw"), 1);
	assert_non_null(strstr(said(), "--format qcow2"));
	assert_int_equal(run(disk_file_resize, "raw 1G --format raw"), 0);
	assert_int_equal(stat("raw", &st), 0);
	assert_int_equal(st.st_size, 1 << 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_refused, up, down),
		cmocka_unit_test_setup_teardown(test_create, up, down),
		cmocka_unit_test_setup_teardown(test_overlay, up, down),
		cmocka_unit_test_setup_teardown(test_info, up, down),
		cmocka_unit_test_setup_teardown(test_info_is_printable, up, down),
		cmocka_unit_test_setup_teardown(test_check, up, down),
		cmocka_unit_test_setup_teardown(test_in_use, up, down),
		cmocka_unit_test_setup_teardown(test_resize, up, down),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
