/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules of all virtio devices through dev.h: status, features, reset, the end of the turn. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/lib/cases.h"
#include "tests/lib/driver.h"
#include "tests/lib/echo.h"
#include "tests/lib/said.h"

#define RAM   (8u << 20)
#define HEAP  0x10000
#define ACK   VIRTIO_STATUS_ACKNOWLEDGE
#define DRV   VIRTIO_STATUS_DRIVER
#define FOK   VIRTIO_STATUS_FEATURES_OK
#define DOK   VIRTIO_STATUS_DRIVER_OK
#define BROKE VIRTIO_STATUS_NEEDS_RESET
#define FAIL  VIRTIO_STATUS_FAILED
#define V1    (1ull << VIRTIO_F_VERSION_1)

static struct mem mem;
static struct echo echo;
static struct driver drv;
static struct virtio_dev *dev = &echo.dev;

static int up(void **state)
{
	(void)state;
	assert_int_equal(mem_create(&mem, &(struct mem_range){0, RAM}, 1), 0);
	echo_init(&echo, &mem, 2, 16, ECHO_TYPE);
	driver_attach(&drv, dev, &mem, HEAP, RAM - HEAP);
	said_start();
	return 0;
}

static int down(void **state)
{
	(void)state;
	assert_int_equal(echo.wrong_calls, 0);
	echo_destroy(&echo);
	mem_destroy(&mem);
	return 0;
}

/* One request through queue @q: true if the device answered it rightly. */
static int works(unsigned q)
{
	struct driver_used used;
	gpa_t in;
	int head = driver_add_request(&drv, q, "abc", 3, 8, &in);

	driver_kick(&drv, q);
	return head >= 0 && driver_take(&drv, q, &used) == 1 && used.head == head &&
	       used.len == 3 && !memcmp(driver_ptr(&drv, in, 4), "abc", 4);
}

static void test_a_device_works(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(driver_start(&drv, DRIVER_ALL, i == 1 ? DRIVER_LEGACY : 0), 0);
		assert_int_equal(echo.starts, i + 1);
		assert_true(works(0));
		assert_true(works(1));
		assert_int_equal(dev->legacy, i == 1);
	}
	assert_string_equal(said(), "");
}

/* §2.1, §3.1.1. Each step is a status write; what the register reads afterwards. */
static void test_status_follows_the_order(void **state)
{
	static const struct {
		const char *name;
		uint8_t write[5], read[5];
	} rows[] = {
		{"the order of §3.1.1",
		 {ACK, ACK | DRV, ACK | DRV | FOK, ACK | DRV | FOK | DOK},
		 {ACK, ACK | DRV, ACK | DRV | FOK, ACK | DRV | FOK | DOK}},
		{"all in one write", {ACK | DRV | FOK | DOK}, {ACK | DRV | FOK | DOK}},
		{"DRIVER before ACKNOWLEDGE", {DRV, ACK, ACK | DRV}, {0, ACK, ACK | DRV}},
		{"FEATURES_OK before DRIVER", {ACK, ACK | FOK, ACK | DRV}, {ACK, ACK, ACK | DRV}},
		{"DRIVER_OK before FEATURES_OK",
		 {ACK | DRV, ACK | DRV | DOK},
		 {ACK | DRV, ACK | DRV}},
		{"bits are not taken back",
		 {ACK | DRV, ACK, FAIL},
		 {ACK | DRV, ACK | DRV, ACK | DRV | FAIL}},
		{"NEEDS_RESET is the device's", {ACK | BROKE, BROKE}, {ACK, ACK}},
		{"reserved bits", {ACK | 0x30, 0x20}, {ACK, ACK}},
		{"0 resets", {ACK, ACK | DRV, 0, ACK}, {ACK, ACK | DRV, 0, ACK}},
		{"FAILED and again", {ACK | DRV | FAIL, 0, ACK}, {ACK | DRV | FAIL, 0, ACK}},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		case_begin("status: %s", rows[i].name);
		assert_int_equal(driver_reset(&drv), 0);
		virtio_set_features(dev, 0, 0);
		virtio_set_features(dev, 1, (uint32_t)(V1 >> 32));
		for (unsigned s = 0; s < 5 && (!s || rows[i].write[s] || rows[i].write[s - 1]);
		     s++) {
			virtio_set_status(dev, rows[i].write[s]);
			CHECK(virtio_get_status(dev) == rows[i].read[s]);
		}
	}
}

