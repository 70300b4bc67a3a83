/* SPDX-License-Identifier: BSD-2-Clause */
/* What a process has spent, seen from outside: of a process that is no machine. */
#include <pthread.h>
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
	double a_second[SPENT_KINDS], seconds;
	static struct spent was, is;

	(void)state;
	prctl(PR_SET_NAME, "a) R 1 (2) 3 4");
	spent_read(getpid(), &was);
	burn();
	spent_read(getpid(), &is);
	seconds = (double)(is.ns - was.ns) / 1e9;
	assert_true(seconds > 0);
	assert_int_equal(is.n, 1);
	assert_int_equal(is.thread[0].tid, getpid());
	assert_true(is.guest == 0);
	assert_int_equal(is.has >> SPENT_EXITS, 0);
	spent_between(&was, &is, a_second);
	assert_true(a_second[SPENT_OTHERS] * seconds >= ms(TICKS) - 0.001);
	assert_true(a_second[SPENT_OTHERS] < 2000);
	assert_true(a_second[SPENT_GUEST] == 0);
	assert_true(a_second[SPENT_VCPU] == 0);
}

static void *burn_in_a_thread(void *arg)
{
	(void)arg;
	burn();
	return NULL;
}

static void a_thread_that_has_ended_counts(void **state)
{
	static struct spent was, is;
	pthread_t thread;

	(void)state;
	spent_read(getpid(), &was);
	assert_int_equal(pthread_create(&thread, NULL, burn_in_a_thread, NULL), 0);
	pthread_join(thread, NULL);
	spent_read(getpid(), &is);
	assert_true(is.total - was.total >= ms(TICKS) - 0.001);
}

static void what_it_has_started_counts(void **state)
{
	static struct spent was, is;
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
	assert_true(is.children - was.children >= ms(TICKS) - 0.001);
}

static void a_process_that_is_gone_has_spent_nothing(void **state)
{
	static struct spent s;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	spent_read(child, &s);
	assert_true(s.total == 0 && s.guest == 0 && s.children == 0);
	assert_int_equal(s.n, 0);
}

/*
 * A machine: thread 1 is its loop, 2 a vCPU that had not run at the first look, 3 one that had; a
 * worker has come and gone between the two.
 */
static void threads_that_have_been_in_the_guest_are_vcpus(void **state)
{
	static const struct spent was = {.total = 1000,
					 .guest = 500,
					 .children = 10,
					 .exits[SPENT_EXITS] = 100,
					 .n = 3,
					 .thread = {{1, 200, 0}, {2, 50, 0}, {3, 750, 500}}};
	static const struct spent is = {.ns = 2000000000,
					.total = 3000,
					.guest = 2000,
					.children = 30,
					.exits[SPENT_EXITS] = 300,
					.n = 3,
					.thread = {{1, 300, 0}, {2, 560, 500}, {3, 1790, 1500}}};
	double a_second[SPENT_KINDS];

	(void)state;
	spent_between(&was, &is, a_second);
	assert_true(a_second[SPENT_GUEST] == 750);
	assert_true(a_second[SPENT_VCPU] == 25); /* 10 and 40 ms of 2 s */
	/* 100 ms of the loop, 350 of what is gone, 20 of children */
	assert_true(a_second[SPENT_OTHERS] == 235);
	assert_true(a_second[SPENT_EXITS] == 100);
	assert_true(a_second[SPENT_HALT] == 0);
}

/* Ticks that all met the guest, where some of the time was exits'. */
static void the_guest_has_no_more_than_its_threads(void **state)
{
	static const struct spent was = {.n = 1, .thread = {{1, 0, 0}}};
	static const struct spent is = {
		.ns = 1000000000, .total = 900, .guest = 1000, .n = 1, .thread = {{1, 900, 1000}}};
	double a_second[SPENT_KINDS];

	(void)state;
	spent_between(&was, &is, a_second);
	assert_true(a_second[SPENT_GUEST] == 900);
	assert_true(a_second[SPENT_VCPU] == 0);
	assert_true(a_second[SPENT_OTHERS] == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_time_of_a_process_is_others),
		cmocka_unit_test(a_thread_that_has_ended_counts),
		cmocka_unit_test(what_it_has_started_counts),
		cmocka_unit_test(a_process_that_is_gone_has_spent_nothing),
		cmocka_unit_test(threads_that_have_been_in_the_guest_are_vcpus),
		cmocka_unit_test(the_guest_has_no_more_than_its_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
