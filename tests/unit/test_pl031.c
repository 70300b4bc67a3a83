/* SPDX-License-Identifier: BSD-2-Clause */
/* The PL031 as a driver and as the owner of its timer see it. Sections are those of ARM DDI 0224.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/platform/pl031.h"

enum { DR = 0, MR = 4, LR = 8, CR = 0xc, IMSC = 0x10, RIS = 0x14, MIS = 0x18, ICR = 0x1c };

#define S     INT64_C(1000000000)
#define START 1700000000

static struct pl031 rtc;
static struct irq_line wire;
static int level, rearms;
static int64_t host_ns;

static void wire_set(struct irq_line *line, int to)
{
	assert_ptr_equal(line, &wire);
	assert_int_not_equal(to, level); /* a change is a system call */
	level = to;
}

static int64_t now_ns(void *arg)
{
	assert_ptr_equal(arg, &host_ns);
	return host_ns;
}

static void on_rearm(void *arg)
{
	assert_ptr_equal(arg, &host_ns);
	rearms++;
}

static int setup(void **state)
{
	(void)state;
	wire.set = wire_set;
	level = rearms = 0;
	host_ns = START * S + S / 4;
	pl031_init(&rtc, &wire, now_ns, &host_ns);
	rtc.rearm = on_rearm;
	return 0;
}

static uint32_t in(unsigned reg)
{
	return (uint32_t)pl031_ops.read(&rtc, reg, 4);
}

static void out(unsigned reg, uint32_t value)
{
	pl031_ops.write(&rtc, reg, 4, value);
}