/* §2.2.2, §6.1: FEATURES_OK does not stick for what was not offered, or without VERSION_1. */
static void test_features_are_judged(void **state)
{
	static const struct {
		const char *name;
		uint64_t features;
		int ok;
	} rows[] = {
		{"VERSION_1 alone", V1, 1},
		{"nothing", 0, 0},
		{"no VERSION_1", 1ull << VIRTIO_F_EVENT_IDX, 0},
		{"not offered, low half", V1 | 1, 0},
		{"not offered, high half", V1 | 1ull << 63, 0},
		{"legacy bit 27", V1 | 1ull << VIRTIO_F_ANY_LAYOUT, 0},
		{"all offered", VIRTIO_RING_FEATURES | 1ull << VIRTIO_F_RING_RESET, 1},
		{"everything", ~0ull, 0},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		case_begin("features: %s", rows[i].name);
		assert_int_equal(driver_reset(&drv), 0);
		virtio_set_status(dev, ACK | DRV);
		virtio_set_features(dev, 0, (uint32_t)rows[i].features);
		virtio_set_features(dev, 1, (uint32_t)(rows[i].features >> 32));
		virtio_set_status(dev, ACK | DRV | FOK);
		CHECK(!!(virtio_get_status(dev) & FOK) == rows[i].ok);
		if (!rows[i].ok)
			continue;
		/* Settled. */
		virtio_set_features(dev, 0, ~0u);
		virtio_set_features(dev, 1, ~0u);
		CHECK(dev->features == rows[i].features);
		virtio_set_features(dev, 2, 5);
		CHECK(virtio_offered(dev, 2) == 0);
	}
}

static void test_legacy_features_are_masked(void **state)
{
	(void)state;
	dev->legacy = 1;
	virtio_set_features(dev, 0, ~0u);
	assert_int_equal(dev->features, 1ull << VIRTIO_F_INDIRECT_DESC |
						1ull << VIRTIO_F_EVENT_IDX |
						1ull << VIRTIO_F_ANY_LAYOUT);
	virtio_set_features(dev, 1, ~0u);
	assert_int_equal(dev->features, 0);
}

/* §3.1.2: kicks before DRIVER_OK count, with the features set by then. */
static void test_legacy_driver_uses_the_device_early(void **state)
{
	struct driver_used used;

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, DRIVER_LEGACY), 0);
	drv.flags = DRIVER_LEGACY;
	gpa_t desc = drv.q[0].desc, avail = drv.q[0].avail, ring = drv.q[0].used;

	virtio_set_status(dev, 0);
	memset(driver_ptr(&drv, desc, 8192), 0, 8192);
	drv.q[0].avail_idx = drv.q[0].used_seen = 0;
	dev->legacy = 1;
	virtio_set_status(dev, ACK | DRV);
	struct vq_state *s = virtio_queue_setup(dev, 0);

	assert_non_null(s);
	s->desc = desc;
	s->avail = avail;
	s->used = ring;
	assert_int_equal(virtio_queue_enable(dev, 0), 0);
	virtio_set_features(dev, 0, 1u << VIRTIO_F_EVENT_IDX);
	assert_int_equal(driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 4, 1}}, 1, 0) >= 0, 1);
	assert_int_equal(echo.starts, 1);
	driver_kick(&drv, 0);
	assert_int_equal(echo.starts, 2);
	assert_int_equal(dev->vq[0].s.event_idx, 1);
	assert_int_equal(driver_take(&drv, 0, &used), 1);
	virtio_set_status(dev, DOK);
	assert_int_equal(virtio_get_status(dev), ACK | DRV | DOK);
	assert_int_equal(echo.starts, 2);
	/* Settled, FEATURES_OK or not. */
	virtio_set_features(dev, 0, 0);
	assert_int_equal(dev->features, 1u << VIRTIO_F_EVENT_IDX);
}

