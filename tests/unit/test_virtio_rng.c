/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-rng fills what it is given, not more than it may, never with nothing, and not faster
 * than its owner lets it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/rng.h"
#include "tests/lib/driver.h"

#define RAM (16u << 20)

static struct mem mem;
static struct virtio_rng rng;
static struct driver drv;
static uint8_t next;
static unsigned dry_calls;

/* Bytes that count, so that a gap or a repetition shows. Never 0. */
static void count_up(void *arg, void *dst, size_t len)
{
	uint8_t *p = dst;

	assert_ptr_equal(arg, &rng);
	while (len-- > 0) {
		next = next == 255 ? 1 : (uint8_t)(next + 1);
		*p++ = next;
	}
}

static void ran_dry(void *arg)
{
	assert_ptr_equal(arg, &rng);
	dry_calls++;
}

static int up_with(void (*dry)(void *arg))
{
	if (mem_create(&mem, &(struct mem_range){0, RAM}, 1))
		return -1;
	next = 0;
	dry_calls = 0;
	virtio_rng_init(&rng, &mem, count_up, dry, &rng);
	driver_attach(&drv, &rng.dev, &mem, 4 << 20, RAM - (4 << 20));
	return driver_start(&drv, DRIVER_ALL, 0);
}

static int up(void **state)
{
	(void)state;
	return up_with(NULL);
}

static int up_limited(void **state)
{
	(void)state;
	return up_with(ran_dry);
}

static int down(void **state)
{
	(void)state;
	mem_destroy(&mem);
	return 0;
}

static void offer(uint32_t len, gpa_t *at)
{
	struct driver_seg seg = {driver_alloc(&drv, len, 1), len, 1};

	*at = seg.addr;
	assert_true(driver_add(&drv, 0, &seg, 1, 0) >= 0);
}

static void test_fills_whole_buffers(void **state)
{
	static const uint32_t lens[] = {1, 2, 8, 63, 64, 512, 4095, 4096};

	(void)state;
	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct driver_used used;
		uint8_t want = next;
		const uint8_t *p;
		gpa_t at;

		offer(lens[i], &at);
		driver_kick(&drv, 0);
		assert_int_equal(driver_take(&drv, 0, &used), 1);
		assert_int_equal(used.len, lens[i]);
		p = driver_ptr(&drv, at, lens[i]);
		for (uint32_t k = 0; k < lens[i]; k++) {
			want = want == 255 ? 1 : (uint8_t)(want + 1);
			assert_int_equal(p[k], want);
		}
	}
}

/* One request is one page at most, what lies behind it is not touched. */
static void test_bounded_request(void **state)
{
	const uint32_t len = 1 << 20;
	struct driver_used used;
	const uint8_t *p;
	gpa_t at;

	(void)state;
	offer(len, &at);
	driver_kick(&drv, 0);
	assert_int_equal(driver_take(&drv, 0, &used), 1);
	assert_int_equal(used.len, RNG_REQUEST_MAX);
	p = driver_ptr(&drv, at, len);
	assert_int_not_equal(p[RNG_REQUEST_MAX - 1], 0);
	for (uint32_t i = RNG_REQUEST_MAX; i < len; i++)
		assert_int_equal(p[i], 0);
}

static void test_scattered(void **state)
{
	gpa_t at = driver_alloc(&drv, 4096, 1);
	struct driver_seg segs[] = {
		{at, 1, 0}, {at + 100, 3, 1}, {at, 0, 1}, {at + 50, 2, 1}, {at + 200, 5000, 1}};
	struct driver_used used;

	(void)state;
	assert_true(driver_add(&drv, 0, segs, 5, 0) >= 0);
	driver_kick(&drv, 0);
	assert_int_equal(driver_take(&drv, 0, &used), 1);
	assert_int_equal(used.len, RNG_REQUEST_MAX);
	assert_memory_equal(driver_ptr(&drv, at + 100, 3), "\1\2\3", 3);
	assert_memory_equal(driver_ptr(&drv, at + 50, 2), "\4\5", 2);
	assert_int_equal(*(uint8_t *)driver_ptr(&drv, at, 1), 0);
}

/* Wrong but harmless: nothing to fill. */
static void test_nothing_to_fill(void **state)
{
	struct driver_seg readable = {driver_alloc(&drv, 64, 1), 64, 0}, empty = {0, 0, 1};
	struct driver_used used;
	gpa_t at;

	(void)state;
	assert_true(driver_add(&drv, 0, &readable, 1, 0) >= 0);
	assert_true(driver_add(&drv, 0, &empty, 1, 0) >= 0);
	offer(4, &at);
	driver_kick(&drv, 0);
	assert_int_equal(driver_take(&drv, 0, &used), 1);
	assert_int_equal(used.len, 0);
	assert_int_equal(driver_take(&drv, 0, &used), 1);
	assert_int_equal(used.len, 0);
	assert_int_equal(driver_take(&drv, 0, &used), 1);
	assert_int_equal(used.len, 4);
}

/* A greedy guest gets the allowance, then waits; nobody is answered with nothing. */
static void test_rate_limit(void **state)
{
	struct driver_used used;
	uint64_t sum = 0;

	(void)state;
	for (unsigned round = 1; round <= 3; round++) {
		for (unsigned i = 0; i < 64; i++) {
			gpa_t at;

			if (drv.q[0].n_free > 0)
				offer(5000, &at);
			driver_kick(&drv, 0);
			while (driver_take(&drv, 0, &used) == 1) {
				assert_int_not_equal(used.len, 0);
				sum += used.len;
			}
		}
		assert_int_equal(sum, round * RNG_ALLOWANCE);
		assert_int_equal(rng.bytes, sum);
		assert_int_equal(dry_calls, round);
		virtio_rng_refill(&rng);
		driver_pump(&drv);
		while (driver_take(&drv, 0, &used) == 1)
			sum += used.len;
	}
}

/* A refill that comes late, when the guest has gone, does nothing. */
static void test_refill_after_reset(void **state)
{
	gpa_t at;

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		offer(5000, &at);
	driver_kick(&drv, 0);
	assert_int_equal(driver_reset(&drv), 0);
	virtio_rng_refill(&rng);
	driver_pump(&drv);
	assert_int_equal(rng.bytes, RNG_ALLOWANCE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fills_whole_buffers, up, down),
		cmocka_unit_test_setup_teardown(test_bounded_request, up, down),
		cmocka_unit_test_setup_teardown(test_scattered, up, down),
		cmocka_unit_test_setup_teardown(test_nothing_to_fill, up, down),
		cmocka_unit_test_setup_teardown(test_rate_limit, up_limited, down),
		cmocka_unit_test_setup_teardown(test_refill_after_reset, up_limited, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
