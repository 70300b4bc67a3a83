/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk does what §5.2 of the specification says: configuration, every request type, any
 * framing, used lengths, errors. Many requests at a time are in test_virtio_blk_flight.c, wrong
 * guests in test_hostile_blk.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/blk_rig.h"
#include "vmm/log.h"

#define OK     VIRTIO_BLK_S_OK
#define IOERR  VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP

static void fill(uint8_t *p, size_t n, unsigned salt)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 251 + salt);
}

static int up(void **state)
{
	struct blk_rig *rig = calloc(1, sizeof(*rig));

	blk_rig_up(rig, &(struct blk_rig_params){.serial = "disk-0123456789abcde"});
	assert_int_equal(driver_start(&rig->drv, DRIVER_ALL, 0), 0);
	*state = rig;
	return 0;
}

static int down(void **state)
{
	blk_rig_down(*state);
	free(*state);
	return 0;
}

static uint8_t seg_put(uint8_t *to, uint64_t sector, uint32_t n, uint32_t flags)
{
	memcpy(to, &sector, 8);
	memcpy(to + 8, &n, 4);
	memcpy(to + 12, &flags, 4);
	return VBLK_SEGMENT_LEN;
}

/* --- configuration ------------------------------------------------------------------------- */

static void test_config(void **state)
{
	struct blk_rig *rig = *state;
	struct vblk_config c;

	driver_config_read(&rig->drv, 0, &c, sizeof(c));
	assert_int_equal(c.capacity, BLK_RIG_BYTES / 512);
	assert_int_equal(c.seg_max, 62);
	assert_int_equal(c.blk_size, 512);
	assert_int_equal(c.physical_block_exp, 3);
	assert_int_equal(c.min_io_size, 8);
	assert_int_equal(c.heads, 16);
	assert_int_equal(c.sectors, 63);
	assert_int_equal(c.cylinders, 2048 / (16 * 63));
	assert_int_equal(c.num_queues, 1);
	assert_int_equal(c.writeback, 1);
	assert_int_equal(c.max_discard_seg, VBLK_SEGMENTS_MAX);
	assert_int_equal(c.max_discard_sectors, VBLK_DISCARD_SECTORS_MAX);
	assert_int_equal(c.discard_sector_alignment, 8);
	assert_int_equal(c.max_write_zeroes_seg, VBLK_SEGMENTS_MAX);
	assert_int_equal(c.max_write_zeroes_sectors, VBLK_ZEROES_SECTORS_MAX);
	assert_int_equal(c.write_zeroes_may_unmap, 1);
	assert_true(virtio_has(rig->drv.dev, VIRTIO_BLK_F_FLUSH));
	assert_false(virtio_has(rig->drv.dev, VIRTIO_BLK_F_RO));
	assert_false(virtio_has(rig->drv.dev, VIRTIO_BLK_F_MQ));
}

static void test_features_of_disk(void **state)
{
	struct blk_rig rig;
	uint64_t offered;

	(void)state;
	blk_rig_up(&rig, &(struct blk_rig_params){.read_only = 1, .queues = 4});
	offered = virtio_blk_dev(rig.vb)->offered;
	assert_true(offered >> VIRTIO_BLK_F_RO & 1);
	assert_true(offered >> VIRTIO_BLK_F_MQ & 1);
	assert_false(offered >> VIRTIO_BLK_F_DISCARD & 1);
	assert_false(offered >> VIRTIO_BLK_F_WRITE_ZEROES & 1);
	assert_int_equal(driver_start(&rig.drv, DRIVER_ALL, 0), 0);
	assert_true(blk_rig_alive(&rig));
	blk_rig_down(&rig);
}

static void take_line(void *arg, enum log_level level, const char *line)
{
	(void)level;
	snprintf(arg, 256, "%s", line);
}

