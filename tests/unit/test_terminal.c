/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's side of consoles, on a real loop, over a pseudo-terminal, pipes and files: bytes both
 * ways, the escape key, slow and missing readers. What becomes of the terminal's mode is in
 * test_tty.c. Skipped where io_uring is not to be had; an alarm ends a test that hangs.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "tests/lib/tty_bench.h"

/* --- options --------------------------------------------------------------------------------- */

static void test_wrong_options(void **state)
{
	static const struct {
		const char *spec;
		int err;
	} t[] = {
		{"", -EINVAL},       {"stdout", -EINVAL}, {"file", -EINVAL},
		{"file:", -EINVAL},  {"null ", -EINVAL},  {"file:/nowhere/at/all", -ENOENT},
		{"file:/", -EISDIR}, {"pty", -EINVAL},
	};

	(void)state;
	tty_bench_need_loop();
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		said_clear();
		assert_int_equal(tty_bench_open(t[i].spec, tb.slave, tb.slave), t[i].err);
		assert_string_not_equal(said(), "");
		assert_null(tb.term);
	}
	assert_true(tty_bench_is_as_before());
}

/* --- a terminal ------------------------------------------------------------------------------ */

static void test_output(void **state)
{
	(void)state;
	tty_bench_on_pty();
	tty_bench_show(&tb.dev, "Linux version\r\n", 15);
	tty_bench_expect(tb.master, "Linux version\r\n", 15);
	tty_bench_show(&tb.dev, "\33[2Jraw\n", 8);
	tty_bench_expect(tb.master, "\33[2Jraw\n", 8);
	while (tb.dev.out_head < tb.dev.out_tail)
		loop_run_once(tb.loop);
}

/* A guest that speaks a byte at a time costs a few writes, not one each. */
static void test_output_is_collected(void **state)
{
	struct loop_stats a, b;

	(void)state;
	tty_bench_on_pty();
	while (tb.dev.resizes == 0)
		loop_run_once(tb.loop);
	loop_get_stats(tb.loop, &a);
	for (unsigned i = 0; i < 200; i++)
		tty_bench_show(&tb.dev, "x", 1);
	while (tb.dev.out_head < 200)
		loop_run_once(tb.loop);
	loop_get_stats(tb.loop, &b);
	assert_int_equal(tb.dev.peeked_most, 200);
	assert_in_range(b.entries - a.entries, 1, 8);
}

static void test_two_ports(void **state)
{
	uint8_t got[64];
	size_t n = 0;

	(void)state;
	tty_bench_on_pty();
	loop_lock(tb.loop);
	terminal_attach(tb.term, &tb.dev2.port, 0);
	loop_unlock(tb.loop);
	tty_bench_show(&tb.dev, "aaaa", 4);
	tty_bench_show(&tb.dev2, "bbbb", 4);
	while (n < 8) {
		ssize_t r = read(tb.master, got + n, sizeof(got) - n);

		if (r > 0)
			n += (size_t)r;
		else
			loop_run_once(tb.loop);
	}
	assert_true(!memcmp(got, "aaaabbbb", 8) || !memcmp(got, "bbbbaaaa", 8));
	/* What is typed goes to the one that takes input. */
	tty_bench_type("k", 1);
	tty_bench_expect_typed("k", 1);
	assert_int_equal(tb.dev2.n_in, 0);
}

/* A line that has begun is ended before the other port is shown. */
static void test_no_line_within_a_line(void **state)
{
	(void)state;
	tty_bench_on_pty();
	loop_lock(tb.loop);
	terminal_attach(tb.term, &tb.dev2.port, 0);
	loop_unlock(tb.loop);
	tty_bench_show(&tb.dev, "half a", 6);
	tty_bench_expect(tb.master, "half a", 6);
	while (tb.dev.out_head < tb.dev.out_tail)
		loop_run_once(tb.loop);
	tty_bench_show(&tb.dev2, "other\n", 6);
	tty_bench_show(&tb.dev, " line\n", 6);
	tty_bench_expect(tb.master, " line\nother\n", 12);
	/* One that does not go on keeps nobody waiting. */
	tty_bench_show(&tb.dev, "login: ", 7);
	tty_bench_expect(tb.master, "login: ", 7);
	tty_bench_show(&tb.dev2, "other\n", 6);
	tty_bench_expect(tb.master, "other\n", 6);
}

