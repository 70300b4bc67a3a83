/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A qcow2 disk against a model, on the fake loop: many requests at once, answered in any order;
 * every I/O failing in its turn; power cuts at any place, with writes since the last barrier lost,
 * torn or out of order. qcow2_check(), which shares no code with the disk, looks at what is left,
 * and qemu-img where there is one.
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "devices/block/qcow2_format.h"
#include "tests/lib/qcow2_rig.h"
#include "tests/lib/qemu_img.h"
#include "tests/lib/said.h"
#include "vmm/log.h"

static struct loop loop;
static char dir[64], path[96], base[96], cut[96];

static const unsigned bits[] = {9, 10, 12, 16};

static int up(void **state)
{
	(void)state;
	memset(&loop, 0, sizeof(loop));
	snprintf(dir, sizeof(dir), "/tmp/test_qcow2_model.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/image", dir);
	snprintf(base, sizeof(base), "%s/base", dir);
	snprintf(cut, sizeof(cut), "%s/cut", dir);
	said_start();
	return 0;
}

static int down(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	unlink(path);
	unlink(base);
	unlink(cut);
	return rmdir(dir);
}

static int approve(void *arg, const char *name, const char *format)
{
	(void)arg;
	(void)name;
	(void)format;
	return 1;
}

static struct blk *open_image(void)
{
	struct qcow2_params p = {.path = path, .cache_bytes = 1, .approve_backing = approve};
	struct blk *blk;

	if (qcow2_open(&loop, &p, &blk))
		fail_msg("%s", said());
	return blk;
}

static void create(unsigned cluster_bits, uint64_t size, int backed)
{
	struct qcow2_creation what = {
		.path = path,
		.size = size,
		.cluster_bits = cluster_bits,
		.backing = backed ? base : NULL,
		.backing_format = "raw",
	};

	unlink(path);
	if (qcow2_create(&what))
		fail_msg("%s", said());
}

static void check_file(const char *file, int leaks_will_do)
{
	struct qcow2_check found;

	assert_int_equal(qcow2_check(file, &found), 0);
	if (found.errors || (found.leaks && !leaks_will_do))
		fail_msg("%s: %llu errors, %llu leaks", said(), (unsigned long long)found.errors,
			 (unsigned long long)found.leaks);
	if (qemu_img_is_there() && !leaks_will_do)
		assert_int_equal(qemu_img("check", "-q", file, NULL), 0);
}

/* Whatever the file below says shows until it is written over: sectors with numbers of their own.
 */
static void make_base(struct qcow2_rig *rig, uint32_t sectors)
{
	uint8_t *bytes = calloc(sectors, 512);
	int fd = open(base, O_RDWR | O_CREAT | O_TRUNC, 0600);

	for (uint32_t s = 0; s < sectors; s++) {
		uint32_t stamp[4] = {7, s, ~7u, 7 ^ s};

		for (unsigned i = 0; i < 512; i += sizeof(stamp))
			memcpy(bytes + s * 512 + i, stamp, sizeof(stamp));
		rig->now[s] = rig->flushed[s] = 7;
	}
	rig->next_id = rig->flush_id = 8;
	assert_int_equal(write(fd, bytes, sectors * 512), sectors * 512);
	close(fd);
	free(bytes);
}

static void random_work(unsigned cluster_bits, int backed, uint32_t seed)
{
	uint64_t size = (1u << 20) + 512;
	struct qcow2_rig rig;

	qcow2_rig_init(&rig, &loop, size, seed);
	if (backed)
		make_base(&rig, rig.sectors - 100);
	create(cluster_bits, size, backed);
	for (unsigned life = 0; life < 3; life++) {
		rig.blk = open_image();
		for (unsigned i = 0; i < 12; i++) {
			qcow2_rig_batch(&rig, RIG_BATCH);
			if (qcow2_rig_random(&rig, 3) == 0)
				assert_int_equal(qcow2_rig_flush(&rig), 0);
		}
		qcow2_rig_compare(&rig);
		assert_int_equal(rig.failed, 0);
		rig.blk->ops->close(rig.blk);
		check_file(path, 0);
	}
	qcow2_rig_free(&rig);
}

static void test_random_requests(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 4; b++)
		for (uint32_t seed = 1; seed <= 4; seed++)
			random_work(bits[b], seed & 1, seed + b * 100);
}

/* --- every I/O fails in its turn ---------------------------------------------------------------
 */

static unsigned fail_at;
static int fail_with;

static int fail_one(const struct fake_op *op)
{
	(void)op;
	return loop.seen == fail_at ? fail_with : 1;
}