static void test_bad_params(void **state)
{
	struct fake_disk disk;
	struct virtio_blk *vb = NULL;
	struct {
		struct virtio_blk_params p;
		const char *says;
	} t[] = {
		{{.queues = 0, .queue_size = 64}, "queues"},
		{{.queues = 17, .queue_size = 64}, "queues"},
		{{.queues = 1, .queue_size = 0}, "queue size"},
		{{.queues = 1, .queue_size = 2}, "queue size"},
		{{.queues = 1, .queue_size = 48}, "power of two"},
		{{.queues = 1, .queue_size = 2048}, "queue size"},
		{{.queues = 1, .queue_size = 64, .serial = "123456789012345678901"}, "serial"},
	};
	char line[256];

	(void)state;
	fake_disk_init(&disk, 512);
	log_set_sink(take_line, line);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		line[0] = 0;
		t[i].p.disk = &disk.blk;
		assert_int_equal(virtio_blk_create(&vb, &t[i].p), -EINVAL);
		assert_non_null(strstr(line, t[i].says));
		assert_null(vb);
	}
	log_set_sink(NULL, NULL);
	fake_disk_free(&disk);
}

/* --- requests ------------------------------------------------------------------------------ */

static void test_write_then_read(void **state)
{
	struct blk_rig *rig = *state;
	uint8_t bytes[8 * 512];
	struct blk_ask out = {VIRTIO_BLK_T_OUT, 3, bytes, sizeof(bytes), 0, 0, 0, 0};
	struct blk_ask in = {VIRTIO_BLK_T_IN, 3, NULL, sizeof(bytes), 1, 0, 0, 0};
	struct virtio_blk_stats stats;
	uint32_t used;

	fill(bytes, sizeof(bytes), 1);
	assert_int_equal(blk_rig_do(rig, &out, &used), OK);
	assert_int_equal(used, 1);
	assert_memory_equal(rig->disk.bytes + 3 * 512, bytes, sizeof(bytes));
	assert_int_equal(blk_rig_do(rig, &in, &used), OK);
	assert_int_equal(used, sizeof(bytes) + 1);
	assert_memory_equal(driver_ptr(&rig->drv, in.data_at, sizeof(bytes)), bytes, sizeof(bytes));
	virtio_blk_get_stats(rig->vb, &stats);
	assert_int_equal(stats.requests[BLK_READ], 1);
	assert_int_equal(stats.requests[BLK_WRITE], 1);
	assert_int_equal(stats.read_bytes, sizeof(bytes));
	assert_int_equal(stats.written_bytes, sizeof(bytes));
	assert_int_equal(stats.errors, 0);
}

/*
 * §2.7.4.1: a request of 16 + 1024 bytes to read, or 16 and 1024 + 1, cut in two or three at
 * every place of interest, the status byte alone or together with data, direct or indirect.
 */
static void one_framing(struct blk_rig *rig, uint32_t type, unsigned cut, int shared,
			unsigned flags)
{
	const uint32_t len = 1024;
	int in = type == VIRTIO_BLK_T_IN;
	gpa_t heap = rig->drv.heap_next;
	gpa_t out_at = driver_alloc(&rig->drv, VBLK_HEADER_LEN + (in ? 0 : len), 1);
	gpa_t in_at = driver_alloc(&rig->drv, (in ? len : 0) + 1, 1);
	uint32_t out_len = VBLK_HEADER_LEN + (in ? 0 : len), in_len = (in ? len : 0) + 1;
	struct driver_seg segs[6];
	struct driver_used used;
	uint8_t bytes[1024], *p = driver_ptr(&rig->drv, out_at, out_len);
	uint64_t sector = 5;
	unsigned n = 0;

	fill(bytes, len, cut + 3 * (unsigned)shared);
	memcpy(p, &type, 4);
	memcpy(p + 8, &sector, 8);
	memcpy(in ? rig->disk.bytes + 5 * 512 : p + VBLK_HEADER_LEN, bytes, len);

	if (cut < out_len) {
		segs[n++] = (struct driver_seg){out_at, cut, 0};
		segs[n++] = (struct driver_seg){out_at + cut, out_len - cut, 0};
	} else {
		segs[n++] = (struct driver_seg){out_at, out_len, 0};
	}
	if (cut < in_len - 1) {
		segs[n++] = (struct driver_seg){in_at, cut, 1};
		segs[n++] = (struct driver_seg){in_at + cut, in_len - cut - !shared, 1};
	} else if (shared || in_len > 1) {
		segs[n++] = (struct driver_seg){in_at, in_len - !shared, 1};
	}
	if (!shared)
		segs[n++] = (struct driver_seg){in_at + in_len - 1, 1, 1};
	*(uint8_t *)driver_ptr(&rig->drv, in_at + in_len - 1, 1) = 0xee;

	assert_true(driver_add(&rig->drv, 0, segs, n, flags) >= 0);
	driver_kick(&rig->drv, 0);
	assert_int_equal(driver_take(&rig->drv, 0, &used), 1);
	assert_int_equal(used.len, in_len);
	assert_int_equal(*(uint8_t *)driver_ptr(&rig->drv, in_at + in_len - 1, 1), OK);
	if (in)
		assert_memory_equal(driver_ptr(&rig->drv, in_at, len), bytes, len);
	else
		assert_memory_equal(rig->disk.bytes + 5 * 512, bytes, len);
	if (!(flags & DRIVER_INDIRECT))
		rig->drv.heap_next = heap;
}

