/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hundreds of hostile qcow2 images, made by rule: each word of each kind of table takes each value
 * that might hurt, extensions and backing names point at files that are none of theirs, files are
 * cut short and blown up. Each is opened in a process of its own and, if it opens, read and
 * written. Whatever it says: no crash, under a second, under 64 MiB, and no file beside it is
 * opened. On the fake loop.
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
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "devices/block/qcow2_format.h"
#include "tests/lib/cases.h"
#include "tests/lib/fake_loop.h"
#include "tests/lib/qemu_img.h"
#include "tests/lib/said.h"
#include "vmm/log.h"

#define SIZE         (8u << 20)
#define SECONDS      1.0
#define WALL_SECONDS 20
#define RSS_KIB      (64u << 10)
#define LOOP_OPS     200000u
#define AT_LEAST     200u
#define BASES        6u
#define FILE_FULL    (64ull << 20)

/* What was freed is not kept for long: memory is measured here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=1";
}

static struct loop loop;
static char dir[64], path[96], outside[96], canary[128];
static char bases[BASES][128];
static int watch = -1;
static unsigned images, opened;

/* --- the process that opens one -------------------------------------------------------------- */

static int result;

static void done(struct blk_req *req, int res)
{
	(void)req;
	result = res;
}

/* A file that grows without end, or work without end, is a failure of its own. */
static int within_bounds(const struct fake_op *op)
{
	if (loop.seen > LOOP_OPS)
		_exit(9);
	return op->kind == FAKE_WRITEV && op->off > FILE_FULL ? -ENOSPC : 1;
}

static void request(struct blk *blk, enum blk_op op, uint64_t off, uint64_t len)
{
	static uint8_t bytes[256 << 10];
	struct iovec v = {bytes, len};
	struct blk_req req = {.op = op, .off = off, .len = len, .v = &v, .n = 1, .done = done};

	if (off > blk->size || len > blk->size - off)
		return;
	result = 1;
	blk->ops->submit(blk, &req);
	fake_loop_run(&loop, 0);
	if (result == 1)
		_exit(8);
}

static void use(struct blk *blk)
{
	request(blk, BLK_READ, 0, 256 << 10);
	request(blk, BLK_READ, blk->size - 4096, 4096);
	request(blk, BLK_WRITE, 512, 4096);
	request(blk, BLK_WRITE, 128 << 10, 128 << 10);
	request(blk, BLK_FLUSH, 0, 0);
	request(blk, BLK_WRITE_ZEROES, 0, 192 << 10);
	request(blk, BLK_DISCARD, 64 << 10, 192 << 10);
	request(blk, BLK_FLUSH, 0, 0);
	request(blk, BLK_WRITE, blk->size - 4096, 4096);
	request(blk, BLK_WRITE, 0, 256 << 10);
	request(blk, BLK_FLUSH, 0, 0);
	request(blk, BLK_READ, 0, 256 << 10);
	blk->ops->close(blk);
}

static unsigned status_kib(const char *name)
{
	char line[128];
	unsigned kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), ": %u", &kib);
	if (f)
		fclose(f);
	return kib;
}

/* The processor's time: a wall clock would measure what else the host does. */
static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* How it went: 0 refused, 1 opened and used, else what was wrong. */
static int open_one(int read_only)
{
	struct qcow2_params p = {.path = path, .read_only = (uint8_t)read_only};
	double start = now();
	struct blk *blk;
	int r;

	memset(&loop, 0, sizeof(loop));
	loop.judge = within_bounds;
	said_clear();
	r = qcow2_open(&loop, &p, &blk);
	if (r < 0 && !said_count())
		return 4;
	if (now() - start > SECONDS)
		return 5;
	if (r == 0)
		use(blk);
	return now() - start > 2 * SECONDS ? 6 : r == 0;
}

