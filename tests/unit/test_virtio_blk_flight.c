/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk with many requests under way: order, depth, several queues, interrupts, resets that
 * wait for the disk (§2.4.1, §2.6.1), and the memory that all of it takes.
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

/* --- order, depth, queues ------------------------------------------------------------------ */

static void test_out_of_order(void **state)
{
	struct blk_rig *rig = *state;
	struct blk_ask asks[16];
	struct driver_used used;
	unsigned seen = 0;

	rig->disk.async = 1;
	fill(rig->disk.bytes, BLK_RIG_BYTES, 3);
	for (unsigned i = 0; i < 16; i++) {
		asks[i] = (struct blk_ask){VIRTIO_BLK_T_IN, i * 11, NULL, 1024, 1, 0, 0, 0};
		blk_rig_ask(rig, 0, &asks[i]);
	}
	assert_int_equal(rig->disk.n_pending, 16);
	assert_int_equal(virtio_blk_in_flight(rig->vb), 16);
	for (unsigned i = 16; i-- > 0;)
		fake_disk_answer(&rig->disk, i);
	driver_pump(&rig->drv);
	while (driver_take(&rig->drv, 0, &used) == 1) {
		const struct blk_ask *ask = &asks[15 - seen++];

		assert_int_equal(used.head, ask->head);
		assert_memory_equal(driver_ptr(&rig->drv, ask->data_at, 1024),
				    rig->disk.bytes + ask->sector * 512, 1024);
	}
	assert_int_equal(seen, 16);
	assert_int_equal(virtio_blk_in_flight(rig->vb), 0);
}

/* As many one-descriptor requests as the ring has entries, more than one turn's budget. */
static void test_full_ring(void **state)
{
	struct blk_rig rig;
	struct driver_used used;
	unsigned n = 0;

	(void)state;
	blk_rig_up(&rig, &(struct blk_rig_params){.queue_size = 512});
	assert_int_equal(driver_start(&rig.drv, DRIVER_ALL, 0), 0);
	rig.disk.async = 1;
	for (unsigned i = 0; i < 512; i++) {
		struct driver_seg segs[3] = {
			{blk_rig_header(&rig, VIRTIO_BLK_T_OUT, i), 16, 0},
			{driver_alloc(&rig.drv, 512, 512), 512, 0},
			{driver_alloc(&rig.drv, 1, 1), 1, 1},
		};

		memset(driver_ptr(&rig.drv, segs[1].addr, 512), (int)(i % 255) + 1, 512);
		assert_true(driver_add(&rig.drv, 0, segs, 3, DRIVER_INDIRECT) >= 0);
	}
	driver_kick(&rig.drv, 0);
	assert_int_equal(rig.disk.n_pending, 512);
	fake_disk_answer_all(&rig.disk, 12345);
	driver_pump(&rig.drv);
	while (driver_take(&rig.drv, 0, &used) == 1)
		n++;
	assert_int_equal(n, 512);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(rig.disk.bytes[i * 512 + 100], i % 255 + 1);
	blk_rig_down(&rig);
}

static void test_queues(void **state)
{
	struct blk_rig rig;
	struct driver_used used;

	(void)state;
	blk_rig_up(&rig, &(struct blk_rig_params){.queues = 4, .queue_size = 16});
	assert_int_equal(driver_start(&rig.drv, DRIVER_ALL, 0), 0);
	rig.disk.async = 1;
	for (unsigned i = 0; i < 20; i++) {
		struct blk_ask ask = {VIRTIO_BLK_T_IN, i, NULL, 512, 1, 0, 0, 0};

		blk_rig_ask(&rig, i % 4, &ask);
	}
	assert_int_equal(rig.disk.n_pending, 20);
	fake_disk_answer_all(&rig.disk, 99);
	driver_pump(&rig.drv);
	for (unsigned q = 0; q < 4; q++) {
		unsigned n = 0;

		while (driver_take(&rig.drv, q, &used) == 1)
			n++;
		assert_int_equal(n, 5);
		assert_true(rig.drv.irqs[q] > 0);
	}
	blk_rig_down(&rig);
}

/* One interrupt for the answers of a turn. */
static void test_one_interrupt_a_turn(void **state)
{
	struct blk_rig *rig = *state;
	unsigned before;

	rig->disk.async = 1;
	for (unsigned i = 0; i < 8; i++) {
		struct blk_ask ask = {VIRTIO_BLK_T_IN, i, NULL, 512, 1, 0, 0, 0};

		blk_rig_ask(rig, 0, &ask);
	}
	before = rig->drv.irqs[0];
	fake_disk_answer_all(&rig->disk, 0);
	driver_pump(&rig->drv);
	assert_int_equal(rig->drv.irqs[0], before + 1);
}

/* --- reset --------------------------------------------------------------------------------- */

