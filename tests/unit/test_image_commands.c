/* SPDX-License-Identifier: BSD-2-Clause */
/* `skiff image ls`, `rm`, `inspect`: what they print, and how wrong use is answered. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "loader/image/inspection.h"
#include "loader/image/options.h"
#include "loader/image/pull.h"
#include "loader/image/shelf.h"
#include "tests/lib/said.h"
#include "tests/lib/scratch_home.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define IMAGES   "data/skiff/images/"
#define WORDS    8

static char printed[1 << 16];

/* Runs a command with @line's words; what it prints is in `printed`. Its exit status. */
static int run(int (*command)(int, char **), const char *line)
{
	int copy = dup(STDOUT_FILENO), fd = memfd_create("stdout", 0), n = 0, status;
	char *argv[WORDS + 1] = {NULL}, *save = NULL, *words = strdup(line);
	ssize_t len;

	for (char *w = strtok_r(words, " ", &save); w && n < WORDS; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	said_clear();
	status = command(n, argv);
	fflush(stdout);
	dup2(copy, STDOUT_FILENO);
	close(copy);
	len = pread(fd, printed, sizeof(printed) - 1, 0);
	printed[len < 0 ? 0 : len] = '\0';
	close(fd);
	free(words);
	return status;
}

static int setup(void **state)
{
	static volatile sig_atomic_t stop;
	struct qcow2_creation disk = {.size = 1 << 30};
	char summary[PULL_SUMMARY_MAX];
	struct image_entry e;

	scratch_home_make(state);
	said_start();
	setenv("TZ", "UTC", 1);
	disk.path = scratch_home_path("small.qcow2");
	assert_int_equal(qcow2_create(&disk), 0);
	scratch_home_write("long.raw", "0123456789", 10);
	assert_int_equal(pull_run(&(struct pull){.target = disk.path,
						 .name = "small:1",
						 .arch = "amd64",
						 .stop = &stop},
				  &e, summary),
			 0);
	assert_int_equal(pull_run(&(struct pull){.target = scratch_home_path("long.raw"),
						 .name = "a-longer-name:1.2",
						 .arch = "arm64",
						 .stop = &stop},
				  &e, summary),
			 0);
	return 0;
}

/* Every line of `printed` has @word's column where its first line has it. */
static void assert_column(const char *word)
{
	const char *at = strstr(printed, word);
	size_t column = at ? (size_t)(at - printed) : 0;

	assert_non_null(at);
	for (const char *line = strchr(printed, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
		assert_true(strcspn(line, "\n") > column);
		assert_true(line[column] != ' ');
		assert_true(column == 0 || line[column - 1] == ' ');
	}
}

static void test_ls(void **state)
{
	static const char *const columns[] = {"NAME", "ARCH",   "FORMAT", "ON DISK",
					      "SIZE", "DIGEST", "PULLED"};

	(void)state;
	assert_int_equal(run(shelf_ls, ""), 0);
	for (size_t i = 0; i < N(columns); i++)
		assert_column(columns[i]);
	assert_non_null(strstr(printed, "\nsmall:1            amd64  qcow2 "));
	assert_non_null(strstr(printed, "1.0 GiB"));
	assert_non_null(strstr(printed, "10 B"));
	assert_non_null(strstr(printed, "84d89877f0d4")); /* SHA-256 of the ten digits */
	assert_int_equal(said_count(), 0);
}

static void test_ls_json(void **state)
{
	(void)state;
	assert_int_equal(run(shelf_ls, "--json"), 0);
	assert_int_equal(printed[0], '[');
	assert_non_null(strstr(printed, "\"name\": \"small:1\""));
	assert_non_null(strstr(printed, "\"virtual_size\": 1073741824"));
	assert_non_null(strstr(printed, "\"digest\": \"sha256:84d89877f0d4"));
}

static void test_ls_available(void **state)
{
	(void)state;
	assert_int_equal(run(shelf_ls, "--available"), 0);
	assert_column("ARCH");
	assert_column("FORMAT");
	assert_non_null(strstr(printed, "\nubuntu:24.04 "));
	assert_non_null(strstr(printed, "ubuntu:noble"));
	assert_int_equal(run(shelf_ls, "--available --json"), 0);
	assert_non_null(strstr(printed, "\"ubuntu:noble\""));
}

static void test_ls_of_nothing(void **state)
{
	(void)state;
	setenv("XDG_DATA_HOME", scratch_home_path("elsewhere"), 1);
	assert_int_equal(run(shelf_ls, ""), 0);
	assert_string_equal(printed, "");
	assert_non_null(strstr(said(), "none yet"));
	assert_int_equal(run(shelf_ls, "--json"), 0);
	assert_string_equal(printed, "[]\n");
	assert_int_equal(run(shelf_rm, "x"), 1);
	assert_non_null(strstr(said(), "image rm: x: not here"));
	assert_int_equal(run(shelf_rm, "--parts"), 0);
	assert_int_equal(access(scratch_home_path("elsewhere"), F_OK), -1); /* made nothing */
}

static void test_parts(void **state)
{
	(void)state;
	scratch_home_write(IMAGES "parts/0123", "half of it", 10);
	scratch_home_write(IMAGES "parts/0123.state", "have 10\n", 8);
	scratch_home_write(IMAGES "parts/4567.state", "have 10\n", 8);
	assert_int_equal(run(shelf_ls, ""), 0);
	assert_non_null(strstr(said(), "of pulls that broke off"));
	assert_int_equal(run(shelf_rm, "--parts"), 0);
	assert_int_equal(scratch_home_count(IMAGES "parts"), 0);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 2);
}

static void test_rm(void **state)
{
	struct image_entry e;

	(void)state;
	assert_int_equal(run(shelf_rm, "a-longer-name:1.2 --arch amd64"), 1);
	assert_string_equal(said(), "image rm: a-longer-name:1.2: not here for amd64: see `skiff "
				    "image ls`");
	assert_int_equal(image_store_find("a-longer-name:1.2", "arm64", &e), 0);
	scratch_home_write("data/skiff/machines/web/image", e.path, strlen(e.path));
	assert_int_equal(run(shelf_rm, "a-longer-name:1.2 --arch=aarch64"), 1);
	assert_non_null(strstr(said(), "machine `web` is laid over it"));
	unlink(scratch_home_path("data/skiff/machines/web/image"));
	assert_int_equal(run(shelf_rm, "a-longer-name:1.2 --arch=aarch64"), 0);
	assert_int_equal(scratch_home_count(IMAGES "names"), 1);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 1);
}