/* §3.2, table 3-1 */
static void reset_values(void **state)
{
	static const uint8_t id[8] = {0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

	(void)state;
	assert_int_equal(in(MR), 0);
	assert_int_equal(in(LR), 0);
	assert_int_equal(in(CR), 1);
	assert_int_equal(in(IMSC), 0);
	assert_int_equal(in(RIS), 0);
	assert_int_equal(in(MIS), 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(in(0xfe0 + 4 * i), id[i]);
		assert_int_equal(pl031_ops.read(&rtc, 0xfe0 + 4 * i, 1) & 0xff, id[i]);
	}
	assert_int_equal(in(0x800), 0);
	assert_true(pl031_next_event(&rtc) == PL031_NO_EVENT);
}

static void counts_the_hosts_seconds(void **state)
{
	(void)state;
	assert_int_equal(in(DR), START);
	host_ns += S / 2;
	assert_int_equal(in(DR), START);
	host_ns += S / 2;
	assert_int_equal(in(DR), START + 1);
	out(DR, 5); /* read-only */
	out(CR, 0); /* cannot be stopped */
	assert_int_equal(in(DR), START + 1);
}

static void time_can_be_set(void **state)
{
	(void)state;
	out(LR, 1000);
	assert_int_equal(in(LR), 1000);
	assert_int_equal(in(DR), 1000);
	host_ns += 3 * S;
	assert_int_equal(in(DR), 1003);
	pl031_reset(&rtc); /* §2.2.1: the counter has a reset of its own */
	assert_int_equal(in(DR), 1003);
	out(LR, UINT32_MAX);
	host_ns += S;
	assert_int_equal(in(DR), 0);
}

static void alarm_comes_at_its_second(void **state)
{
	(void)state;
	out(MR, START + 10);
	assert_true(pl031_next_event(&rtc) == PL031_NO_EVENT); /* masked */
	out(IMSC, 1);
	assert_true(pl031_next_event(&rtc) == (START + 10) * S);
	assert_int_equal(rearms, 2);
	host_ns = (START + 10) * S - 1;
	pl031_tick(&rtc); /* early */
	assert_int_equal(level, 0);
	host_ns++;
	pl031_tick(&rtc);
	assert_int_equal(level, 1);
	assert_int_equal(in(RIS), 1);
	assert_int_equal(in(MIS), 1);
	assert_true(pl031_next_event(&rtc) == PL031_NO_EVENT);
	out(ICR, 1);
	assert_int_equal(level, 0);
	assert_int_equal(in(RIS), 0);
	host_ns += 100 * S;
	pl031_tick(&rtc);
	assert_int_equal(level, 0); /* once */
}

/* Without a timer, too: whoever reads sees that the second has passed. */
static void alarm_is_seen_late(void **state)
{
	(void)state;
	out(MR, START + 10);
	host_ns += 60 * S;
	assert_int_equal(in(RIS), 1);
	assert_int_equal(in(MIS), 0);
	assert_int_equal(level, 0);
	out(IMSC, 1);
	assert_int_equal(level, 1);
	out(IMSC, 0);
	assert_int_equal(level, 0);
	out(ICR, 0);
	assert_int_equal(in(RIS), 1);
}

static void alarm_for_now_is_due(void **state)
{
	(void)state;
	out(IMSC, 1);
	out(MR, START);
	assert_int_equal(level, 1);
	out(ICR, 1);
	out(MR, 500);
	assert_int_equal(level, 0);
	out(LR, 500); /* the counter is put on the match */
	assert_int_equal(level, 1);
}

/* An alarm behind the clock is due when the counter has gone round, in 136 years. */
static void alarm_in_the_past_is_far(void **state)
{
	(void)state;
	out(IMSC, 1);
	out(MR, START - 1);
	assert_int_equal(level, 0);
	assert_true(pl031_next_event(&rtc) == (START + INT64_C(0xffffffff)) * S);
}

static void alarm_beyond_the_wrap(void **state)
{
	(void)state;
	out(LR, UINT32_MAX - 1);
	out(MR, 1);
	out(IMSC, 1);
	assert_true(pl031_next_event(&rtc) == (START + 3) * S);
	host_ns += 2 * S;
	assert_int_equal(in(DR), 0);
	assert_int_equal(level, 0);
	host_ns += S;
	pl031_tick(&rtc);
	assert_int_equal(level, 1);
}

static void setting_the_clock_moves_the_alarm(void **state)
{
	(void)state;
	out(MR, 2000);
	out(IMSC, 1);
	rearms = 0;
	out(LR, 1990);
	assert_int_equal(rearms, 1);
	assert_true(pl031_next_event(&rtc) == (START + 10) * S);
	out(LR, 2500); /* jumped over: the counter was never equal */
	assert_int_equal(level, 0);
}

static void a_host_set_back_raises_nothing(void **state)
{
	(void)state;
	out(MR, START + 10);
	out(IMSC, 1);
	host_ns -= 3600 * S;
	pl031_tick(&rtc);
	assert_int_equal(level, 0);
	assert_true(pl031_next_event(&rtc) == (START + 10) * S);
}

static void odd_accesses(void **state)
{
	(void)state;
	pl031_ops.write(&rtc, LR, 1, 7);
	pl031_ops.write(&rtc, LR + 2, 4, 7);
	assert_int_equal(in(DR), START);
	pl031_ops.write(&rtc, LR, 8, UINT64_C(0x900000007));
	assert_int_equal(in(DR), 7);
	assert_int_equal(pl031_ops.read(&rtc, 0xfe4, 8), 0x10);
}

static void reset_takes_the_alarm_away(void **state)
{
	(void)state;
	out(IMSC, 1);
	out(MR, START);
	assert_int_equal(level, 1);
	rearms = 0;
	pl031_reset(&rtc);
	assert_int_equal(level, 0);
	assert_int_equal(rearms, 1);
	assert_int_equal(in(RIS), 0);
	assert_int_equal(in(MR), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reset_values, setup),
		cmocka_unit_test_setup(counts_the_hosts_seconds, setup),
		cmocka_unit_test_setup(time_can_be_set, setup),
		cmocka_unit_test_setup(alarm_comes_at_its_second, setup),
		cmocka_unit_test_setup(alarm_is_seen_late, setup),
		cmocka_unit_test_setup(alarm_for_now_is_due, setup),
		cmocka_unit_test_setup(alarm_in_the_past_is_far, setup),
		cmocka_unit_test_setup(alarm_beyond_the_wrap, setup),
		cmocka_unit_test_setup(setting_the_clock_moves_the_alarm, setup),
		cmocka_unit_test_setup(a_host_set_back_raises_nothing, setup),
		cmocka_unit_test_setup(odd_accesses, setup),
		cmocka_unit_test_setup(reset_takes_the_alarm_away, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
