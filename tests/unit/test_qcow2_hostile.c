/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qcow2 images that were made to hurt: headers out of bounds, tables over each other, entries that
 * cannot be. Each is refused with a sentence, or found out before it does harm: then the image is
 * marked and takes no more writes. On the fake loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "devices/block/qcow2_format.h"
#include "tests/lib/cases.h"
#include "tests/lib/fake_loop.h"
#include "tests/lib/said.h"
#include "vmm/log.h"

#define SIZE     (8u << 20)
#define CLUSTER  65536ull
/* Where qcow2_create() puts things for this size. */
#define REFTABLE (1 * CLUSTER)
#define BLOCK    (2 * CLUSTER)
#define L1       (3 * CLUSTER)

static struct loop loop;
static char path[64];

static int up(void **state)
{
	int fd;

	(void)state;
	memset(&loop, 0, sizeof(loop));
	snprintf(path, sizeof(path), "/tmp/test_qcow2_hostile.XXXXXX");
	fd = mkstemp(path);
	close(fd);
	said_start();
	return fd < 0 ? -1 : 0;
}

static int down(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	return unlink(path);
}

static void create(void)
{
	unlink(path);
	assert_int_equal(qcow2_create(&(struct qcow2_creation){.path = path, .size = SIZE}), 0);
}

static void patch(uint64_t off, unsigned len, uint64_t value)
{
	uint8_t bytes[8];
	int fd = open(path, O_RDWR);

	put_be64(bytes, value);
	assert_int_equal(pwrite(fd, bytes + 8 - len, len, (off_t)off), len);
	close(fd);
}

static uint64_t peek(uint64_t off)
{
	uint8_t bytes[8] = {0};
	int fd = open(path, O_RDONLY);

	assert_int_equal(pread(fd, bytes, 8, (off_t)off), 8);
	close(fd);
	return be64_at(bytes);
}

static int open_it(struct blk **blk)
{
	return qcow2_open(&loop, &(struct qcow2_params){.path = path}, blk);
}

static int result;

static void done(struct blk_req *req, int res)
{
	(void)req;
	result = res;
}

static int request(struct blk *blk, enum blk_op op, uint64_t off, size_t len)
{
	static uint8_t bytes[4 * CLUSTER];
	struct iovec v = {bytes, len};
	struct blk_req req = {.op = op, .off = off, .len = len, .v = &v, .n = 1, .done = done};

	result = 1;
	blk->ops->submit(blk, &req);
	fake_loop_run(&loop, 0);
	assert_int_not_equal(result, 1);
	return result;
}

