/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qcow2 disks on the real loop, with qemu-img as the judge: images that it makes are read as it
 * reads them, and what is written here it finds clean and the same. Skipped where there is no
 * qemu-img or no io_uring.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "tests/lib/qcow2_files.h"
#include "tests/lib/qemu_img.h"
#include "tests/lib/said.h"

static void read_one(const char *options, unsigned bits, int compressed)
{
	char full[96];
	struct blk *blk;

	snprintf(full, sizeof(full), "%s,cluster_size=%u", options, 1u << bits);
	unlink(files_path("a"));
	assert_int_equal(qemu_img("convert", "-f", "raw", "-O", "qcow2", "-o", full,
				  files_path("raw"), files_path("a"), compressed ? "-c" : NULL,
				  NULL),
			 0);
	if (files_open("a", 1, &blk))
		fail_msg("%s: %s", full, said());
	files_compare(blk);
	files_close(blk);
}

static void test_reads_what_qemu_img_writes(void **state)
{
	static const struct {
		const char *options;
		int compressed;
	} kinds[] = {
		{"compat=0.10", 0},
		{"compat=0.10", 1},
		{"compat=1.1,lazy_refcounts=on", 0},
		{"compat=1.1", 1},
		{"compat=1.1,compression_type=zstd", 1},
	};

	(void)state;
	files_need_judge();
	files_make_model(1);
	files_put_model("raw");
	for (unsigned bits = 9; bits <= 21; bits++)
		for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			read_one(kinds[i].options, bits, kinds[i].compressed);
	for (unsigned refcount = 1; refcount <= 64; refcount *= 2) {
		char options[64];

		snprintf(options, sizeof(options), "refcount_bits=%u", refcount);
		read_one(options, 9, 0);
	}
}

static void test_writes_what_qemu_img_reads(void **state)
{
	static const char *const kinds[] = {
		"compat=0.10,cluster_size=512",
		"compat=0.10",
		"compat=1.1,cluster_size=1024,refcount_bits=64",
		"compat=1.1,refcount_bits=1",
		"compat=1.1,refcount_bits=4,cluster_size=4096",
		"compat=1.1,cluster_size=2M",
		"compat=1.1,compression_type=zstd",
		"compat=1.1,preallocation=metadata",
	};

	(void)state;
	files_need_judge();
	for (unsigned i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		int compressed = i % 2 && !strstr(kinds[i / 2], "prealloc");
		struct blk *blk;

		files_make_model(i);
		files_put_model("raw");
		unlink(files_path("a"));
		assert_int_equal(qemu_img("convert", "-f", "raw", "-O", "qcow2", "-o", kinds[i / 2],
					  files_path("raw"), files_path("a"),
					  compressed ? "-c" : NULL, NULL),
				 0);
		assert_int_equal(files_open("a", 0, &blk), 0);
		files_some_writes(blk, i, 30);
		files_compare(blk);
		files_close(blk);
		files_judge("a");
	}
}

static void test_chain_of_three(void **state)
{
	static const char *const compat[] = {"compat=0.10", "compat=1.1"};

	(void)state;
	files_need_judge();
	for (unsigned i = 0; i < 2; i++) {
		struct blk *blk;

		files_make_model(77);
		files_put_model("raw");
		unlink(files_path("a"));
		unlink(files_path("b"));
		assert_int_equal(qemu_img("create", "-f", "qcow2", "-o", compat[i], "-b", "raw",
					  "-F", "raw", files_path("a"), NULL),
				 0);
		assert_int_equal(qemu_img("create", "-f", "qcow2", "-o", compat[i], "-b", "a", "-F",
					  "qcow2", files_path("b"), NULL),
				 0);
		assert_int_equal(files_open("a", 0, &blk), 0);
		files_some_writes(blk, 5, 20);
		files_close(blk);
		assert_int_equal(files_open("b", 0, &blk), 0);
		files_some_writes(blk, 6, 20);
		files_compare(blk);
		files_close(blk);
		files_judge("b");
		/* Read-only, nothing changes and everything is there. */
		assert_int_equal(files_open("b", 1, &blk), 0);
		assert_int_equal(files_request(blk, BLK_WRITE, 0, files.model, 512), -EROFS);
		files_compare(blk);
		files_close(blk);
	}
}