static void test_input(void **state)
{
	uint8_t all[255];

	(void)state;
	tty_bench_on_pty();
	tty_bench_type("root\r", 5);
	tty_bench_expect_typed("root\r", 5);
	tb.dev.n_in = 0;
	/* Every byte but the escape key passes: also ^C, ^Z, ^S, ^Q, ^D, NUL. */
	for (unsigned i = 0, n = 0; i < 256; i++)
		if (i != 0x1d)
			all[n++] = (uint8_t)i;
	tty_bench_type(all, 255);
	tty_bench_expect_typed(all, 255);
}

static void test_escape(void **state)
{
	static const char help[] = "\r\nCtrl-] x";

	(void)state;
	tty_bench_on_pty();
	tty_bench_type("a\x1d\x1d"
		       "b",
		       4);
	tty_bench_expect_typed("a\x1d"
			       "b",
			       3);
	assert_int_equal(tb.ends, 0);
	tb.dev.n_in = 0;
	tty_bench_type("\x1d?", 2);
	tty_bench_expect(tb.master, help, sizeof(help) - 1);
	tty_bench_type("\x1dq-", 3); /* no such command: nothing */
	tty_bench_expect_typed("-", 1);
	/* In two pieces. */
	tty_bench_type("\x1d", 1);
	while (tb.dev.n_in != 1 || tb.ends)
		loop_run_once(tb.loop);
	tty_bench_type("x", 1);
	while (!tb.ends)
		loop_run_once(tb.loop);
	assert_int_equal(tb.dev.n_in, 1);
}

/* The guest takes nothing: keys wait, then are dropped; the escape key still works. */
static void test_escape_while_guest_is_deaf(void **state)
{
	static uint8_t keys[200];

	(void)state;
	tty_bench_on_pty();
	memset(keys, 'k', sizeof(keys));
	tb.dev.accept = 0;
	for (unsigned i = 0; i < 50; i++) {
		int waiting = 1;

		tty_bench_type(keys, sizeof(keys));
		while (waiting > 0) { /* read everything, so that nothing is left in the pty */
			loop_run_once(tb.loop);
			ioctl(tb.slave, FIONREAD, &waiting);
		}
	}
	tty_bench_type("\x1dx", 2);
	while (!tb.ends)
		loop_run_once(tb.loop);
	assert_int_equal(tb.dev.n_in, 0);
	tb.dev.accept = TTY_BENCH_ROOM;
	loop_lock(tb.loop);
	terminal_input(tb.term);
	loop_unlock(tb.loop);
	while (tb.dev.n_in == 0)
		loop_run_once(tb.loop);
	assert_int_equal(tb.dev.n_in, 1024);
}

static void test_window_size(void **state)
{
	(void)state;
	tty_bench_on_pty();
	assert_int_equal(tb.dev.cols, 80);
	assert_int_equal(tb.dev.rows, 25);
	assert_int_equal(
		ioctl(tb.master, TIOCSWINSZ, &(struct winsize){.ws_row = 50, .ws_col = 132}), 0);
	raise(SIGWINCH);
	while (tb.dev.cols != 132)
		loop_run_once(tb.loop);
	assert_int_equal(tb.dev.rows, 50);
}

static void test_hangup(void **state)
{
	(void)state;
	tty_bench_on_pty();
	close(tb.master);
	tty_bench_show(&tb.dev, "nobody is there\r\n", 17);
	while (tb.dev.out_head < tb.dev.out_tail)
		loop_run_once(tb.loop);
	tb.master = -1;
}

/* --- slow, full and missing readers ---------------------------------------------------------- */

/* B31: the reader stands still; turns go on, the device keeps its bytes, later all arrive. */
static void test_reader_stands_still(void **state)
{
	static uint8_t bytes[60000];
	int p[2];

	(void)state;
	tty_bench_need_loop();
	assert_int_equal(pipe(p), 0);
	fcntl(p[1], F_SETPIPE_SZ, 4096);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(tty_bench_open("stdio", tb.slave, p[1]), 0);
	tty_bench_show(&tb.dev, bytes, sizeof(bytes));
	/* The loop lives: keys come through while output does not. */
	for (unsigned i = 1; i <= 20; i++) {
		tty_bench_type("k", 1);
		while (tb.dev.n_in < i)
			loop_run_once(tb.loop);
	}
	assert_true(tb.dev.out_head <= 4096);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	tty_bench_expect(p[0], bytes, sizeof(bytes));
	close(p[0]);
	close(p[1]);
}

