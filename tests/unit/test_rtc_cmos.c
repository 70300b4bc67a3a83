/* SPDX-License-Identifier: BSD-2-Clause */
/* The CMOS clock under a host clock that the test turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/platform/rtc_cmos.h"

#define S        1000000000ll

/* 2024-02-29 23:59:58 UTC, a Thursday */
#define LEAP_DAY 1709251198ll

enum { REG_A = 0x0a, REG_B, REG_C, REG_D };
enum { SET = 0x80, AIE = 0x20, UIE = 0x10 };

static struct rtc_cmos rtc;
static int64_t now;
static int level, edges, rearms;

static int64_t clock_now(void *arg)
{
	assert_ptr_equal(arg, &now);
	return now;
}

static void on_rearm(void *arg)
{
	assert_ptr_equal(arg, &now);
	rearms++;
}

static void wire_set(struct irq_line *line, int to)
{
	(void)line;
	assert_int_not_equal(to, level);
	edges += to;
	level = to;
}

static struct irq_line wire = {wire_set};

static int setup(void **state)
{
	(void)state;
	now = LEAP_DAY * S;
	level = edges = rearms = 0;
	rtc_init(&rtc, &wire, clock_now, &now);
	rtc.rearm = on_rearm;
	return 0;
}

static uint8_t get(uint8_t reg)
{
	rtc_cmos_ops.write(&rtc, 0, 1, reg);
	return (uint8_t)rtc_cmos_ops.read(&rtc, 1, 1);
}

static void set(uint8_t reg, uint8_t value)
{
	rtc_cmos_ops.write(&rtc, 0, 1, reg);
	rtc_cmos_ops.write(&rtc, 1, 1, value);
}

/* Seconds, minutes, hours, weekday, day, month, year, century, as the registers have them. */
static void expect(const uint8_t want[8])
{
	static const uint8_t reg[8] = {0, 2, 4, 6, 7, 8, 9, RTC_FADT_CENTURY};

	for (int i = 0; i < 8; i++)
		assert_int_equal(get(reg[i]), want[i]);
}

static void set_time(const uint8_t to[8])
{
	static const uint8_t reg[8] = {0, 2, 4, 6, 7, 8, 9, RTC_FADT_CENTURY};

	for (int i = 0; i < 8; i++)
		set(reg[i], to[i]);
}

/* Lets the clock's owner do its work until @until. */
static void run_until(int64_t until)
{
	int64_t next;

	while ((next = rtc_next_event(&rtc)) <= until) {
		assert_true(next > now);
		now = next;
		rtc_tick(&rtc);
	}
	now = until;
	rtc_tick(&rtc);
}

static void shows_the_hosts_time(void **state)
{
	(void)state;
	expect((const uint8_t[]){0x58, 0x59, 0x23, 5, 0x29, 0x02, 0x24, 0x20});
	now += 2 * S;
	expect((const uint8_t[]){0x00, 0x00, 0x00, 6, 0x01, 0x03, 0x24, 0x20});
	assert_int_equal(get(REG_A), 0x26);
	assert_int_equal(get(REG_B), 0x02);
	assert_int_equal(get(REG_D), 0x80);
	assert_int_equal(get(REG_D | 0x80), 0x80); /* bit 7 of the index is the NMI mask */
}

static void update_in_progress_just_before_the_second(void **state)
{
	(void)state;
	now += S - 244001;
	assert_int_equal(get(REG_A) & 0x80, 0);
	now += 1;
	assert_int_equal(get(REG_A) & 0x80, 0x80);
	now += 244000;
	assert_int_equal(get(REG_A) & 0x80, 0);
}

static void set_bit_stops_the_clock(void **state)
{
	(void)state;
	set(REG_B, SET | 0x02);
	now += 100 * S;
	expect((const uint8_t[]){0x58, 0x59, 0x23, 5, 0x29, 0x02, 0x24, 0x20});
	set_time((const uint8_t[]){0x56, 0x34, 0x12, 3, 0x31, 0x12, 0x99, 0x19});
	expect((const uint8_t[]){0x56, 0x34, 0x12, 3, 0x31, 0x12, 0x99, 0x19});
	set(REG_B, 0x02);
	now += 4 * S;
	expect((const uint8_t[]){0x00, 0x35, 0x12, 6, 0x31, 0x12, 0x99, 0x19});
}

