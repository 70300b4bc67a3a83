/* SPDX-License-Identifier: BSD-2-Clause */
/* The cursor over scattered bytes: every way to cut eight bytes, every step, all or nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/iov.h"

#define BYTES    8
#define SEGS_MAX (2 * BYTES + 1)

/*
 * Cuts 01 02 .. 08 wherever bit i of @cuts is set (after byte i), with an empty segment at each cut
 * and at both ends. The bytes of different segments do not lie together.
 */
struct scattered {
	uint8_t byte[SEGS_MAX][BYTES + 1];
	struct iovec v[SEGS_MAX + 2];
	unsigned n;
};

static void scatter(struct scattered *s, unsigned cuts, int empty_ones)
{
	memset(s, 0, sizeof(*s));
	if (empty_ones)
		s->n++;
	s->v[s->n].iov_base = s->byte[s->n];
	for (unsigned i = 0; i < BYTES; i++) {
		s->byte[s->n][s->v[s->n].iov_len++] = (uint8_t)(i + 1);
		if (i + 1 < BYTES && cuts & 1u << i) {
			s->n += empty_ones ? 2 : 1;
			s->v[s->n].iov_base = s->byte[s->n];
		}
	}
	s->n += empty_ones ? 2 : 1;
}

static void expect_bytes(const uint8_t *got, unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(got[i], from + i + 1);
}

/* Two steps of any sizes over any cut, whose bytes are known. */
static void test_get_in_two_steps(void **state)
{
	struct scattered s;
	uint8_t got[BYTES];
	struct iov iov;

	(void)state;
	for (unsigned cuts = 0; cuts < 1u << (BYTES - 1); cuts++) {
		for (unsigned first = 0; first <= BYTES; first++) {
			scatter(&s, cuts, cuts & 1);
			assert_int_equal(iov_init(&iov, s.v, s.n), 0);
			assert_int_equal(iov.left, BYTES);
			assert_int_equal(iov_get(&iov, got, first), 0);
			expect_bytes(got, 0, first);
			assert_int_equal(iov.left, BYTES - first);
			assert_int_equal(iov_get(&iov, got, BYTES - first + 1), -EMSGSIZE);
			assert_int_equal(iov_get(&iov, got, BYTES - first), 0);
			expect_bytes(got, first, BYTES - first);
			assert_int_equal(iov.left, 0);
			assert_int_equal(iov_get(&iov, got, 1), -EMSGSIZE);
			assert_int_equal(iov_get(&iov, NULL, 0), 0);
		}
	}
}

/* skip, put, zero and get follow each other over any cut. */
static void test_put_zero_skip(void **state)
{
	static const uint8_t expected[BYTES] = {1, 0xaa, 0xbb, 0xcc, 0, 0, 7, 8};
	struct scattered s;
	uint8_t got[BYTES];
	struct iov iov;

	(void)state;
	for (unsigned cuts = 0; cuts < 1u << (BYTES - 1); cuts++) {
		scatter(&s, cuts, cuts & 1);
		assert_int_equal(iov_init(&iov, s.v, s.n), 0);
		assert_int_equal(iov_skip(&iov, 1), 0);
		assert_int_equal(iov_put(&iov, "\xaa\xbb\xcc", 3), 0);
		assert_int_equal(iov_zero(&iov, 2), 0);
		assert_int_equal(iov_skip(&iov, 2), 0);
		assert_int_equal(iov_skip(&iov, 1), -EMSGSIZE);
		assert_int_equal(iov_init(&iov, s.v, s.n), 0);
		assert_int_equal(iov_get(&iov, got, BYTES), 0);
		assert_memory_equal(got, expected, BYTES);
	}
}

