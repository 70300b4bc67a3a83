/* SPDX-License-Identifier: BSD-2-Clause */
/* What a process has spent, seen from outside: of a process that is no machine. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/bench/spent.h"

#define TICKS 3

/* Uses some processor time. */
static void burn(void)
{
	struct tms was, is;

	times(&was);
	do {
		times(&is);
	} while (is.tms_utime + is.tms_stime < was.tms_utime + was.tms_stime + TICKS);
}

static double ms(unsigned ticks)
{
	return 1000.0 * ticks / (double)sysconf(_SC_CLK_TCK);
}

/* A name may hold what ends a name, and look like fields. */
static void the_time_of_a_process_is_others(void **state)
{
	struct spent was, is;

	(void)state;
	prctl(PR_SET_NAME, "a) R 1 (2) 3 4");
	spent_read(getpid(), &was);
	burn();
	spent_read(getpid(), &is);
	assert_true(is.ns > was.ns);
	assert_true(is.v[SPENT_OTHERS] - was.v[SPENT_OTHERS] >= ms(TICKS));
	assert_true(is.v[SPENT_OTHERS] - was.v[SPENT_OTHERS] < 60000);
	assert_true(is.v[SPENT_GUEST] == 0);
	assert_true(is.v[SPENT_VCPU] == 0);
	assert_false(is.has_exits);
}

static void what_it_has_started_counts(void **state)
{
	struct spent was, is;
	int ready[2];
	pid_t child;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	spent_read(getpid(), &was);
	child = fork();
	if (child == 0) {
		burn();
		(void)!write(ready[1], "x", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	spent_read(getpid(), &is);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	assert_true(is.v[SPENT_OTHERS] - was.v[SPENT_OTHERS] >= ms(TICKS));
}

static void a_process_that_is_gone_has_spent_nothing(void **state)
{
	pid_t child = fork();
	struct spent s;

	(void)state;
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	spent_read(child, &s);
	for (unsigned i = 0; i < SPENT_KINDS; i++)
		assert_true(s.v[i] == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_time_of_a_process_is_others),
		cmocka_unit_test(what_it_has_started_counts),
		cmocka_unit_test(a_process_that_is_gone_has_spent_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
