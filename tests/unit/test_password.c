/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives vmm/password.h: from a pipe, and on a terminal whose other end is this test's. */
#include <crypt.h>
#include <errno.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/lib/cases.h"
#include "tests/lib/said.h"
#include "vmm/password.h"

static int is_hash_of(const char *password, const char *hash)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *again = crypt_r(password, hash, data);
	int same = again && strcmp(again, hash) == 0;

	free(data);
	return same;
}

static void hashes_are_salted(void **state)
{
	char a[PASSWORD_HASH_SIZE], b[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("secret", a), 0);
	assert_int_equal(password_hash("secret", b), 0);
	assert_memory_equal(a, "$6$", 3);
	assert_string_not_equal(a, b);
	assert_true(is_hash_of("secret", a));
	assert_true(is_hash_of("secret", b));
	assert_false(is_hash_of("Secret", a));
}

#define L50 "12345678901234567890123456789012345678901234567890"

static void a_line_of_a_pipe(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *password; /* NULL: refused */
		const char *rest;     /* what must still be there to read */
	} cases[] = {
		{"secret\nhello", 12, "secret", "hello"},
		{"secret", 6, "secret", ""},
		{"two words \n", 11, "two words ", ""},
		{"\xc3\xa4\t\"\\\n", 6, "\xc3\xa4\t\"\\", ""},
		{"", 0, NULL, ""},
		{"\nsecret\n", 8, NULL, "secret\n"},
		{"a\0b\nrest", 8, NULL, "rest"},
		{L50 L50 L50 L50 L50 "12345\nx", 257, L50 L50 L50 L50 L50 "12345", "x"},
		{L50 L50 L50 L50 L50 "123456\nx", 258, NULL, "x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char hash[PASSWORD_HASH_SIZE], rest[64] = "";
		int p[2];

		case_begin("line %zu", i);
		assert_int_equal(pipe(p), 0);
		assert_int_equal(write(p[1], cases[i].text, cases[i].len), (ssize_t)cases[i].len);
		close(p[1]);
		said_clear();
		if (cases[i].password) {
			CHECK(password_ask(p[0], "jan", hash) == 0);
			CHECK(is_hash_of(cases[i].password, hash));
			CHECK(said_count() == 0);
		} else {
			CHECK(password_ask(p[0], "jan", hash) == -EINVAL);
			CHECK(said_count() == 1);
		}
		CHECK(read(p[0], rest, sizeof(rest) - 1) == (ssize_t)strlen(cases[i].rest));
		CHECK(strcmp(rest, cases[i].rest) == 0);
		close(p[0]);
	}
	case_begin("forgotten");
	{
		char rest[64] = "";
		int p[2];

		assert_int_equal(pipe(p), 0);
		assert_int_equal(write(p[1], "secret\nhello", 12), 12);
		close(p[1]);
		password_skip(p[0]);
		CHECK(read(p[0], rest, sizeof(rest) - 1) == 5 && strcmp(rest, "hello") == 0);
		password_skip(p[0]); /* at its end */
		close(p[0]);
	}
	case_begin("standard input is closed");
	said_clear();
	CHECK(password_ask(1023, "jan", (char[PASSWORD_HASH_SIZE]){0}) == -EBADF);
	CHECK(said_count() == 1);
}

/* --- on a terminal ---------------------------------------------------------------------------- */

static int master;
static char seen[4096]; /* all that the terminal showed */
static pid_t child;

/* In a process of its own, whose terminal it is, and which ends with what it found. */
static void ask_on_a_terminal(const char *want)
{
	seen[0] = '\0';
	child = forkpty(&master, NULL, NULL, NULL);
	assert_true(child >= 0);
	if (child == 0) {
		char hash[PASSWORD_HASH_SIZE] = "";
		int r = password_ask(STDIN_FILENO, "jan", hash);

		_exit(r == 0 ? (is_hash_of(want, hash) ? 0 : 1) : -r);
	}
}

/* Reads on until the terminal has shown @text once more than before. */
static void wait_for(const char *text)
{
	size_t len = strlen(seen), from = len;

	while (!strstr(seen + from, text)) {
		ssize_t n = read(master, seen + len, sizeof(seen) - 1 - len);

		if (n <= 0)
			fail_msg("the terminal never showed \"%s\", but: %s", text, seen);
		len += (size_t)n;
		seen[len] = '\0';
	}
}

