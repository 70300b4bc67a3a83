/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of vmm/patience.h: when the calling thread turns patient, and when it stops. Each case
 * starts and ends under the usual policy.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/patience.h"

#define MANY 100000 /* more finds than any turn takes */

static void set_policy(int policy)
{
	struct sched_param param = {.sched_priority = 0};

	assert_int_equal(sched_setscheduler(0, policy, &param), 0);
}

static int usual_policy(void **state)
{
	(void)state;
	set_policy(SCHED_OTHER);
	return 0;
}

/* Finds of one piece until the policy is @policy: how many, or -1. */
static int singles_until(struct patience *p, int policy)
{
	for (int n = 0; n < MANY; n++) {
		if (sched_getscheduler(0) == policy)
			return n;
		patience_found(p, 1);
	}
	return -1;
}

static void test_begins_impatient(void **state)
{
	struct patience p;

	(void)state;
	patience_init(&p);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	patience_end(&p);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

static void test_several_at_once(void **state)
{
	struct patience p;

	(void)state;
	patience_init(&p);
	patience_found(&p, 2);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	assert_int_equal(p.started, 1);
	patience_end(&p);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

static void test_nothing_found_says_nothing(void **state)
{
	struct patience p;

	(void)state;
	patience_init(&p);
	for (int n = 0; n < MANY; n++)
		patience_found(&p, 0);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	patience_found(&p, 2);
	for (int n = 0; n < MANY; n++)
		patience_found(&p, 0);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
}

static void test_patience_ends(void **state)
{
	struct patience p;
	int first, again;

	(void)state;
	patience_init(&p);
	patience_found(&p, 32);
	first = singles_until(&p, SCHED_OTHER);
	assert_in_range(first, 2, 100);
	/* One batch among many single finds keeps it going. */
	patience_found(&p, 32);
	for (int n = 1; n < first; n++)
		patience_found(&p, 1);
	patience_found(&p, 2);
	again = singles_until(&p, SCHED_OTHER);
	assert_int_equal(again, first);
}

/* One that never finds two is patient rarely, and not for long. */
static void test_trials_are_rare_and_short(void **state)
{
	struct patience p;

	(void)state;
	patience_init(&p);
	for (int round = 0; round < 10; round++) {
		int before = singles_until(&p, SCHED_BATCH), trial = singles_until(&p, SCHED_OTHER);

		assert_true(before > 0 && trial > 0);
		assert_true(before >= 20 * trial);
	}
	assert_int_equal(p.started, 10);
}

/* The find of a trial that shows several makes it last. */
static void test_trial_succeeds(void **state)
{
	struct patience p;
	int trial, patient;

	(void)state;
	patience_init(&p);
	singles_until(&p, SCHED_BATCH);
	trial = singles_until(&p, SCHED_OTHER);
	singles_until(&p, SCHED_BATCH);
	patience_found(&p, 32);
	patient = singles_until(&p, SCHED_OTHER);
	assert_true(patient > trial);
}

static void test_users_policy_stays(void **state)
{
	struct patience p;

	(void)state;
	set_policy(SCHED_BATCH);
	patience_init(&p);
	patience_found(&p, 32);
	for (int n = 0; n < MANY; n++)
		patience_found(&p, 1);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	patience_end(&p);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	assert_int_equal(p.started, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_begins_impatient, usual_policy, usual_policy),
		cmocka_unit_test_setup_teardown(test_several_at_once, usual_policy, usual_policy),
		cmocka_unit_test_setup_teardown(test_nothing_found_says_nothing, usual_policy,
						usual_policy),
		cmocka_unit_test_setup_teardown(test_patience_ends, usual_policy, usual_policy),
		cmocka_unit_test_setup_teardown(test_trials_are_rare_and_short, usual_policy,
						usual_policy),
		cmocka_unit_test_setup_teardown(test_trial_succeeds, usual_policy, usual_policy),
		cmocka_unit_test_setup_teardown(test_users_policy_stays, usual_policy,
						usual_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
