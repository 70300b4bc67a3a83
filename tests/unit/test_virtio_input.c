/* SPDX-License-Identifier: BSD-2-Clause */
/* A power key as a driver of virtio 1.2 §5.8 sees it: what it is, and that a press arrives once. */
#include <linux/input-event-codes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/input.h"
#include "tests/lib/driver.h"
#include "tests/lib/said.h"

#define RAM   (16u << 20)
#define EVENT 8u /* bytes */

static struct mem mem;
static struct virtio_input in;
static struct driver drv;

static int up(void **state)
{
	(void)state;
	said_start();
	if (mem_create(&mem, &(struct mem_range){0, RAM}, 1))
		return -1;
	virtio_input_init(&in, &mem, "Power Button", KEY_POWER);
	driver_attach(&drv, &in.dev, &mem, 4 << 20, RAM - (4 << 20));
	return driver_start(&drv, DRIVER_ALL, 0);
}

static int down(void **state)
{
	(void)state;
	mem_destroy(&mem);
	return 0;
}

/* Asks as Linux does, a byte at a time; the size of the answer in @u. */
static uint8_t ask(uint8_t select, uint8_t subsel, uint8_t u[128])
{
	uint8_t size;

	driver_config_write(&drv, 0, &select, 1);
	driver_config_write(&drv, 1, &subsel, 1);
	driver_config_read(&drv, 2, &size, 1);
	driver_config_read(&drv, 8, u, 128);
	return size;
}

/* §5.8.5 */
static void test_what_it_is(void **state)
{
	uint8_t u[128];

	(void)state;
	assert_int_equal(ask(0x01, 0, u), strlen("Power Button"));
	assert_string_equal((char *)u, "Power Button");
	assert_int_equal(ask(0x02, 0, u), 0); /* no serial number */
	assert_int_equal(ask(0x03, 0, u), 8);
	assert_int_equal(ask(0x11, EV_KEY, u), KEY_POWER / 8 + 1);
	for (unsigned bit = 0; bit < 8 * sizeof(u); bit++)
		assert_int_equal(u[bit / 8] >> bit % 8 & 1, bit == KEY_POWER);
}

/* §5.8.5.2: a device sets size to 0 for what it does not have. */
static void test_what_it_is_not(void **state)
{
	uint8_t u[128];

	(void)state;
	for (unsigned select = 0; select < 256; select++) {
		for (unsigned subsel = 0; subsel < 256; subsel++) {
			if (subsel == 0 && (select == 0x01 || select == 0x03))
				continue;
			if (select == 0x11 && subsel == EV_KEY)
				continue;
			if (ask((uint8_t)select, (uint8_t)subsel, u) != 0)
				fail_msg("an answer to %#x, %#x", select, subsel);
			for (unsigned i = 0; i < sizeof(u); i++)
				assert_int_equal(u[i], 0);
		}
	}
}

/* The answer is the device's: a driver cannot write it. */
static void test_answers_are_read_only(void **state)
{
	uint8_t all[136], u[128];

	(void)state;
	ask(0x01, 0, u);
	memset(all, 0xff, sizeof(all));
	driver_config_write(&drv, 2, all + 2, sizeof(all) - 2);
	driver_config_read(&drv, 8, u, sizeof(u));
	assert_string_equal((char *)u, "Power Button");
	driver_config_write(&drv, 0, all, sizeof(all));
	driver_config_read(&drv, 0, all, sizeof(all));
	assert_int_equal(all[0], 0xff);
	assert_int_equal(all[2], 0);
}

static gpa_t give(unsigned n)
{
	gpa_t at = driver_alloc(&drv, n * EVENT, 8);

	for (unsigned i = 0; i < n; i++) {
		struct driver_seg seg = {at + i * EVENT, EVENT, 1};

		assert_true(driver_add(&drv, 0, &seg, 1, 0) >= 0);
	}
	driver_kick(&drv, 0);
	return at;
}

static void takes(unsigned n)
{
	struct driver_used used;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(driver_take(&drv, 0, &used), 1);
		assert_int_equal(used.len, EVENT);
	}
	assert_int_equal(driver_take(&drv, 0, &used), 0);
}

