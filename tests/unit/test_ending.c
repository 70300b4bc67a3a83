/* SPDX-License-Identifier: BSD-2-Clause */
/* Signals that end the machine: told once, then with their usual effect; ignored ones stay so. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/ending.h"
#include "vmm/loop.h"

static struct loop *loop;
static unsigned ends;

static int last;

static void on_end(void *arg, int sig)
{
	assert_ptr_equal(arg, &loop);
	last = sig;
	ends++;
	loop_stop(loop);
}

static int up(void **state)
{
	(void)state;
	said_start();
	alarm(60);
	ends = 0;
	if (loop_create(&loop, 16))
		loop = NULL;
	return 0;
}

static int down(void **state)
{
	(void)state;
	loop_destroy(loop);
	alarm(0);
	return 0;
}

static void test_told(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	struct ending *e;

	(void)state;
	if (!loop)
		skip();
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ending_create(&e, loop, on_end, &loop), 0);
		kill(getpid(), signals[i]);
		loop_run(loop);
		assert_int_equal(ends, i + 1);
		assert_int_equal(last, signals[i]);
		ending_destroy(e);
	}
	ending_destroy(NULL);
}

/* How a child ends that gets SIGTERM @times times, SIGHUP being ignored and sent first. */
static int child_that_gets(int times)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct ending *e;

		signal(SIGHUP, SIG_IGN);
		loop_destroy(loop);
		if (loop_create(&loop, 16) || ending_create(&e, loop, on_end, &loop))
			_exit(99);
		kill(getpid(), SIGHUP);
		for (int i = 0; i < times; i++) {
			kill(getpid(), SIGTERM);
			loop_run(loop);
		}
		_exit((int)ends);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_once(void **state)
{
	(void)state;
	if (!loop)
		skip();
	assert_int_equal(child_that_gets(1), 1);
	assert_int_equal(child_that_gets(2), -SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_told, up, down),
		cmocka_unit_test_setup_teardown(test_once, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
