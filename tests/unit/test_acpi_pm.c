/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI fixed hardware: the registers as ACPICA and unikernels use them (ACPI 6.3 §4.8.3). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/platform/acpi_pm.h"

enum { STS = 0, EN = 2, CNT = 4, RESET = 6 };

static struct acpi_pm pm;
static int level, offs, resets;

static void wire_set(struct irq_line *line, int to)
{
	(void)line;
	assert_int_not_equal(to, level);
	level = to;
}

static struct irq_line sci = {wire_set};

static void on_off(void *arg)
{
	assert_ptr_equal(arg, &pm);
	offs++;
}

static void on_reset(void *arg)
{
	assert_ptr_equal(arg, &pm);
	resets++;
}

static int setup(void **state)
{
	(void)state;
	level = offs = resets = 0;
	acpi_pm_init(&pm, &sci);
	pm.power_off = on_off;
	pm.reset = on_reset;
	pm.arg = &pm;
	return 0;
}

static uint16_t in(unsigned reg)
{
	return (uint16_t)acpi_pm_ops.read(&pm, reg, 2);
}

static void out(unsigned reg, uint16_t value)
{
	acpi_pm_ops.write(&pm, reg, 2, value);
}

static void acpi_mode_is_always_on(void **state)
{
	(void)state;
	assert_int_equal(in(CNT), 1);
	out(CNT, 0);
	assert_int_equal(in(CNT), 1);
	out(CNT, 0xffff & ~(1 << 13));
	assert_int_equal(in(CNT), 0x1c03);
}

/* ACPICA reads the enable bit back and gives up on an event whose bit does not stick. */
static void enable_bits_stick(void **state)
{
	(void)state;
	out(EN, 0xffff);
	assert_int_equal(in(EN), 0x4721);
	out(EN, 0x0020);
	assert_int_equal(in(EN), 0x0020);
	assert_int_equal(level, 0);
}

static void button_raises_a_level(void **state)
{
	(void)state;
	out(EN, 0x0100);
	assert_int_equal(acpi_pm_press(&pm), 0);
	assert_int_equal(level, 1);
	assert_int_equal(acpi_pm_press(&pm), 0);
	assert_int_equal(in(STS), 0x0100);
	out(STS, 0x0001); /* other bits do not clear it */
	assert_int_equal(level, 1);
	out(STS, 0x0100);
	assert_int_equal(level, 0);
	assert_int_equal(in(STS), 0);
}

static void button_nobody_listens_to(void **state)
{
	(void)state;
	assert_int_equal(acpi_pm_press(&pm), -EAGAIN);
	assert_int_equal(level, 0);
	assert_int_equal(in(STS), 0x0100);
	out(EN, 0x0100);
	assert_int_equal(level, 1);
	out(EN, 0);
	assert_int_equal(level, 0);
}

/* ACPICA writes the type first and then the type with SLP_EN. */
static void soft_off(void **state)
{
	(void)state;
	out(CNT, 5 << 10);
	assert_int_equal(offs, 0);
	out(CNT, 5 << 10 | 1 << 13);
	assert_int_equal(offs, 1);
	assert_int_equal(in(CNT)&1 << 13, 0);
	out(CNT, 1 << 10 | 1 << 13); /* a state that no table offers */
	assert_int_equal(offs, 1);
}

static void soft_off_by_bytes(void **state)
{
	(void)state;
	acpi_pm_ops.write(&pm, CNT + 1, 1, 5 << 2 | 1 << 5);
	assert_int_equal(offs, 1);
	acpi_pm_ops.write(&pm, CNT, 1, 0xff);
	assert_int_equal(offs, 1);
	assert_int_equal(in(CNT), 5 << 10 | 3);
}

static void reset_register(void **state)
{
	(void)state;
	acpi_pm_ops.write(&pm, RESET, 1, 0);
	acpi_pm_ops.write(&pm, RESET, 1, 0xff);
	acpi_pm_ops.write(&pm, RESET + 1, 1, ACPI_PM_RESET_VALUE);
	assert_int_equal(resets, 0);
	acpi_pm_ops.write(&pm, RESET, 1, ACPI_PM_RESET_VALUE);
	assert_int_equal(resets, 1);
	assert_int_equal(acpi_pm_ops.read(&pm, RESET, 2), 0);
}

static void block_as_one_word(void **state)
{
	(void)state;
	out(EN, 0x0120);
	acpi_pm_press(&pm);
	assert_int_equal(acpi_pm_ops.read(&pm, STS, 4), 0x01200100);
	assert_int_equal(acpi_pm_ops.read(&pm, STS, 8), 0x101200100);
	acpi_pm_ops.write(&pm, STS, 4, 0x00000100);
	assert_int_equal(in(STS), 0);
	assert_int_equal(in(EN), 0);
}

static void reset_lowers_the_line(void **state)
{
	(void)state;
	out(EN, 0x0100);
	acpi_pm_press(&pm);
	acpi_pm_reset(&pm);
	assert_int_equal(level, 0);
	assert_int_equal(acpi_pm_ops.read(&pm, STS, 4), 0);
	assert_ptr_equal(pm.reset, on_reset);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(acpi_mode_is_always_on, setup),
		cmocka_unit_test_setup(enable_bits_stick, setup),
		cmocka_unit_test_setup(button_raises_a_level, setup),
		cmocka_unit_test_setup(button_nobody_listens_to, setup),
		cmocka_unit_test_setup(soft_off, setup),
		cmocka_unit_test_setup(soft_off_by_bytes, setup),
		cmocka_unit_test_setup(reset_register, setup),
		cmocka_unit_test_setup(block_as_one_word, setup),
		cmocka_unit_test_setup(reset_lowers_the_line, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