/* The end of the VM waits for such a reader, but not for ever. */
static void test_drain_gives_up(void **state)
{
	static uint8_t bytes[60000];
	int p[2];

	(void)state;
	tty_bench_need_loop();
	assert_int_equal(pipe(p), 0);
	assert_int_equal(tty_bench_open("stdio", tb.slave, p[1]), 0);
	fcntl(p[1], F_SETPIPE_SZ, 4096);
	tty_bench_show(&tb.dev, bytes, sizeof(bytes));
	terminal_drain(tb.term, 50);
	assert_int_equal(tb.dev.out_head, tb.dev.out_tail); /* nothing of the port's is in use */
	memset(&tb.dev, 0xee, sizeof(tb.dev));
	terminal_close(tb.term);
	tb.term = NULL;
	close(p[0]);
	close(p[1]);
}

/* The last words of a guest are shown although the loop has stopped. */
static void test_drain_writes_all(void **state)
{
	static uint8_t bytes[3000];
	struct loop *l = tb.loop;

	(void)state;
	tty_bench_on_pty();
	memset(bytes, 'z', sizeof(bytes));
	tty_bench_show(&tb.dev, bytes, sizeof(bytes));
	loop_lock(l);
	loop_stop(l);
	loop_unlock(l);
	loop_run(l);
	terminal_drain(tb.term, 2000);
	terminal_close(tb.term);
	tb.term = NULL;
	tty_bench_expect(tb.master, bytes, sizeof(bytes));
}

/* EPIPE: output ends quietly, the guest goes on and never fills up. */
static void test_reader_goes_away(void **state)
{
	int p[2];

	(void)state;
	tty_bench_need_loop();
	assert_int_equal(pipe(p), 0);
	assert_int_equal(tty_bench_open("stdio", tb.slave, p[1]), 0);
	close(p[0]);
	said_clear();
	for (unsigned i = 0; i < 10; i++) {
		tty_bench_show(&tb.dev, "anybody?", 8);
		while (tb.dev.out_head < tb.dev.out_tail)
			loop_run_once(tb.loop);
	}
	assert_string_equal(said(), "");
	close(p[1]);
}

/* Somebody else made the shared description non-blocking: nothing is lost, nothing spins. */
static void test_nonblocking_output(void **state)
{
	static uint8_t bytes[40000];
	struct loop_stats a, b;
	int p[2];

	(void)state;
	tty_bench_need_loop();
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 5 + i / 256);
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	fcntl(p[1], F_SETPIPE_SZ, 4096);
	assert_int_equal(tty_bench_open("stdio", tb.slave, p[1]), 0);
	tty_bench_show(&tb.dev, bytes, sizeof(bytes));
	for (unsigned i = 1; i <= 10; i++) {
		tty_bench_type("k", 1);
		while (tb.dev.n_in < i)
			loop_run_once(tb.loop);
	}
	loop_get_stats(tb.loop, &a);
	tty_bench_type("k", 1);
	while (tb.dev.n_in < 11)
		loop_run_once(tb.loop);
	loop_get_stats(tb.loop, &b);
	assert_in_range(b.turns - a.turns, 1, 20);
	tty_bench_expect(p[0], bytes, sizeof(bytes));
	close(p[0]);
	close(p[1]);
}

/* --- not a terminal -------------------------------------------------------------------------- */

/* A pipe's bytes arrive as they are, the escape key too; its end is not the end of the VM. */
static void test_input_from_a_pipe(void **state)
{
	int p[2];

	(void)state;
	tty_bench_need_loop();
	assert_int_equal(pipe(p), 0);
	assert_int_equal(tty_bench_open("stdio", p[0], tb.slave), 0);
	assert_false(tty_bench_is_raw());
	assert_int_equal(write(p[1], "\x1dx!", 3), 3);
	tty_bench_expect_typed("\x1dx!", 3);
	close(p[1]);
	tty_bench_show(&tb.dev, "still here", 10);
	tty_bench_expect(tb.master, "still here", 10);
	assert_int_equal(tb.ends, 0);
	close(p[0]);
}