/* §2.4.1: the device gives memory back before the reset is over. */
static void test_reset_waits_for_io(void **state)
{
	struct blk_rig *rig = *state;
	struct blk_ask asks[5];
	uint8_t *status[5];

	rig->disk.async = 1;
	for (unsigned i = 0; i < 5; i++) {
		asks[i] = (struct blk_ask){VIRTIO_BLK_T_IN, i, NULL, 512, 1, 0, 0, 0};
		blk_rig_ask(rig, 0, &asks[i]);
		status[i] = driver_ptr(&rig->drv, asks[i].status_at, 1);
	}
	for (unsigned i = 5; i > 0; i--) {
		assert_int_equal(driver_reset(&rig->drv), -EBUSY);
		fake_disk_answer(&rig->disk, i / 2);
	}
	driver_pump(&rig->drv);
	assert_int_equal(driver_status(&rig->drv), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(*status[i], 0xee);
	assert_int_equal(driver_start(&rig->drv, DRIVER_ALL, 0), 0);
	assert_true(blk_rig_alive(rig));
}

/* What is left of a request is not begun any more: segments, and the flush of write-through. */
static void test_reset_ends_a_sequence(void **state)
{
	struct blk_rig *rig = *state;
	uint8_t segs[64];
	struct blk_ask ask = {VIRTIO_BLK_T_DISCARD, 0, segs, 64, 0, 0, 0, 0};
	struct blk_ask out = {VIRTIO_BLK_T_OUT, 0, NULL, 512, 0, 0, 0, 0};

	assert_int_equal(driver_start(&rig->drv, ~(1ull << VIRTIO_BLK_F_FLUSH), 0), 0);
	for (unsigned i = 0; i < 4; i++)
		seg_put(segs + 16 * i, i, 1, 0);
	rig->disk.async = 1;
	blk_rig_ask(rig, 0, &ask);
	blk_rig_ask(rig, 0, &out);
	assert_int_equal(rig->disk.n_pending, 2);
	assert_int_equal(driver_reset(&rig->drv), -EBUSY);
	fake_disk_answer_all(&rig->disk, 0);
	assert_int_equal(rig->disk.requests, 2);
	assert_int_equal(driver_status(&rig->drv), 0);
}

/* §2.6.1: one queue is reset while another goes on. */
static void test_queue_reset_2_6_1(void **state)
{
	struct blk_rig rig;
	struct blk_ask a = {VIRTIO_BLK_T_IN, 0, NULL, 512, 1, 0, 0, 0}, b = a;
	struct virtio_dev *dev;
	struct driver_used used;

	(void)state;
	blk_rig_up(&rig, &(struct blk_rig_params){.queues = 2});
	dev = virtio_blk_dev(rig.vb);
	assert_int_equal(driver_start(&rig.drv, DRIVER_ALL, 0), 0);
	rig.disk.async = 1;
	blk_rig_ask(&rig, 0, &a);
	blk_rig_ask(&rig, 1, &b);
	virtio_queue_reset(dev, 0);
	assert_int_equal(dev->queue_resetting, 1);
	fake_disk_answer(&rig.disk, 1);
	driver_pump(&rig.drv);
	assert_int_equal(driver_take(&rig.drv, 1, &used), 1);
	assert_int_equal(dev->queue_resetting, 1);
	fake_disk_answer(&rig.disk, 0);
	assert_int_equal(dev->queue_resetting, 0);
	assert_int_equal(*(uint8_t *)driver_ptr(&rig.drv, a.status_at, 1), 0xee);
	blk_rig_down(&rig);
}

/* --- memory -------------------------------------------------------------------------------- */

static long rss_of(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long lo, hi, at = (unsigned long)(uintptr_t)p;
	char line[512];
	long kib = -1;
	int here = 0;

	assert_non_null(f);
	while (kib < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			here = at >= lo && at < hi;
		else if (here)
			sscanf(line, "Rss: %ld kB", &kib);
	}
	fclose(f);
	return kib;
}

/* Four queues of 256: 4 MiB and more set aside, a depth of one touches a few pages. */
static void test_depth_one_touches_little(void **state)
{
	struct blk_rig rig;
	long before, after;

	(void)state;
	blk_rig_up(&rig, &(struct blk_rig_params){.queues = 4, .queue_size = 256});
	assert_int_equal(driver_start(&rig.drv, DRIVER_ALL, 0), 0);
	before = rss_of(rig.vb);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(blk_rig_alive(&rig));
	after = rss_of(rig.vb);
	print_message("    device memory: %ld KiB fresh, %ld KiB after 2000 requests\n", before,
		      after);
	assert_true(after - before <= 12);
	assert_true(after <= 24);
	blk_rig_down(&rig);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(test_out_of_order),
		cmocka_unit_test(test_full_ring),
		cmocka_unit_test(test_queues),
		RIGGED(test_one_interrupt_a_turn),
		RIGGED(test_reset_waits_for_io),
		RIGGED(test_reset_ends_a_sequence),
		cmocka_unit_test(test_queue_reset_2_6_1),
		cmocka_unit_test(test_depth_one_touches_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
