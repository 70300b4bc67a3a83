/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A raw disk whose system calls fail, stop short, or come back in any order; and direct I/O
 * through the bounce buffer, compared with a byte array. Linked with tests/lib/fake_loop.c in
 * place of the loop, so it needs no io_uring; the files are real.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/raw.h"
#include "tests/lib/fake_loop.h"
#include "vmm/log.h"

#define SIZE (1u << 20)

static struct loop loop;
static char path[64];
static char said[512];

static void listen_to_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(said, sizeof(said), "%s", line);
}

static int up(void **state)
{
	int fd;

	(void)state;
	memset(&loop, 0, sizeof(loop));
	said[0] = 0;
	snprintf(path, sizeof(path), "/tmp/test_raw_faults.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, SIZE))
		return -1;
	close(fd);
	log_set_sink(listen_to_log, NULL);
	return 0;
}

static int down(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	return unlink(path);
}

static struct blk *open_it(void)
{
	struct blk *blk;

	assert_int_equal(raw_open(&loop, &(struct raw_params){.path = path}, &blk), 0);
	return blk;
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
	struct iovec v[3] = {{p, len / 2}, {NULL, 0}, {(uint8_t *)p + len / 2, len - len / 2}};
	struct blk_req req = {.op = op, .off = off, .len = len, .v = v, .n = 3, .done = done};

	answers = 0;
	blk->ops->submit(blk, &req);
	fake_loop_run(&loop, 0);
	assert_int_equal(answers, 1);
	return result;
}

static void fill(uint8_t *p, size_t n, unsigned salt)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 11 + i / 253 + salt);
}

static void check_file(uint64_t off, const void *want, size_t len)
{
	uint8_t *got = malloc(len);
	int fd = open(path, O_RDONLY);

	assert_int_equal(pread(fd, got, len, (off_t)off), len);
	assert_memory_equal(got, want, len);
	close(fd);
	free(got);
}

/* Every transfer stops after one byte, or after 1000, or is interrupted first. */
static void test_short_transfers(void **state)
{
	static const struct fake_step scripts[][5] = {
		{{1, 1}, {2, 1}, {0, 0}},
		{{1, 1000}, {2, 1}, {3, 2000}, {0, 0}},
		{{1, -EINTR}, {2, -EAGAIN}, {3, 4095}, {4, -EINTR}, {0, 0}},
	};
	static uint8_t out[8192], back[8192];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct blk *blk = open_it();

		fill(out, sizeof(out), i);
		loop.seen = 0;
		loop.script = scripts[i];
		assert_int_equal(request(blk, BLK_WRITE, 512, out, sizeof(out)), 0);
		check_file(512, out, sizeof(out));
		memset(back, 0, sizeof(back));
		loop.seen = 0;
		assert_int_equal(request(blk, BLK_READ, 512, back, sizeof(back)), 0);
		assert_memory_equal(back, out, sizeof(out));
		loop.script = NULL;
		blk->ops->close(blk);
	}
}

static void test_errors_pass_up(void **state)
{
	static const int errors[] = {-EIO, -ENOSPC, -EDQUOT, -EFBIG};
	uint8_t bytes[1024] = {0};
	struct blk *blk = open_it();

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct fake_step script[] = {{1, errors[i]}, {0, 0}};

		for (enum blk_op op = BLK_READ; op <= BLK_WRITE_ZEROES; op++) {
			if (op == BLK_FLUSH)
				continue;
			loop.seen = 0;
			loop.script = script;
			assert_int_equal(request(blk, op, 0, bytes, sizeof(bytes)), errors[i]);
		}
		/* And after a part has been moved. */
		script[0] = (struct fake_step){2, errors[i]};
		loop.seen = 0;
		loop.script = (struct fake_step[]){{1, 100}, {2, errors[i]}, {0, 0}};
		assert_int_equal(request(blk, BLK_WRITE, 0, bytes, sizeof(bytes)), errors[i]);
	}
	loop.script = NULL;
	assert_int_equal(request(blk, BLK_WRITE, 0, bytes, sizeof(bytes)), 0);
	blk->ops->close(blk);
}