static void test_inspect(void **state)
{
	char line[512];

	(void)state;
	assert_int_equal(run(inspection_main, "small:1 --arch amd64"), 0);
	assert_non_null(strstr(printed, "name         small:1\n"));
	assert_non_null(strstr(printed, "size         1.0 GiB (1073741824 bytes)"));
	assert_non_null(strstr(printed, "version 3, clusters of 64.0 KiB, 0 snapshots\n"));
	assert_non_null(strstr(printed, "compared     with nothing"));
	assert_int_equal(run(inspection_main, "small:1 --arch amd64 --json"), 0);
	assert_non_null(strstr(printed, "\"cluster_size\": 65536"));
	assert_non_null(strstr(printed, "\"virtual_size\": 1073741824"));
	snprintf(line, sizeof(line), "%s", scratch_home_path("long.raw"));
	assert_int_equal(run(inspection_main, line), 0);
	assert_non_null(strstr(printed, "format       raw, by its first bytes\n"));
	assert_non_null(strstr(printed, "digest       sha256:84d89877f0d4"));
	assert_null(strstr(printed, "name"));
	assert_int_equal(run(inspection_main, "none:1"), 1);
	assert_string_equal(said(), "image inspect: none:1: neither an image that is here nor a "
				    "file");
}

static void test_wrong_use(void **state)
{
	static const struct {
		int (*command)(int, char **);
		const char *line, *said;
	} table[] = {
		{shelf_ls, "--avail",
		 "image ls: --avail: no such option: did you mean --available?"},
		{shelf_ls, "--json=1", "image ls: --json: takes no value"},
		{shelf_ls, "x", "image ls: x: one argument too many"},
		{shelf_rm, "", "image rm: which one? see `skiff image ls`"},
		{shelf_rm, "x --arch", "image rm: --arch: needs a value"},
		{shelf_rm, "x --arch vax", "image rm: --arch vax: give amd64 or arm64"},
		{inspection_main, "", "image inspect: which one? see `skiff image ls`"},
		{inspection_main, "x --arch vax", "image inspect: --arch: give amd64 or arm64"},
		{inspection_main, "x y", "image inspect: y: one argument too many"},
		{pull_main, "--digest= x", "image pull: --digest: needs a value"},
		{pull_main, "--name a --name b x", "image pull: --name: given twice"},
		{pull_main, "--qqqqqqqqqqqqqqq",
		 "image pull: --qqqqqqqqqqqqqqq: no such option: see `skiff image help pull`"},
		{pull_main, "-- --name x", "image pull: x: one argument too many"},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		assert_int_equal(run(table[i].command, table[i].line), 2);
		assert_string_equal(said(), table[i].said);
		assert_int_equal(said_count(), 1);
		assert_string_equal(printed, "");
	}
}

int main(void)
{
#define WITH_IMAGES(t) cmocka_unit_test_setup_teardown(t, setup, scratch_home_remove)
	const struct CMUnitTest tests[] = {
		WITH_IMAGES(test_ls),           WITH_IMAGES(test_ls_json),
		WITH_IMAGES(test_ls_available), WITH_IMAGES(test_ls_of_nothing),
		WITH_IMAGES(test_parts),        WITH_IMAGES(test_rm),
		WITH_IMAGES(test_inspect),      WITH_IMAGES(test_wrong_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
