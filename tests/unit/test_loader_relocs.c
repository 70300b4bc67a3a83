/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives loader/relocs.h: both forms of the table, and tables that lie. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "loader/le.h"
#include "loader/relocs.h"

#define LINK    0x1000000ull
#define MAP     0xffffffff80000000ull
#define AT(off) ((uint32_t)(MAP + LINK + (off)))

static void tables_have_two_lists_or_three(void **state)
{
	static const struct {
		uint32_t words[8];
		size_t n;
		int r;
		size_t add64, sub32, add32;
	} cases[] = {
		{{0}, 0, -ENOENT, 0, 0, 0},
		{{0, 0}, 2, 0, 0, 0, 0},
		{{0, 0, 0}, 3, 0, 0, 0, 0},
		{{0, 1, 0, 2, 3}, 5, 0, 1, 0, 2},
		{{0, 1, 2, 0, 3, 0, 4}, 7, 0, 2, 1, 1},
		{{0, 1, 0, 0, 4}, 5, 0, 1, 0, 1},
		{{0}, 1, -EINVAL, 0, 0, 0},
		{{0, 1, 2}, 3, -EINVAL, 0, 0, 0},
		{{0, 0, 0, 0}, 4, -EINVAL, 0, 0, 0},
		{{1, 0, 0}, 3, -EINVAL, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t table[sizeof(cases[i].words)];
		struct relocs r;

		for (size_t w = 0; w < cases[i].n; w++)
			le32_put(table + 4 * w, cases[i].words[w]);
		assert_int_equal(relocs_parse(table, 4 * cases[i].n, &r), cases[i].r);
		assert_int_equal(r.add64.count, cases[i].add64);
		assert_int_equal(r.sub32.count, cases[i].sub32);
		assert_int_equal(r.add32.count, cases[i].add32);
	}
}

static void a_table_of_odd_length_is_refused(void **state)
{
	static const uint8_t table[16];
	struct relocs r;

	(void)state;
	for (size_t len = 1; len < sizeof(table); len++)
		if (len % 4 != 0)
			assert_int_equal(relocs_parse(table, len, &r), -EINVAL);
}

static void places_are_shifted_by_their_kind(void **state)
{
	uint8_t table[6 * 4], image[64] = {0};
	uint32_t words[6] = {0, AT(56), 0, AT(33), 0, AT(60 - 8)};
	struct relocs r;

	(void)state;
	for (size_t i = 0; i < 6; i++)
		le32_put(table + 4 * i, words[i]);
	le64_put(image + 56, 0xffffffff81000000ull);
	le32_put(image + 33, 0x10);
	le32_put(image + 52, 0xfffffff0);
	assert_int_equal(relocs_parse(table, sizeof(table), &r), 0);
	assert_int_equal(relocs_apply(&r, image, sizeof(image), LINK, 0x1200000), 0);
	assert_true(le64_get(image + 56) == 0xffffffff82200000ull);
	assert_int_equal(le32_get(image + 33), 0x10 - 0x1200000u);
	assert_int_equal(le32_get(image + 52), 0x11ffff0);
	assert_int_equal(le32_get(image), 0);
}

static void places_outside_the_image_are_refused(void **state)
{
	static const struct {
		uint32_t entry;
		int wide, r;
	} cases[] = {
		{AT(0), 0, 0},           {AT(60), 0, 0},           {AT(61), 0, -EINVAL},
		{AT(64), 0, -EINVAL},    {AT(-1), 0, -EINVAL},     {AT(56), 1, 0},
		{AT(57), 1, -EINVAL},    {1, 0, -EINVAL},          {0x7fffffff, 1, -EINVAL},
		{0x1000000, 0, -EINVAL}, {0xffffffff, 1, -EINVAL}, {0x80000000, 0, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t image[64] = {0}, word[4];
		struct relocs r = {0};

		le32_put(word, cases[i].entry);
		if (cases[i].wide)
			r.add64 = (struct relocs_list){word, 1};
		else
			r.add32 = (struct relocs_list){word, 1};
		assert_int_equal(relocs_apply(&r, image, sizeof(image), LINK, 0x200000),
				 cases[i].r);
		if (cases[i].wide)
			continue;
		r.sub32 = r.add32;
		r.add32 = (struct relocs_list){0};
		assert_int_equal(relocs_apply(&r, image, sizeof(image), LINK, 0x200000),
				 cases[i].r);
	}
}

/* The table that relocates itself: every word is loaded once, and the count stands. */
static void a_table_inside_the_image_ends(void **state)
{
	uint8_t image[64] = {0};
	struct relocs r;

	(void)state;
	le32_put(image + 4, AT(8));
	le32_put(image + 8, AT(4));
	le32_put(image + 16, AT(4));
	assert_int_equal(relocs_parse(image, 20, &r), 0);
	assert_int_equal(relocs_apply(&r, image, sizeof(image), LINK, 0x1000000), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_have_two_lists_or_three),
		cmocka_unit_test(a_table_of_odd_length_is_refused),
		cmocka_unit_test(places_are_shifted_by_their_kind),
		cmocka_unit_test(places_outside_the_image_are_refused),
		cmocka_unit_test(a_table_inside_the_image_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