/* For reading, and for writing. */
static int open_both(void)
{
	unsigned before = status_kib("VmRSS");
	struct qcow2_check found;
	struct qcow2_info info;
	int reads = open_one(1), writes;

	if (reads > 1)
		return reads;
	qcow2_info(path, &info);
	writes = open_one(0);
	if (writes > 1)
		return writes;
	if (status_kib("VmHWM") > before + RSS_KIB)
		return 7;
	qcow2_check(path, &found);
	return writes;
}

static void reset_peak(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY);

	if (fd < 0 || write(fd, "5", 1) != 1)
		_exit(10);
	close(fd);
}

/* Tries the image that is at path, in a process of its own. */
static void try_it(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		reset_peak();
		alarm(WALL_SECONDS);
		_exit(open_both());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		fail_msg("%s: status %#x", case_name(), (unsigned)status);
	opened += WEXITSTATUS(status) == 1;
	images++;
}

/* --- images ---------------------------------------------------------------------------------- */

static void put_bytes(uint64_t off, const void *p, size_t len)
{
	int fd = open(path, O_RDWR);

	assert_int_equal(pwrite(fd, p, len, (off_t)off), len);
	close(fd);
}

static void patch(uint64_t off, unsigned len, uint64_t value)
{
	uint8_t bytes[8];

	put_be64(bytes, value);
	put_bytes(off, bytes + 8 - len, len);
}

static uint64_t peek(uint64_t off, unsigned len)
{
	uint8_t bytes[8] = {0};
	int fd = open(path, O_RDONLY);

	assert_int_equal(pread(fd, bytes + 8 - len, len, (off_t)off), len);
	close(fd);
	return be64_at(bytes);
}

static void copy(const char *from)
{
	static uint8_t bytes[FILE_FULL];
	int in = open(from, O_RDONLY), out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ssize_t n = read(in, bytes, sizeof(bytes));

	assert_true(in >= 0 && n > 0);
	assert_int_equal(write(out, bytes, (size_t)n), n);
	close(in);
	close(out);
}

static uint64_t l2_of_first(void)
{
	return peek(peek(QCOW2_AT_L1_OFF, 8), 8) & QCOW2_OFFSET;
}

static void make_base(unsigned i, unsigned bits)
{
	struct qcow2_creation what = {.path = bases[i], .size = SIZE, .cluster_bits = bits};
	struct qcow2_params p = {.path = bases[i]};
	struct blk *blk;

	memset(&loop, 0, sizeof(loop));
	assert_int_equal(qcow2_create(&what), 0);
	assert_int_equal(qcow2_open(&loop, &p, &blk), 0);
	request(blk, BLK_WRITE, 0, 200 << 10);
	request(blk, BLK_WRITE, 1 << 20, 256 << 10);
	blk->ops->close(blk);
}

static void make_bases(void)
{
	static const char *const options[] = {"compat=0.10", "compat=1.1",
					      "compat=1.1,compression_type=zstd", "compat=1.1"};

	make_base(0, 16);
	make_base(1, 9);
	for (unsigned i = 2; i < BASES && qemu_img_is_there(); i++)
		assert_int_equal(qemu_img("convert", "-f", "qcow2", "-O", "qcow2", "-o",
					  options[i - 2], bases[0], bases[i],
					  i == 3 || i == 4 ? "-c" : NULL, NULL),
				 0);
	if (qemu_img_is_there())
		assert_int_equal(qemu_img("snapshot", "-c", "one", bases[5], NULL), 0);
}

static int up(void **state)
{
	int fd;

	(void)state;
	said_start();
	snprintf(dir, sizeof(dir), "/tmp/test_qcow2_strangers.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/image", dir);
	snprintf(outside, sizeof(outside), "%s/outside", dir);
	snprintf(canary, sizeof(canary), "%s/canary", outside);
	mkdir(outside, 0700);
	for (unsigned i = 0; i < BASES; i++)
		snprintf(bases[i], sizeof(bases[i]), "%s/base%u", dir, i);
	fd = open(canary, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, SIZE))
		return -1;
	close(fd);
	make_bases();
	/* Whoever opens something in there is heard. */
	watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return inotify_add_watch(watch, outside, IN_OPEN | IN_ACCESS) < 0 ? -1 : 0;
}