/* The number of operations; what fails may fail, but nothing else and nothing for good. */
static unsigned with_fault(unsigned cluster_bits, int backed, unsigned nth, int error)
{
	struct qcow2_rig rig;
	unsigned seen;

	memset(&loop, 0, sizeof(loop));
	loop.judge = fail_one;
	fail_at = nth;
	fail_with = error;
	qcow2_rig_init(&rig, &loop, 256u << 10, 5);
	if (backed)
		make_base(&rig, rig.sectors);
	create(cluster_bits, 256u << 10, backed);
	rig.blk = open_image();
	for (unsigned i = 0; i < 4; i++) {
		qcow2_rig_batch(&rig, RIG_BATCH);
		qcow2_rig_flush(&rig);
	}
	seen = loop.seen;
	loop.judge = NULL;
	qcow2_rig_compare(&rig);
	rig.blk->ops->close(rig.blk);
	check_file(path, 1);
	qcow2_rig_free(&rig);
	return seen;
}

static void test_every_io_fails_once(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 3; b += 2) {
		unsigned all = with_fault(bits[b], 1, 0, -EIO);

		for (unsigned n = 1; n <= all; n += 1 + n / 64)
			with_fault(bits[b], 1, n, n & 1 ? -EIO : -ENOSPC);
	}
}

static int no_sync(const struct fake_op *op)
{
	return op->kind == FAKE_FDATASYNC ? -EIO : 1;
}

static void test_failed_sync_stays_failed(void **state)
{
	struct qcow2_rig rig;

	(void)state;
	memset(&loop, 0, sizeof(loop));
	qcow2_rig_init(&rig, &loop, 256u << 10, 9);
	create(12, 256u << 10, 0);
	rig.blk = open_image();
	qcow2_rig_batch(&rig, RIG_BATCH);
	loop.judge = no_sync;
	assert_int_equal(qcow2_rig_flush(&rig), -EIO);
	loop.judge = NULL;
	assert_int_equal(qcow2_rig_flush(&rig), -EIO);
	qcow2_rig_compare(&rig);
	rig.blk->ops->close(rig.blk);
	check_file(path, 1);
	qcow2_rig_free(&rig);
}

/* --- power cuts ----------------------------------------------------------------------------------
 */

#define LOG_MAX 20000u

struct written {
	uint64_t off, len;
	uint8_t *bytes; /* NULL: a hole */
};

static struct written written[LOG_MAX];
static unsigned n_written, n_durable; /* before the last barrier */

static struct qcow2_rig *to_cut; /* NULL: no cuts in between */
static const uint8_t *first;     /* the file as it was before all that is recorded */
static uint64_t first_len;

static void cut_power(struct qcow2_rig *rig);

static int record(const struct fake_op *op)
{
	struct written *w = &written[n_written];

	if (to_cut && qcow2_rig_random(to_cut, 8) == 0)
		cut_power(to_cut);

	if (op->kind == FAKE_FDATASYNC) {
		n_durable = n_written;
		return 0;
	}
	if (op->kind == FAKE_READV)
		return 1;
	assert_true(n_written < LOG_MAX);
	n_written++;
	*w = (struct written){.off = op->off, .len = op->len};
	if (op->kind == FAKE_FALLOCATE)
		return 1;
	for (unsigned i = 0; i < op->n; i++)
		w->len += op->v[i].iov_len;
	w->bytes = malloc(w->len + 1);
	w->len = 0;
	for (unsigned i = 0; i < op->n; i++) {
		memcpy(w->bytes + w->len, op->v[i].iov_base, op->v[i].iov_len);
		w->len += op->v[i].iov_len;
	}
	return 1;
}

static void forget(void)
{
	while (n_written > 0)
		free(written[--n_written].bytes);
	n_durable = 0;
}

/* Sector by sector, so that it can be torn. */
static void apply(uint8_t *image, uint64_t max, const struct written *w, struct qcow2_rig *rig,
		  int torn, uint64_t *end)
{
	for (uint64_t done = 0; done < w->len;) {
		uint64_t at = w->off + done, part = 512 - at % 512;

		if (part > w->len - done)
			part = w->len - done;
		assert_true(at + part <= max);
		if (!torn || qcow2_rig_random(rig, 2)) {
			if (w->bytes)
				memcpy(image + at, w->bytes + done, part);
			else
				memset(image + at, 0, part);
			if (at + part > *end && w->bytes)
				*end = at + part;
		}
		done += part;
	}
}

