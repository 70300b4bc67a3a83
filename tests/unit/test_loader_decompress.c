/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives loader/decompress.h: every format there and back, and every way to be wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/decompress.h"
#include "loader/le.h"
#include "tests/lib/compress.h"

static const enum decompress_format all[] = {
	DECOMPRESS_GZIP, DECOMPRESS_XZ,   DECOMPRESS_LZMA,  DECOMPRESS_LZ4_LEGACY,
	DECOMPRESS_LZ4,  DECOMPRESS_ZSTD, DECOMPRESS_BZIP2,
};

#define FORMATS (sizeof(all) / sizeof(all[0]))

/* Half of it compresses, half does not. */
static uint8_t *content(size_t len)
{
	uint8_t *p = malloc(len + 1);
	uint32_t x = 1;

	assert_non_null(p);
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (i >> 12) & 1 ? (uint8_t)(x >> 24) : (uint8_t)(i >> 8);
	}
	return p;
}

/* A buffer of exactly @cap bytes, so that ASan sees the first byte past it. */
static int unpack(const uint8_t *src, size_t len, size_t cap, const uint8_t *want, size_t *got)
{
	uint8_t *dst = malloc(cap ? cap : 1);
	int r;

	assert_non_null(dst);
	r = decompress(src, len, dst, cap, got);
	assert_true(*got <= cap);
	if (r == 0 && want != NULL)
		assert_memory_equal(dst, want, *got);
	free(dst);
	return r;
}

static void every_format_unpacks_into_exactly_its_length(void **state)
{
	static const size_t lens[] = {1, 4095, 300000};

	(void)state;
	for (size_t f = 0; f < FORMATS; f++)
		for (size_t l = 0; l < sizeof(lens) / sizeof(lens[0]); l++) {
			uint8_t *plain = content(lens[l]);
			size_t packed_len, got;
			uint8_t *packed = compress_bytes(all[f], plain, lens[l], &packed_len);

			assert_int_equal(decompress_probe(packed, packed_len), all[f]);
			assert_int_equal(unpack(packed, packed_len, lens[l], plain, &got), 0);
			assert_int_equal(got, lens[l]);
			assert_int_equal(unpack(packed, packed_len, lens[l] + 9, plain, &got), 0);
			assert_int_equal(got, lens[l]);
			free(packed);
			free(plain);
		}
}

static void too_small_a_buffer_is_an_error_and_never_overrun(void **state)
{
	static const size_t caps[] = {0, 1, 4096, 150000, 299999};
	uint8_t *plain = content(300000);

	(void)state;
	for (size_t f = 0; f < FORMATS; f++) {
		size_t len, got;
		uint8_t *packed = compress_bytes(all[f], plain, 300000, &len);
		int want = all[f] == DECOMPRESS_LZ4_LEGACY ? -EBADMSG : -ENOSPC;

		for (size_t c = 0; c < sizeof(caps) / sizeof(caps[0]); c++)
			assert_int_equal(unpack(packed, len, caps[c], NULL, &got), want);
		free(packed);
	}
	free(plain);
}

static void cut_short_is_corrupt(void **state)
{
	uint8_t *plain = content(100000);

	(void)state;
	for (size_t f = 0; f < FORMATS; f++) {
		size_t len, got;
		uint8_t *packed = compress_bytes(all[f], plain, 100000, &len);

		for (size_t cut = 1; cut < len; cut += cut < 64 || cut + 64 > len ? 1 : 997) {
			uint8_t *exact = malloc(cut);
			int r;

			assert_non_null(exact);
			memcpy(exact, packed, cut);
			r = unpack(exact, cut, 100000, NULL, &got);
			free(exact);
			/* Without its length field, an LZ4 legacy stream of none is whole. */
			if (all[f] == DECOMPRESS_LZ4_LEGACY && cut == 4)
				assert_true(r == 0 && got == 0);
			else if (decompress_probe(packed, cut) == DECOMPRESS_UNKNOWN)
				assert_int_equal(r, -ENOTSUP);
			else
				assert_int_equal(r, -EBADMSG);
		}
		free(packed);
	}
	free(plain);
}

