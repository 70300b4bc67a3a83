/* SPDX-License-Identifier: BSD-2-Clause */
/* The micro-guest's process and its time limit, with an architecture that does as this test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "arch/host.h"
#include "vmm/check_guest.h"
#include "vmm/log.h"

static enum { RUNS, FAILS, HANGS, DIES, CANNOT } act;

/* What the room calls: runs in the child. */
int arch_probe(struct kvm *kvm, struct probe *probe)
{
	(void)kvm;
	memset(probe, 0, sizeof(*probe));
	if (act == CANNOT)
		return log_fail(-ENOMEM, "kvm: a machine cannot be made: no memory");
	probe->n = 3;
	snprintf(probe->step[0].name, sizeof(probe->step[0].name), "%s", "first");
	snprintf(probe->step[1].name, sizeof(probe->step[1].name), "%s", "second");
	snprintf(probe->step[2].name, sizeof(probe->step[2].name), "%s", "third");
	probe->step[0].state = PROBE_OK;
	probe->step[1].state = PROBE_RUNNING;
	if (act == HANGS)
		for (;;)
			pause();
	if (act == DIES)
		raise(SIGKILL);
	if (act == FAILS) {
		snprintf(probe->step[1].what, sizeof(probe->step[1].what), "%s", "suberror 1");
		snprintf(probe->step[1].cause, sizeof(probe->step[1].cause), "%s", "no VT-x");
	}
	probe->step[1].state = act == FAILS ? PROBE_FAILED : PROBE_OK;
	probe->step[2].state = PROBE_ABSENT;
	return 0;
}

static void run(struct check_report *report, int what)
{
	struct kvm kvm = {.fd = -1, .vm_fd = -1};

	memset(report, 0, sizeof(*report));
	act = what;
	/* Long where it must not run out, short where it must. */
	check_guest(report, &kvm, what == HANGS ? 50 : 60000);
}

static void assert_item(const struct check_report *report, unsigned i, enum check_state state,
			const char *name, const char *detail)
{
	assert_true(i < report->n);
	assert_int_equal(report->item[i].state, state);
	assert_string_equal(report->item[i].name, name);
	assert_non_null(strstr(report->item[i].detail, detail));
}

static void test_runs(void **state)
{
	struct check_report report;

	(void)state;
	run(&report, RUNS);
	assert_int_equal(report.n, 3);
	assert_item(&report, 0, CHECK_OK, "first", "runs");
	assert_item(&report, 1, CHECK_OK, "second", "runs");
	assert_item(&report, 2, CHECK_NOTE, "third", "not offered");
	assert_true(check_can_run_linux(&report));
}

static void test_fails(void **state)
{
	struct check_report report;

	(void)state;
	run(&report, FAILS);
	assert_item(&report, 1, CHECK_MISSING, "second", "suberror 1: no VT-x");
	assert_false(check_can_run_linux(&report));
}

static void test_hangs(void **state)
{
	struct check_report report;

	(void)state;
	run(&report, HANGS);
	assert_int_equal(report.n, 3);
	assert_item(&report, 0, CHECK_OK, "first", "runs");
	assert_item(&report, 1, CHECK_MISSING, "second", "does not come back");
	assert_item(&report, 2, CHECK_MISSING, "test", "within 50 ms");
}

static void test_dies(void **state)
{
	struct check_report report;

	(void)state;
	run(&report, DIES);
	assert_item(&report, report.n - 1, CHECK_MISSING, "test", "died");
	assert_false(check_can_run_linux(&report));
}

static void test_cannot_start(void **state)
{
	struct check_report report;

	(void)state;
	run(&report, CANNOT);
	assert_int_equal(report.n, 1);
	assert_item(&report, 0, CHECK_MISSING, "test", "a machine cannot be made: no memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs),         cmocka_unit_test(test_fails),
		cmocka_unit_test(test_hangs),        cmocka_unit_test(test_dies),
		cmocka_unit_test(test_cannot_start),
	};

	return cmocka_run_group_tests_name("check_guest", tests, NULL, NULL);
}