/* Someone cuts the file short under a running guest: an error, not a loop. */
static void test_file_cut_short(void **state)
{
	uint8_t bytes[4096];
	struct blk *blk = open_it();

	(void)state;
	assert_int_equal(truncate(path, 2048), 0);
	assert_int_equal(request(blk, BLK_READ, 0, bytes, sizeof(bytes)), -EIO);
	assert_int_equal(request(blk, BLK_READ, 8192, bytes, sizeof(bytes)), -EIO);
	blk->ops->close(blk);
}

/* B52 */
static void test_failed_sync_stays_failed(void **state)
{
	static const struct fake_step script[] = {{2, -EIO}, {0, 0}};
	uint8_t bytes[512] = {0};
	struct blk *blk = open_it();

	(void)state;
	loop.script = script;
	assert_int_equal(request(blk, BLK_FLUSH, 0, bytes, 0), 0);
	assert_int_equal(said[0], 0);
	assert_int_equal(request(blk, BLK_FLUSH, 0, bytes, 0), -EIO);
	assert_non_null(strstr(said, path));
	for (unsigned i = 0; i < 3; i++) {
		said[0] = 0;
		assert_int_equal(request(blk, BLK_WRITE, 0, bytes, 512), 0);
		assert_int_equal(request(blk, BLK_FLUSH, 0, bytes, 0), -EIO);
		assert_int_equal(said[0], 0);
	}
	loop.script = NULL;
	blk->ops->close(blk);
	blk = open_it();
	assert_int_equal(request(blk, BLK_FLUSH, 0, bytes, 0), 0);
	blk->ops->close(blk);
}

static int results[3];

static void done_nth(struct blk_req *req, int res)
{
	results[req->off] = res;
}

/* Two flushes under way, the first fails: the kernel says nothing to the second, we do. */
static void test_failed_sync_with_another_under_way(void **state)
{
	static const struct fake_step script[] = {{1, -ENOSPC}, {0, 0}};
	struct blk *blk = open_it();
	struct blk_req req[3];

	(void)state;
	loop.script = script;
	for (unsigned i = 0; i < 3; i++) {
		results[i] = 1;
		req[i] = (struct blk_req){.op = BLK_FLUSH, .off = i, .done = done_nth};
		blk->ops->submit(blk, &req[i]);
	}
	fake_loop_run(&loop, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(results[i], -EIO);
	loop.script = NULL;
	blk->ops->close(blk);
}

static int no_fallocate(const struct fake_op *op)
{
	return op->kind == FAKE_FALLOCATE ? -EOPNOTSUPP : 1;
}

static int no_zero_range(const struct fake_op *op)
{
	return op->kind == FAKE_FALLOCATE && (op->mode & FALLOC_FL_ZERO_RANGE) ? -EOPNOTSUPP : 1;
}

static int no_punch(const struct fake_op *op)
{
	return op->kind == FAKE_FALLOCATE && (op->mode & FALLOC_FL_PUNCH_HOLE) ? -EOPNOTSUPP : 1;
}

/* Zeroes arrive whatever the file system cannot do, and it is asked in vain only once. */
static void test_write_zeroes_fallback(void **state)
{
	static int (*const judges[])(const struct fake_op *) = {NULL, no_punch, no_zero_range,
								no_fallocate};
	static uint8_t ones[SIZE], want[SIZE];

	(void)state;
	memset(ones, 0xff, SIZE);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned flags = 0; flags <= BLK_UNMAP; flags++) {
			struct blk *blk = open_it();
			struct blk_req req = {.op = BLK_WRITE_ZEROES, .flags = flags, .done = done};
			unsigned asked;

			assert_int_equal(request(blk, BLK_WRITE, 0, ones, SIZE), 0);
			loop.judge = judges[i];
			loop.script = (struct fake_step[]){{loop.seen + 3, 70000}, {0, 0}};
			req.off = 1536;
			req.len = 900 * 512;
			blk->ops->submit(blk, &req);
			fake_loop_run(&loop, 0);
			assert_int_equal(result, 0);
			memcpy(want, ones, SIZE);
			memset(want + req.off, 0, req.len);
			check_file(0, want, SIZE);
			asked = loop.count[FAKE_FALLOCATE];
			blk->ops->submit(blk, &req);
			fake_loop_run(&loop, 0);
			assert_int_equal(result, 0);
			if (judges[i] == no_fallocate)
				assert_int_equal(loop.count[FAKE_FALLOCATE], asked);
			loop.judge = NULL;
			loop.script = NULL;
			blk->ops->close(blk);
		}
}

