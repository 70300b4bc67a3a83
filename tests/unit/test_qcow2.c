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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "tests/lib/qemu_img.h"
#include "tests/lib/said.h"
#include "vmm/log.h"
#include "vmm/loop.h"

#define SIZE (3u << 20)

static struct loop *loop;
static char dir[64];
static uint8_t model[SIZE];

static const char *in_dir(const char *name)
{
	static char paths[8][128];
	static unsigned next;

	next = (next + 1) % 8;
	snprintf(paths[next], sizeof(paths[next]), "%s/%s", dir, name);
	return paths[next];
}

static int up(void **state)
{
	(void)state;
	said_start();
	if (loop_create(&loop, 64))
		loop = NULL;
	snprintf(dir, sizeof(dir), "/tmp/test_qcow2.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int down(void **state)
{
	static const char *const names[] = {"raw", "a", "b", "c", "out", "canary"};

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(in_dir(names[i]));
	if (loop)
		loop_destroy(loop);
	log_set_sink(NULL, NULL);
	return rmdir(dir);
}

static void need_judge(void)
{
	if (!loop || !qemu_img_is_there()) {
		print_message("%s\n", loop ? "no qemu-img here" : "no io_uring here");
		skip();
	}
}

static int result;
static unsigned answers;

static void done(struct blk_req *req, int res)
{
	(void)req;
	result = res;
	answers++;
}

static int request(struct blk *blk, enum blk_op op, uint64_t off, void *p, size_t len)
{
	struct iovec v[2] = {{p, len / 3}, {(uint8_t *)p + len / 3, len - len / 3}};
	struct blk_req req = {.op = op, .off = off, .len = len, .v = v, .n = 2, .done = done};

	answers = 0;
	loop_lock(loop);
	blk->ops->submit(blk, &req);
	loop_unlock(loop);
	while (!answers)
		loop_run_once(loop);
	return result;
}

static void close_it(struct blk *blk)
{
	loop_lock(loop);
	blk->ops->close(blk);
	loop_unlock(loop);
}

static unsigned asked;

static int approve(void *arg, const char *path, const char *format)
{
	(void)path;
	(void)format;
	asked++;
	return arg != NULL;
}

static int open_it(const char *name, int read_only, struct blk **blk)
{
	struct qcow2_params p = {
		.path = in_dir(name),
		.read_only = (uint8_t)read_only,
		.approve_backing = approve,
		.approve_arg = model,
	};

	return qcow2_open(loop, &p, blk);
}

/* Text that can be compressed, noise, holes. */
static void make_model(uint32_t seed)
{
	for (uint32_t i = 0; i < SIZE; i++) {
		seed = seed * 1664525 + 1013904223;
		model[i] = i % (512u << 10) < (128u << 10) ? (uint8_t)(seed >> 24)
							   : (uint8_t)(i / 512 + i % 7);
		if (i % (256u << 10) > (192u << 10))
			model[i] = 0;
	}
}

static void put_model(const char *name)
{
	int fd = open(in_dir(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, model, SIZE), SIZE);
	close(fd);
}

static void compare(struct blk *blk)
{
	static uint8_t got[SIZE];
	static const uint32_t pieces[] = {SIZE, 65536 * 3, 4096, 9 * 512};

	assert_int_equal(blk->size, SIZE);
	for (unsigned i = 0; i < 4; i++) {
		memset(got, 0xcc, SIZE);
		for (uint32_t at = 0; at < SIZE;) {
			uint32_t n = SIZE - at < pieces[i] ? SIZE - at : pieces[i];

			assert_int_equal(request(blk, BLK_READ, at, got + at, n), 0);
			at += n;
		}
		assert_memory_equal(got, model, SIZE);
	}
}

static void read_one(const char *options, unsigned bits, int compressed)
{
	char full[96];
	struct blk *blk;

	snprintf(full, sizeof(full), "%s,cluster_size=%u", options, 1u << bits);
	unlink(in_dir("a"));
	assert_int_equal(qemu_img("convert", "-f", "raw", "-O", "qcow2", "-o", full, in_dir("raw"),
				  in_dir("a"), compressed ? "-c" : NULL, NULL),
			 0);
	if (open_it("a", 1, &blk))
		fail_msg("%s: %s", full, said());
	compare(blk);
	close_it(blk);
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
	need_judge();
	make_model(1);
	put_model("raw");
	for (unsigned bits = 9; bits <= 21; bits++)
		for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			read_one(kinds[i].options, bits, kinds[i].compressed);
	for (unsigned refcount = 1; refcount <= 64; refcount *= 2) {
		char options[64];

		snprintf(options, sizeof(options), "refcount_bits=%u", refcount);
		read_one(options, 9, 0);
	}
}

static void some_writes(struct blk *blk, uint32_t seed, unsigned n)
{
	static uint8_t bytes[300 * 1024];

	for (unsigned i = 0; i < n; i++) {
		uint32_t at, len;

		seed = seed * 1664525 + 1013904223;
		at = (seed >> 8) % (SIZE / 512);
		seed = seed * 1664525 + 1013904223;
		len = 1 + (seed >> 8) % (i % 4 ? 40 : sizeof(bytes) / 512 - 1);
		if (len > SIZE / 512 - at)
			len = SIZE / 512 - at;
		memset(bytes, (int)(seed >> 20), len * 512);
		if (i % 5 == 4) {
			assert_int_equal(
				request(blk, BLK_WRITE_ZEROES, at * 512ull, bytes, len * 512), 0);
			memset(bytes, 0, len * 512);
		} else {
			assert_int_equal(request(blk, BLK_WRITE, at * 512ull, bytes, len * 512), 0);
		}
		memcpy(model + at * 512, bytes, len * 512);
		if (i % 7 == 6)
			assert_int_equal(request(blk, BLK_FLUSH, 0, NULL, 0), 0);
	}
}

static void judge(const char *name)
{
	struct qcow2_check found;

	assert_int_equal(qcow2_check(in_dir(name), &found), 0);
	assert_int_equal(found.errors, 0);
	assert_int_equal(found.leaks, 0);
	assert_int_equal(qemu_img("check", "-f", "qcow2", in_dir(name), NULL), 0);
	put_model("out");
	assert_int_equal(
		qemu_img("compare", "-f", "qcow2", "-F", "raw", in_dir(name), in_dir("out"), NULL),
		0);
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
	need_judge();
	for (unsigned i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		int compressed = i % 2 && !strstr(kinds[i / 2], "prealloc");
		struct blk *blk;

		make_model(i);
		put_model("raw");
		unlink(in_dir("a"));
		assert_int_equal(qemu_img("convert", "-f", "raw", "-O", "qcow2", "-o", kinds[i / 2],
					  in_dir("raw"), in_dir("a"), compressed ? "-c" : NULL,
					  NULL),
				 0);
		assert_int_equal(open_it("a", 0, &blk), 0);
		some_writes(blk, i, 30);
		compare(blk);
		close_it(blk);
		judge("a");
	}
}

static void test_chain_of_three(void **state)
{
	static const char *const compat[] = {"compat=0.10", "compat=1.1"};

	(void)state;
	need_judge();
	for (unsigned i = 0; i < 2; i++) {
		struct blk *blk;

		make_model(77);
		put_model("raw");
		unlink(in_dir("a"));
		unlink(in_dir("b"));
		assert_int_equal(qemu_img("create", "-f", "qcow2", "-o", compat[i], "-b", "raw",
					  "-F", "raw", in_dir("a"), NULL),
				 0);
		assert_int_equal(qemu_img("create", "-f", "qcow2", "-o", compat[i], "-b", "a", "-F",
					  "qcow2", in_dir("b"), NULL),
				 0);
		assert_int_equal(open_it("a", 0, &blk), 0);
		some_writes(blk, 5, 20);
		close_it(blk);
		assert_int_equal(open_it("b", 0, &blk), 0);
		some_writes(blk, 6, 20);
		compare(blk);
		close_it(blk);
		judge("b");
		/* Read-only, nothing changes and everything is there. */
		assert_int_equal(open_it("b", 1, &blk), 0);
		assert_int_equal(request(blk, BLK_WRITE, 0, model, 512), -EROFS);
		compare(blk);
		close_it(blk);
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
	need_judge();
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct blk *blk;
		int fd;

		make_model(i);
		put_model("raw");
		for (const char *const *name = (const char *const[]){"a", "b", "c", NULL}; *name;
		     name++)
			unlink(in_dir(*name));
		assert_int_equal(qemu_img("convert", "-c", "-O", "qcow2", "-o", shapes[i][0],
					  in_dir("raw"), in_dir("a"), NULL),
				 0);
		assert_int_equal(qemu_img("create", "-f", "qcow2", "-o", shapes[i][1], "-b", "a",
					  "-F", "qcow2", in_dir("b"), NULL),
				 0);
		assert_int_equal(qemu_io("-f", "qcow2", "-c", "write -c -P 3 64k 64k", "-c",
					 "write -P 4 1M 200k", "-c", "write -z 2M 100k",
					 in_dir("b"), NULL),
				 0);
		assert_int_equal(qemu_img("create", "-f", "qcow2", "-o", shapes[i][2], "-b", "b",
					  "-F", "qcow2", in_dir("c"), NULL),
				 0);
		assert_int_equal(qemu_io("-f", "qcow2", "-c", "write -P 5 1100k 10k", "-c",
					 "write -z 0 30k", in_dir("c"), NULL),
				 0);
		assert_int_equal(qemu_img("convert", "-f", "qcow2", "-O", "raw", in_dir("c"),
					  in_dir("out"), NULL),
				 0);
		fd = open(in_dir("out"), O_RDONLY);
		assert_int_equal(read(fd, model, SIZE), SIZE);
		close(fd);
		assert_int_equal(open_it("c", 0, &blk), 0);
		compare(blk);
		some_writes(blk, i, 30);
		compare(blk);
		close_it(blk);
		judge("c");
	}
}

static void test_snapshots_stay_as_they_are(void **state)
{
	static uint8_t before[SIZE];
	struct blk *blk;

	(void)state;
	need_judge();
	make_model(3);
	put_model("raw");
	assert_int_equal(
		qemu_img("convert", "-f", "raw", "-O", "qcow2", in_dir("raw"), in_dir("a"), NULL),
		0);
	assert_int_equal(qemu_img("snapshot", "-c", "one", in_dir("a"), NULL), 0);
	memcpy(before, model, SIZE);
	assert_int_equal(open_it("a", 0, &blk), 0);
	some_writes(blk, 8, 40);
	compare(blk);
	close_it(blk);
	judge("a");
	assert_int_equal(qemu_img("snapshot", "-a", "one", in_dir("a"), NULL), 0);
	memcpy(model, before, SIZE);
	judge("a");
}

static void test_backing_is_opened_on_approval_only(void **state)
{
	struct qcow2_creation what = {
		.path = in_dir("a"),
		.size = SIZE,
		.backing = "canary",
		.backing_format = "raw",
	};
	struct qcow2_params p = {.path = in_dir("a")};
	struct blk *blk;

	(void)state;
	if (!loop)
		skip();
	make_model(4);
	put_model("canary");
	assert_int_equal(qcow2_create(&what), 0);
	assert_int_equal(qcow2_open(loop, &p, &blk), -EACCES);
	assert_non_null(strstr(said(), "canary"));
	p.approve_backing = approve;
	asked = 0;
	assert_int_equal(qcow2_open(loop, &p, &blk), -EACCES);
	assert_int_equal(asked, 1);
	p.approve_arg = model;
	assert_int_equal(qcow2_open(loop, &p, &blk), 0);
	compare(blk);
	close_it(blk);
}

static void test_one_writer(void **state)
{
	struct qcow2_creation what = {.path = in_dir("a"), .size = SIZE};
	struct blk *one, *two;

	(void)state;
	if (!loop)
		skip();
	assert_int_equal(qcow2_create(&what), 0);
	assert_int_equal(qcow2_create(&what), -EEXIST);
	assert_int_equal(open_it("a", 0, &one), 0);
	assert_int_equal(open_it("a", 0, &two), -EBUSY);
	assert_int_equal(open_it("a", 1, &two), -EBUSY);
	close_it(one);
	assert_int_equal(open_it("a", 1, &one), 0);
	assert_int_equal(open_it("a", 1, &two), 0);
	close_it(one);
	close_it(two);
}

/* A chain that comes back to its beginning. */
static void test_loop_of_backing_files(void **state)
{
	struct qcow2_creation what = {
		.path = in_dir("a"), .size = SIZE, .backing = "a", .backing_format = "qcow2"};
	struct blk *blk;

	(void)state;
	if (!loop)
		skip();
	assert_int_equal(qcow2_create(&what), 0);
	assert_int_equal(open_it("a", 1, &blk), -ELOOP);
	assert_int_equal(open_it("a", 0, &blk), -EBUSY);
}

static void test_resize(void **state)
{
	struct qcow2_creation what = {.path = in_dir("a"), .size = SIZE};
	struct qcow2_info info;
	struct blk *blk;

	(void)state;
	need_judge();
	assert_int_equal(qcow2_create(&what), 0);
	assert_int_equal(qcow2_resize(in_dir("a"), SIZE - 512), -EINVAL);
	assert_int_equal(qcow2_resize(in_dir("a"), 8ull << 30), 0);
	assert_int_equal(qcow2_info(in_dir("a"), &info), 0);
	assert_int_equal(info.size, 8ull << 30);
	assert_int_equal(info.version, 3);
	assert_int_equal(open_it("a", 0, &blk), 0);
	make_model(1);
	assert_int_equal(request(blk, BLK_WRITE, (8ull << 30) - SIZE, model, SIZE), 0);
	memset(model, 0, SIZE);
	assert_int_equal(request(blk, BLK_READ, (8ull << 30) - SIZE, model, 512), 0);
	close_it(blk);
	assert_int_equal(qemu_img("check", in_dir("a"), NULL), 0);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static int handed[QCOW2_CHAIN_MAX];
static unsigned n_handed;

/* Gives the files of the chain as descriptors, whatever they are called. */
static int hand_over(void *arg, const char *path, const char *format)
{
	const char *const *names = arg;
	int fd = open(in_dir(names[n_handed]), O_RDONLY | O_CLOEXEC);

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
	struct qcow2_creation mid = {.path = in_dir("b"),
				     .size = SIZE,
				     .backing = "/nowhere/canary",
				     .backing_format = "raw"};
	struct qcow2_creation top;

	make_model(4);
	put_model("canary");
	assert_int_equal(qcow2_create(&mid), 0);
	top = (struct qcow2_creation){
		.path = in_dir("a"), .size = SIZE, .backing = "b", .backing_format = "qcow2"};
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
	if (!loop)
		skip();
	make_chain_of_three();
	n_handed = 0;
	p.fd = open(in_dir("a"), O_RDWR | O_CLOEXEC);
	assert_int_equal(qcow2_open(loop, &p, &blk), 0);
	assert_int_equal(n_handed, 2);
	compare(blk);
	close_it(blk);
	assert_int_equal(fcntl(p.fd, F_GETFD), -1);
	assert_int_equal(fcntl(handed[0], F_GETFD), -1);
	assert_int_equal(fcntl(handed[1], F_GETFD), -1);
	/* Refused: its own descriptor is gone all the same. */
	p.fd = open(in_dir("a"), O_RDWR | O_CLOEXEC);
	p.open_backing = refuse;
	assert_int_equal(qcow2_open(loop, &p, &blk), -EACCES);
	assert_int_equal(fcntl(p.fd, F_GETFD), -1);
}

static void test_a_chain_without_a_loop(void **state)
{
	static const char *const below[] = {"b", "canary"};
	static uint8_t got[SIZE];
	struct qcow2_params p = {.path = "a name",
				 .has_fd = 1,
				 .read_only = 1,
				 .open_backing = hand_over,
				 .approve_arg = (void *)below};
	struct iovec v = {got, SIZE};
	struct blk_req req = {.op = BLK_READ, .len = SIZE, .v = &v, .n = 1, .done = done};
	struct blk *blk;

	(void)state;
	make_chain_of_three();
	n_handed = 0;
	p.fd = open(in_dir("a"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(qcow2_open(NULL, &p, &blk), 0);
	answers = 0;
	blk->ops->submit(blk, &req);
	assert_int_equal(answers, 1);
	assert_int_equal(result, 0);
	assert_memory_equal(got, model, SIZE);
	blk->ops->close(blk);
}

/* A writer's lock, taken elsewhere through the same description, is neither asked for nor lost. */
static void test_a_lock_that_is_the_callers(void **state)
{
	struct qcow2_creation what = {.path = in_dir("a"), .size = SIZE};
	struct qcow2_params p = {.path = "a", .has_fd = 1, .no_lock = 1, .read_only = 1};
	struct blk *writer, *reader;
	int mine;

	(void)state;
	if (!loop)
		skip();
	assert_int_equal(qcow2_create(&what), 0);
	mine = open(in_dir("a"), O_RDWR | O_CLOEXEC);
	p.fd = dup(mine);
	assert_int_equal(qcow2_open(loop,
				    &(struct qcow2_params){.path = "a", .has_fd = 1, .fd = mine},
				    &writer),
			 0);
	assert_int_equal(qcow2_open(NULL, &p, &reader), 0);
	assert_int_equal(open_it("a", 1, &(struct blk *){NULL}), -EBUSY);
	reader->ops->close(reader);
	assert_int_equal(open_it("a", 1, &(struct blk *){NULL}), -EBUSY);
	close_it(writer);
	assert_int_equal(open_it("a", 0, &writer), 0);
	close_it(writer);
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
	need_judge();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct qcow2_creation what = {
			.path = in_dir("a"), .size = SIZE, .cluster_bits = cases[i].bits};
		static uint8_t got[SIZE];
		struct blk *blk;

		unlink(in_dir("a"));
		assert_int_equal(qcow2_create(&what), 0);
		assert_int_equal(open_it("a", 0, &blk), 0);
		make_model(i);
		assert_int_equal(request(blk, BLK_WRITE, 0, model, SIZE), 0);
		close_it(blk);
		if (qcow2_resize(in_dir("a"), cases[i].size))
			fail_msg("%s", said());
		assert_int_equal(qemu_img("check", in_dir("a"), NULL), 0);
		assert_int_equal(open_it("a", 0, &blk), 0);
		assert_int_equal(blk->size, cases[i].size);
		assert_int_equal(request(blk, BLK_WRITE, cases[i].size - SIZE, model, SIZE), 0);
		assert_int_equal(request(blk, BLK_READ, 0, got, SIZE), 0);
		assert_memory_equal(got, model, SIZE);
		close_it(blk);
		assert_int_equal(qemu_img("check", in_dir("a"), NULL), 0);
	}
}

static uint8_t header_byte(const char *name, unsigned at)
{
	int fd = open(in_dir(name), O_RDONLY);
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
	need_judge();
	for (unsigned i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		int snapshot = i % 2 && !strstr(kinds[i / 2], "bits=1");
		struct blk *blk;

		make_model(i);
		put_model("raw");
		unlink(in_dir("a"));
		assert_int_equal(qemu_img("create", "-f", "qcow2", "-o", kinds[i / 2], "-b", "raw",
					  "-F", "raw", in_dir("a"), NULL),
				 0);
		if (snapshot)
			assert_int_equal(qemu_img("snapshot", "-c", "one", in_dir("a"), NULL), 0);
		qemu_io("-f", "qcow2", "-c", "write -P 7 100k 1000k", "-c", "write -P 9 2M 64k",
			"-c", "write -z 2500k 128k", "-c", "flush", "-c", "abort", in_dir("a"),
			NULL);
		memset(model + (100 << 10), 7, 1000 << 10);
		memset(model + (2 << 20), 9, 64 << 10);
		memset(model + (2500 << 10), 0, 128 << 10);
		assert_int_equal(header_byte("a", 79), 1);
		/* Read-only it is left as it is. */
		assert_int_equal(open_it("a", 1, &blk), 0);
		close_it(blk);
		assert_int_equal(header_byte("a", 79), 1);
		if (open_it("a", 0, &blk))
			fail_msg("%s", said());
		assert_int_equal(header_byte("a", 79), 0);
		close_it(blk);
		judge("a");
		assert_int_equal(open_it("a", 0, &blk), 0);
		some_writes(blk, i, 20);
		close_it(blk);
		judge("a");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads_what_qemu_img_writes, up, down),
		cmocka_unit_test_setup_teardown(test_writes_what_qemu_img_reads, up, down),
		cmocka_unit_test_setup_teardown(test_chain_of_three, up, down),
		cmocka_unit_test_setup_teardown(test_chain_of_shapes, up, down),
		cmocka_unit_test_setup_teardown(test_snapshots_stay_as_they_are, up, down),
		cmocka_unit_test_setup_teardown(test_backing_is_opened_on_approval_only, up, down),
		cmocka_unit_test_setup_teardown(test_one_writer, up, down),
		cmocka_unit_test_setup_teardown(test_loop_of_backing_files, up, down),
		cmocka_unit_test_setup_teardown(test_resize, up, down),
		cmocka_unit_test_setup_teardown(test_a_chain_of_descriptors, up, down),
		cmocka_unit_test_setup_teardown(test_a_chain_without_a_loop, up, down),
		cmocka_unit_test_setup_teardown(test_a_lock_that_is_the_callers, up, down),
		cmocka_unit_test_setup_teardown(test_resize_beyond_its_l1, up, down),
		cmocka_unit_test_setup_teardown(test_lazy_refcounts_not_closed, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