static int down(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	close(watch);
	for (unsigned i = 0; i < BASES; i++)
		unlink(bases[i]);
	unlink(path);
	unlink(canary);
	rmdir(outside);
	return rmdir(dir);
}

/* --- rules ----------------------------------------------------------------------------------- */

static void test_header_fields(void **state)
{
	static const struct {
		uint8_t at, len;
	} fields[] = {{4, 4},  {8, 8},  {16, 4}, {20, 4}, {24, 8}, {32, 4}, {36, 4}, {40, 8},
		      {48, 8}, {56, 4}, {60, 4}, {64, 8}, {72, 8}, {88, 8}, {96, 4}, {100, 4}};
	static const uint64_t values[] = {0,      1,          2,          6,
					  0xffff, 65536,      196608,     0x7fffffff,
					  ~0ull,  ~0xffffull, 1ull << 55, (1ull << 63) | 65536};

	(void)state;
	for (unsigned f = 0; f < sizeof(fields) / sizeof(fields[0]); f++)
		for (unsigned v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			case_begin("byte %u becomes %#llx", fields[f].at,
				   (unsigned long long)values[v]);
			copy(bases[0]);
			patch(fields[f].at, fields[f].len, values[v]);
			try_it();
		}
}

/* Every kind of table word, with values that point where they should not. */
static void words(unsigned base, int dirty)
{
	for (unsigned table = 0; table < 5; table++)
		for (unsigned v = 0; v < 12; v++) {
			uint64_t l1, l2, reftable, block, at, cluster;

			case_begin("base %u, dirty %d, table %u, value %u", base, dirty, table, v);
			copy(bases[base]);
			cluster = 1ull << peek(20, 4);
			l1 = peek(QCOW2_AT_L1_OFF, 8);
			l2 = l2_of_first();
			reftable = peek(QCOW2_AT_REFTABLE_OFF, 8);
			block = peek(reftable, 8);
			at = (const uint64_t[]){l1, l2, l2 + 8, reftable, block}[table];
			const uint64_t values[12] = {
				0,
				~0ull,
				QCOW2_COPIED | l1,
				QCOW2_COPIED | l2,
				QCOW2_COPIED | reftable,
				QCOW2_COPIED | block,
				l2,
				cluster * 77777,
				QCOW2_COPIED | 512,
				QCOW2_COMPRESSED | (0xffull << 54) | l2,
				QCOW2_COMPRESSED | (l1 + 7),
				QCOW2_COPIED | cluster | QCOW2_ZERO,
			};
			patch(at, 8, values[v]);
			if (dirty)
				patch(QCOW2_AT_INCOMPATIBLE, 8,
				      peek(QCOW2_AT_INCOMPATIBLE, 8) | QCOW2_DIRTY);
			try_it();
		}
}

static void test_words_of_tables(void **state)
{
	(void)state;
	for (unsigned base = 0; base < BASES; base++) {
		if (base >= 2 && !qemu_img_is_there())
			break;
		words(base, 0);
		if (base != 2) /* version 2 has no such bit */
			words(base, 1);
	}
}

static uint64_t extension(uint64_t at, uint32_t type, const char *text, uint32_t len)
{
	patch(at, 4, type);
	patch(at + 4, 4, len);
	put_bytes(at + 8, text, strlen(text));
	return at + 8 + ((len + 7) & ~7u);
}