/* A driver that is not ready for interrupts gets none, broken or not (§2.1.2). */
static void test_broken_before_driver_ok(void **state)
{
	(void)state;
	virtio_set_status(dev, ACK | DRV);
	virtio_set_features(dev, 1, 1);
	virtio_set_status(dev, ACK | DRV | FOK);
	assert_int_equal(virtio_queue_enable(dev, 0), -EINVAL);
	assert_int_equal(virtio_get_status(dev), ACK | DRV | FOK | BROKE);
	assert_int_equal(drv.config_irqs, 0);
}

static void test_queues_are_kicked_once_after_start(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	assert_int_equal(echo.kicks, 2);
	driver_pump(&drv);
	assert_int_equal(echo.kicks, 2);
}

/* However many chains a turn pushes, a queue interrupts once, at its end. */
static void test_one_interrupt_a_turn(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 2; way++) {
		assert_int_equal(driver_start(&drv, way ? DRIVER_ALL : V1, 0), 0);
		drv.irqs[0] = drv.irqs[1] = drv.laters = 0;
		for (unsigned i = 0; i < 10; i++)
			driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 4, 1}}, 1, 0);
		driver_add(&drv, 1, (struct driver_seg[]){{0x1000, 4, 1}}, 1, 0);
		virtio_kick(dev, 0);
		virtio_kick(dev, 1);
		assert_int_equal(drv.irqs[0], 0);
		assert_int_equal(driver_used_idx(&drv, 0), 0);
		driver_pump(&drv);
		assert_int_equal(drv.irqs[0], 1);
		assert_int_equal(drv.irqs[1], 1);
		assert_int_equal(drv.laters, 1);
		assert_int_equal(driver_used_idx(&drv, 0), 10);
	}
}

static void test_config_space(void **state)
{
	uint8_t b[32];

	(void)state;
	memset(b, 0x55, sizeof(b));
	virtio_config_read(dev, 20, b, 8);
	assert_memory_equal(b, "\xd4\xd5\xd6\xd7\0\0\0\0\x55", 9);
	virtio_config_read(dev, UINT32_MAX, b, 8);
	assert_memory_equal(b, "\0\0\0\0\0\0\0\0\x55", 9);
	/* The first 8 bytes may be written; what sticks out is cut off. */
	virtio_config_write(dev, 6, "\1\2\3\4", 4);
	virtio_config_write(dev, 8, "\1\2\3\4", 4);
	virtio_config_write(dev, UINT32_MAX, "\1\2\3\4", 4);
	virtio_config_read(dev, 4, b, 8);
	assert_memory_equal(b, "\xc4\xc5\1\2\xc8\xc9\xca\xcb", 8);
	assert_int_equal(echo.config_writes, 1);
}

/* §2.5.3, §2.1.2 */
static void test_config_change_is_told_to_a_ready_driver(void **state)
{
	uint8_t before = dev->config_generation;

	(void)state;
	virtio_config_changed(dev);
	assert_int_equal(drv.config_irqs, 0);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	virtio_config_changed(dev);
	assert_int_equal(drv.config_irqs, 1);
	assert_int_equal((uint8_t)(dev->config_generation - before), 2);
}

