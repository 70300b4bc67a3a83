/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status line of a machine that starts: its text, and, on a pseudo-terminal, how it and the
 * guest's console share the screen.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "tests/lib/tty_bench.h"
#include "vmm/boot_status.h"
#include "vmm/log.h"

#define S 1000000000ull

static void test_text(void **state)
{
	struct boot_status s = {.name = "jammy", .hint = "", .start_ns = 100 * S};
	char text[256];

	(void)state;
	s.doing = "looking for the kernel";
	boot_status_compose(&s, 102 * S, 80, text, sizeof(text));
	assert_string_equal(text, "skiff: jammy: looking for the kernel 2 s");

	s.watch.at_ns[BOOT_IMAGE] = 103 * S;
	s.watch.at_ns[BOOT_ENTERED] = 103 * S + S / 2;
	s.watch.at_ns[BOOT_FIRST_BYTE] = 104 * S;
	s.watch.at_ns[BOOT_KERNEL] = 105 * S;
	s.held = 1;
	boot_status_compose(&s, 110 * S, 200, text, sizeof(text));
	assert_string_equal(text, "skiff: jammy: looking for the kernel 3.0 s, kernel 6 s"
				  "   (Enter: console, Ctrl-] x: end)");

	s.watch.at_ns[BOOT_INIT] = 112 * S;
	s.watch.at_ns[BOOT_CLOUD_NETWORK] = 115 * S;
	boot_status_compose(&s, 116 * S, 80, text, sizeof(text));
	assert_string_equal(text, "skiff: jammy: cloud-init network 1 s"
				  "   (Enter: console, Ctrl-] x: end)");
	s.held = 0;
	boot_status_compose(&s, 116 * S, 72, text, sizeof(text));
	assert_string_equal(text, "skiff: jammy: kernel 8.5 s, init 3.0 s, cloud-init network 1 s");
	s.held = 1;
	boot_status_compose(&s, 116 * S, 60, text, sizeof(text));
	assert_string_equal(text, "skiff: jammy: cloud-init network 1 s");
	boot_status_compose(&s, 102 * S, 20, text, sizeof(text));
	assert_string_equal(text, "looking for the kern");
	/* Whatever the width, never more than it. */
	for (unsigned columns = 0; columns < 120; columns++) {
		boot_status_compose(&s, 116 * S, columns, text, sizeof(text));
		assert_true(strlen(text) <= columns);
	}

	s.watch.at_ns[BOOT_LOGIN] = 117 * S;
	s.held = 0;
	boot_status_compose(&s, 118 * S, 200, text, sizeof(text));
	assert_string_equal(text, "skiff: jammy: looking for the kernel 3.0 s, kernel 8.5 s, "
				  "init 3.0 s, cloud-init network 2.0 s");
}

/* --- on a terminal --------------------------------------------------------------------------- */

static struct boot_status status;
static int old_stderr;

static void start(void)
{
	tty_bench_need_loop();
	setenv("TERM", "xterm", 1);
	old_stderr = dup(STDERR_FILENO);
	log_set_sink(NULL, NULL); /* messages go where the status line is */
	dup2(tb.slave, STDERR_FILENO);
	boot_status_begin(&status, "jammy", 1, 0);
	status.hint = "ssh -p 2222 me@127.0.0.1";
	boot_status_doing(&status, "looking for the kernel");
	assert_int_equal(terminal_open(&tb.term, &(struct terminal_params){.loop = tb.loop,
									   .spec = "stdio",
									   .in = tb.slave,
									   .out = tb.slave,
									   .end = tty_bench_end,
									   .arg = &tb.dev}),
			 0);
	boot_status_attach(&status, tb.loop, tb.term);
	loop_lock(tb.loop);
	terminal_attach(tb.term, &tb.dev.port, 1);
	loop_unlock(tb.loop);
}

static int down(void **state)
{
	if (tb.loop) {
		boot_status_detach(&status);
		dup2(old_stderr, STDERR_FILENO);
		close(old_stderr);
		log_over_status(0);
	}
	return tty_bench_down(state);
}