/* B30: a guest that does not take: the pipe is not read any further, and nothing is lost. */
static void test_pipe_waits_for_the_guest(void **state)
{
	static uint8_t bytes[30000];
	int p[2], waiting;

	(void)state;
	tty_bench_need_loop();
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 3 + i / 256);
	assert_int_equal(pipe(p), 0);
	tb.dev.accept = 100;
	assert_int_equal(tty_bench_open("stdio", p[0], tb.slave), 0);
	assert_int_equal(write(p[1], bytes, sizeof(bytes)), sizeof(bytes));
	while (tb.dev.n_in < 100)
		loop_run_once(tb.loop);
	/* Whatever else happens, no more is read. */
	for (unsigned i = 0; i < 10; i++) {
		tty_bench_show(&tb.dev, "x", 1);
		while (tb.dev.out_head < tb.dev.out_tail)
			loop_run_once(tb.loop);
	}
	ioctl(p[0], FIONREAD, &waiting);
	assert_in_range(waiting, sizeof(bytes) - 100 - 1024, sizeof(bytes));
	while (tb.dev.n_in < sizeof(bytes)) {
		loop_lock(tb.loop);
		tb.dev.accept = 333;
		terminal_input(tb.term);
		loop_unlock(tb.loop);
		loop_run_once(tb.loop);
	}
	assert_memory_equal(tb.dev.in, bytes, sizeof(bytes));
	close(p[0]);
	close(p[1]);
}

static void test_input_from_files(void **state)
{
	static const char *const files[] = {"/dev/null", "/proc/self/comm"};

	(void)state;
	tty_bench_need_loop();
	for (unsigned i = 0; i < 2; i++) {
		int fd = open(files[i], O_RDONLY);

		tty_bench_port(&tb.dev);
		assert_int_equal(tty_bench_open("stdio", fd, tb.slave), 0);
		tty_bench_show(&tb.dev, "ok", 2);
		tty_bench_expect(tb.master, "ok", 2);
		while (i == 1 && tb.dev.n_in == 0)
			loop_run_once(tb.loop);
		terminal_drain(tb.term, 200);
		terminal_close(tb.term);
		tb.term = NULL;
		close(fd);
	}
}

static void test_null(void **state)
{
	static uint8_t bytes[5000];

	(void)state;
	tty_bench_need_loop();
	assert_int_equal(tty_bench_open("null", tb.slave, tb.slave), 0);
	assert_true(tty_bench_is_as_before());
	for (unsigned i = 0; i < 10; i++) {
		tty_bench_show(&tb.dev, bytes, sizeof(bytes));
		while (tb.dev.out_head < tb.dev.out_tail)
			loop_run_once(tb.loop);
	}
}

static void test_file(void **state)
{
	char path[] = "/tmp/test_terminal.XXXXXX", spec[64], got[32];
	int fd = mkstemp(path);

	(void)state;
	tty_bench_need_loop();
	assert_int_equal(write(fd, "what was there before", 21), 21);
	snprintf(spec, sizeof(spec), "file:%s", path);
	assert_int_equal(tty_bench_open(spec, tb.slave, tb.slave), 0);
	assert_true(tty_bench_is_as_before());
	tty_bench_show(&tb.dev, "boot\n", 5);
	while (tb.dev.out_head < 5)
		loop_run_once(tb.loop);
	tty_bench_show(&tb.dev, "done\n", 5);
	terminal_drain(tb.term, 1000);
	terminal_close(tb.term);
	tb.term = NULL;
	assert_int_equal(pread(fd, got, sizeof(got), 0), 10);
	assert_memory_equal(got, "boot\ndone\n", 10);
	close(fd);
	unlink(path);
}

/* A full disk: said once, and the guest goes on. */
static void test_file_on_a_full_disk(void **state)
{
	unsigned before_count;

	(void)state;
	tty_bench_need_loop();
	assert_int_equal(tty_bench_open("file:/dev/full", tb.slave, tb.slave), 0);
	before_count = said_count();
	for (unsigned i = 0; i < 5; i++) {
		tty_bench_show(&tb.dev, "text", 4);
		while (tb.dev.out_head < tb.dev.out_tail)
			loop_run_once(tb.loop);
	}
	assert_int_equal(said_count(), before_count + 1);
	assert_non_null(strstr(said(), "space"));
}

#define ON(test) cmocka_unit_test_setup_teardown(test, tty_bench_up, tty_bench_down)

/* --- held back ------------------------------------------------------------------------------- */

static struct {
	uint8_t bytes[TTY_BENCH_ROOM];
	size_t n;
	unsigned keys;
	size_t release_at; /* 0: not from within */
} seen;

static void on_seen(void *arg, const uint8_t *bytes, size_t len)
{
	assert_ptr_equal(arg, &seen);
	assert_true(len <= sizeof(seen.bytes) - seen.n);
	memcpy(seen.bytes + seen.n, bytes, len);
	seen.n += len;
	if (seen.release_at && seen.n >= seen.release_at)
		terminal_release(tb.term, 1);
}