static void test_framing_2_7_4_1(void **state)
{
	struct blk_rig *rig = *state;

	for (unsigned shared = 0; shared < 2; shared++)
		for (unsigned flags = 0; flags <= DRIVER_INDIRECT; flags++)
			for (unsigned cut = 1; cut < 1041; cut += cut < 24 || cut > 1020 ? 1 : 97) {
				one_framing(rig, VIRTIO_BLK_T_OUT, cut, (int)shared, flags);
				one_framing(rig, VIRTIO_BLK_T_IN, cut, (int)shared, flags);
			}
}

/* The longest chain there may be: more segments than a slot keeps with itself. */
static void test_many_segments(void **state)
{
	struct blk_rig *rig = *state;
	const unsigned pieces = 62;
	gpa_t data = driver_alloc(&rig->drv, pieces * 512, 512);
	gpa_t status = driver_alloc(&rig->drv, 1, 1);
	struct driver_seg segs[64];
	struct driver_used used;

	fill(rig->disk.bytes, pieces * 512, 9);
	segs[0] = (struct driver_seg){blk_rig_header(rig, VIRTIO_BLK_T_IN, 0), 16, 0};
	/* Backwards in guest memory, so that no two segments could be taken for one. */
	for (unsigned i = 0; i < pieces; i++)
		segs[1 + i] = (struct driver_seg){data + (pieces - 1 - i) * 512, 512, 1};
	segs[63] = (struct driver_seg){status, 1, 1};
	assert_true(driver_add(&rig->drv, 0, segs, 64, DRIVER_INDIRECT) >= 0);
	driver_kick(&rig->drv, 0);
	assert_int_equal(driver_take(&rig->drv, 0, &used), 1);
	assert_int_equal(used.len, pieces * 512 + 1);
	for (unsigned i = 0; i < pieces; i++)
		assert_memory_equal(driver_ptr(&rig->drv, segs[1 + i].addr, 512),
				    rig->disk.bytes + i * 512, 512);
}

static void test_get_id(void **state)
{
	struct blk_rig *rig = *state;

	for (uint32_t len = 0; len <= 40; len++) {
		struct blk_ask ask = {VIRTIO_BLK_T_GET_ID, 0, NULL, len, 1, 0, 0, 0};
		uint32_t used, given = len < 20 ? len : 20;

		assert_int_equal(blk_rig_do(rig, &ask, &used), OK);
		/* §2.7.8.2: the first `len` bytes were written. */
		assert_int_equal(used, len <= 20 ? len + 1 : 20);
		if (len)
			assert_memory_equal(driver_ptr(&rig->drv, ask.data_at, len),
					    "disk-0123456789abcde", given);
	}
}

static void test_flush_is_durable(void **state)
{
	struct blk_rig *rig = *state;
	uint8_t bytes[512];
	struct blk_ask out = {VIRTIO_BLK_T_OUT, 1, bytes, 512, 0, 0, 0, 0};
	struct blk_ask flush = {VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0, 0, 0, 0};
	uint32_t used;

	fill(bytes, 512, 77);
	assert_int_equal(blk_rig_do(rig, &out, NULL), OK);
	assert_memory_not_equal(rig->disk.durable + 512, bytes, 512);
	assert_int_equal(blk_rig_do(rig, &flush, &used), OK);
	assert_int_equal(used, 1);
	assert_memory_equal(rig->disk.durable + 512, bytes, 512);
}

/* B50: acknowledged only after the disk has done it. */
static void test_flush_waits(void **state)
{
	struct blk_rig *rig = *state;
	struct blk_ask flush = {VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0, 0, 0, 0};
	struct driver_used used;

	rig->disk.async = 1;
	blk_rig_ask(rig, 0, &flush);
	assert_int_equal(driver_take(&rig->drv, 0, &used), 0);
	fake_disk_answer(&rig->disk, 0);
	driver_pump(&rig->drv);
	assert_int_equal(driver_take(&rig->drv, 0, &used), 1);
}