/* All of it compressed and of different shapes, judged by what qemu-img makes of it. */
static void test_chain_of_shapes(void **state)
{
	static const char *const shapes[][3] = {
		{"compat=0.10", "compat=1.1,compression_type=zstd,cluster_size=4k",
		 "compat=1.1,cluster_size=2M"},
		{"compat=1.1,cluster_size=2M", "compat=0.10,cluster_size=512",
		 "compat=1.1,cluster_size=64k,lazy_refcounts=on"},
		{"compat=1.1,compression_type=zstd", "compat=1.1,cluster_size=1k",
		 "compat=0.10,cluster_size=128k"},
	};

	(void)state;
	files_need_judge();
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct blk *blk;
		int fd;

		files_make_model(i);
		files_put_model("raw");
		for (const char *const *name = (const char *const[]){"a", "b", "c", NULL}; *name;
		     name++)
			unlink(files_path(*name));
		assert_int_equal(qemu_img("convert", "-c", "-O", "qcow2", "-o", shapes[i][0],
					  files_path("raw"), files_path("a"), NULL),
				 0);
		assert_int_equal(qemu_img("create", "-f", "qcow2", "-o", shapes[i][1], "-b", "a",
					  "-F", "qcow2", files_path("b"), NULL),
				 0);
		assert_int_equal(qemu_io("-f", "qcow2", "-c", "write -c -P 3 64k 64k", "-c",
					 "write -P 4 1M 200k", "-c", "write -z 2M 100k",
					 files_path("b"), NULL),
				 0);
		assert_int_equal(qemu_img("create", "-f", "qcow2", "-o", shapes[i][2], "-b", "b",
					  "-F", "qcow2", files_path("c"), NULL),
				 0);
		assert_int_equal(qemu_io("-f", "qcow2", "-c", "write -P 5 1100k 10k", "-c",
					 "write -z 0 30k", files_path("c"), NULL),
				 0);
		assert_int_equal(qemu_img("convert", "-f", "qcow2", "-O", "raw", files_path("c"),
					  files_path("out"), NULL),
				 0);
		fd = open(files_path("out"), O_RDONLY);
		assert_int_equal(read(fd, files.model, FILES_SIZE), FILES_SIZE);
		close(fd);
		assert_int_equal(files_open("c", 0, &blk), 0);
		files_compare(blk);
		files_some_writes(blk, i, 30);
		files_compare(blk);
		files_close(blk);
		files_judge("c");
	}
}

static void test_snapshots_stay_as_they_are(void **state)
{
	static uint8_t before[FILES_SIZE];
	struct blk *blk;

	(void)state;
	files_need_judge();
	files_make_model(3);
	files_put_model("raw");
	assert_int_equal(qemu_img("convert", "-f", "raw", "-O", "qcow2", files_path("raw"),
				  files_path("a"), NULL),
			 0);
	assert_int_equal(qemu_img("snapshot", "-c", "one", files_path("a"), NULL), 0);
	memcpy(before, files.model, FILES_SIZE);
	assert_int_equal(files_open("a", 0, &blk), 0);
	files_some_writes(blk, 8, 40);
	files_compare(blk);
	files_close(blk);
	files_judge("a");
	assert_int_equal(qemu_img("snapshot", "-a", "one", files_path("a"), NULL), 0);
	memcpy(files.model, before, FILES_SIZE);
	files_judge("a");
}

static void test_resize(void **state)
{
	struct qcow2_creation what = {.path = files_path("a"), .size = FILES_SIZE};
	struct qcow2_info info;
	struct blk *blk;

	(void)state;
	files_need_judge();
	assert_int_equal(qcow2_create(&what), 0);
	assert_int_equal(qcow2_resize(files_path("a"), FILES_SIZE - 512), -EINVAL);
	assert_int_equal(qcow2_resize(files_path("a"), 8ull << 30), 0);
	assert_int_equal(qcow2_info(files_path("a"), &info), 0);
	assert_int_equal(info.size, 8ull << 30);
	assert_int_equal(info.version, 3);
	assert_int_equal(files_open("a", 0, &blk), 0);
	files_make_model(1);
	assert_int_equal(
		files_request(blk, BLK_WRITE, (8ull << 30) - FILES_SIZE, files.model, FILES_SIZE),
		0);
	memset(files.model, 0, FILES_SIZE);
	assert_int_equal(files_request(blk, BLK_READ, (8ull << 30) - FILES_SIZE, files.model, 512),
			 0);
	files_close(blk);
	assert_int_equal(qemu_img("check", files_path("a"), NULL), 0);
}

/* An L1 table of one cluster of 512 bytes is full at 2 MiB: it is laid anew, with everything in it.
 */
