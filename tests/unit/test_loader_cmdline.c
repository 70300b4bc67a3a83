/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives loader/cmdline.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/cmdline.h"
#include "tests/lib/said.h"

static void words_are_joined_by_one_space(void **state)
{
	struct cmdline c = {0};

	(void)state;
	assert_int_equal(cmdline_append(&c, ""), 0);
	assert_null(c.text);
	assert_int_equal(cmdline_append(&c, "console=ttyS0"), 0);
	assert_int_equal(cmdline_append(&c, "quiet ro"), 0);
	assert_int_equal(cmdline_append(&c, ""), 0);
	assert_string_equal(c.text, "console=ttyS0 quiet ro");
	assert_int_equal(c.len, strlen(c.text));
	cmdline_free(&c);
	cmdline_free(&c);
}

static void control_characters_are_refused(void **state)
{
	struct cmdline c = {0};

	(void)state;
	assert_int_equal(cmdline_append(&c, "quiet\tro"), 0);
	assert_int_equal(cmdline_append(&c, "a\nb"), -EINVAL);
	assert_int_equal(cmdline_append(&c, "\033[2J"), -EINVAL);
	assert_non_null(strstr(said(), "on one line"));
	assert_string_equal(c.text, "quiet\tro");
	cmdline_free(&c);
}

static void the_line_has_a_bound(void **state)
{
	struct cmdline c = {0};
	char *big = malloc(CMDLINE_SIZE_MAX + 1);

	(void)state;
	assert_non_null(big);
	memset(big, 'x', CMDLINE_SIZE_MAX);
	big[CMDLINE_SIZE_MAX] = '\0';
	assert_int_equal(cmdline_append(&c, big), -E2BIG);
	assert_int_equal(cmdline_append(&c, big + 1), 0);
	assert_int_equal(c.len, CMDLINE_SIZE_MAX - 1);
	assert_int_equal(cmdline_append(&c, "y"), -E2BIG);
	assert_int_equal(c.len, CMDLINE_SIZE_MAX - 1);
	free(big);
	cmdline_free(&c);
}

static void a_word_is_found_alone(void **state)
{
	static const struct {
		const char *text;
		int found;
	} cases[] = {
		{"", 0},          {"nokaslr", 1},  {"quiet nokaslr", 1},   {"  nokaslr\tquiet", 1},
		{"nokaslr=1", 0}, {"xnokaslr", 0}, {"nokaslrx nokasl", 0}, {"a=nokaslr", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(cmdline_has_word(cases[i].text, "nokaslr"), cases[i].found);
}

static void the_last_value_counts(void **state)
{
	static const struct {
		const char *text, *value;
	} cases[] = {
		{"", NULL},
		{"console", NULL},
		{"xconsole=a", NULL},
		{"console=", ""},
		{"console=tty0", "tty0"},
		{"console=tty0 console=ttyS0,115200 ro", "ttyS0,115200"},
		{"root=LABEL=x=y console=hvc0", "hvc0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = 999;
		const char *v = cmdline_value(cases[i].text, "console", &len);

		if (cases[i].value == NULL) {
			assert_null(v);
			continue;
		}
		assert_non_null(v);
		assert_int_equal(len, strlen(cases[i].value));
		assert_memory_equal(v, cases[i].value, len);
	}
}

static void too_long_says_by_how_much(void **state)
{
	struct image img = {.cmdline_max = 9};
	struct cmdline c = {0};

	(void)state;
	assert_int_equal(cmdline_check(&c, &img, "vmlinuz"), 0);
	assert_int_equal(cmdline_append(&c, "ro quiet1"), 0);
	assert_int_equal(cmdline_check(&c, &img, "vmlinuz"), 0);
	assert_int_equal(cmdline_append(&c, "ab"), 0);
	said_clear();
	assert_int_equal(cmdline_check(&c, &img, "vmlinuz"), -E2BIG);
	assert_string_equal(said(), "command line: is 3 bytes too long for kernel vmlinuz, which "
				    "takes 9; shorten it");
	cmdline_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_joined_by_one_space),
		cmocka_unit_test(control_characters_are_refused),
		cmocka_unit_test(the_line_has_a_bound),
		cmocka_unit_test(a_word_is_found_alone),
		cmocka_unit_test(the_last_value_counts),
		cmocka_unit_test(too_long_says_by_how_much),
	};

	said_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
