/* SPDX-License-Identifier: BSD-2-Clause */
/* The Internet checksum, against the definition of RFC 1071 written out as a loop over 16 bits. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/net/csum.h"

/* The sum as RFC 1071 §1 defines it, in network order. */
static uint16_t slow_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint8_t bytes[70000];

static void fill(unsigned seed)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(seed = seed * 1103515245 + 12345, seed >> 16);
}

static void rfc1071_example(void **state)
{
	const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	(void)state;
	assert_int_equal(be16toh(csum_fold(csum_add(0, data, 8))), 0xddf2);
}

static void every_length_and_alignment(void **state)
{
	(void)state;
	fill(1);
	for (size_t off = 0; off < 8; off++)
		for (size_t len = 0; len < 200; len++)
			assert_int_equal(be16toh(csum_fold(csum_add(0, bytes + off, len))),
					 slow_sum(bytes + off, len));
	assert_int_equal(be16toh(csum_fold(csum_add(0, bytes, 65535))), slow_sum(bytes, 65535));
}

static void carries_are_kept(void **state)
{
	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	for (size_t len = 2; len < 65536; len = len * 3 + 2)
		assert_int_equal(be16toh(csum_fold(csum_add(0, bytes, len))), slow_sum(bytes, len));
}

static void fits_table(void **state)
{
	static const struct {
		uint16_t start, offset;
		size_t len;
		int fits;
	} row[] = {
		{34, 16, 54, 1},          {34, 16, 52, 1},      {34, 16, 51, 0}, {34, 16, 0, 0},
		{34, 16, 1, 0},           {13, 16, 60, 0},      {14, 0, 16, 1},  {14, 0, 15, 0},
		{65535, 65535, 65553, 0}, {65535, 0, 65537, 1}, {0, 0, 60, 0},   {34, 65535, 60, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct net_hdr hdr = {.csum_start = htole16(row[i].start),
				      .csum_offset = htole16(row[i].offset)};

		assert_int_equal(csum_fits(&hdr, row[i].len), row[i].fits);
	}
}

/* The frame cut at every byte, and at every two bytes, gives the same checksum. */
static void finish_over_any_cut(void **state)
{
	struct net_hdr hdr = {.csum_start = htole16(34), .csum_offset = htole16(16)};
	const size_t len = 91;
	uint16_t want;

	(void)state;
	fill(2);
	want = (uint16_t)~slow_sum(bytes + 34, len - 34);
	for (size_t a = 0; a <= len; a++)
		for (size_t b = a; b <= len; b++) {
			struct iovec v[] = {{bytes, a}, {bytes + a, b - a}, {bytes + b, len - b}};

			assert_int_equal(be16toh(csum_finish(&hdr, v, 3)), want);
		}
}

static void completed_frame_sums_to_ones(void **state)
{
	struct net_hdr hdr = {.csum_start = htole16(34), .csum_offset = htole16(16)};
	uint8_t frame[400];

	(void)state;
	for (unsigned seed = 0; seed < 300; seed++) {
		uint16_t field;

		fill(seed);
		memcpy(frame, bytes, sizeof(frame));
		/* A receiver adds the pseudo-header again: here it is what the field held. */
		memcpy(&field, frame + 50, 2);
		csum_complete(&hdr, frame, sizeof(frame));
		assert_int_equal(csum_fold(csum_add(field, frame + 34, sizeof(frame) - 34)),
				 0xffff);
	}
}

static void never_zero(void **state)
{
	struct net_hdr hdr = {.csum_start = htole16(14), .csum_offset = htole16(0)};
	uint8_t frame[16] = {0};
	uint16_t got;

	(void)state;
	/* The sum is 0xffff, whose complement is 0, which UDP would read as "none". */
	frame[14] = frame[15] = 0xff;
	csum_complete(&hdr, frame, sizeof(frame));
	memcpy(&got, frame + 14, 2);
	assert_int_equal(got, 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc1071_example),
		cmocka_unit_test(every_length_and_alignment),
		cmocka_unit_test(carries_are_kept),
		cmocka_unit_test(fits_table),
		cmocka_unit_test(finish_over_any_cut),
		cmocka_unit_test(completed_frame_sums_to_ones),
		cmocka_unit_test(never_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