/* §5.8.6: little-endian type, code and value. */
static const uint8_t press[4][EVENT] = {
	{EV_KEY, 0, KEY_POWER, 0, 1, 0, 0, 0},
	{EV_SYN, 0, SYN_REPORT, 0, 0, 0, 0, 0},
	{EV_KEY, 0, KEY_POWER, 0, 0, 0, 0, 0},
	{EV_SYN, 0, SYN_REPORT, 0, 0, 0, 0, 0},
};

static void test_press(void **state)
{
	gpa_t at = give(64);

	(void)state;
	takes(0);
	virtio_input_press(&in);
	driver_pump(&drv);
	takes(4);
	assert_memory_equal(driver_ptr(&drv, at, sizeof(press)), press, sizeof(press));
	assert_true(drv.irqs[0] > 0);
	virtio_input_press(&in);
	driver_pump(&drv);
	takes(4);
	assert_memory_equal(driver_ptr(&drv, at + sizeof(press), sizeof(press)), press,
			    sizeof(press));
}

/* §5.8.6.1: a sequence is not torn: the rest waits for buffers, however late. */
static void test_waits_for_buffers(void **state)
{
	gpa_t at;

	(void)state;
	virtio_input_press(&in);
	driver_pump(&drv);
	at = give(1);
	takes(1);
	assert_memory_equal(driver_ptr(&drv, at, EVENT), press[0], EVENT);
	virtio_input_press(&in); /* impatient: it is the same press */
	at = give(8);
	takes(3);
	assert_memory_equal(driver_ptr(&drv, at, 3 * EVENT), press[1], 3 * EVENT);
}

static void test_scattered_buffer(void **state)
{
	gpa_t at = driver_alloc(&drv, 64, 8);
	const struct driver_seg segs[] = {{at, 1, 1}, {at + 8, 3, 1}, {at + 16, 40, 1}};

	(void)state;
	assert_true(driver_add(&drv, 0, segs, 3, 0) >= 0);
	driver_kick(&drv, 0);
	virtio_input_press(&in);
	driver_pump(&drv);
	takes(1);
	assert_memory_equal(driver_ptr(&drv, at, 1), press[0], 1);
	assert_memory_equal(driver_ptr(&drv, at + 8, 3), press[0] + 1, 3);
	assert_memory_equal(driver_ptr(&drv, at + 16, 4), press[0] + 4, 4);
}

static void test_nobody_listens(void **state)
{
	(void)state;
	assert_int_equal(driver_reset(&drv), 0);
	virtio_input_press(&in);
	driver_pump(&drv);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	give(8);
	takes(0); /* long forgotten */
	/* And what was under way at a reset is forgotten too. */
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	virtio_input_press(&in);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	give(8);
	takes(0);
}

static void test_small_buffer_breaks_the_device(void **state)
{
	const struct driver_seg seg = {driver_alloc(&drv, EVENT, 8), EVENT - 1, 1};

	(void)state;
	assert_true(driver_add(&drv, 0, &seg, 1, 0) >= 0);
	virtio_input_press(&in);
	driver_pump(&drv);
	assert_true(driver_status(&drv) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(said_count(), 1);
	virtio_input_press(&in);
	driver_pump(&drv);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	give(4);
	virtio_input_press(&in);
	driver_pump(&drv);
	takes(4);
}

/* LEDs: taken, answered, forgotten. */
static void test_status_queue(void **state)
{
	const uint8_t led[EVENT] = {EV_LED, 0, LED_CAPSL, 0, 1};
	struct driver_used used;
	gpa_t unused;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		assert_true(driver_add_request(&drv, 1, led, sizeof(led), 0, &unused) >= 0);
		if (i % 50 != 49)
			continue;
		driver_kick(&drv, 1);
		while (driver_take(&drv, 1, &used) == 1)
			assert_int_equal(used.len, 0);
	}
	assert_int_equal(drv.q[1].n_free, drv.q[1].size);
}

#define INPUT_TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		INPUT_TEST(test_what_it_is),
		INPUT_TEST(test_what_it_is_not),
		INPUT_TEST(test_answers_are_read_only),
		INPUT_TEST(test_press),
		INPUT_TEST(test_waits_for_buffers),
		INPUT_TEST(test_scattered_buffer),
		INPUT_TEST(test_nobody_listens),
		INPUT_TEST(test_small_buffer_breaks_the_device),
		INPUT_TEST(test_status_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