static void test_discard_unsupported(void **state)
{
	uint8_t bytes[512] = {0};
	struct blk *blk = open_it();

	(void)state;
	loop.judge = no_punch;
	assert_int_equal(request(blk, BLK_DISCARD, 0, bytes, 512), -EOPNOTSUPP);
	loop.judge = NULL;
	blk->ops->close(blk);
}

/* More requests than a disk has at the loop at a time: all answered, the loop never swamped. */
static void test_depth(void **state)
{
	static struct blk_req req[600];
	static struct iovec v[600];
	static uint8_t bytes[600][512];
	struct blk *blk = open_it();

	(void)state;
	answers = 0;
	for (unsigned i = 0; i < 600; i++) {
		memset(bytes[i], (int)(i % 250) + 1, 512);
		v[i] = (struct iovec){bytes[i], 512};
		req[i] = (struct blk_req){.op = BLK_WRITE,
					  .off = i * 512,
					  .len = 512,
					  .v = &v[i],
					  .n = 1,
					  .done = done};
		blk->ops->submit(blk, &req[i]);
	}
	assert_int_equal(loop.n_pending, 256);
	fake_loop_run(&loop, 4711);
	assert_int_equal(answers, 600);
	assert_int_equal(loop.most_pending, 256);
	check_file(0, bytes, sizeof(bytes));
	blk->ops->close(blk);
}

/* A read-only disk refuses; its flush is true without asking anyone. */
static void test_read_only(void **state)
{
	uint8_t bytes[512] = {0};
	struct blk *blk;

	(void)state;
	assert_int_equal(raw_open(&loop, &(struct raw_params){.path = path, .read_only = 1}, &blk),
			 0);
	assert_int_equal(request(blk, BLK_WRITE, 0, bytes, 512), -EROFS);
	assert_int_equal(request(blk, BLK_DISCARD, 0, bytes, 512), -EROFS);
	assert_int_equal(request(blk, BLK_WRITE_ZEROES, 0, bytes, 512), -EROFS);
	assert_int_equal(request(blk, BLK_FLUSH, 0, bytes, 0), 0);
	assert_int_equal(request(blk, BLK_READ, 0, bytes, 512), 0);
	assert_int_equal(loop.seen, 1);
	blk->ops->close(blk);
}

/* --- direct I/O ------------------------------------------------------------------------------ */

#define DEPTH 24
#define BYTES (300u << 10) /* more than the bounce buffer holds */

static uint32_t seed;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

struct slot {
	struct blk_req req;
	struct iovec v[4];
	uint8_t *mem; /* BYTES and a page */
	int busy, misplaced;
};

static struct slot slots[DEPTH];
static uint8_t model[SIZE];
static uint32_t align;
static int fallocates; /* the file system can */

/* What the file system would say to a transfer that is not aligned. */
static int insist_on_alignment(const struct fake_op *op)
{
	uint64_t odd = op->off;

	if (op->kind > FAKE_WRITEV)
		return op->kind == FAKE_FALLOCATE && !fallocates ? -EOPNOTSUPP : 1;
	for (unsigned i = 0; i < op->n; i++) {
		odd |= op->v[i].iov_len;
		if ((uintptr_t)op->v[i].iov_base % 4)
			return -EINVAL;
	}
	return odd % align ? -EINVAL : 1;
}

