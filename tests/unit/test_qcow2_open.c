/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How qcow2 disks are opened: who may write, which files below them are opened and by whom, from
 * descriptors as from names, and what a writer left behind that did not close. Skipped where there
 * is no qemu-img or no io_uring, as far as they are needed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "tests/lib/qcow2_files.h"
#include "tests/lib/qemu_img.h"
#include "tests/lib/said.h"

static unsigned asked;

static int approve(void *arg, const char *path, const char *format)
{
	(void)path;
	(void)format;
	asked++;
	return arg != NULL;
}

static void test_backing_is_opened_on_approval_only(void **state)
{
	struct qcow2_creation what = {
		.path = files_path("a"),
		.size = FILES_SIZE,
		.backing = "canary",
		.backing_format = "raw",
	};
	struct qcow2_params p = {.path = files_path("a")};
	struct blk *blk;

	(void)state;
	if (!files.loop)
		skip();
	files_make_model(4);
	files_put_model("canary");
	assert_int_equal(qcow2_create(&what), 0);
	assert_int_equal(qcow2_open(files.loop, &p, &blk), -EACCES);
	assert_non_null(strstr(said(), "canary"));
	p.approve_backing = approve;
	asked = 0;
	assert_int_equal(qcow2_open(files.loop, &p, &blk), -EACCES);
	assert_int_equal(asked, 1);
	p.approve_arg = files.model;
	assert_int_equal(qcow2_open(files.loop, &p, &blk), 0);
	files_compare(blk);
	files_close(blk);
}

static void test_one_writer(void **state)
{
	struct qcow2_creation what = {.path = files_path("a"), .size = FILES_SIZE};
	struct blk *one, *two;

	(void)state;
	if (!files.loop)
		skip();
	assert_int_equal(qcow2_create(&what), 0);
	assert_int_equal(qcow2_create(&what), -EEXIST);
	assert_int_equal(files_open("a", 0, &one), 0);
	assert_int_equal(files_open("a", 0, &two), -EBUSY);
	assert_int_equal(files_open("a", 1, &two), -EBUSY);
	files_close(one);
	assert_int_equal(files_open("a", 1, &one), 0);
	assert_int_equal(files_open("a", 1, &two), 0);
	files_close(one);
	files_close(two);
}