/* All that the screen was sent until @last has come. */
static const char *screen_until(const char *last)
{
	static char got[65536];
	size_t n = 0;

	got[0] = '\0';
	while (!strstr(got, last)) {
		ssize_t r = read(tb.master, got + n, sizeof(got) - 1 - n);

		if (r <= 0) {
			loop_run_once(tb.loop);
			continue;
		}
		n += (size_t)r;
		got[n] = '\0';
	}
	return got;
}

static void guest_says(const char *text)
{
	tty_bench_show(&tb.dev, text, strlen(text));
}

static void test_until_login(void **state)
{
	const char *screen;

	(void)state;
	start();
	screen_until("looking for the kernel");
	guest_says("Linux version 6.1\r\n");
	screen = screen_until("Enter: console");
	assert_null(strstr(screen, "Linux version"));
	guest_says("noise\r\nDebian 12 vm ttyS0\r\n\r\nvm login: ");
	screen = screen_until("vm login: ");
	assert_non_null(strstr(screen, "skiff: jammy: ready after"));
	assert_non_null(strstr(screen, "ssh -p 2222 me@127.0.0.1"));
	assert_non_null(strstr(screen, "Debian 12 vm ttyS0\r\n\r\nvm login: "));
	assert_null(strstr(screen, "noise"));
	/* From here on what is typed is the guest's. */
	tty_bench_type("r", 1);
	tty_bench_expect_typed("r", 1);
}

static void test_key_shows_the_console(void **state)
{
	const char *screen;

	(void)state;
	start();
	guest_says("Linux version 6.1\r\n");
	screen_until("Enter: console");
	tty_bench_type("\r", 1);
	screen = screen_until("Linux version 6.1\r\n");
	assert_non_null(strstr(screen, "once it is up: ssh -p 2222 me@127.0.0.1"));
	guest_says("vm login: ");
	screen = screen_until("vm login: ");
	assert_null(strstr(screen, "ready"));
}

static void test_trouble_shows_the_console(void **state)
{
	const char *screen;

	(void)state;
	start();
	guest_says("Linux version 6.1\r\n");
	guest_says("Kernel panic - not syncing: no init\r\n");
	/* The message first, then all that the guest said. */
	screen = screen_until("Linux version 6.1\r\nKernel panic - not syncing: no init\r\n");
	assert_non_null(strstr(screen, "the guest has stopped: Kernel panic"));
}

static void test_a_message_takes_the_lines_place(void **state)
{
	const char *screen;

	(void)state;
	start();
	screen_until("kernel");
	log_line(LOG_WARN, "disk: full");
	screen = screen_until("disk: full\r\n");
	assert_non_null(strstr(screen, "\r\33[Kskiff: warning: disk: full"));
}

/* Ctrl-C while an image is being looked into: the shell's prompt comes on an empty line. */
static void test_a_signal_takes_the_line_away(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, wait_status;
	char got[1024] = "";
	size_t len;
	pid_t child;

	(void)state;
	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	setenv("TERM", "xterm", 1);
	child = fork();
	if (child == 0) {
		dup2(slave, STDERR_FILENO);
		signal(SIGINT, SIG_DFL);
		boot_status_begin(&status, "jammy", 1, 0);
		boot_status_doing(&status, "looking for the kernel");
		raise(SIGINT);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &wait_status, 0), child);
	assert_true(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGINT);
	len = (size_t)read(master, got, sizeof(got) - 1);
	assert_true(len > 4 && len < sizeof(got));
	assert_non_null(strstr(got, "looking for the kernel"));
	assert_memory_equal(got + len - 4, "\r\33[K", 4);
	close(slave);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_a_signal_takes_the_line_away),
		cmocka_unit_test_setup_teardown(test_until_login, tty_bench_up, down),
		cmocka_unit_test_setup_teardown(test_key_shows_the_console, tty_bench_up, down),
		cmocka_unit_test_setup_teardown(test_trouble_shows_the_console, tty_bench_up, down),
		cmocka_unit_test_setup_teardown(test_a_message_takes_the_lines_place, tty_bench_up,
						down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