/* §2.1.2, and that a reset brings the device back. */
static void test_broken_until_reset(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	driver_offer(&drv, 0, 999);
	driver_kick(&drv, 0);
	assert_int_equal(virtio_get_status(dev), ACK | DRV | FOK | DOK | BROKE);
	assert_int_equal(drv.config_irqs, 1);
	assert_int_equal(said_count(), 1);
	/* The other queue rests too; nothing is said twice; no interrupt is sent. */
	assert_false(works(1));
	virtio_broken(dev, "again");
	virtio_config_changed(dev);
	assert_int_equal(said_count(), 1);
	assert_int_equal(drv.config_irqs, 1);
	virtio_set_status(dev, ACK | DRV | FOK | DOK);
	assert_false(works(0));
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	assert_true(works(0));
	assert_true(works(1));
}

/* A guest that breaks its device for ever writes a bounded number of lines. */
static void test_complaints_are_few(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
		driver_offer(&drv, 0, 16);
		driver_kick(&drv, 0);
		assert_true(virtio_get_status(dev) & BROKE);
	}
	assert_int_equal(said_count(), 16);
}

/* §2.4.2, §4.1.4.3.1: status reads non-zero until nothing touches guest memory any more. */
static void test_reset_waits_for_what_is_in_flight(void **state)
{
	gpa_t in;

	(void)state;
	echo.slow = 1;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	driver_add_request(&drv, 0, "abc", 3, 3, &in);
	driver_add_request(&drv, 1, "xyz", 3, 3, NULL);
	driver_kick(&drv, 0);
	driver_kick(&drv, 1);
	assert_int_equal(echo.n_held, 2);

	virtio_set_status(dev, 0);
	assert_int_not_equal(virtio_get_status(dev), 0);
	virtio_set_status(dev, 0);
	virtio_set_status(dev, ACK);
	assert_int_equal(echo.resets, 2); /* one of them from driver_start */
	/* Nothing the driver asks for meanwhile has an effect. */
	virtio_set_features(dev, 0, 0);
	assert_null(virtio_queue_setup(dev, 0));
	assert_int_equal(virtio_queue_enable(dev, 0), -EBUSY);
	virtio_kick(dev, 0);
	virtio_kick_later(dev, 1);
	assert_int_equal(dev->kick_pending, 0);
	driver_pump(&drv);
	virtio_config_write(dev, 0, "z", 1);
	assert_int_equal(echo.config_writes, 0);

	echo_finish(&echo, 1);
	assert_int_not_equal(virtio_get_status(dev), 0);
	echo_finish(&echo, 1);
	assert_int_equal(virtio_get_status(dev), 0);
	driver_pump(&drv);
	/* The bytes of the first came in before the reset was over; no used entry did. */
	assert_memory_equal(driver_ptr(&drv, in, 3), "abc", 3);
	assert_int_equal(driver_used_idx(&drv, 0), 0);
	assert_int_equal(drv.irqs[0] + drv.irqs[1], 0);
	echo.slow = 0;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	assert_true(works(0));
}

/* Starts one queue again by hand after its reset. */
static int restart_queue(unsigned q)
{
	struct driver_queue *dq = &drv.q[q];
	uint16_t size = dq->size;
	struct vq_state *s = virtio_queue_setup(dev, q);

	if (!s)
		return -1;
	memset(dq, 0, sizeof(*dq));
	dq->size = size;
	dq->n_free = size;
	for (unsigned i = 0; i < size; i++)
		dq->next[i] = (uint16_t)(i + 1);
	s->desc = dq->desc = driver_alloc(&drv, 16 * size, 16);
	s->avail = dq->avail = driver_alloc(&drv, 6 + 2 * size, 2);
	s->used = dq->used = driver_alloc(&drv, 6 + 8 * size, 4);
	return virtio_queue_enable(dev, q);
}

