/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables of subcommands: what is found, and what is said where nothing is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/command.h"

static const struct command table[] = {
	{"pull", NULL, NULL, "fetch"},
	{"ls", NULL, NULL, "list"},
	{NULL, NULL, NULL, NULL},
};

static void test_find(void **state)
{
	(void)state;
	said_start();
	assert_ptr_equal(command_find(table, "skiff image", "ls"), &table[1]);
	assert_int_equal(said_count(), 0);
	assert_null(command_find(table, "skiff image", "pul"));
	assert_string_equal(said(), "pul: no such command: did you mean `skiff image pull`?");
	said_clear();
	assert_null(command_find(table, "skiff image", "something"));
	assert_string_equal(said(), "something: no such command: see `skiff image help`");
	assert_true(command_is_help("--help") && command_is_help("-h"));
	assert_false(command_is_help("help"));
}

static void test_list(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	command_list(table, "skiff image", out);
	fclose(out);
	assert_string_equal(text, "usage: skiff image COMMAND [OPTION]...\n\n"
				  "  pull     fetch\n  ls       list\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
