/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wrong guests against virtio-blk, continued: rings that break, words that change, and requests
 * that are under way when the guest does it. The letters as in test_hostile_blk.c:
 *
 *   B01 chains that loop           B06 words that change        B09 a head twice in flight
 *   B15 reset with I/O in flight   B16 buffers in the rings
 *
 * Built with RING_LOAD_HOOK, so that a ring word can change right after the device read it.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/ring.h"
#include "tests/lib/blk_rig.h"
#include "vmm/log.h"

#define OK       VIRTIO_BLK_S_OK

#define CAPACITY (BLK_RIG_BYTES / 512ull)

static unsigned cases, log_lines;

static void swallow(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
	log_lines++;
}

static int quiet(void **state)
{
	(void)state;
	log_set_sink(swallow, NULL);
	return 0;
}

static void start(struct blk_rig *rig)
{
	assert_int_equal(driver_start(&rig->drv, DRIVER_ALL, 0), 0);
}

static int up(void **state)
{
	struct blk_rig *rig = calloc(1, sizeof(*rig));

	blk_rig_up(rig, NULL);
	start(rig);
	*state = rig;
	return 0;
}

static int down(void **state)
{
	blk_rig_down(*state);
	free(*state);
	return 0;
}

static gpa_t room(struct blk_rig *rig, uint32_t len)
{
	return driver_alloc(&rig->drv, len ? len : 1, 1);
}

/* --- B01, B16: rings ------------------------------------------------------------------------ */

static void test_loops(void **state)
{
	struct blk_rig *rig = *state;
	gpa_t header, page;

	for (unsigned back = 0; back < 3; back++) {
		header = blk_rig_header(rig, VIRTIO_BLK_T_OUT, 0);
		page = driver_alloc(&rig->drv, 4096, 4096);
		cases++;
		driver_desc(&rig->drv, 0, 0, (struct vring_desc){header, 16, 1, 1});
		driver_desc(&rig->drv, 0, 1, (struct vring_desc){page, 512, 1, 2});
		driver_desc(&rig->drv, 0, 2, (struct vring_desc){page, 512, 1, (uint16_t)back});
		driver_offer(&rig->drv, 0, 0);
		driver_kick(&rig->drv, 0);
		assert_true(driver_status(&rig->drv) & VIRTIO_STATUS_NEEDS_RESET);
		assert_int_equal(rig->disk.n_pending, 0);
		start(rig);
		assert_true(blk_rig_alive(rig));
	}
}

/* The device is told to write over its own rings: it may lose its way, the VMM may not. */
static void test_buffers_in_the_rings(void **state)
{
	struct blk_rig *rig = *state;

	for (unsigned where = 0; where < 6; where++) {
		gpa_t rings[] = {rig->drv.q[0].desc, rig->drv.q[0].avail, rig->drv.q[0].used};
		struct driver_seg segs[3] = {
			{blk_rig_header(rig, VIRTIO_BLK_T_IN, where), 16, 0},
			{rings[where % 3], 512, 1},
			{room(rig, 1), 1, 1},
		};

		cases++;
		memset(rig->disk.bytes, where < 3 ? 0xff : 0x01, 8192);
		if (where >= 3) /* the status byte too */
			segs[2].addr = rings[where % 3] + 3;
		assert_true(driver_add(&rig->drv, 0, segs, 3, 0) >= 0);
		driver_kick(&rig->drv, 0);
		driver_kick(&rig->drv, 0);
		start(rig);
		assert_true(blk_rig_alive(rig));
	}
}

/* --- B06: words that change ------------------------------------------------------------------ */

/* What the guest writes over a request after the device took it changes nothing. */
static void test_changed_after_submit(void **state)
{
	struct blk_rig *rig = *state;
	uint8_t seg[16] = {0}, bytes[512];
	struct blk_ask out = {VIRTIO_BLK_T_OUT, 2, bytes, 512, 0, 0, 0, 0};
	struct blk_ask discard = {VIRTIO_BLK_T_DISCARD, 0, seg, 16, 0, 0, 0, 0};
	struct driver_used used;

	memset(bytes, 0x44, sizeof(bytes));
	memset(rig->disk.bytes, 0x11, BLK_RIG_BYTES);
	seg[0] = 9;
	seg[8] = 1;
	rig->disk.async = 1;
	blk_rig_ask(rig, 0, &out);
	blk_rig_ask(rig, 0, &discard);
	for (unsigned i = 0; i < 8; i++) /* every descriptor and what it points to */
		driver_desc(&rig->drv, 0, (uint16_t)i,
			    (struct vring_desc){UINT64_MAX, UINT32_MAX, 0xffff, 0xffff});
	memset(driver_ptr(&rig->drv, discard.data_at, 16), 0xff, 16);
	fake_disk_answer_all(&rig->disk, 0);
	driver_pump(&rig->drv);
	cases += 2;
	assert_int_equal(driver_take(&rig->drv, 0, &used), 1);
	assert_int_equal(driver_take(&rig->drv, 0, &used), 1);
	assert_int_equal(*(uint8_t *)driver_ptr(&rig->drv, out.status_at, 1), OK);
	assert_int_equal(*(uint8_t *)driver_ptr(&rig->drv, discard.status_at, 1), OK);
	assert_memory_equal(rig->disk.bytes + 2 * 512, bytes, 512);
	assert_int_equal(rig->disk.bytes[8 * 512 + 511], 0x11);
	assert_int_equal(rig->disk.bytes[9 * 512], FAKE_DISK_DISCARDED);
	assert_int_equal(rig->disk.bytes[10 * 512], 0x11);
}