static void on_key(void *arg)
{
	assert_ptr_equal(arg, &seen);
	seen.keys++;
}

static void watch(int hold)
{
	static const struct terminal_watch watch = {on_seen, on_key, &seen};

	memset(&seen, 0, sizeof(seen));
	tty_bench_need_loop();
	assert_int_equal(terminal_open(&tb.term, &(struct terminal_params){.loop = tb.loop,
									   .spec = "stdio",
									   .in = tb.slave,
									   .out = tb.slave,
									   .end = tty_bench_end,
									   .arg = &tb.dev}),
			 0);
	loop_lock(tb.loop);
	assert_true(terminal_is_tty(tb.term));
	terminal_set_watch(tb.term, &watch);
	if (hold)
		terminal_hold(tb.term);
	terminal_attach(tb.term, &tb.dev.port, 1);
	loop_unlock(tb.loop);
}

static void release(unsigned lines)
{
	loop_lock(tb.loop);
	terminal_release(tb.term, lines);
	loop_unlock(tb.loop);
}

static void show_unseen(const char *text)
{
	size_t want = seen.n + strlen(text);

	tty_bench_show(&tb.dev, text, strlen(text));
	while (seen.n < want)
		loop_run_once(tb.loop);
}

static void expect_nothing(void)
{
	uint8_t byte;

	assert_int_equal(read(tb.master, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

static void test_watched(void **state)
{
	(void)state;
	watch(0);
	tty_bench_show(&tb.dev, "Linux\r\n", 7);
	tty_bench_expect(tb.master, "Linux\r\n", 7);
	while (seen.n < 7)
		loop_run_once(tb.loop);
	assert_memory_equal(seen.bytes, "Linux\r\n", 7);
	tty_bench_type("a", 1);
	tty_bench_expect_typed("a", 1);
	assert_int_equal(seen.keys, 0);
}

static void test_held(void **state)
{
	(void)state;
	watch(1);
	show_unseen("one\r\ntwo\r\n");
	show_unseen("vm login: ");
	expect_nothing();
	release(2);
	tty_bench_expect(tb.master, "two\r\nvm login: ", 15);
	tty_bench_show(&tb.dev, "more", 4);
	tty_bench_expect(tb.master, "more", 4);
	tty_bench_type("a", 1);
	tty_bench_expect_typed("a", 1);
}

/* The one who watches may let it go while he is told: what comes after is shown once. */
static void test_released_from_within(void **state)
{
	(void)state;
	watch(1);
	loop_lock(tb.loop);
	terminal_attach(tb.term, &tb.dev2.port, 0);
	loop_unlock(tb.loop);
	seen.release_at = 9;
	tty_bench_show(&tb.dev, "1234\n6789", 9);
	tty_bench_show(&tb.dev2, "second", 6);
	tty_bench_expect(tb.master, "6789second", 10);
	expect_nothing();
}

static void test_keys_while_held(void **state)
{
	(void)state;
	watch(1);
	show_unseen("held\r\n");
	tty_bench_type("\r", 1);
	while (seen.keys < 1)
		loop_run_once(tb.loop);
	assert_int_equal(tb.dev.n_in, 0);
	release(0);
	tty_bench_expect(tb.master, "held\r\n", 6);
	assert_int_equal(tb.ends, 0);
}

static void test_end_while_held(void **state)
{
	(void)state;
	watch(1);
	show_unseen("last words\r\n");
	tty_bench_type("\035x", 2);
	while (tb.ends == 0)
		loop_run_once(tb.loop);
	terminal_drain(tb.term, 1000);
	tty_bench_expect(tb.master, "last words\r\n", 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_watched),
		ON(test_held),
		ON(test_released_from_within),
		ON(test_keys_while_held),
		ON(test_end_while_held),
		ON(test_wrong_options),
		ON(test_output),
		ON(test_output_is_collected),
		ON(test_two_ports),
		ON(test_no_line_within_a_line),
		ON(test_input),
		ON(test_escape),
		ON(test_escape_while_guest_is_deaf),
		ON(test_window_size),
		ON(test_hangup),
		ON(test_reader_stands_still),
		ON(test_drain_gives_up),
		ON(test_drain_writes_all),
		ON(test_reader_goes_away),
		ON(test_nonblocking_output),
		ON(test_input_from_a_pipe),
		ON(test_pipe_waits_for_the_guest),
		ON(test_input_from_files),
		ON(test_null),
		ON(test_file),
		ON(test_file_on_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