static void test_names_of_other_files(void **state)
{
	static const char *const formats[] = {"raw", "qcow2", "", "json", "host_device", "luks"};
	char names[6][400];

	(void)state;
	snprintf(names[0], sizeof(names[0]), "%s", canary);
	snprintf(names[1], sizeof(names[1]), "outside/canary");
	snprintf(names[2], sizeof(names[2]), "./x/../outside/../outside/canary");
	snprintf(names[3], sizeof(names[3]), "file:%s", canary);
	snprintf(names[4], sizeof(names[4]),
		 "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"%s\"}}",
		 canary);
	snprintf(names[5], sizeof(names[5]), "nbd:unix:%s", canary);
	for (unsigned n = 0; n < 6; n++)
		for (unsigned f = 0; f < 6; f++) {
			uint64_t end;

			case_begin("backing file %s, %s", names[n], formats[f]);
			copy(bases[0]);
			end = extension(112, QCOW2_EXT_BACKING_FORMAT, formats[f],
					(uint32_t)strlen(formats[f]));
			patch(end, 8, 0);
			put_bytes(end + 8, names[n], strlen(names[n]));
			patch(8, 8, end + 8);
			patch(16, 4, strlen(names[n]));
			try_it();
			/* The same words for a file that is to have the data. */
			case_begin("data file %s, %s", names[n], formats[f]);
			copy(bases[0]);
			end = extension(112, 0x44415441, names[n], (uint32_t)strlen(names[n]));
			patch(end, 8, 0);
			patch(QCOW2_AT_INCOMPATIBLE, 8, f & 1 ? QCOW2_EXTERNAL : 0);
			patch(QCOW2_AT_AUTOCLEAR, 8, f & 2 ? 2 : 0);
			try_it();
		}
}

static void test_extensions(void **state)
{
	static const uint32_t types[] = {0xe2792aca, 0x6803f857, 0x23852875,
					 0x0537be77, 0x44415441, 0x12345678};
	static const uint32_t lengths[] = {0,     1,          8,          47,        65408,
					   65536, 0x7fffffff, 0xfffffff8, 0xffffffff};

	(void)state;
	for (unsigned t = 0; t < 6; t++)
		for (unsigned n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
			case_begin("extension %#x of %u bytes", types[t], lengths[n]);
			copy(bases[0]);
			extension(112, types[t], "\x01\x02\x03", lengths[n]);
			try_it();
		}
}

static void test_cut_short(void **state)
{
	static const uint32_t lengths[] = {0,     1,     71,     72,     104,    511,    512,
					   65535, 65536, 131072, 131080, 196608, 262143, 262144};

	(void)state;
	for (unsigned b = 0; b < 2; b++)
		for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			case_begin("base %u, cut to %u", b, lengths[i]);
			copy(bases[b]);
			assert_int_equal(truncate(path, lengths[i]), 0);
			try_it();
		}
}

/* A few KiB that say they are a hundred thousand times as much. */
static void test_bombs(void **state)
{
	static uint8_t zeroes[16 << 20], small[64 << 10];
	z_stream z = {0};
	uint64_t end, len;

	(void)state;
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = zeroes;
	z.avail_in = sizeof(zeroes);
	z.next_out = small;
	z.avail_out = sizeof(small);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	len = z.total_out;
	deflateEnd(&z);
	for (unsigned b = 0; b < 2; b++)
		for (unsigned i = 0; i < 4; i++) {
			unsigned bits = b ? 9 : 16, x = 62 - (bits - 8);
			uint64_t l2, sectors = (1ull << (bits - 8)) - 1;

			case_begin("bomb %u in base %u", i, b);
			copy(bases[b]);
			l2 = l2_of_first();
			end = (uint64_t)(4 << 20);
			put_bytes(end, small, len);
			for (unsigned k = 0; k < (b ? 64 : 4); k++)
				patch(l2 + 8 * k, 8,
				      QCOW2_COMPRESSED | (i & 1 ? sectors : 0) << x |
					      (end + (i & 2 ? 16 : 0)));
			try_it();
		}
}