static void damage_stays_inside_the_buffer(void **state)
{
	uint8_t *plain = content(40000);

	(void)state;
	for (size_t f = 0; f < FORMATS; f++) {
		size_t len, got;
		uint8_t *packed = compress_bytes(all[f], plain, 40000, &len);

		for (size_t at = 0; at < len; at += at < 64 ? 1 : 101) {
			packed[at] ^= 0x41;
			unpack(packed, len, 40000, NULL, &got);
			packed[at] ^= 0x41;
		}
		free(packed);
	}
	free(plain);
}

/* gzip, xz and bzip2 carry a checksum of the whole: damage to the data is always seen. */
static void checksums_are_checked(void **state)
{
	static const enum decompress_format sums[] = {DECOMPRESS_GZIP, DECOMPRESS_XZ,
						      DECOMPRESS_BZIP2};
	uint8_t *plain = content(40000);

	(void)state;
	for (size_t f = 0; f < sizeof(sums) / sizeof(sums[0]); f++) {
		size_t len, got;
		uint8_t *packed = compress_bytes(sums[f], plain, 40000, &len);

		for (size_t at = len / 4; at < len / 2; at += 57) {
			packed[at] ^= 1;
			assert_int_not_equal(unpack(packed, len, 40000, NULL, &got), 0);
			packed[at] ^= 1;
		}
		free(packed);
	}
	free(plain);
}

static void bytes_after_the_end_are_not_looked_at(void **state)
{
	uint8_t *plain = content(5000);

	(void)state;
	for (size_t f = 0; f < FORMATS; f++) {
		size_t len, got;
		uint8_t *packed = compress_bytes(all[f], plain, 5000, &len);

		packed = realloc(packed, len + 4);
		assert_non_null(packed);
		le32_put(packed + len, 5000);
		assert_int_equal(unpack(packed, len + 4, 5000, plain, &got),
				 all[f] == DECOMPRESS_LZ4_LEGACY ? -EBADMSG : 0);
		free(packed);
	}
	free(plain);
}

/* The format cuts at 8 MiB. */
static void lz4_legacy_has_several_blocks(void **state)
{
	size_t len = (8 << 20) + 12345, packed_len, got;
	uint8_t *plain = content(len);
	uint8_t *packed = compress_bytes(DECOMPRESS_LZ4_LEGACY, plain, len, &packed_len);

	(void)state;
	assert_int_equal(unpack(packed, packed_len, len, plain, &got), 0);
	assert_int_equal(got, len);
	free(packed);
	free(plain);
}

static void lz4_legacy_blocks_are_unpacked_whole_or_refused(void **state)
{
	size_t len = (40 << 20) + 777, packed_len, got, at = 4;
	uint8_t *plain = content(len);
	uint8_t *packed = compress_bytes(DECOMPRESS_LZ4_LEGACY, plain, len, &packed_len);

	(void)state;
	assert_int_equal(unpack(packed, packed_len, len, plain, &got), 0);
	assert_int_equal(got, len);
	/* More room than is needed is left alone; less is found out. */
	assert_int_equal(unpack(packed, packed_len, len + (9 << 20), plain, &got), 0);
	assert_int_equal(got, len);
	assert_int_equal(unpack(packed, packed_len, len - 1, NULL, &got), -EBADMSG);
	assert_int_equal(unpack(packed, packed_len, 8 << 20, NULL, &got), -EBADMSG);
	/* The third block claims more than there is. */
	at += 4 + le32_get(packed + at);
	at += 4 + le32_get(packed + at);
	memset(packed + at + 4, 0xff, le32_get(packed + at));
	assert_int_equal(unpack(packed, packed_len, len, NULL, &got), -EBADMSG);
	free(packed);
	free(plain);
}

