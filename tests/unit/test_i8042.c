/* SPDX-License-Identifier: BSD-2-Clause */
/* The keyboard controller without a keyboard: reset, A20, and short answers to probes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/platform/i8042.h"

static struct i8042 kbc;
static int resets;

static void on_reset(void *arg)
{
	assert_ptr_equal(arg, &resets);
	resets++;
}

static int setup(void **state)
{
	(void)state;
	resets = 0;
	i8042_init(&kbc);
	kbc.reset = on_reset;
	kbc.arg = &resets;
	return 0;
}

static uint8_t status(void)
{
	return (uint8_t)i8042_cmd_ops.read(&kbc, 0, 1);
}

static uint8_t data(void)
{
	return (uint8_t)i8042_data_ops.read(&kbc, 0, 1);
}

static void command(uint8_t value)
{
	i8042_cmd_ops.write(&kbc, 0, 1, value);
}

static void argument(uint8_t value)
{
	i8042_data_ops.write(&kbc, 0, 1, value);
}

/* Linux with `reboot=k` waits for an empty input buffer (bit 1), then pulses. */
static void pulse_resets(void **state)
{
	(void)state;
	assert_int_equal(status() & 2, 0);
	command(0xfe);
	assert_int_equal(resets, 1);
	command(0xff); /* pulses nothing */
	command(0xf1); /* pulses the three other lines */
	assert_int_equal(resets, 1);
	command(0xf0);
	assert_int_equal(resets, 2);
}

static void output_port(void **state)
{
	(void)state;
	command(0xd1);
	argument(0xdf);
	assert_int_equal(resets, 0);
	command(0xd0);
	assert_int_equal(data(), 0xdf);
	command(0xdd);
	command(0xd0);
	assert_int_equal(data() & 2, 0);
	command(0xdf);
	command(0xd0);
	assert_int_equal(data() & 2, 2);
	command(0xd1);
	argument(0xfe);
	assert_int_equal(resets, 1);
}

static void self_test_and_command_byte(void **state)
{
	(void)state;
	assert_int_equal(status() & 1, 0);
	command(0xaa);
	assert_int_equal(status() & 1, 1);
	assert_int_equal(data(), 0x55);
	assert_int_equal(status() & 1, 0);
	command(0x60);
	argument(0x47);
	command(0x20);
	assert_int_equal(data(), 0x47);
}

static void nothing_is_attached(void **state)
{
	(void)state;
	command(0xab);
	assert_int_not_equal(data(), 0);
	command(0xa9);
	assert_int_not_equal(data(), 0);
	argument(0xff); /* reset the keyboard: an answer at once ends the driver's wait */
	assert_int_equal(status() & 0x21, 0x01);
	assert_int_equal(data(), 0xfe);
	command(0xd4);
	argument(0xff);
	assert_int_equal(status() & 0x21, 0x21);
	assert_int_equal(data(), 0xfe);
	command(0xd3);
	argument(0x5a);
	assert_int_equal(status() & 0x21, 0x21);
	assert_int_equal(data(), 0x5a);
}

static void a_command_cancels_one_that_waits(void **state)
{
	(void)state;
	command(0xd1);
	command(0x20);
	argument(0x00); /* for the keyboard, not for the output port */
	assert_int_equal(resets, 0);
	assert_int_equal(data(), 0xfe);
}

static void works_without_callback(void **state)
{
	(void)state;
	kbc.reset = NULL;
	command(0xfe);
	command(0xd1);
	argument(0);
	command(0xd0);
	assert_int_equal(data() & 1, 1); /* the line comes back by itself */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(pulse_resets, setup),
		cmocka_unit_test_setup(output_port, setup),
		cmocka_unit_test_setup(self_test_and_command_byte, setup),
		cmocka_unit_test_setup(nothing_is_attached, setup),
		cmocka_unit_test_setup(a_command_cancels_one_that_waits, setup),
		cmocka_unit_test_setup(works_without_callback, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