static void type(const char *text)
{
	assert_int_equal(write(master, text, strlen(text)), (ssize_t)strlen(text));
}

static int echo_of(int fd)
{
	struct termios mode;

	return tcgetattr(fd, &mode) == 0 && (mode.c_lflag & ECHO);
}

static int echo_is_on(void)
{
	return echo_of(master);
}

static int end_of_child(void)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void typed_twice_and_never_shown(void **state)
{
	int status;

	(void)state;
	ask_on_a_terminal("secret word");
	wait_for("user jan: ");
	assert_false(echo_is_on());
	type("secret word\n");
	wait_for("for jan: ");
	assert_false(echo_is_on());
	type("secret wort\177d\n");
	wait_for("\n");
	status = end_of_child();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_null(strstr(seen, "secret"));
	assert_true(echo_is_on());
	close(master);
}

static void mistakes_at_the_terminal(void **state)
{
	static const struct {
		const char *first, *second;
	} cases[] = {
		{"secret\n", "secreT\n"},
		{"secret\n", "\n"},
		{"secret\n", "\4"}, /* Ctrl-D */
		{"\n", NULL},
		{"\4", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status;

		case_begin("mistake %zu", i);
		ask_on_a_terminal("secret");
		wait_for("user jan: ");
		type(cases[i].first);
		if (cases[i].second) {
			wait_for("for jan: ");
			type(cases[i].second);
		}
		wait_for("\n");
		status = end_of_child();
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EINVAL);
		CHECK(echo_is_on());
		close(master);
	}
}

/* By a key and from elsewhere, at either question: the terminal first, the signal then. */
static void a_signal_gives_the_terminal_back(void **state)
{
	static const struct {
		int sig;
		const char *key;
	} cases[] = {{SIGINT, "\3"}, {SIGQUIT, "\34"}, {SIGTERM, NULL}, {SIGHUP, NULL}};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		int status;

		case_begin("signal %d, question %zu", cases[i / 2].sig, i % 2);
		ask_on_a_terminal("secret");
		wait_for("user jan: ");
		if (i % 2) {
			type("secret\n");
			wait_for("for jan: ");
		}
		CHECK(!echo_is_on());
		if (cases[i / 2].key)
			type(cases[i / 2].key);
		else
			kill(child, cases[i / 2].sig);
		status = end_of_child();
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == cases[i / 2].sig);
		CHECK(echo_is_on());
		close(master);
	}
}

/* What a shell does: a job in the foreground, which is stopped and continued. 0 if all went well.
 */
static int shell(void)
{
	int status, go[2], echo;
	char c;
	pid_t job;

	if (pipe(go) || (job = fork()) < 0)
		return 10;
	if (job == 0) {
		char hash[PASSWORD_HASH_SIZE];

		if (read(go[0], &c, 1) != 1)
			_exit(11);
		_exit(password_ask(STDIN_FILENO, "jan", hash) || !is_hash_of("secret", hash));
	}
	setpgid(job, job);
	tcsetpgrp(STDIN_FILENO, job);
	if (write(go[1], "", 1) != 1 || waitpid(job, &status, WUNTRACED) != job)
		return 12;
	/* In the background now, where asking is allowed. */
	echo = WIFSTOPPED(status) && echo_of(STDIN_FILENO);
	kill(job, SIGCONT);
	if (waitpid(job, &status, 0) != job)
		return 13;
	return echo ? WEXITSTATUS(status) : 14;
}

static void stopped_and_continued_it_asks_again(void **state)
{
	int status;

	(void)state;
	seen[0] = '\0';
	child = forkpty(&master, NULL, NULL, NULL);
	assert_true(child >= 0);
	if (child == 0)
		_exit(shell());
	wait_for("user jan: ");
	type("half\032"); /* Ctrl-Z */
	wait_for("user jan: ");
	type("secret\n");
	wait_for("for jan: ");
	type("secret\n");
	status = end_of_child();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_salted),
		cmocka_unit_test(a_line_of_a_pipe),
		cmocka_unit_test(typed_twice_and_never_shown),
		cmocka_unit_test(mistakes_at_the_terminal),
		cmocka_unit_test(a_signal_gives_the_terminal_back),
		cmocka_unit_test(stopped_and_continued_it_asks_again),
	};

	said_start();
	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