/* §5.2.6.2: without FLUSH a write is durable when it is answered. */
static void test_write_through_5_2_6_2(void **state)
{
	static const struct fake_fault faults[] = {{3, 0, -EIO}, {0}};
	struct blk_rig *rig = *state;
	uint8_t bytes[512], seg[16];
	struct blk_ask out = {VIRTIO_BLK_T_OUT, 1, bytes, 512, 0, 0, 0, 0};
	struct blk_ask zero = {
		VIRTIO_BLK_T_WRITE_ZEROES, 0, seg, seg_put(seg, 1, 1, 0), 0, 0, 0, 0};

	assert_int_equal(driver_start(&rig->drv, ~(1ull << VIRTIO_BLK_F_FLUSH), 0), 0);
	fill(bytes, 512, 5);
	assert_int_equal(blk_rig_do(rig, &out, NULL), OK);
	assert_memory_equal(rig->disk.durable + 512, bytes, 512);
	assert_int_equal(rig->disk.count[BLK_FLUSH], 1);
	rig->disk.requests = 0;
	assert_int_equal(blk_rig_do(rig, &zero, NULL), OK);
	assert_int_equal(rig->disk.durable[512], 0);
	assert_int_equal(rig->disk.count[BLK_FLUSH], 2);
	/* The write succeeds, the flush behind it does not. */
	rig->disk.requests = 1;
	rig->disk.faults = faults;
	assert_int_equal(blk_rig_do(rig, &out, NULL), IOERR);
}

static void test_discard(void **state)
{
	struct blk_rig *rig = *state;
	uint8_t segs[VBLK_SEGMENTS_MAX * 16];
	struct blk_ask ask = {VIRTIO_BLK_T_DISCARD, 0, segs, 0, 0, 0, 0, 0};

	memset(rig->disk.bytes, 0x11, BLK_RIG_BYTES);
	for (unsigned i = 0; i < VBLK_SEGMENTS_MAX; i++)
		ask.len += seg_put(segs + 16 * i, 10 * i, 2, 0);
	assert_int_equal(blk_rig_do(rig, &ask, NULL), OK);
	assert_int_equal(rig->disk.count[BLK_DISCARD], VBLK_SEGMENTS_MAX);
	for (unsigned s = 0; s < 100; s++) {
		int hit = s % 10 < 2 && s / 10 < VBLK_SEGMENTS_MAX;

		assert_int_equal(rig->disk.bytes[s * 512], hit ? FAKE_DISK_DISCARDED : 0x11);
		assert_int_equal(rig->disk.bytes[s * 512 + 511], hit ? FAKE_DISK_DISCARDED : 0x11);
	}
}

static void test_write_zeroes(void **state)
{
	struct blk_rig *rig = *state;
	uint8_t segs[32];
	struct blk_ask ask = {VIRTIO_BLK_T_WRITE_ZEROES, 0, segs, 32, 0, 0, 0, 0};

	memset(rig->disk.bytes, 0x22, BLK_RIG_BYTES);
	seg_put(segs, 1, 3, 0);
	seg_put(segs + 16, 2047, 1, VBLK_SEGMENT_UNMAP);
	assert_int_equal(blk_rig_do(rig, &ask, NULL), OK);
	assert_int_equal(rig->disk.bytes[511], 0x22);
	assert_int_equal(rig->disk.bytes[512], 0);
	assert_int_equal(rig->disk.bytes[4 * 512 - 1], 0);
	assert_int_equal(rig->disk.bytes[4 * 512], 0x22);
	assert_int_equal(rig->disk.bytes[2047 * 512], 0);
	assert_int_equal(rig->disk.zeroed_unmap, 512);
}