static void test_headers(void **state)
{
	static const struct {
		uint64_t off, value;
		unsigned len;
		int want;
		const char *says;
	} cases[] = {
		{0, 0, 4, -EINVAL, "not a qcow2 image"},
		{4, 1, 4, -ENOTSUP, "version 1"},
		{4, 4, 4, -ENOTSUP, "version 4"},
		{20, 8, 4, -EINVAL, "2^8"},
		{20, 22, 4, -EINVAL, "2^22"},
		{20, 63, 4, -EINVAL, "2^63"},
		{20, 0xffffffff, 4, -EINVAL, "2^"},
		{24, 0, 8, -EINVAL, "size of 0"},
		{24, 513, 8, -EINVAL, "size of 513"},
		{24, 1ull << 63, 8, -EINVAL, "size of"},
		{24, 1ull << 50, 8, -EINVAL, "L1 table"},
		{32, 1, 4, -ENOTSUP, "encrypted"},
		{32, 2, 4, -ENOTSUP, "encrypted"},
		{36, 0, 4, -EINVAL, "L1 table"},
		{36, 0xffffffff, 4, -EINVAL, "L1 table"},
		{36, 1u << 21, 4, -EINVAL, "L1 table"},
		{40, 512, 8, -EINVAL, "L1 table"},
		{40, 0, 8, -EINVAL, "L1 table"},
		{40, 1ull << 40, 8, -EINVAL, "L1 table"},
		{40, ~0xffffull, 8, -EINVAL, "L1 table"},
		{48, 0, 8, -EINVAL, "refcount table"},
		{48, ~0xffffull, 8, -EINVAL, "refcount table"},
		{56, 0, 4, -EINVAL, "refcount table"},
		{56, 0xffffffff, 4, -EINVAL, "refcount table"},
		{56, 129, 4, -EINVAL, "refcount table"},
		{72, 4, 8, -ENOTSUP, "another file"},
		{72, 8, 8, -ENOTSUP, "compression"},
		{72, 16, 8, -ENOTSUP, "subclusters"},
		{72, 32, 8, -ENOTSUP, "bit 5"},
		{72, 1ull << 63, 8, -ENOTSUP, "bit 63"},
		{96, 7, 4, -EINVAL, "refcount order"},
		{96, 0xffffffff, 4, -EINVAL, "refcount order"},
		{100, 96, 4, -EINVAL, "header of 96"},
		{100, 105, 4, -EINVAL, "header of 105"},
		{100, 0xfffffff8, 4, -EINVAL, "header of"},
		{104, 1, 1, -ENOTSUP, "compression"},
		{112, 0x6803f857fffffff0, 8, -EINVAL, "extension"},
		{112, 0xe2792aca00000010, 8, -EINVAL, "format"},
		{8, 0xffff, 8, -EINVAL, "backing file"},
		{8, 1ull << 63, 8, -EINVAL, "backing file"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct blk *blk;

		case_begin("byte %u", (unsigned)cases[i].off);
		create();
		if (cases[i].off == 8)
			patch(16, 4, 100);
		patch(cases[i].off, cases[i].len, cases[i].value);
		said_clear();
		CHECK(open_it(&blk) == cases[i].want);
		CHECK(strstr(said(), cases[i].says));
	}
}

/* A feature is refused by the name that the image has for it. */
static void test_feature_has_a_name(void **state)
{
	struct blk *blk;

	(void)state;
	create();
	patch(72, 8, 1ull << 40);
	patch(112, 8, 0x6803f85700000030);
	patch(120, 2, 40);
	patch(122, 8, 0x7461636f63617400); /* tacocat */
	assert_int_equal(open_it(&blk), -ENOTSUP);
	assert_non_null(strstr(said(), "(tacocat)"));
}

static void test_marked_as_corrupt(void **state)
{
	struct blk *blk;

	(void)state;
	create();
	patch(72, 8, 2);
	assert_int_equal(open_it(&blk), 0);
	assert_true(blk->read_only);
	assert_int_equal(request(blk, BLK_READ, 0, 4096), 0);
	assert_int_equal(request(blk, BLK_WRITE, 0, 4096), -EROFS);
	blk->ops->close(blk);
}

/* No room for new refcounts: the image is what it was. */
static void test_not_closed_and_no_room(void **state)
{
	struct rlimit before, limit;
	struct stat st;
	struct blk *blk;

	(void)state;
	create();
	patch(72, 8, QCOW2_DIRTY);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	for (unsigned more = 0; more < 2; more++) {
		limit = (struct rlimit){(4 + more) * CLUSTER, before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		said_clear();
		assert_int_equal(open_it(&blk), -EFBIG);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		assert_int_equal(said_count(), 1);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, 4 * CLUSTER);
		assert_int_equal(peek(48), REFTABLE);
		assert_int_equal(peek(72), QCOW2_DIRTY);
	}
	assert_int_equal(open_it(&blk), 0);
	blk->ops->close(blk);
}

/* Refcounts are made anew only from tables that can be. */
static void test_not_closed_and_damaged(void **state)
{
	struct blk *blk;

	(void)state;
	create();
	patch(72, 8, QCOW2_DIRTY);
	assert_int_equal(open_it(&blk), 0);
	assert_int_equal(peek(72), 0);
	blk->ops->close(blk);
	create();
	patch(72, 8, QCOW2_DIRTY);
	patch(L1, 8, 1ull << 60);
	said_clear();
	assert_int_equal(open_it(&blk), -EROFS);
	assert_non_null(strstr(said(), "qemu-img check -r"));
	assert_int_equal(peek(72), QCOW2_DIRTY);
	assert_int_equal(peek(48), REFTABLE);
}

/* One cluster of data, and behind it the L2 table that says so: returns where that is. */
static uint64_t l2_of_first(void)
{
	struct blk *blk;

	create();
	assert_int_equal(open_it(&blk), 0);
	assert_int_equal(request(blk, BLK_WRITE, 0, CLUSTER), 0);
	blk->ops->close(blk);
	return peek(L1) & QCOW2_OFFSET;
}

/* The write fails, the mark is in the file, and what was to be saved was not touched. */
static void is_found_out(enum blk_op op, uint64_t off, size_t len)
{
	struct blk *blk;
	uint64_t reftable = peek(REFTABLE), l1 = peek(L1);

	if (open_it(&blk))
		fail_msg("%s: %s", case_name(), said());
	if (!blk->read_only) {
		/* The flush, where it is not the request itself that shows it. */
		if (request(blk, op, off, len) == 0)
			CHECK(request(blk, BLK_FLUSH, 0, 0) == -EIO);
		CHECK(request(blk, BLK_WRITE, 0, 512) == -EIO);
	}
	blk->ops->close(blk);
	CHECK(strstr(said(), "damaged"));
	CHECK(peek(REFTABLE) == reftable);
	CHECK(peek(L1) == l1);
	CHECK(peek(72) == 2);
	CHECK(open_it(&blk) == 0 && blk->read_only);
	blk->ops->close(blk);
}

static void test_guest_cluster_is_a_table(void **state)
{
	static const uint64_t tables[] = {REFTABLE, BLOCK, L1};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		uint64_t l2 = l2_of_first(), place = i < 3 ? tables[i] : l2;

		case_begin("table %u", i);
		patch(l2, 8, place | QCOW2_COPIED | (i == 4));
		is_found_out(BLK_WRITE, 0, 4096);
	}
}