static void test_resize_beyond_its_l1(void **state)
{
	static const struct {
		unsigned bits;
		uint64_t size;
	} cases[] = {{9, 1ull << 30}, {10, 100ull << 20}, {12, 3ull << 30}, {16, 5ull << 40}};

	(void)state;
	files_need_judge();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct qcow2_creation what = {
			.path = files_path("a"), .size = FILES_SIZE, .cluster_bits = cases[i].bits};
		static uint8_t got[FILES_SIZE];
		struct blk *blk;

		unlink(files_path("a"));
		assert_int_equal(qcow2_create(&what), 0);
		assert_int_equal(files_open("a", 0, &blk), 0);
		files_make_model(i);
		assert_int_equal(files_request(blk, BLK_WRITE, 0, files.model, FILES_SIZE), 0);
		files_close(blk);
		if (qcow2_resize(files_path("a"), cases[i].size))
			fail_msg("%s", said());
		assert_int_equal(qemu_img("check", files_path("a"), NULL), 0);
		assert_int_equal(files_open("a", 0, &blk), 0);
		assert_int_equal(blk->size, cases[i].size);
		assert_int_equal(files_request(blk, BLK_WRITE, cases[i].size - FILES_SIZE,
					       files.model, FILES_SIZE),
				 0);
		assert_int_equal(files_request(blk, BLK_READ, 0, got, FILES_SIZE), 0);
		assert_memory_equal(got, files.model, FILES_SIZE);
		files_close(blk);
		assert_int_equal(qemu_img("check", files_path("a"), NULL), 0);
	}
}

/*
 * An image that was not closed, with far more of an L1 table than its size needs: it is laid anew,
 * whole, at its own length.
 */
static void test_resize_of_a_long_l1(void **state)
{
	struct qcow2_creation what = {.path = files_path("a"), .size = FILES_SIZE};
	static const uint8_t dirty[8] = {0, 0, 0, 0, 0, 0, 0, 1}, entries[4] = {0, 2, 0, 0};
	const off_t at = 64 << 20, len = 8 * 0x20000;
	static uint8_t l1[64 << 10], got[FILES_SIZE];
	uint8_t off[8] = {0, 0, 0, 0, (uint8_t)(at >> 24), (uint8_t)(at >> 16)};
	uint64_t old = 0;
	struct blk *blk;
	int fd;

	(void)state;
	files_need_judge();
	assert_int_equal(qcow2_create(&what), 0);
	assert_int_equal(files_open("a", 0, &blk), 0);
	files_make_model(7);
	assert_int_equal(files_request(blk, BLK_WRITE, 0, files.model, FILES_SIZE), 0);
	files_close(blk);
	fd = open(files_path("a"), O_RDWR);
	assert_int_equal(pread(fd, got, 8, 40), 8);
	for (unsigned i = 0; i < 8; i++)
		old = old << 8 | got[i];
	assert_int_equal(pread(fd, l1, sizeof(l1), (off_t)old), sizeof(l1));
	assert_int_equal(ftruncate(fd, at + len), 0);
	assert_int_equal(pwrite(fd, l1, sizeof(l1), at), sizeof(l1));
	assert_int_equal(pwrite(fd, entries, 4, 36), 4);
	assert_int_equal(pwrite(fd, off, 8, 40), 8);
	assert_int_equal(pwrite(fd, dirty, 8, 72), 8);
	close(fd);

	if (qcow2_resize(files_path("a"), 1ull << 30))
		fail_msg("%s", said());
	assert_int_equal(qemu_img("check", files_path("a"), NULL), 0);
	assert_int_equal(files_open("a", 0, &blk), 0);
	assert_int_equal(blk->size, 1ull << 30);
	assert_int_equal(files_request(blk, BLK_READ, 0, got, FILES_SIZE), 0);
	assert_memory_equal(got, files.model, FILES_SIZE);
	files_close(blk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads_what_qemu_img_writes, files_up,
						files_down),
		cmocka_unit_test_setup_teardown(test_writes_what_qemu_img_reads, files_up,
						files_down),
		cmocka_unit_test_setup_teardown(test_chain_of_three, files_up, files_down),
		cmocka_unit_test_setup_teardown(test_chain_of_shapes, files_up, files_down),
		cmocka_unit_test_setup_teardown(test_snapshots_stay_as_they_are, files_up,
						files_down),
		cmocka_unit_test_setup_teardown(test_resize, files_up, files_down),
		cmocka_unit_test_setup_teardown(test_resize_beyond_its_l1, files_up, files_down),
		cmocka_unit_test_setup_teardown(test_resize_of_a_long_l1, files_up, files_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
