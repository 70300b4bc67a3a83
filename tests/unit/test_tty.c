/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mode of the user's terminal: raw while the VM has it, and itself again however the process
 * ends, also by a crash. Skipped where io_uring is not to be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/tty_bench.h"

static void test_raw_and_back(void **state)
{
	int flags = fcntl(tb.slave, F_GETFL);

	(void)state;
	tty_bench_on_pty();
	assert_true(tty_bench_is_raw());
	/* Others share the description: O_NONBLOCK is not ours to set. */
	assert_int_equal(fcntl(tb.slave, F_GETFL), flags);
	terminal_drain(tb.term, 200);
	terminal_close(tb.term);
	tb.term = NULL;
	assert_true(tty_bench_is_as_before());
}

/* Stopped and continued: the shell has changed the mode meanwhile. */
static void test_continued(void **state)
{
	(void)state;
	tty_bench_on_pty();
	tcsetattr(tb.slave, TCSANOW, &tb.before);
	assert_false(tty_bench_is_raw());
	raise(SIGCONT);
	while (!tty_bench_is_raw())
		loop_run_once(tb.loop);
	terminal_drain(tb.term, 200);
	terminal_close(tb.term);
	tb.term = NULL;
	assert_true(tty_bench_is_as_before());
}

/* --- however the process ends ----------------------------------------------------------------- */

#define FOR_ONCE 1000 /* and a signal: it has a handler that is for once */

static volatile sig_atomic_t handled;
static struct loop
	*volatile inherited; /* the parent's, kept reachable for the leak check of a child */

static void graceful(int sig)
{
	(void)sig;
	handled = 1;
}

/* As one that cleans up and then lets the signal have its effect. */
static void for_once(int sig)
{
	raise(sig);
}

/* In a child: takes the terminal and ends in way @how; the parent looks at what it left. */
static void end_in_child(int how)
{
	const struct sigaction once = {.sa_handler = for_once, .sa_flags = (int)SA_RESETHAND};
	struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	if (how == -SIGTERM) /* a program that wants to end by itself */
		signal(SIGTERM, graceful);
	alarm(20);
	/* The handlers of cmocka and of the sanitizer are not what is tested. */
	if (how > 0)
		signal(how % FOR_ONCE, SIG_DFL);
	if (how > FOR_ONCE)
		sigaction(how - FOR_ONCE, &once, NULL);
	if (tty_bench_open("stdio", tb.slave, tb.slave) || !tty_bench_is_raw())
		_exit(99);
	if (how == 0)
		exit(0);
	if (how > 0) {
		raise(how % FOR_ONCE);
		_exit(98);
	}
	raise(-how);
	_exit(handled && tty_bench_is_as_before() ? 0 : 97);
}

static void test_terminal_is_given_back(void **state)
{
	static const int ways[] = {0,
				   SIGTERM,
				   SIGINT,
				   SIGHUP,
				   SIGQUIT,
				   SIGSEGV,
				   SIGABRT,
				   SIGBUS,
				   SIGILL,
				   SIGFPE,
				   SIGSYS,
				   -SIGTERM,
				   FOR_ONCE + SIGTERM,
				   FOR_ONCE + SIGHUP};

	(void)state;
	tty_bench_need_loop();
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			/* The ring is not to be used across a fork: the child makes its own. */
			inherited = tb.loop;
			if (loop_create(&tb.loop, 16))
				_exit(96);
			end_in_child(ways[i]);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (ways[i] > 0)
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == ways[i] % FOR_ONCE);
		else
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		if (!tty_bench_is_as_before())
			fail_msg("the terminal is left raw by way %d", ways[i]);
	}
}

/* Ignored signals stay ignored (nohup), and do not cost the terminal its raw mode. */
static void test_ignored_signals(void **state)
{
	void (*old)(int) = signal(SIGHUP, SIG_IGN);

	(void)state;
	tty_bench_on_pty();
	raise(SIGHUP);
	assert_true(tty_bench_is_raw());
	signal(SIGHUP, old);
}

/* In the background of a session the terminal is let alone until we are brought to the front. */
static void background_child(void)
{
	pid_t front;

	setsid();
	if (ioctl(tb.slave, TIOCSCTTY, 0) || loop_create(&tb.loop, 16))
		_exit(90);
	front = fork();
	if (front == 0) {
		setpgid(0, 0);
		pause();
		_exit(0);
	}
	setpgid(front, front);
	signal(SIGTTOU, SIG_IGN);
	if (tcsetpgrp(tb.slave, front) || tty_bench_open("stdio", tb.slave, tb.slave))
		_exit(91);
	if (!tty_bench_is_as_before())
		_exit(92);
	/* Typed for the one in front: not ours to read. */
	if (write(tb.master, "echo\n", 5) != 5)
		_exit(93);
	tty_bench_show(&tb.dev, "x", 1);
	while (tb.dev.out_head < 1)
		loop_run_once(tb.loop);
	if (tb.dev.n_in)
		_exit(94);
	tcsetpgrp(tb.slave, getpgrp());
	raise(SIGCONT);
	while (!tty_bench_is_raw())
		loop_run_once(tb.loop);
	kill(front, SIGKILL);
	_exit(0);
}

static void test_background(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	tty_bench_need_loop();
	pid = fork();
	if (pid == 0) {
		alarm(TTY_BENCH_SECONDS / 2);
		background_child();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("the child ended with status %#x", status);
}

#define ON(test) cmocka_unit_test_setup_teardown(test, tty_bench_up, tty_bench_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_raw_and_back),    ON(test_continued),  ON(test_terminal_is_given_back),
		ON(test_ignored_signals), ON(test_background),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
