/* SPDX-License-Identifier: BSD-2-Clause */
/* The progress line: what it says at each width, how it is drawn on a terminal; units. */
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/image/progress.h"
#include "loader/image/units.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define MIB      (1024ull * 1024)

static void test_units(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} table[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1024 * 1024 - 1, "1.0 MiB"},
		{622003200, "593.2 MiB"},
		{1ull << 40, "1.0 TiB"},
		{UINT64_MAX, "16.0 EiB"},
	};
	char out[UNITS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < N(table); i++)
		assert_string_equal(units_bytes(table[i].bytes, out), table[i].text);
	assert_string_equal(units_seconds(0, out), "0:00");
	assert_string_equal(units_seconds(61, out), "1:01");
	assert_string_equal(units_seconds(3723, out), "1:02:03");
	assert_string_equal(units_seconds(UINT64_MAX, out), "days");
}

static void test_lines(void **state)
{
	static const struct {
		struct progress p;
		unsigned width;
		const char *line;
	} table[] = {
		{{.name = "ubuntu:24.04",
		  .done = 255 * MIB,
		  .total = 593 * MIB,
		  .rate = 11.0 * MIB},
		 100,
		 "ubuntu:24.04  43% [##############                   ]  255.0 MiB of 593.0 MiB  11.0 "
		 "MiB/s  0:31 left"},
		{{.name = "ubuntu:24.04",
		  .done = 255 * MIB,
		  .total = 593 * MIB,
		  .rate = 11.0 * MIB},
		 79,
		 "ubuntu:24.04  43% [#####       ]  255.0 MiB of 593.0 MiB  11.0 MiB/s  0:31 left"},
		{{.name = "ubuntu:24.04",
		  .done = 255 * MIB,
		  .total = 593 * MIB,
		  .rate = 11.0 * MIB},
		 60,
		 "ubuntu:24.04  43%  255.0 MiB of 593.0 MiB  11.0 MiB/s"},
		{{.name = "ubuntu:24.04",
		  .done = 255 * MIB,
		  .total = 593 * MIB,
		  .rate = 11.0 * MIB},
		 45,
		 "ubuntu:24.04  43%  255.0 MiB of 593.0 MiB"},
		{{.name = "ubuntu:24.04",
		  .done = 255 * MIB,
		  .total = 593 * MIB,
		  .rate = 11.0 * MIB},
		 38,
		 "ubuntu:24  43%  255.0 MiB of 593.0 MiB"},
		{{.name = "ubuntu:24.04",
		  .done = 255 * MIB,
		  .total = 593 * MIB,
		  .rate = 11.0 * MIB},
		 20,
		 "ubuntu:24.04  43%"},
		{{.name = "ubuntu:24.04", .done = 5, .total = 10}, 9, "ubun  50%"},
		{{.name = "ubuntu:24.04", .done = 5, .total = 10}, 3, ""},
		{{.name = "a", .done = 3 * MIB}, 79, "a  3.0 MiB"},
		{{.name = "a", .done = 3 * MIB, .rate = 2048}, 79, "a  3.0 MiB  2.0 KiB/s"},
		{{.name = "a", .done = 10, .total = 10, .rate = 5},
		 79,
		 "a 100% [######################################]  10 B of 10 B  5 B/s"},
		/* the server sent more than it said: never more than all */
		{{.name = "a", .done = 30, .total = 10}, 24, "a 100%  30 B of 10 B"},
		{{.name = "a", .done = 5, .total = 10, .rate = 9, .note = "trying again in 2 s"},
		 50,
		 "a  50% [###    ]  5 B of 10 B  trying again in 2 s"},
	};
	char out[PROGRESS_WIDTH_MAX + 1];

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		progress_line(&table[i].p, table[i].width, out);
		if (strcmp(out, table[i].line) != 0)
			fail_msg("width %u: `%s`, not `%s`", table[i].width, out, table[i].line);
	}
}

/* Whatever the numbers: never wider than asked, and no blank at the end. */
static void test_width_is_kept(void **state)
{
	static const uint64_t numbers[] = {0, 1, 1023, 5 * MIB, 999 * MIB, 1ull << 40, UINT64_MAX};
	char out[PROGRESS_WIDTH_MAX + 1];

	(void)state;
	for (unsigned width = 0; width <= PROGRESS_WIDTH_MAX + 10; width++) {
		for (size_t i = 0; i < N(numbers) * N(numbers); i++) {
			struct progress p = {.name = "a-name-of-some-length:1.2",
					     .done = numbers[i / N(numbers)],
					     .total = numbers[i % N(numbers)],
					     .rate = (double)(i * 77777)};
			size_t n;

			progress_line(&p, width, out);
			n = strlen(out);
			assert_true(n <= width);
			assert_true(n == 0 || out[n - 1] != ' ');
		}
	}
}

static void test_on_a_terminal(void **state)
{
	struct winsize size = {.ws_col = 60, .ws_row = 24};
	struct progress p;
	char out[4096];
	int main_end, end;
	ssize_t n;

	(void)state;
	assert_int_equal(openpty(&main_end, &end, NULL, NULL, &size), 0);
	progress_start(&p, end, "disk");
	progress_from(&p, 10, 1000);
	n = read(main_end, out, sizeof(out) - 1);
	assert_true(n > 0);
	out[n] = '\0';
	assert_memory_equal(out, "\rdisk   1% [", 12);
	assert_null(strchr(out, '\n'));
	/* A second look at once draws nothing; the end leaves an empty line. */
	progress_set(&p, 20);
	progress_end(&p);
	n = read(main_end, out, sizeof(out) - 1);
	assert_true(n > 2);
	out[n] = '\0';
	assert_int_equal(strspn(out + 1, " "), n - 2);
	assert_int_equal(out[n - 1], '\r');
	close(main_end);
	close(end);
}

static void test_not_on_a_pipe(void **state)
{
	struct progress p;
	int fds[2];
	char c;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	progress_start(&p, fds[1], "disk");
	progress_from(&p, 10, 1000);
	progress_note(&p, "waiting");
	progress_end(&p);
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 0);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units),         cmocka_unit_test(test_lines),
		cmocka_unit_test(test_width_is_kept), cmocka_unit_test(test_on_a_terminal),
		cmocka_unit_test(test_not_on_a_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
