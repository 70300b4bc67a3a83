/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of vmm/shell_word.h: words that a shell takes for what they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/tool.h"
#include "vmm/shell_word.h"

static const char *const words[][2] = {
	{"/h/ann/.ssh/id_rsa", "/h/ann/.ssh/id_rsa"},
	{"", "''"},
	{"two words", "'two words'"},
	{"it's", "'it'\\''s'"},
	{"$HOME `x` \\n", "'$HOME `x` \\n'"},
	{"/h/jos\xc3\xa9/a b", "$'/h/jos\\303\\251/a b'"},
	{"\xff'\\", "$'\\377\\047\\134'"},
};

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char text[100] = "ssh -i ", want[100];

		snprintf(want, sizeof(want), "ssh -i %s", words[i][1]);
		shell_word_add(text, sizeof(text), words[i][0]);
		assert_string_equal(text, want);
	}
}

static void test_a_shell_agrees(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char text[100] = "printf %s ", out[100] = "";

		shell_word_add(text, sizeof(text), words[i][0]);
		assert_int_equal(tool_run(out, sizeof(out), "bash", "-c", text, NULL), 0);
		assert_string_equal(out, words[i][0]);
	}
}

/* Nothing behind the end; what there is room for is there. */
static void test_no_room(void **state)
{
	(void)state;
	for (size_t size = 1; size < 60; size++)
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			char text[64];

			memset(text, 'x', sizeof(text));
			text[0] = '\0';
			shell_word_add(text, size, words[i][0]);
			assert_true(strlen(text) < size);
			for (size_t k = size; k < sizeof(text); k++)
				assert_int_equal(text[k], 'x');
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_a_shell_agrees),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
