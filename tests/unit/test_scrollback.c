/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a text: what is kept of it, and its last lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/scrollback.h"

static void test_last_lines(void **state)
{
	static const struct {
		const char *text;
		unsigned lines;
		const char *want;
	} t[] = {
		{"", 0, ""},
		{"", 3, ""},
		{"a", 1, "a"},
		{"a\nb", 1, "b"},
		{"a\nb", 2, "a\nb"},
		{"a\nb", 9, "a\nb"},
		{"a\nb\n", 1, ""},
		{"a\nb\n", 2, "b\n"},
		{"a\nb", 0, "a\nb"},
		{"\n\nc", 2, "\nc"},
		{"x\n\nvm login: ", 3, "x\n\nvm login: "},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct scrollback s = {0};
		const char *got;
		size_t len;

		scrollback_add(&s, t[i].text, strlen(t[i].text));
		got = scrollback_last(&s, t[i].lines, &len);
		assert_int_equal(len, strlen(t[i].want));
		assert_memory_equal(got, t[i].want, len);
		scrollback_free(&s);
	}
}

/* Pieces of all sizes: what is kept is the end of what was said, and no more than promised. */
static void test_keeps_the_end(void **state)
{
	static const size_t pieces[] = {1, 7, 4096, 65535, 65536, 65537, 200000, 3, 40000};
	size_t total = 0, len;
	uint8_t *all = malloc(1u << 22);
	struct scrollback s = {0};

	(void)state;
	assert_non_null(all);
	for (unsigned i = 0; i < 60; i++) {
		size_t n = pieces[i % (sizeof(pieces) / sizeof(pieces[0]))];
		const char *got;

		if (total + n > 1u << 22)
			break;
		for (size_t k = 0; k < n; k++)
			all[total + k] = (uint8_t)((total + k) * 31 >> 3);
		scrollback_add(&s, all + total, n);
		total += n;
		got = scrollback_last(&s, 0, &len);
		assert_true(len <= SCROLLBACK_BYTES);
		assert_true(len >= (total < SCROLLBACK_BYTES / 2 ? total : SCROLLBACK_BYTES / 2));
		assert_memory_equal(got, all + total - len, len);
	}
	scrollback_free(&s);
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_lines),
		cmocka_unit_test(test_keeps_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