/* Linux's order: SET, divider reset, registers, SET off, divider on. The first update comes half a
 * second after the divider starts, which is why Linux sets the clock in the middle of a second. */
static void divider_reset_sets_the_phase(void **state)
{
	(void)state;
	now += 123456789;
	set(REG_B, SET | 0x02);
	set(REG_A, 0x76);
	set_time((const uint8_t[]){0x10, 0x00, 0x08, 1, 0x05, 0x06, 0x30, 0x20});
	set(REG_B, 0x02);
	now += 10 * S;
	assert_int_equal(get(0), 0x10);
	set(REG_A, 0x26);
	now += S / 2 - 1;
	assert_int_equal(get(0), 0x10);
	now += 1;
	expect((const uint8_t[]){0x11, 0x00, 0x08, 4, 0x05, 0x06, 0x30, 0x20});
}

static void single_register_set_while_running(void **state)
{
	(void)state;
	now += S / 4;
	set(4, 0x07);
	expect((const uint8_t[]){0x58, 0x59, 0x07, 5, 0x29, 0x02, 0x24, 0x20});
	now += S * 3 / 4;
	assert_int_equal(get(0), 0x59); /* the running second was kept */
}

static void nonsense_is_bounded(void **state)
{
	(void)state;
	set(REG_B, SET);
	set_time((const uint8_t[]){0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
	set(REG_B, 0);
	assert_int_equal(get(RTC_FADT_CENTURY), 0x22); /* 2223, the end of the range */
	assert_int_equal(get(9), 0x23);
	set(REG_B, SET);
	set_time((const uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0});
	set(REG_B, 0);
	expect((const uint8_t[]){0, 0, 0, 5, 1, 1, 0x70, 0x19});
	now = 0; /* the host's clock falls back by decades */
	expect((const uint8_t[]){0, 0, 0, 5, 1, 1, 0x70, 0x19});
	rtc_tick(&rtc);
}

static void mode_bits_are_fixed(void **state)
{
	(void)state;
	set(REG_B, 0x05); /* binary, 12 hours, daylight saving */
	assert_int_equal(get(REG_B), 0x02);
	assert_int_equal(get(4), 0x23);
	set(REG_D, 0);
	assert_int_equal(get(REG_D), 0x80);
	set(REG_A, 0xff);
	assert_int_equal(get(REG_A) & 0x80, 0);
}

static void ram_keeps_what_is_written(void **state)
{
	(void)state;
	for (unsigned i = 0x0e; i < RTC_CMOS_LEN; i++)
		if (i != RTC_FADT_CENTURY)
			set((uint8_t)i, (uint8_t)~i);
	rtc_reset(&rtc);
	for (unsigned i = 0x0e; i < RTC_CMOS_LEN; i++)
		if (i != RTC_FADT_CENTURY)
			assert_int_equal(get((uint8_t)i), (uint8_t)~i);
}

static void alarm_at_a_time_of_day(void **state)
{
	(void)state;
	set(1, 0x05);
	set(3, 0x00);
	set(5, 0x00);
	assert_int_equal(rtc_next_event(&rtc), RTC_NO_EVENT);
	set(REG_B, AIE);
	assert_int_equal(rtc_next_event(&rtc), (LEAP_DAY + 7) * S);
	assert_true(rearms > 0);
	run_until((LEAP_DAY + 7) * S - 1);
	assert_int_equal(edges, 0);
	run_until((LEAP_DAY + 100) * S);
	assert_int_equal(edges, 1);
	assert_int_equal(level, 1);
	assert_int_equal(rtc_next_event(&rtc), RTC_NO_EVENT); /* until it is acknowledged */
	rearms = 0;
	assert_int_equal(get(REG_C) & 0xa0, 0xa0);
	assert_int_equal(level, 0);
	assert_int_equal(rearms, 1);
	assert_int_equal(rtc_next_event(&rtc), (LEAP_DAY + 7 + 86400) * S);
	run_until((LEAP_DAY + 8 + 86400) * S);
	assert_int_equal(edges, 2);
}

static void alarm_with_any(void **state)
{
	(void)state;
	set(1, 0x30);
	set(3, 0xc0);
	set(5, 0xff);
	set(REG_B, AIE);
	assert_int_equal(rtc_next_event(&rtc), (LEAP_DAY + 32) * S);
	set(1, 0xff);
	assert_int_equal(rtc_next_event(&rtc), (LEAP_DAY + 1) * S);
	set(1, 0x99); /* never */
	assert_int_equal(rtc_next_event(&rtc), RTC_NO_EVENT);
	set(1, 0x30);
	set(5, 0x23); /* 23:59:30 has passed today */
	set(3, 0x59);
	assert_int_equal(rtc_next_event(&rtc), (LEAP_DAY + 86400 - 28) * S);
}

static void update_ended_once_a_second(void **state)
{
	(void)state;
	now += S / 3;
	set(1, 0x99); /* no alarm at midnight */
	set(REG_B, UIE);
	for (int i = 1; i <= 3; i++) {
		run_until((LEAP_DAY + i) * S);
		assert_int_equal(edges, i);
		assert_int_equal(get(REG_C), 0x90);
		assert_int_equal(level, 0);
	}
	set(REG_B, SET | UIE); /* SET clears UIE */
	assert_int_equal(get(REG_B), SET | 0x02);
	assert_int_equal(rtc_next_event(&rtc), RTC_NO_EVENT);
}

static void flags_can_be_polled(void **state)
{
	(void)state;
	assert_int_equal(get(REG_C), 0);
	now += S;
	assert_int_equal(get(REG_C), 0x10);
	assert_int_equal(get(REG_C), 0);
	assert_int_equal(edges, 0);
}

static void alarm_follows_the_guests_clock(void **state)
{
	(void)state;
	set(REG_B, SET);
	set_time((const uint8_t[]){0x00, 0x00, 0x06, 1, 0x01, 0x01, 0x30, 0x20});
	set(1, 0x00);
	set(3, 0x01);
	set(5, 0x06);
	set(REG_B, AIE);
	assert_int_equal(rtc_next_event(&rtc), (LEAP_DAY + 60) * S);
	run_until((LEAP_DAY + 60) * S);
	assert_int_equal(level, 1);
	rtc_reset(&rtc);
	assert_int_equal(level, 0);
	assert_int_equal(get(REG_B), 0x02);
	assert_int_equal(get(4), 0x06); /* the time stays */
}

static void word_access_writes_index_and_data(void **state)
{
	(void)state;
	rtc_cmos_ops.write(&rtc, 0, 2, 0x7700 | 0x40);
	assert_int_equal(get(0x40), 0x77);
	assert_int_equal(rtc_cmos_ops.read(&rtc, 0, 1), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(shows_the_hosts_time, setup),
		cmocka_unit_test_setup(update_in_progress_just_before_the_second, setup),
		cmocka_unit_test_setup(set_bit_stops_the_clock, setup),
		cmocka_unit_test_setup(divider_reset_sets_the_phase, setup),
		cmocka_unit_test_setup(single_register_set_while_running, setup),
		cmocka_unit_test_setup(nonsense_is_bounded, setup),
		cmocka_unit_test_setup(mode_bits_are_fixed, setup),
		cmocka_unit_test_setup(ram_keeps_what_is_written, setup),
		cmocka_unit_test_setup(alarm_at_a_time_of_day, setup),
		cmocka_unit_test_setup(alarm_with_any, setup),
		cmocka_unit_test_setup(update_ended_once_a_second, setup),
		cmocka_unit_test_setup(flags_can_be_polled, setup),
		cmocka_unit_test_setup(alarm_follows_the_guests_clock, setup),
		cmocka_unit_test_setup(word_access_writes_index_and_data, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