static void test_errors(void **state)
{
	static const struct {
		int res;
		uint8_t status;
	} t[] = {{-EIO, IOERR}, {-ENOSPC, IOERR}, {-EROFS, IOERR}, {-EOPNOTSUPP, UNSUPP}};
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
					 VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
	struct blk_rig *rig = *state;
	struct virtio_blk_stats stats;
	uint8_t seg[16];

	seg_put(seg, 0, 1, 0);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < 5; k++) {
			struct fake_fault faults[] = {{rig->disk.requests + 1, 100, t[i].res}, {0}};
			struct blk_ask ask = {types[k], 0, NULL, 512, k == 0, 0, 0, 0};
			uint32_t used;

			if (types[k] == VIRTIO_BLK_T_FLUSH)
				ask.len = 0;
			if (types[k] >= VIRTIO_BLK_T_DISCARD) {
				ask.data = seg;
				ask.len = 16;
			}
			rig->disk.faults = faults;
			assert_int_equal(blk_rig_do(rig, &ask, &used), t[i].status);
			/* A failed read filled nothing that the driver may look at. */
			assert_int_equal(used, types[k] == VIRTIO_BLK_T_IN ? 0 : 1);
			rig->disk.faults = NULL;
			assert_true(blk_rig_alive(rig));
		}
	virtio_blk_get_stats(rig->vb, &stats);
	assert_int_equal(stats.errors, 20);
}

/* A segment that fails ends its request: the ones behind it are not begun. */
static void test_segment_fails(void **state)
{
	struct blk_rig *rig = *state;

	for (unsigned bad = 1; bad <= 4; bad++) {
		struct fake_fault faults[] = {{rig->disk.requests + bad, 0, -EIO}, {0}};
		unsigned before = rig->disk.count[BLK_DISCARD];
		uint8_t segs[4 * 16];
		struct blk_ask ask = {VIRTIO_BLK_T_DISCARD, 0, segs, sizeof(segs), 0, 0, 0, 0};

		for (unsigned i = 0; i < 4; i++)
			seg_put(segs + 16 * i, i, 1, 0);
		rig->disk.faults = faults;
		assert_int_equal(blk_rig_do(rig, &ask, NULL), IOERR);
		assert_int_equal(rig->disk.count[BLK_DISCARD], before + bad);
		rig->disk.faults = NULL;
	}
}

static void test_legacy(void **state)
{
	struct blk_rig *rig = *state;

	assert_int_equal(driver_start(&rig->drv, DRIVER_ALL, DRIVER_LEGACY), 0);
	assert_true(blk_rig_alive(rig));
	test_flush_is_durable(state);
}

/* SQLite's way: fail the n-th request for every n; each failure is answered and goes no further. */
static void test_every_nth_fails(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth <= 12; nth++) {
		struct fake_fault faults[] = {{nth, 0, -EIO}, {0}};
		uint8_t segs[48], bytes[512] = {1};
		struct blk_ask asks[] = {
			{VIRTIO_BLK_T_OUT, 1, bytes, 512, 0, 0, 0, 0},
			{VIRTIO_BLK_T_IN, 1, NULL, 512, 1, 0, 0, 0},
			{VIRTIO_BLK_T_DISCARD, 0, segs, 48, 0, 0, 0, 0},
			{VIRTIO_BLK_T_WRITE_ZEROES, 0, segs, 48, 0, 0, 0, 0},
			{VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0, 0, 0, 0},
		};
		struct blk_rig rig;
		unsigned failed = 0;

		for (unsigned i = 0; i < 3; i++)
			seg_put(segs + 16 * i, i, 1, 0);
		blk_rig_up(&rig, NULL);
		/* Write-through, so that each change is followed by a flush that may fail. */
		assert_int_equal(driver_start(&rig.drv, ~(1ull << VIRTIO_BLK_F_FLUSH), 0), 0);
		rig.disk.faults = faults;
		for (unsigned i = 0; i < 5; i++)
			failed += blk_rig_do(&rig, &asks[i], NULL) == IOERR;
		assert_int_equal(failed, 1);
		assert_true(blk_rig_alive(&rig));
		blk_rig_down(&rig);
	}
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(test_config),
		cmocka_unit_test(test_features_of_disk),
		cmocka_unit_test(test_bad_params),
		RIGGED(test_write_then_read),
		RIGGED(test_framing_2_7_4_1),
		RIGGED(test_many_segments),
		RIGGED(test_get_id),
		RIGGED(test_flush_is_durable),
		RIGGED(test_flush_waits),
		RIGGED(test_write_through_5_2_6_2),
		RIGGED(test_discard),
		RIGGED(test_write_zeroes),
		RIGGED(test_errors),
		RIGGED(test_segment_fails),
		RIGGED(test_legacy),
		cmocka_unit_test(test_every_nth_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