static void test_entries_that_cannot_be(void **state)
{
	static const uint64_t entries[] = {
		QCOW2_COPIED | 512,
		QCOW2_COPIED | 1ull << 55,
		QCOW2_COPIED | 1ull << 60 | 5 * CLUSTER,
		QCOW2_COPIED | 5 * CLUSTER | 2,
		QCOW2_COPIED,
		QCOW2_COPIED | QCOW2_COMPRESSED | 5 * CLUSTER,
		QCOW2_COMPRESSED | 100,
		QCOW2_COMPRESSED | 1ull << 53,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		uint64_t l2 = l2_of_first();

		case_begin("entry %u", i);
		patch(l2, 8, entries[i]);
		is_found_out(BLK_WRITE, 0, 4096);
		case_begin("entry %u, discard", i);
		l2 = l2_of_first();
		patch(l2, 8, entries[i]);
		is_found_out(BLK_DISCARD, 0, CLUSTER);
	}
}

static void test_tables_that_are_not_counted(void **state)
{
	(void)state;
	l2_of_first();
	/* All clusters are free, the tables too. */
	case_begin("allocation");
	for (unsigned i = 0; i < 8; i++)
		patch(BLOCK + 2 * i, 2, 0);
	is_found_out(BLK_WRITE, CLUSTER, CLUSTER);
	case_begin("freeing");
	l2_of_first();
	for (unsigned i = 4; i < 8; i++)
		patch(BLOCK + 2 * i, 2, 0);
	is_found_out(BLK_DISCARD, 0, CLUSTER);
	case_begin("no block");
	l2_of_first();
	patch(REFTABLE, 8, 0);
	is_found_out(BLK_WRITE, CLUSTER, CLUSTER);
	case_begin("block outside");
	l2_of_first();
	patch(REFTABLE, 8, 1ull << 40);
	is_found_out(BLK_WRITE, CLUSTER, CLUSTER);
}

static void test_two_tables_in_one_place(void **state)
{
	struct blk *blk;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t l2 = l2_of_first();

		case_begin("place %u", i);
		patch(i == 0 ? L1 : REFTABLE + 8, 8,
		      i == 0   ? L1 | QCOW2_COPIED
		      : i == 1 ? BLOCK
			       : l2);
		CHECK(open_it(&blk) == 0);
		CHECK(blk->read_only);
		CHECK(strstr(said(), "in one place"));
		blk->ops->close(blk);
	}
}

/* What cannot be inflated is an error, and the disk goes on. */
static void test_compressed_noise(void **state)
{
	struct blk *blk;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t l2 = l2_of_first(), data = peek(l2) & QCOW2_OFFSET;

		patch(l2, 8, QCOW2_COMPRESSED | (i * 40ull) << 54 | (data + 77 * i));
		patch(data + 77 * i, 8, 0x0102030405060708ull << i);
		assert_int_equal(open_it(&blk), 0);
		assert_int_equal(request(blk, BLK_READ, 0, CLUSTER), -EIO);
		assert_int_equal(request(blk, BLK_READ, CLUSTER, CLUSTER), 0);
		assert_int_equal(request(blk, BLK_WRITE, 512, 512), -EIO);
		assert_int_equal(request(blk, BLK_WRITE, 0, CLUSTER), 0);
		assert_int_equal(request(blk, BLK_READ, 0, CLUSTER), 0);
		assert_int_equal(request(blk, BLK_FLUSH, 0, 0), 0);
		blk->ops->close(blk);
	}
}

/* Compressed bytes that reach into a table: freeing them would free the table. */
static void test_compressed_over_a_table(void **state)
{
	uint64_t l2 = l2_of_first(), data = peek(l2) & QCOW2_OFFSET;

	(void)state;
	case_begin("two clusters");
	assert_int_equal(data + CLUSTER, l2);
	patch(l2, 8, QCOW2_COMPRESSED | 200ull << 54 | data);
	is_found_out(BLK_WRITE, 0, CLUSTER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_headers, up, down),
		cmocka_unit_test_setup_teardown(test_feature_has_a_name, up, down),
		cmocka_unit_test_setup_teardown(test_marked_as_corrupt, up, down),
		cmocka_unit_test_setup_teardown(test_not_closed_and_damaged, up, down),
		cmocka_unit_test_setup_teardown(test_not_closed_and_no_room, up, down),
		cmocka_unit_test_setup_teardown(test_guest_cluster_is_a_table, up, down),
		cmocka_unit_test_setup_teardown(test_entries_that_cannot_be, up, down),
		cmocka_unit_test_setup_teardown(test_tables_that_are_not_counted, up, down),
		cmocka_unit_test_setup_teardown(test_two_tables_in_one_place, up, down),
		cmocka_unit_test_setup_teardown(test_compressed_noise, up, down),
		cmocka_unit_test_setup_teardown(test_compressed_over_a_table, up, down),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