/* --- files that are blown up ------------------------------------------------------------------ */

/* An L1 table of @tables entries at 1 MiB, L2 tables behind it, all of it holes but L1. */
static void blow_up(unsigned bits, uint64_t tables, uint64_t step, uint64_t file_size)
{
	uint64_t cluster = 1ull << bits, first = 32ull << 20, *l1 = calloc(tables, 8);

	copy(bases[bits == 9]);
	patch(20, 4, bits);
	for (uint64_t i = 0; i < tables; i++)
		put_be64(&l1[i], (first + i * step * cluster) | QCOW2_COPIED);
	put_bytes(4 << 20, l1, tables * 8);
	free(l1);
	patch(QCOW2_AT_L1_OFF, 8, 4 << 20);
	patch(QCOW2_AT_L1_SIZE, 4, tables);
	patch(QCOW2_AT_SIZE, 8, tables << (2 * bits - 3));
	assert_int_equal(truncate(path, (off_t)file_size), 0);
}

static void test_blown_up(void **state)
{
	static const struct {
		unsigned bits;
		uint64_t tables, step, file_size;
	} shapes[] = {
		{16, 1u << 21, 1, 1ull << 40}, /* more tables than are allowed */
		{16, 500000, 1, 1ull << 40},   /* just as many as are */
		{16, 500000, 1, 200ull << 30}, {16, 1000, 1, 200ull << 30},
		{16, 2000, 0, 1ull << 30}, /* one table for all */
		{9, 500000, 1, 2ull << 30},    {9, 200000, 1, 200ull << 30},
		{9, 1u << 21, 0, 1ull << 30},  {21, 1000, 1, 8ull << 40},
		{21, 60, 1, 1ull << 40},       {21, 1u << 15, 1, 1ull << 40},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (unsigned dirty = 0; dirty < 2; dirty++) {
			case_begin("blown up %u, dirty %u", i, dirty);
			blow_up(shapes[i].bits, shapes[i].tables, shapes[i].step,
				shapes[i].file_size);
			patch(QCOW2_AT_INCOMPATIBLE, 8, dirty);
			try_it();
		}
}

static void test_many_snapshots(void **state)
{
	(void)state;
	for (unsigned dirty = 0; dirty < 2; dirty++) {
		uint8_t *table = calloc(60000, 40);

		case_begin("60000 snapshots, dirty %u", dirty);
		blow_up(16, 1u << 18, 0, 1ull << 30);
		for (unsigned i = 0; i < 60000; i++) {
			put_be64(table + 40 * i, 4 << 20);
			put_be32(table + 40 * i + 8, 1u << 18);
		}
		put_bytes(256 << 20, table, 60000 * 40);
		patch(QCOW2_AT_SNAPSHOTS, 4, 60000);
		patch(QCOW2_AT_SNAPSHOTS_OFF, 8, 256 << 20);
		patch(QCOW2_AT_INCOMPATIBLE, 8, dirty);
		free(table);
		try_it();
	}
}

/* Last: what all of them have opened. */
static void test_nothing_outside_was_opened(void **state)
{
	char event[4096];
	int fd;

	(void)state;
	assert_int_equal(read(watch, event, sizeof(event)), -1);
	assert_int_equal(errno, EAGAIN);
	/* It does hear. */
	fd = open(canary, O_RDONLY);
	close(fd);
	assert_true(read(watch, event, sizeof(event)) > 0);
	print_message("# %u images, %u of them opened\n", images, opened);
	assert_true(images >= AT_LEAST);
	assert_true(opened >= AT_LEAST / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_fields),
		cmocka_unit_test(test_words_of_tables),
		cmocka_unit_test(test_names_of_other_files),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_blown_up),
		cmocka_unit_test(test_many_snapshots),
		cmocka_unit_test(test_nothing_outside_was_opened),
	};

	return cmocka_run_group_tests(tests, up, down);
}