/* A step too long changes neither bytes nor cursor. */
static void test_all_or_nothing(void **state)
{
	struct scattered s;
	uint8_t got[BYTES] = {0}, none[BYTES] = {0};
	struct iov iov, before;

	(void)state;
	scatter(&s, 0x15, 1);
	assert_int_equal(iov_init(&iov, s.v, s.n), 0);
	assert_int_equal(iov_skip(&iov, 3), 0);
	before = iov;
	assert_int_equal(iov_get(&iov, got, 6), -EMSGSIZE);
	assert_memory_equal(got, none, BYTES);
	assert_int_equal(iov_put(&iov, "zzzzzz", 6), -EMSGSIZE);
	assert_int_equal(iov_zero(&iov, SIZE_MAX), -EMSGSIZE);
	assert_int_equal(iov_skip(&iov, SIZE_MAX), -EMSGSIZE);
	assert_memory_equal(&iov, &before, sizeof(iov));
	assert_int_equal(iov_get(&iov, got, 5), 0);
	expect_bytes(got, 3, 5);
}

static void test_init(void **state)
{
	struct iovec v[3] = {{(void *)1, SIZE_MAX - 1}, {NULL, 0}, {(void *)1, 1}};
	struct iov iov;

	(void)state;
	assert_int_equal(iov_init(&iov, v, 3), 0);
	assert_true(iov.left == SIZE_MAX);
	v[2].iov_len = 2;
	assert_int_equal(iov_init(&iov, v, 3), -EOVERFLOW);
	assert_int_equal(iov_init(&iov, NULL, 0), 0);
	assert_int_equal(iov.left, 0);
	assert_null(iov_cut_last(&iov));
	assert_int_equal(iov_take(&iov, 0, NULL, 0), 0);
}

static void test_take(void **state)
{
	struct scattered s;

	(void)state;
	for (unsigned cuts = 0; cuts < 1u << (BYTES - 1); cuts++) {
		for (unsigned skip = 0; skip < BYTES; skip++) {
			unsigned len = BYTES - skip;
			struct iovec out[SEGS_MAX];
			struct iov iov, before, taken;
			uint8_t got[BYTES];
			int n;

			scatter(&s, cuts, cuts & 1);
			iov_init(&iov, s.v, s.n);
			iov_skip(&iov, skip);
			before = iov;
			assert_int_equal(iov_take(&iov, len + 1, out, SEGS_MAX), -EMSGSIZE);
			n = iov_take(&iov, len, out, SEGS_MAX);
			assert_int_equal(n, 1 + __builtin_popcount(cuts >> skip));
			assert_int_equal(iov.left, 0);
			for (int i = 0; i < n; i++)
				assert_true(out[i].iov_len > 0);
			assert_int_equal(iov_init(&taken, out, (unsigned)n), 0);
			assert_int_equal(iov_get(&taken, got, len), 0);
			expect_bytes(got, skip, len);
			/* One segment too few: refused, cursor where it was. */
			iov = before;
			assert_int_equal(iov_take(&iov, len, out, (unsigned)n - 1), -E2BIG);
			assert_memory_equal(&iov, &before, sizeof(iov));
		}
	}
}

/* Cut all bytes from the end, one by one, with the cursor anywhere: each is where it lay. */
static void test_cut_last(void **state)
{
	struct scattered s;

	(void)state;
	for (unsigned cuts = 0; cuts < 1u << (BYTES - 1); cuts++) {
		for (unsigned skip = 0; skip <= BYTES; skip++) {
			uint8_t got[BYTES];
			struct iov iov;

			scatter(&s, cuts, cuts & 1);
			iov_init(&iov, s.v, s.n);
			iov_skip(&iov, skip);
			for (unsigned left = BYTES - skip; left > 0; left--) {
				uint8_t *last = iov_cut_last(&iov);
				struct iov data = iov;

				assert_non_null(last);
				assert_int_equal(*last, skip + left);
				assert_int_equal(iov.left, left - 1);
				assert_int_equal(iov_get(&data, got, left), -EMSGSIZE);
				assert_int_equal(iov_get(&data, got, left - 1), 0);
				expect_bytes(got, skip, left - 1);
			}
			assert_null(iov_cut_last(&iov));
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_in_two_steps),
		cmocka_unit_test(test_put_zero_skip),
		cmocka_unit_test(test_all_or_nothing),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_cut_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