static void slot_done(struct blk_req *req, int res)
{
	struct slot *s = (struct slot *)req;

	assert_int_equal(res, 0);
	s->busy = 0;
	if (req->op == BLK_READ)
		assert_memory_equal(s->mem + s->misplaced, model + req->off, req->len);
}

static int overlaps(uint64_t off, uint64_t len)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		const struct blk_req *r = &slots[i].req;

		if (slots[i].busy && off < r->off + r->len && r->off < off + len)
			return 1;
	}
	return 0;
}

/* A random request that overlaps none under way, so that the model knows what comes of it. */
static void start_one(struct blk *blk)
{
	static const enum blk_op ops[] = {BLK_READ, BLK_WRITE, BLK_WRITE, BLK_WRITE_ZEROES};
	uint64_t len = 512 * (1 + (rnd(8) ? rnd(24) : rnd(BYTES / 512)));
	uint64_t off = 512 * rnd((uint32_t)((SIZE - len) / 512 + 1));
	struct slot *s = NULL;
	uint8_t *p;
	size_t cut1, cut2;

	for (unsigned i = 0; i < DEPTH && !s; i++)
		s = slots[i].busy ? NULL : &slots[i];
	if (!s || overlaps(off, len))
		return;
	s->misplaced = rnd(3) ? 0 : (int)rnd(512);
	p = s->mem + s->misplaced;
	s->req = (struct blk_req){
		.op = ops[rnd(4)], .off = off, .len = len, .v = s->v, .n = 3, .done = slot_done};
	cut1 = rnd(2) ? 0 : rnd((uint32_t)len);
	cut2 = cut1 + (rnd(2) ? 0 : rnd((uint32_t)(len - cut1)));
	s->v[0] = (struct iovec){p, cut1};
	s->v[1] = (struct iovec){p + cut1, cut2 - cut1};
	s->v[2] = (struct iovec){p + cut2, len - cut2};
	s->busy = 1;
	if (s->req.op == BLK_WRITE) {
		fill(p, len, rnd(256));
		memcpy(model + off, p, len);
	} else if (s->req.op == BLK_WRITE_ZEROES) {
		memset(model + off, 0, len);
	}
	blk->ops->submit(blk, &s->req);
}

static void direct_storm(uint32_t wanted, int with_fallocate)
{
	struct raw_params p = {.path = path, .direct = 1, .direct_align = wanted};
	struct blk *blk;

	align = wanted;
	fallocates = with_fallocate;
	memset(&loop, 0, sizeof(loop));
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(truncate(path, SIZE), 0);
	if (raw_open(&loop, &p, &blk)) {
		print_message("    skipped: %s\n", said);
		skip();
	}
	/* The model knows whole requests; the file has them in any order that does not overlap. */
	seed = wanted * 77 + 1;
	memset(model, 0, SIZE);
	for (unsigned i = 0; i < DEPTH; i++)
		assert_int_equal(posix_memalign((void **)&slots[i].mem, 4096, BYTES + 4096), 0);
	loop.judge = insist_on_alignment;
	for (unsigned turn = 0; turn < 4000; turn++) {
		start_one(blk);
		if (loop.n_pending && rnd(2))
			fake_loop_step(&loop, rnd(loop.n_pending));
	}
	fake_loop_run(&loop, seed);
	for (unsigned i = 0; i < DEPTH; i++)
		assert_false(slots[i].busy);
	loop.judge = NULL;
	blk->ops->close(blk);
	check_file(0, model, SIZE);
	for (unsigned i = 0; i < DEPTH; i++)
		free(slots[i].mem);
}

static void test_direct_512(void **state)
{
	(void)state;
	direct_storm(512, 0);
	direct_storm(512, 1);
}

/* Guests count in 512 bytes where the host's disk has blocks of 4096: read, change, write. */
static void test_direct_4096(void **state)
{
	(void)state;
	direct_storm(4096, 0);
	direct_storm(4096, 1);
}

