/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages: what reaches standard error byte by byte, what a sink gets, what is dropped. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/log.h"

static char captured[4096];
static int pipe_fd[2], stderr_copy;

static void capture_start(void)
{
	log_set_sink(NULL, NULL);
	assert_int_equal(pipe(pipe_fd), 0);
	stderr_copy = dup(STDERR_FILENO);
	assert_true(stderr_copy >= 0);
	assert_int_equal(dup2(pipe_fd[1], STDERR_FILENO), STDERR_FILENO);
}

static const char *capture_end(void)
{
	ssize_t n;

	assert_int_equal(dup2(stderr_copy, STDERR_FILENO), STDERR_FILENO);
	close(stderr_copy);
	close(pipe_fd[1]);
	n = read(pipe_fd[0], captured, sizeof(captured) - 1);
	close(pipe_fd[0]);
	assert_true(n >= 0);
	captured[n] = '\0';
	return captured;
}

static void test_prefixes(void **state)
{
	static const struct {
		enum log_level level;
		const char *expected;
	} table[] = {
		{LOG_ERROR, "skiff: disk: 7\n"},
		{LOG_WARN, "skiff: warning: disk: 7\n"},
		{LOG_INFO, "skiff: disk: 7\n"},
		{LOG_DEBUG, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		capture_start();
		log_line(table[i].level, "disk: %d", 7);
		assert_string_equal(capture_end(), table[i].expected);
	}
}

static void test_levels(void **state)
{
	(void)state;
	said_start();
	for (int limit = LOG_ERROR; limit <= LOG_DEBUG; limit++) {
		log_set_level((enum log_level)limit);
		for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
			said_clear();
			log_line((enum log_level)level, "x");
			assert_int_equal(said_count(), level <= limit);
		}
	}
	/* What explains a failure is never dropped. */
	log_set_level(LOG_ERROR);
	said_clear();
	assert_int_equal(log_fail(-EINVAL, "why"), -EINVAL);
	assert_string_equal(said(), "why");
	log_set_level(LOG_INFO);
}

static void test_not_printable(void **state)
{
	static const struct {
		const char *input, *expected;
	} table[] = {
		{"plain ~ text", "plain ~ text"},
		{"\033[2Jgone", "?[2Jgone"},
		{"two\nlines\r", "two?lines?"},
		{"tab\tbell\a", "tab?bell?"},
		{"\x7f\x80\xff", "???"},
		{"\xc3\xa9", "??"},
		{"%s%n", "%s%n"},
		{"", ""},
	};

	(void)state;
	said_start();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		log_line(LOG_WARN, "%s", table[i].input);
		assert_string_equal(said(), table[i].expected);
		log_fail(-EIO, "%s", table[i].input);
		assert_string_equal(said(), table[i].expected);
	}
}

/* However long the words, a line is one line with its newline, cut at 1 KiB. */
static void test_long(void **state)
{
	static char words[3000];

	(void)state;
	for (size_t n = 980; n < sizeof(words); n += n < 1040 ? 1 : 500) {
		const char *got;
		size_t len;

		memset(words, 'a', n);
		words[n] = '\0';
		capture_start();
		log_line(LOG_ERROR, "%s", words);
		got = capture_end();
		len = strlen(got);
		assert_true(len <= 1024);
		assert_int_equal(len, n + 8 <= 1023 ? n + 8 : 1023);
		assert_ptr_equal(strchr(got, '\n'), got + len - 1);
	}
}

static void test_keeps_errno(void **state)
{
	(void)state;
	capture_start();
	errno = ERANGE;
	log_line(LOG_ERROR, "x");
	assert_int_equal(errno, ERANGE);
	close(STDERR_FILENO);
	log_line(LOG_ERROR, "nobody hears this");
	assert_int_equal(errno, ERANGE);
	capture_end();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes),      cmocka_unit_test(test_levels),
		cmocka_unit_test(test_not_printable), cmocka_unit_test(test_long),
		cmocka_unit_test(test_keeps_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
