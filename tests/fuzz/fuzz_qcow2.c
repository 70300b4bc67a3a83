/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A qcow2 image made of the input's bytes: a valid one that was written to, then bytes of its
 * header and tables changed as the input says; opened, and asked for what the input says.
 *
 *   first byte even: nothing is changed in the image. Every request must succeed and read what
 *                    the model says; the image must be clean afterwards (qcow2_check).
 *   ... and >= 128:  it was not closed (dirty bit), and its refcounts are the input's bytes: all
 *                    the same must hold.
 *   odd:             anything may fail, but every request is answered once, the number of
 *                    operations and the size of the file stay within bounds, and a disk that was
 *                    opened read-only is not changed.
 *
 * On the fake loop, over a file in memory.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/qcow2.h"
#include "devices/block/qcow2_format.h"
#include "tests/lib/fake_loop.h"
#include "vmm/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define DISK      (256u << 10)
#define SECTORS   (DISK / 512)
#define FILE_MAX  (64u << 20)
#define STEPS_MAX 200000u
#define ASKS_MAX  8

static struct loop loop;
static const uint8_t *at, *end;
static int file = -1;
static char path[32];
static uint8_t model[DISK], known[SECTORS];

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_qcow2: %s\n", what);
	abort();
}

static uint8_t u8(void)
{
	return at < end ? *at++ : 0;
}

static uint32_t below(uint32_t n)
{
	uint32_t v = u8();

	return (v | (uint32_t)u8() << 8) % n;
}

static void silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static int within_bounds(const struct fake_op *op)
{
	insist(loop.seen < STEPS_MAX, "no end of operations");
	if (op->kind == FAKE_WRITEV && op->off > FILE_MAX)
		return -28;
	/* A file in memory is as durable as it gets. */
	return op->kind == FAKE_FDATASYNC ? 0 : 1;
}

struct ask {
	struct blk_req req;
	struct iovec v;
	uint32_t first, n;
	int res, answered;
	uint8_t bytes[64 * 512];
};

static struct ask asks[ASKS_MAX];

static void done(struct blk_req *req, int res)
{
	struct ask *a = (struct ask *)req;

	a->res = res;
	a->answered++;
}

static void begin(struct blk *blk, struct ask *a)
{
	static const enum blk_op ops[] = {BLK_READ, BLK_WRITE,        BLK_WRITE, BLK_FLUSH,
					  BLK_READ, BLK_WRITE_ZEROES, BLK_WRITE, BLK_DISCARD};
	uint32_t sectors = (uint32_t)(blk->size / 512 < SECTORS ? blk->size / 512 : SECTORS);
	uint8_t kind = u8();

	memset(&a->req, 0, sizeof(a->req));
	a->answered = 0;
	a->req.op = ops[kind & 7];
	a->req.flags = kind & 8 ? BLK_UNMAP : 0;
	a->first = below(sectors);
	a->n = a->req.op == BLK_FLUSH ? 0 : 1 + below(64);
	if (a->n > sectors - a->first)
		a->n = sectors - a->first;
	if (a->req.op == BLK_WRITE)
		memset(a->bytes, kind ^ u8(), a->n * 512);
	a->v = (struct iovec){a->bytes, a->n * 512};
	a->req.off = a->n ? a->first * 512ull : 0;
	a->req.len = a->n * 512ull;
	a->req.v = &a->v;
	a->req.n = 1;
	a->req.done = done;
	blk->ops->submit(blk, &a->req);
}

static int meets(uint32_t first, uint32_t n, unsigned before)
{
	for (unsigned i = 0; i < before; i++)
		if (first < asks[i].first + asks[i].n && asks[i].first < first + n)
			return 1;
	return 0;
}

static void judge(const struct ask *a, int sound, int overlaps)
{
	insist(a->answered == 1, "a request is not answered once");
	insist(!sound || a->res == 0, "a request failed");
	for (uint32_t s = a->first; s < a->first + a->n; s++) {
		const uint8_t *bytes = a->bytes + (s - a->first) * 512;

		if (a->req.op == BLK_READ) {
			insist(!sound || overlaps || !known[s] ||
				       !memcmp(bytes, model + s * 512, 512),
			       "a read says something else");
			continue;
		}
		known[s] = !overlaps && a->req.op != BLK_DISCARD;
		if (a->req.op == BLK_WRITE)
			memcpy(model + s * 512, bytes, 512);
		else
			memset(model + s * 512, 0, 512);
	}
}