/*
 * A write of part of a block reads the block first. What else is under way to that block must be
 * over by then, and what comes meanwhile must wait, or the old bytes would be written back.
 */
static void test_part_of_a_block_is_written_alone(void **state)
{
	struct raw_params p = {.path = path, .direct = 1, .direct_align = 4096};
	static uint8_t mem[8192] __attribute__((aligned(4096)));
	struct iovec v = {mem, 512}, w = {mem + 4096, 4096};
	struct blk_req zero = {.op = BLK_WRITE_ZEROES, .off = 1024, .len = 2048, .done = done};
	struct blk_req part = {
		.op = BLK_WRITE, .off = 512, .len = 512, .v = &v, .n = 1, .done = done};
	struct blk_req whole = {
		.op = BLK_WRITE, .off = 0, .len = 4096, .v = &w, .n = 1, .done = done};
	struct blk *blk;

	(void)state;
	if (raw_open(&loop, &p, &blk)) {
		print_message("    skipped: %s\n", said);
		skip();
	}
	memset(mem, 0x11, 4096);
	memset(mem + 4096, 0xff, 4096);
	answers = 0;
	blk->ops->submit(blk, &whole);
	fake_loop_run(&loop, 0);
	blk->ops->submit(blk, &zero);
	blk->ops->submit(blk, &part);
	assert_int_equal(loop.n_pending, 1); /* part waits for zero */
	fake_loop_step(&loop, 0);
	assert_int_equal(answers, 2);
	assert_int_equal(loop.n_pending, 1); /* part reads */
	w = (struct iovec){mem + 4096, 4096};
	blk->ops->submit(blk, &whole);
	assert_int_equal(loop.n_pending, 1); /* whole waits for part */
	fake_loop_step(&loop, 0);
	fake_loop_step(&loop, 0);
	assert_int_equal(answers, 3);
	memset(mem, 0xff, 512);
	memset(mem + 512, 0x11, 512);
	memset(mem + 1024, 0, 2048);
	memset(mem + 3072, 0xff, 1024);
	check_file(0, mem, 4096);
	fake_loop_run(&loop, 0);
	assert_int_equal(answers, 4);
	check_file(0, mem + 4096, 4096);
	blk->ops->close(blk);
}

/* Every operation of an unaligned write fails in turn; the next request is served all the same. */
static void test_direct_faults(void **state)
{
	struct raw_params p = {.path = path, .direct = 1, .direct_align = 4096};
	static uint8_t mem[8192] __attribute__((aligned(4096)));
	struct blk *blk;

	(void)state;
	if (raw_open(&loop, &p, &blk)) {
		print_message("    skipped: %s\n", said);
		skip();
	}
	for (unsigned nth = 1; nth <= 2; nth++)
		for (unsigned kind = 0; kind < 2; kind++) {
			struct fake_step script[] = {{nth, kind ? -EIO : 512}, {0, 0}};

			loop.seen = 0;
			loop.script = script;
			/* A transfer that stops short of a block gets nowhere. */
			assert_int_equal(request(blk, BLK_WRITE, 512, mem + 7, 512), -EIO);
			loop.script = (struct fake_step[]){{0, 0}};
			assert_int_equal(request(blk, BLK_WRITE, 512, mem + 7, 512), 0);
		}
	loop.script = NULL;
	blk->ops->close(blk);
}

#define ON_FILE(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_FILE(test_short_transfers),
		ON_FILE(test_errors_pass_up),
		ON_FILE(test_file_cut_short),
		ON_FILE(test_failed_sync_stays_failed),
		ON_FILE(test_failed_sync_with_another_under_way),
		ON_FILE(test_write_zeroes_fallback),
		ON_FILE(test_discard_unsupported),
		ON_FILE(test_depth),
		ON_FILE(test_read_only),
		ON_FILE(test_direct_512),
		ON_FILE(test_direct_4096),
		ON_FILE(test_part_of_a_block_is_written_alone),
		ON_FILE(test_direct_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