/* What the file may hold if the power goes now; then what the disk makes of it. */
static void cut_power(struct qcow2_rig *rig)
{
	const uint64_t max = 16u << 20;
	uint8_t *image = calloc(1, max), *disk = malloc((size_t)rig->sectors * 512);
	uint64_t end = first_len;
	struct qcow2_params p = {.path = cut, .approve_backing = approve};
	struct blk *blk;
	int fd = open(cut, O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct qcow2_rig *outer = to_cut;
	struct loop live = loop;

	memcpy(image, first, first_len);
	for (unsigned i = 0; i < n_durable; i++)
		apply(image, max, &written[i], rig, 0, &end);
	for (unsigned i = n_durable; i < n_written; i++) {
		unsigned fate = qcow2_rig_random(rig, 3);

		if (fate > 0)
			apply(image, max, &written[i], rig, fate == 2, &end);
	}
	assert_int_equal(write(fd, image, end), end);
	close(fd);
	check_file(cut, 1);
	to_cut = NULL;
	memset(&loop, 0, sizeof(loop));
	if (qcow2_open(&loop, &p, &blk))
		fail_msg("%s", said());
	for (uint32_t s = 0; s < rig->sectors; s += 512) {
		uint32_t n = rig->sectors - s < 512 ? rig->sectors - s : 512;
		struct iovec v = {disk, n * 512};
		struct blk_req req = {
			.op = BLK_READ, .off = s * 512ull, .len = n * 512ull, .v = &v, .n = 1};

		qcow2_rig_read(blk, &loop, &req);
		for (uint32_t i = 0; i < n; i++)
			if (!qcow2_rig_survives(rig, disk + i * 512, s + i))
				fail_msg("sector %u is lost", s + i);
	}
	blk->ops->close(blk);
	loop = live;
	to_cut = outer;
	free(image);
	free(disk);
}

static uint8_t *slurp(uint64_t *len)
{
	int fd = open(path, O_RDONLY);
	uint8_t *bytes;

	*len = (uint64_t)lseek(fd, 0, SEEK_END);
	bytes = malloc(*len);
	assert_int_equal(pread(fd, bytes, *len, 0), *len);
	close(fd);
	return bytes;
}

static void power(unsigned cluster_bits, int backed, uint32_t seed)
{
	struct qcow2_rig rig;
	uint8_t *before;

	memset(&loop, 0, sizeof(loop));
	qcow2_rig_init(&rig, &loop, 512u << 10, seed);
	if (backed)
		make_base(&rig, rig.sectors);
	create(cluster_bits, 512u << 10, backed);
	first = before = slurp(&first_len);
	rig.blk = open_image();
	loop.judge = record;
	for (unsigned i = 0; i < 8; i++) {
		qcow2_rig_batch(&rig, RIG_BATCH);
		cut_power(&rig);
		/* In the middle of a flush: what it promises is not promised yet. */
		to_cut = &rig;
		assert_int_equal(qcow2_rig_flush(&rig), 0);
		to_cut = NULL;
		cut_power(&rig);
	}
	loop.judge = NULL;
	rig.blk->ops->close(rig.blk);
	forget();
	free(before);
	qcow2_rig_free(&rig);
}

static void test_power_cuts(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 4; b++)
		for (uint32_t seed = 1; seed <= 3; seed++)
			power(bits[b], seed & 1, seed + b * 10);
}

static uint64_t size_of_file(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

/* The first refcount table of such an image counts 8 MiB. */
static void test_power_cuts_while_the_refcount_table_grows(void **state)
{
	const uint64_t counted = 8u << 20;
	struct qcow2_rig rig;
	uint8_t *before, *after;
	uint64_t len;

	(void)state;
	qcow2_rig_init(&rig, &loop, counted + (4u << 20), 3);
	create(9, counted + (4u << 20), 0);
	rig.blk = open_image();
	while (size_of_file() < counted - (512u << 10))
		qcow2_rig_batch(&rig, RIG_BATCH);
	assert_int_equal(qcow2_rig_flush(&rig), 0);
	first = before = slurp(&first_len);
	loop.judge = record;
	to_cut = &rig;
	while (size_of_file() < counted + (64u << 10))
		qcow2_rig_batch(&rig, RIG_BATCH);
	to_cut = NULL;
	loop.judge = NULL;
	after = slurp(&len);
	assert_true(be32_at(after + QCOW2_AT_REFTABLE_CLUSTERS) > 1);
	rig.blk->ops->close(rig.blk);
	check_file(path, 0);
	forget();
	free(before);
	free(after);
	qcow2_rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random_requests, up, down),
		cmocka_unit_test_setup_teardown(test_every_io_fails_once, up, down),
		cmocka_unit_test_setup_teardown(test_failed_sync_stays_failed, up, down),
		cmocka_unit_test_setup_teardown(test_power_cuts, up, down),
		cmocka_unit_test_setup_teardown(test_power_cuts_while_the_refcount_table_grows, up,
						down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