static void requests(struct blk *blk, int sound, unsigned rounds)
{
	while (rounds-- > 0 && (at < end || sound)) {
		unsigned n = 1 + below(ASKS_MAX), overlap[ASKS_MAX];

		for (unsigned i = 0; i < n; i++)
			begin(blk, &asks[i]);
		fake_loop_run(&loop, u8());
		/* What was asked for at once in one place may come in any order. */
		for (unsigned i = 0; i < n; i++) {
			overlap[i] = (unsigned)meets(asks[i].first, asks[i].n, i);
			for (unsigned k = i + 1; k < n; k++)
				overlap[i] |= asks[k].first < asks[i].first + asks[i].n &&
					      asks[i].first < asks[k].first + asks[k].n;
		}
		for (unsigned i = 0; i < n; i++)
			judge(&asks[i], sound, (int)overlap[i]);
	}
}

/* Mostly the header, the tables behind it, and words that mean something. */
static void damage(void)
{
	static const uint8_t words[][8] = {
		{0},
		{0x80, 0, 0, 0, 0, 0, 0x10, 0},
		{0x80, 0, 0, 0, 0, 0, 0x02, 0},
		{0x40, 0, 0, 0, 0, 0, 0x12, 0x34},
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{0, 0, 0, 0, 0, 0, 0x10, 1},
	};
	struct stat st;

	if (fstat(file, &st) || st.st_size < 512)
		return;
	for (unsigned n = 1 + u8() % 8; n > 0; n--) {
		uint8_t how = u8(), bytes[8];
		uint32_t where = how & 1 ? below(128) : below((uint32_t)st.st_size) & ~7u;
		unsigned count = how & 2 ? 8 : 1;

		for (unsigned i = 0; i < 8; i++)
			bytes[i] = how & 4 ? words[(how >> 3) % 6][i] : u8();
		if (pwrite(file, bytes, count, where) != (ssize_t)count)
			abort();
	}
}

/* Refcounts that were put off: whatever they say, the dirty bit says not to believe it. */
static void not_closed(void)
{
	uint8_t header[QCOW2_HEADER_LEN], entry[8], counts[512];
	off_t table;

	if (pread(file, header, sizeof(header), 0) != sizeof(header))
		abort();
	table = (off_t)be64_at(header + QCOW2_AT_REFTABLE_OFF);
	if (pread(file, entry, 8, table) != 8)
		abort();
	for (unsigned i = 0; i < sizeof(counts); i++)
		counts[i] = u8();
	header[QCOW2_AT_INCOMPATIBLE + 7] |= QCOW2_DIRTY;
	if (pwrite(file, counts, sizeof(counts), (off_t)be64_at(entry)) != sizeof(counts) ||
	    pwrite(file, header, sizeof(header), 0) != sizeof(header))
		abort();
}

static uint64_t sum(void)
{
	uint8_t bytes[4096];
	uint64_t h = 14695981039346656037ull;
	ssize_t n;

	for (off_t off = 0; (n = pread(file, bytes, sizeof(bytes), off)) > 0; off += n)
		for (ssize_t i = 0; i < n; i++)
			h = (h ^ bytes[i]) * 1099511628211ull;
	return h;
}

static void open_and_ask(int sound, int read_only, unsigned rounds)
{
	struct qcow2_params p = {.path = path, .read_only = (uint8_t)read_only, .cache_bytes = 1};
	uint64_t before = read_only ? sum() : 0;
	struct stat st;
	struct blk *blk;
	int r;

	memset(&loop, 0, sizeof(loop));
	loop.judge = within_bounds;
	r = qcow2_open(&loop, &p, &blk);
	insist(!sound || r == 0, "a sound image does not open");
	if (r == 0) {
		requests(blk, sound, rounds);
		blk->ops->close(blk);
	}
	insist(!read_only || before == sum(), "a read-only image was changed");
	insist(!fstat(file, &st) && st.st_size <= FILE_MAX + (4 << 20), "the file has grown");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct qcow2_creation what = {.path = path, .size = DISK};
	struct qcow2_check found;
	uint8_t how;

	log_set_sink(silent, NULL);
	at = data;
	end = data + len;
	how = u8();
	what.cluster_bits = 9 + (how >> 2) % 8;
	snprintf(path, sizeof(path), "/dev/shm/fuzz_qcow2.%d", (int)getpid());
	unlink(path);
	insist(qcow2_create(&what) == 0, "cannot create");
	file = open(path, O_RDWR | O_CLOEXEC);
	insist(file >= 0, "cannot open");
	memset(model, 0, sizeof(model));
	memset(known, 1, sizeof(known));
	open_and_ask(1, 0, 1 + u8() % 4);
	insist(qcow2_check(path, &found) == 0 && !found.errors && !found.leaks, "not clean");
	if (how & 0x80)
		not_closed();
	if (how & 1)
		damage();
	open_and_ask(!(how & 1), (how & 3) == 3, 16);
	if (!(how & 1))
		insist(qcow2_check(path, &found) == 0 && !found.errors && !found.leaks,
		       "not clean");
	else
		qcow2_check(path, &found);
	close(file);
	unlink(path);
	return 0;
}