static const void *target;
static unsigned loads_of_target;
static int loads_left;

/* Turns the word that is loaded at @target to ones behind the device's back. */
static uint64_t turn_to_ones(const void *at, unsigned size, uint64_t value)
{
	if (loads_left-- == 0) {
		target = at;
		memset((void *)(uintptr_t)at, 0xff, size);
	} else if (at == target) {
		loads_of_target++;
	}
	return value;
}

/* Each ring word of a request in turn changes right after its load; none is loaded again. */
static void test_ring_words_change(void **state)
{
	struct blk_rig *rig = *state;

	for (int nth = 0; nth < 24; nth++) {
		struct blk_ask out = {VIRTIO_BLK_T_OUT, 1, NULL, 512, 0, 0, 0, 0};
		struct driver_seg segs[3] = {
			{blk_rig_header(rig, out.type, out.sector), 16, 0},
			{driver_alloc(&rig->drv, 512, 512), 512, 0},
			{room(rig, 1), 1, 1},
		};

		cases++;
		rig->disk.bytes[512] = 0xaa;
		assert_true(driver_add(&rig->drv, 0, segs, 3, nth % 2 ? DRIVER_INDIRECT : 0) >= 0);
		target = NULL;
		loads_of_target = 0;
		loads_left = nth;
		ring_load_hook = turn_to_ones;
		virtio_kick(virtio_blk_dev(rig->vb), 0);
		ring_load_hook = NULL;
		/* The first pop saw a good request, whatever the ring says now. */
		assert_int_equal(rig->disk.bytes[512], 0);
		driver_pump(&rig->drv);
		start(rig);
		assert_true(blk_rig_alive(rig));
	}
}

/* --- B09, B15: requests under way ------------------------------------------------------------ */

static void test_head_twice(void **state)
{
	struct blk_rig *rig = *state;

	for (unsigned times = 2; times <= 64; times *= 2) {
		struct blk_ask ask = {VIRTIO_BLK_T_IN, 0, NULL, 512, 1, 0, 0, 0};

		cases++;
		rig->disk.async = 1;
		blk_rig_ask(rig, 0, &ask);
		for (unsigned i = 1; i < times; i++)
			driver_offer(&rig->drv, 0, (uint16_t)ask.head);
		driver_kick(&rig->drv, 0);
		assert_int_equal(rig->disk.n_pending, 1);
		assert_true(driver_status(&rig->drv) & VIRTIO_STATUS_NEEDS_RESET);
		fake_disk_answer_all(&rig->disk, 0);
		assert_int_equal(virtio_blk_in_flight(rig->vb), 0);
		rig->disk.async = 0;
		start(rig);
		assert_true(blk_rig_alive(rig));
	}
}

/* avail.idx runs away while requests are under way. */
static void test_idx_jumps(void **state)
{
	struct blk_rig *rig = *state;
	static const uint16_t jumps[] = {65, 66, 1000, 0x7fff, 0x8000, 0xffff};

	for (unsigned i = 0; i < 6; i++) {
		struct blk_ask ask = {VIRTIO_BLK_T_IN, 0, NULL, 512, 1, 0, 0, 0};

		cases++;
		rig->disk.async = 1;
		blk_rig_ask(rig, 0, &ask);
		driver_set_avail_idx(&rig->drv, 0, (uint16_t)(rig->drv.q[0].avail_idx + jumps[i]));
		driver_kick(&rig->drv, 0);
		assert_true(driver_status(&rig->drv) & VIRTIO_STATUS_NEEDS_RESET);
		fake_disk_answer_all(&rig->disk, 0);
		rig->disk.async = 0;
		start(rig);
		assert_true(blk_rig_alive(rig));
	}
}

/* Ring memory full of the same wrong request; reset; again: nothing is left over, the log short. */
static void test_broken_again_and_again(void **state)
{
	struct blk_rig *rig = *state;
	unsigned before = log_lines;

	for (unsigned i = 0; i < 1000; i++) {
		struct driver_seg seg = {room(rig, 1), 1, 0};

		assert_true(driver_add(&rig->drv, 0, &seg, 1, 0) >= 0);
		driver_kick(&rig->drv, 0);
		start(rig);
	}
	cases++;
	assert_true(blk_rig_alive(rig));
	assert_in_range(log_lines - before, 1, 32);
}