/* A chain that comes back to its beginning. */
static void test_loop_of_backing_files(void **state)
{
	struct qcow2_creation what = {.path = files_path("a"),
				      .size = FILES_SIZE,
				      .backing = "a",
				      .backing_format = "qcow2"};
	struct blk *blk;

	(void)state;
	if (!files.loop)
		skip();
	assert_int_equal(qcow2_create(&what), 0);
	assert_int_equal(files_open("a", 1, &blk), -ELOOP);
	assert_int_equal(files_open("a", 0, &blk), -EBUSY);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static int handed[QCOW2_CHAIN_MAX];
static unsigned n_handed;

/* Gives the files of the chain as descriptors, whatever they are called. */
static int hand_over(void *arg, const char *path, const char *format)
{
	const char *const *names = arg;
	int fd = open(files_path(names[n_handed]), O_RDONLY | O_CLOEXEC);

	assert_non_null(strstr(path, names[n_handed]));
	assert_string_equal(format, n_handed ? "raw" : "qcow2");
	handed[n_handed++] = fd;
	return fd;
}

static int refuse(void *arg, const char *path, const char *format)
{
	(void)arg;
	(void)path;
	(void)format;
	return -EACCES;
}

static void make_chain_of_three(void)
{
	struct qcow2_creation mid = {.path = files_path("b"),
				     .size = FILES_SIZE,
				     .backing = "/nowhere/canary",
				     .backing_format = "raw"};
	struct qcow2_creation top;

	files_make_model(4);
	files_put_model("canary");
	assert_int_equal(qcow2_create(&mid), 0);
	top = (struct qcow2_creation){.path = files_path("a"),
				      .size = FILES_SIZE,
				      .backing = "b",
				      .backing_format = "qcow2"};
	assert_int_equal(qcow2_create(&top), 0);
}

static void test_a_chain_of_descriptors(void **state)
{
	static const char *const below[] = {"b", "canary"};
	struct qcow2_params p = {.path = "a name",
				 .has_fd = 1,
				 .open_backing = hand_over,
				 .approve_arg = (void *)below};
	struct blk *blk;

	(void)state;
	if (!files.loop)
		skip();
	make_chain_of_three();
	n_handed = 0;
	p.fd = open(files_path("a"), O_RDWR | O_CLOEXEC);
	assert_int_equal(qcow2_open(files.loop, &p, &blk), 0);
	assert_int_equal(n_handed, 2);
	files_compare(blk);
	files_close(blk);
	assert_int_equal(fcntl(p.fd, F_GETFD), -1);
	assert_int_equal(fcntl(handed[0], F_GETFD), -1);
	assert_int_equal(fcntl(handed[1], F_GETFD), -1);
	/* Refused: its own descriptor is gone all the same. */
	p.fd = open(files_path("a"), O_RDWR | O_CLOEXEC);
	p.open_backing = refuse;
	assert_int_equal(qcow2_open(files.loop, &p, &blk), -EACCES);
	assert_int_equal(fcntl(p.fd, F_GETFD), -1);
}

static void test_a_chain_without_a_loop(void **state)
{
	static const char *const below[] = {"b", "canary"};
	static uint8_t got[FILES_SIZE];
	struct qcow2_params p = {.path = "a name",
				 .has_fd = 1,
				 .read_only = 1,
				 .open_backing = hand_over,
				 .approve_arg = (void *)below};
	struct iovec v = {got, FILES_SIZE};
	struct blk_req req = {
		.op = BLK_READ, .len = FILES_SIZE, .v = &v, .n = 1, .done = files_done};
	struct blk *blk;

	(void)state;
	make_chain_of_three();
	n_handed = 0;
	p.fd = open(files_path("a"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(qcow2_open(NULL, &p, &blk), 0);
	files.answers = 0;
	blk->ops->submit(blk, &req);
	assert_int_equal(files.answers, 1);
	assert_int_equal(files.result, 0);
	assert_memory_equal(got, files.model, FILES_SIZE);
	blk->ops->close(blk);
}

/* A writer's lock, taken elsewhere through the same description, is neither asked for nor lost. */
static void test_a_lock_that_is_the_callers(void **state)
{
	struct qcow2_creation what = {.path = files_path("a"), .size = FILES_SIZE};
	struct qcow2_params p = {.path = "a", .has_fd = 1, .no_lock = 1, .read_only = 1};
	struct blk *writer, *reader;
	int mine;

	(void)state;
	if (!files.loop)
		skip();
	assert_int_equal(qcow2_create(&what), 0);
	mine = open(files_path("a"), O_RDWR | O_CLOEXEC);
	p.fd = dup(mine);
	assert_int_equal(qcow2_open(files.loop,
				    &(struct qcow2_params){.path = "a", .has_fd = 1, .fd = mine},
				    &writer),
			 0);
	assert_int_equal(qcow2_open(NULL, &p, &reader), 0);
	assert_int_equal(files_open("a", 1, &(struct blk *){NULL}), -EBUSY);
	reader->ops->close(reader);
	assert_int_equal(files_open("a", 1, &(struct blk *){NULL}), -EBUSY);
	files_close(writer);
	assert_int_equal(files_open("a", 0, &writer), 0);
	files_close(writer);
}

/* --- what a writer left behind ---------------------------------------------------------------- */

static uint8_t header_byte(const char *name, unsigned at)
{
	int fd = open(files_path(name), O_RDONLY);
	uint8_t b = 0;

	assert_int_equal(pread(fd, &b, 1, at), 1);
	close(fd);
	return b;
}

/* qemu-io dies with refcounts that it has put off: what it wrote is there, and the image clean. */
static void test_lazy_refcounts_not_closed(void **state)
{
	static const char *const kinds[] = {
		"lazy_refcounts=on",
		"lazy_refcounts=on,cluster_size=512",
		"lazy_refcounts=on,cluster_size=4096,refcount_bits=1",
		"lazy_refcounts=on,cluster_size=2M,refcount_bits=64",
		"lazy_refcounts=on,cluster_size=1k",
	};

	(void)state;
	files_need_judge();
	for (unsigned i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		int snapshot = i % 2 && !strstr(kinds[i / 2], "bits=1");
		struct blk *blk;

		files_make_model(i);
		files_put_model("raw");
		unlink(files_path("a"));
		assert_int_equal(qemu_img("create", "-f", "qcow2", "-o", kinds[i / 2], "-b", "raw",
					  "-F", "raw", files_path("a"), NULL),
				 0);
		if (snapshot)
			assert_int_equal(qemu_img("snapshot", "-c", "one", files_path("a"), NULL),
					 0);
		qemu_io("-f", "qcow2", "-c", "write -P 7 100k 1000k", "-c", "write -P 9 2M 64k",
			"-c", "write -z 2500k 128k", "-c", "flush", "-c", "abort", files_path("a"),
			NULL);
		memset(files.model + (100 << 10), 7, 1000 << 10);
		memset(files.model + (2 << 20), 9, 64 << 10);
		memset(files.model + (2500 << 10), 0, 128 << 10);
		assert_int_equal(header_byte("a", 79), 1);
		/* Read-only it is left as it is. */
		assert_int_equal(files_open("a", 1, &blk), 0);
		files_close(blk);
		assert_int_equal(header_byte("a", 79), 1);
		if (files_open("a", 0, &blk))
			fail_msg("%s", said());
		assert_int_equal(header_byte("a", 79), 0);
		files_close(blk);
		files_judge("a");
		assert_int_equal(files_open("a", 0, &blk), 0);
		files_some_writes(blk, i, 20);
		files_close(blk);
		files_judge("a");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_backing_is_opened_on_approval_only, files_up,
						files_down),
		cmocka_unit_test_setup_teardown(test_one_writer, files_up, files_down),
		cmocka_unit_test_setup_teardown(test_loop_of_backing_files, files_up, files_down),
		cmocka_unit_test_setup_teardown(test_a_chain_of_descriptors, files_up, files_down),
		cmocka_unit_test_setup_teardown(test_a_chain_without_a_loop, files_up, files_down),
		cmocka_unit_test_setup_teardown(test_a_lock_that_is_the_callers, files_up,
						files_down),
		cmocka_unit_test_setup_teardown(test_lazy_refcounts_not_closed, files_up,
						files_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