/* §2.6.1 */
static void test_one_queue_is_reset(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	echo.slow = 1;
	driver_add_request(&drv, 0, "abc", 3, 3, NULL);
	driver_kick(&drv, 0);
	assert_null(virtio_queue_setup(dev, 0));
	virtio_queue_reset(dev, 0);
	assert_int_equal(dev->queue_resetting, 1);
	assert_int_equal(dev->vq[0].s.enabled, 0);
	assert_null(virtio_queue_setup(dev, 0));
	virtio_queue_reset(dev, 0);
	virtio_queue_reset(dev, 7);
	echo_finish(&echo, UINT_MAX);
	assert_int_equal(dev->queue_resetting, 0);
	echo.slow = 0;
	/* The other queue went on, and this one starts again. */
	assert_true(works(1));
	assert_int_equal(restart_queue(0), 0);
	assert_true(works(0));
	assert_int_equal(virtio_get_status(dev), ACK | DRV | FOK | DOK);
}

/* Two queue resets and a device reset, all while I/O is in flight: one question at a time. */
static void test_resets_queue_up(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	echo.slow = 1;
	driver_add_request(&drv, 0, "abc", 3, 3, NULL);
	driver_add_request(&drv, 1, "abc", 3, 3, NULL);
	driver_kick(&drv, 0);
	driver_kick(&drv, 1);
	virtio_queue_reset(dev, 1);
	virtio_queue_reset(dev, 0);
	assert_int_equal(dev->queue_resetting, 3);
	virtio_set_status(dev, 0);
	assert_int_equal(echo.question, 1);
	echo_finish(&echo, 1);
	assert_int_equal(echo.question, 1);
	echo_finish(&echo, 1);
	assert_int_equal(virtio_get_status(dev), 0);
	assert_int_equal(dev->queue_resetting, 0);
	echo.slow = 0;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	assert_true(works(0));
}

static void test_queue_reset_needs_the_feature(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, V1, 0), 0);
	virtio_queue_reset(dev, 0);
	assert_int_equal(dev->vq[0].s.enabled, 1);
	assert_true(works(0));
}

/* A device that never says how its reset goes has nothing in flight. */
static void test_device_without_reset(void **state)
{
	static struct virtio_dev_ops quick;

	(void)state;
	quick = *dev->ops;
	quick.reset = NULL;
	quick.start = NULL;
	quick.config_written = NULL;
	dev->ops = &quick;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
		assert_true(works(0));
		virtio_config_write(dev, 0, "a", 1);
		virtio_queue_reset(dev, 1);
		assert_int_equal(dev->queue_resetting, 0);
		assert_int_equal(restart_queue(1), 0);
	}
}

/* A drain longer than the budget goes on in the next turn. */
static void test_budget(void **state)
{
	struct driver_used used;
	unsigned got = 0;

	(void)state;
	echo_destroy(&echo);
	echo_init(&echo, &mem, 1, 1024, ECHO_TYPE);
	driver_attach(&drv, dev, &mem, HEAP, RAM - HEAP);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	for (unsigned i = 0; i < 1024; i++)
		driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 4, 1}}, 1, 0);
	virtio_kick(dev, 0);
	assert_int_equal(echo.answered, VIRTIO_BUDGET);
	drv.later = 0;
	virtio_run_later(dev);
	assert_int_equal(echo.answered, 2 * VIRTIO_BUDGET);
	assert_int_equal(drv.later, 1);
	driver_pump(&drv);
	while (driver_take(&drv, 0, &used) == 1)
		got++;
	assert_int_equal(got, 1024);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_device_works),
		TEST(test_status_follows_the_order),
		TEST(test_features_are_judged),
		TEST(test_legacy_features_are_masked),
		TEST(test_legacy_driver_uses_the_device_early),
		TEST(test_queues_are_kicked_once_after_start),
		TEST(test_one_interrupt_a_turn),
		TEST(test_config_space),
		TEST(test_config_change_is_told_to_a_ready_driver),
		TEST(test_broken_until_reset),
		TEST(test_broken_before_driver_ok),
		TEST(test_complaints_are_few),
		TEST(test_reset_waits_for_what_is_in_flight),
		TEST(test_one_queue_is_reset),
		TEST(test_resets_queue_up),
		TEST(test_queue_reset_needs_the_feature),
		TEST(test_device_without_reset),
		TEST(test_budget),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