static uint32_t rnd(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* One step of a storm: a request, a few answers, a kick, a reset of the device or of a queue. */
static void storm_step(struct blk_rig *rig, uint32_t *seed)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
					 VIRTIO_BLK_T_DISCARD};
	struct virtio_dev *dev = virtio_blk_dev(rig->vb);
	unsigned q = rnd(seed) % 2, what = rnd(seed) % 64;
	struct driver_used used;

	if (what < 40) {
		uint32_t type = types[rnd(seed) % 4];
		struct blk_ask ask = {type,
				      rnd(seed) % CAPACITY,
				      NULL,
				      type == VIRTIO_BLK_T_FLUSH ? 0 : 512,
				      type == VIRTIO_BLK_T_IN,
				      0,
				      0,
				      0};

		if (rig->drv.q[q].size && rig->drv.q[q].n_free >= 3 &&
		    rig->drv.heap_next < rig->drv.heap_end - 8192)
			blk_rig_ask(rig, q, &ask);
	} else if (what < 58) {
		if (rig->disk.n_pending)
			fake_disk_answer(&rig->disk, rnd(seed) % rig->disk.n_pending);
	} else if (what == 58) {
		virtio_queue_reset(dev, q);
	} else if (what == 59) {
		virtio_set_status(dev, 0);
	} else if (what < 62) {
		driver_start(&rig->drv, DRIVER_ALL, 0);
	}
	driver_pump(&rig->drv);
	for (q = 0; q < 2; q++)
		while (rig->drv.q[q].size && driver_take(&rig->drv, q, &used) == 1)
			;
}

static void test_storm(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 20; seed++) {
		struct blk_rig rig;
		uint32_t s = seed * 2654435761u;

		cases++;
		blk_rig_up(&rig, &(struct blk_rig_params){.queues = 2, .queue_size = 32});
		start(&rig);
		rig.disk.async = 1;
		for (unsigned i = 0; i < 3000; i++)
			storm_step(&rig, &s);
		fake_disk_answer_all(&rig.disk, s | 1);
		rig.disk.async = 0;
		driver_pump(&rig.drv);
		start(&rig);
		assert_true(blk_rig_alive(&rig));
		blk_rig_down(&rig);
	}
}

/* --- the same with a disk on another thread, for TSan --------------------------------------- */

struct workshop {
	struct blk_rig rig;
	pthread_mutex_t lock; /* the loop's */
	pthread_cond_t work;
	int stop;
};

/* The disk and the loop: takes a request, moves its bytes without the lock, answers under it. */
static void *disk_thread(void *arg)
{
	struct workshop *w = arg;
	uint32_t seed = 7;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct blk_req *req;
		int res;

		while (!w->rig.disk.n_pending && !w->stop)
			pthread_cond_wait(&w->work, &w->lock);
		if (!w->rig.disk.n_pending)
			break;
		req = fake_disk_take(&w->rig.disk, rnd(&seed) % w->rig.disk.n_pending, &res);
		pthread_mutex_unlock(&w->lock);
		fake_disk_move(&w->rig.disk, req);
		pthread_mutex_lock(&w->lock);
		req->done(req, res);
		driver_pump(&w->rig.drv);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* The guest: requests in batches; every few batches it resets and takes its memory back. */
static void guest_batch(struct workshop *w, unsigned batch)
{
	struct driver_used used;

	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < 8; i++) {
		struct blk_ask ask = {VIRTIO_BLK_T_IN, batch % 64 + i, NULL, 512, 1, 0, 0, 0};

		if (w->rig.drv.q[0].n_free >= 3)
			blk_rig_ask(&w->rig, 0, &ask);
	}
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);

	pthread_mutex_lock(&w->lock);
	while (driver_take(&w->rig.drv, 0, &used) == 1)
		;
	if (batch % 5 == 0)
		virtio_set_status(virtio_blk_dev(w->rig.vb), 0);
	while (batch % 5 == 0 && driver_start(&w->rig.drv, DRIVER_ALL, 0) == -EBUSY) {
		pthread_mutex_unlock(&w->lock);
		sched_yield();
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
}

static void test_threaded_storm(void **state)
{
	struct workshop *w = calloc(1, sizeof(*w));
	pthread_t disk;

	(void)state;
	cases++;
	blk_rig_up(&w->rig, &(struct blk_rig_params){.queue_size = 64});
	start(&w->rig);
	w->rig.disk.async = 1;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, NULL);
	assert_int_equal(pthread_create(&disk, NULL, disk_thread, w), 0);
	for (unsigned batch = 1; batch <= 600; batch++)
		guest_batch(w, batch);
	pthread_mutex_lock(&w->lock);
	w->stop = 1;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	pthread_join(disk, NULL);
	w->rig.disk.async = 0;
	start(&w->rig);
	assert_true(blk_rig_alive(&w->rig));
	blk_rig_down(&w->rig);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(test_loops),
		RIGGED(test_buffers_in_the_rings),
		RIGGED(test_changed_after_submit),
		RIGGED(test_ring_words_change),
		RIGGED(test_head_twice),
		RIGGED(test_idx_jumps),
		RIGGED(test_broken_again_and_again),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_threaded_storm),
	};
	int r = cmocka_run_group_tests(tests, quiet, NULL);

	printf("test_hostile_blk_flight: %u cases\n", cases);
	return r;
}