/* Nobody says that only the last block may be short. */
static void short_lz4_legacy_blocks_are_put_together(void **state)
{
	uint8_t *plain = content(6000), two[20000];
	size_t a, b, got;
	uint8_t *first = compress_bytes(DECOMPRESS_LZ4_LEGACY, plain, 2500, &a);
	uint8_t *second = compress_bytes(DECOMPRESS_LZ4_LEGACY, plain + 2500, 3500, &b);

	(void)state;
	memcpy(two, first, a);
	memcpy(two + a, second + 4, b - 4); /* without its magic */
	assert_int_equal(unpack(two, a + b - 4, 6000, plain, &got), 0);
	assert_int_equal(got, 6000);
	assert_int_equal(unpack(two, a + b - 4, 20 << 20, plain, &got), 0);
	assert_int_equal(got, 6000);
	free(first);
	free(second);
	free(plain);
}

static void lz4_legacy_streams_may_be_joined(void **state)
{
	uint8_t *plain = content(6000), two[20000];
	size_t a, b, got;
	uint8_t *first = compress_bytes(DECOMPRESS_LZ4_LEGACY, plain, 2500, &a);
	uint8_t *second = compress_bytes(DECOMPRESS_LZ4_LEGACY, plain + 2500, 3500, &b);

	(void)state;
	memcpy(two, first, a);
	memcpy(two + a, second, b);
	assert_int_equal(unpack(two, a + b, 6000, plain, &got), 0);
	assert_int_equal(got, 6000);
	free(first);
	free(second);
	free(plain);
}

static void an_empty_or_huge_lz4_block_is_corrupt(void **state)
{
	uint8_t s[64] = {0x02, 0x21, 0x4c, 0x18};
	size_t got;

	(void)state;
	assert_int_equal(unpack(s, sizeof(s), 100, NULL, &got), -EBADMSG);
	le32_put(s + 4, 0xffffffff);
	assert_int_equal(unpack(s, sizeof(s), 100, NULL, &got), -EBADMSG);
}

/* A dictionary of 4 GiB - 1 is what the header asks for; it must not be allocated. */
static void a_dictionary_past_the_limit_is_refused(void **state)
{
	uint8_t s[64] = {0x5d, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	size_t got;

	(void)state;
	le32_put(s + 1, 0xf0000000);
	assert_int_equal(unpack(s, sizeof(s), 100, NULL, &got), -ENOMEM);
}

static void what_is_unknown_is_not_unpacked(void **state)
{
	static const uint8_t lzo[16] = {0x89, 'L', 'Z', 'O', 0, 0x0d, 0x0a, 0x1a, 0x0a};
	static const uint8_t zeros[16];
	size_t got;

	(void)state;
	assert_int_equal(unpack(lzo, sizeof(lzo), 100, NULL, &got), -ENOTSUP);
	assert_string_equal(decompress_name(decompress_probe(lzo, sizeof(lzo))), "LZO");
	assert_int_equal(unpack(zeros, sizeof(zeros), 100, NULL, &got), -ENOTSUP);
	assert_int_equal(unpack(zeros, 0, 100, NULL, &got), -ENOTSUP);
	assert_string_equal(decompress_name(DECOMPRESS_UNKNOWN), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_unpacks_into_exactly_its_length),
		cmocka_unit_test(too_small_a_buffer_is_an_error_and_never_overrun),
		cmocka_unit_test(cut_short_is_corrupt),
		cmocka_unit_test(damage_stays_inside_the_buffer),
		cmocka_unit_test(checksums_are_checked),
		cmocka_unit_test(bytes_after_the_end_are_not_looked_at),
		cmocka_unit_test(lz4_legacy_has_several_blocks),
		cmocka_unit_test(lz4_legacy_blocks_are_unpacked_whole_or_refused),
		cmocka_unit_test(short_lz4_legacy_blocks_are_put_together),
		cmocka_unit_test(lz4_legacy_streams_may_be_joined),
		cmocka_unit_test(an_empty_or_huge_lz4_block_is_corrupt),
		cmocka_unit_test(a_dictionary_past_the_limit_is_refused),
		cmocka_unit_test(what_is_unknown_is_not_unpacked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
