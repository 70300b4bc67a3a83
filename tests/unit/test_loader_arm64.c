/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives loader/arm64.h through load_kernel(). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/le.h"
#include "loader/load.h"
#include "tests/lib/compress.h"
#include "tests/lib/kernel_image.h"
#include "tests/lib/said.h"

#define BASE 0x40000000ull
#define RAM  (64u << 20)
#define LEN  300000u   /* of the file */
#define SIZE 0x200000u /* in memory */

static struct mem mem;

static int fresh_ram(void **state)
{
	const struct mem_range range = {BASE, RAM};

	(void)state;
	said_clear();
	return mem_create(&mem, &range, 1);
}

static int drop_ram(void **state)
{
	(void)state;
	mem_destroy(&mem);
	return 0;
}

static int load(const void *data, size_t len, struct image *img)
{
	struct load_params p = {.path = "Image", .arch = IMAGE_ARCH_ARM64, .kaslr = 1};
	int fd = kernel_fd(data, len);
	int r;

	said_clear();
	r = load_kernel(fd, &p, &mem, img);
	close(fd);
	return r;
}

/* Booting.rst: at text_offset from a 2 MiB aligned address, and all else is as it was: zero. */
static void assert_loaded(const struct image *img, const struct kernel_bytes *b, uint64_t text)
{
	const uint8_t *ram = mem_at(&mem, BASE, RAM);

	assert_int_equal(img->kind, IMAGE_ARM64);
	assert_true(img->start == BASE + text && img->entry == img->start);
	assert_true(img->end == img->start + SIZE);
	assert_true(img->initrd_max == BASE + (32ull << 30) - 1);
	assert_int_equal(img->cmdline_max, 2047);
	assert_memory_equal(ram + text, b->data, b->len);
	for (uint64_t i = 0; i < text; i++)
		assert_int_equal(ram[i], 0);
	for (uint64_t i = text + b->len; i < 2 * SIZE; i++)
		assert_int_equal(ram[i], 0);
}

static void a_raw_image_is_loaded(void **state)
{
	static const uint64_t offsets[] = {0, 0x80000, 0x1ff000};

	for (size_t i = 0; i < 3; i++) {
		struct kernel_bytes b = kernel_arm64(offsets[i], SIZE, 0xa, LEN);
		struct image img;

		drop_ram(state);
		assert_int_equal(fresh_ram(state), 0);
		assert_int_equal(load(b.data, b.len, &img), 0);
		assert_loaded(&img, &b, offsets[i]);
		free(b.data);
	}
}

static void a_packed_image_is_loaded(void **state)
{
	static const uint64_t offsets[] = {0, 0x80000};
	static const enum decompress_format formats[] = {DECOMPRESS_GZIP, DECOMPRESS_ZSTD,
							 DECOMPRESS_LZ4};

	for (size_t i = 0; i < 6; i++) {
		struct kernel_bytes b = kernel_arm64(offsets[i % 2], SIZE, 0xa, LEN);
		struct image img;
		size_t len;
		uint8_t *packed = compress_bytes(formats[i / 2], b.data, b.len, &len);

		drop_ram(state);
		assert_int_equal(fresh_ram(state), 0);
		assert_int_equal(load(packed, len, &img), 0);
		assert_loaded(&img, &b, offsets[i % 2]);
		free(packed);
		free(b.data);
	}
}

static void an_efi_zboot_image_is_loaded(void **state)
{
	static const enum decompress_format formats[] = {DECOMPRESS_GZIP, DECOMPRESS_ZSTD};

	for (size_t i = 0; i < 2; i++) {
		struct kernel_bytes b = kernel_arm64(0, SIZE, 0xa, LEN);
		struct kernel_bytes z = kernel_zboot(&b, formats[i]);
		struct image img;

		drop_ram(state);
		assert_int_equal(fresh_ram(state), 0);
		assert_int_equal(load(z.data, z.len, &img), 0);
		assert_loaded(&img, &b, 0);
		free(z.data);
		free(b.data);
	}
}

static void what_follows_the_image_is_not_loaded(void **state)
{
	struct kernel_bytes b = kernel_arm64(0, SIZE, 0xa, SIZE + 500), in = {b.data, SIZE};
	struct image img;
	size_t len;
	uint8_t *packed = compress_bytes(DECOMPRESS_GZIP, b.data, b.len, &len);

	assert_int_equal(load(b.data, b.len, &img), 0);
	assert_loaded(&img, &in, 0);
	drop_ram(state);
	assert_int_equal(fresh_ram(state), 0);
	assert_int_equal(load(packed, len, &img), 0);
	assert_loaded(&img, &in, 0);
	free(packed);
	free(b.data);
}

static void wrong_headers_are_named(void **state)
{
	static const struct {
		uint64_t text, size, flags;
		const char *sentence;
	} cases[] = {
		{0, SIZE, 1, "big-endian"},
		{0x80000, 0, 0, "Linux 3.17"},
		{0x200000, SIZE, 0, "impossible sizes"},
		{UINT64_MAX, SIZE, 0, "impossible sizes"},
		{0, UINT64_MAX, 0, "impossible sizes"},
		{0, 63, 0, "impossible sizes"},
		{0, RAM + 1, 0, "more memory"},
		{0x80000, RAM, 0, "more memory"},
		{0, 1ull << 60, 0, "more memory"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kernel_bytes b =
			kernel_arm64(cases[i].text, cases[i].size, cases[i].flags, LEN);
		struct image img;
		size_t len;
		uint8_t *packed = compress_bytes(DECOMPRESS_GZIP, b.data, b.len, &len);

		assert_int_equal(load(b.data, b.len, &img), -EINVAL);
		assert_non_null(strstr(said(), cases[i].sentence));
		assert_int_equal(load(packed, len, &img), -EINVAL);
		assert_non_null(strstr(said(), cases[i].sentence));
		free(packed);
		free(b.data);
	}
}

static void cut_anywhere_it_is_refused(void **state)
{
	struct kernel_bytes b = kernel_arm64(0, SIZE, 0, LEN);
	struct kernel_bytes z = kernel_zboot(&b, DECOMPRESS_ZSTD);
	struct image img;
	size_t len;
	uint8_t *packed = compress_bytes(DECOMPRESS_GZIP, b.data, b.len, &len);

	(void)state;
	for (size_t n = 128; n < LEN; n += 4093) { /* the EFI header says how long it was */
		assert_true(load(b.data, n, &img) < 0);
		assert_non_null(strstr(said(), "cut short"));
	}
	for (size_t n = 1; n < len; n += 997) {
		assert_true(load(packed, n, &img) < 0);
		assert_int_equal(said_count(), 1);
	}
	for (size_t n = 1; n < z.len - 100; n += 997) {
		assert_true(load(z.data, n, &img) < 0);
		assert_int_equal(said_count(), 1);
	}
	free(packed);
	free(z.data);
	free(b.data);
}

static void a_damaged_efi_header_reads_nothing_outside(void **state)
{
	struct kernel_bytes b = kernel_arm64(0, SIZE, 0, LEN);
	struct image img;

	(void)state;
	for (uint32_t at = 0; at < 5000; at += 7) {
		le32_put(b.data + 60, at);
		load(b.data, b.len, &img);
	}
	le32_put(b.data + 60, UINT32_MAX);
	assert_int_equal(load(b.data, b.len, &img), 0);
	le32_put(b.data + 60, 64);
	memset(b.data + 64 + 6, 0xff, 2);
	memset(b.data + 64 + 20, 0xff, 2);
	assert_int_equal(load(b.data, b.len, &img), 0);
	free(b.data);
}

static void what_is_inside_is_judged(void **state)
{
	static const char text[] = "This is no kernel at all, but a text that someone has packed.";
	struct kernel_bytes b = kernel_arm64(0, SIZE, 0, LEN), z;
	struct image img;
	size_t len;
	uint8_t *packed = compress_bytes(DECOMPRESS_GZIP, text, sizeof(text), &len);

	(void)state;
	assert_int_equal(load(packed, len, &img), -EINVAL);
	assert_non_null(strstr(said(), "not an arm64 Image inside"));
	z = kernel_zboot(&b, DECOMPRESS_ZSTD);
	memset(z.data + 512, 0, 4);
	assert_int_equal(load(z.data, z.len, &img), -ENOTSUP);
	le32_put(z.data + 8, UINT32_MAX);
	assert_int_equal(load(z.data, z.len, &img), -EINVAL);
	le32_put(z.data + 8, 512);
	le32_put(z.data + 12, 0);
	assert_int_equal(load(z.data, z.len, &img), -EINVAL);
	assert_non_null(strstr(said(), "payload outside the file"));
	free(z.data);
	free(b.data);
	free(packed);
}

static void a_bomb_stops_at_the_end_of_ram(void **state)
{
	size_t len, size = RAM + 4096;
	uint8_t *zeros = calloc(1, size), *packed;
	struct image img;

	(void)state;
	assert_non_null(zeros);
	packed = compress_bytes(DECOMPRESS_GZIP, zeros, size, &len);
	assert_int_equal(load(packed, len, &img), -ENOSPC);
	assert_non_null(strstr(said(), "more than the guest's RAM"));
	free(packed);
	free(zeros);
}

/* RAM need not start on a 2 MiB boundary. */
static void the_base_is_aligned(void **state)
{
	const struct mem_range range = {BASE + 0x1000, RAM}, tiny = {BASE + 0x1000, 0x1000};
	struct kernel_bytes b = kernel_arm64(0, SIZE, 0, LEN);
	struct image img;

	(void)state;
	mem_destroy(&mem);
	assert_int_equal(mem_create(&mem, &range, 1), 0);
	assert_int_equal(load(b.data, b.len, &img), 0);
	assert_true(img.start == BASE + 0x200000);
	mem_destroy(&mem);
	assert_int_equal(mem_create(&mem, &tiny, 1), 0);
	assert_int_equal(load(b.data, b.len, &img), -EINVAL);
	free(b.data);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh_ram, drop_ram)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_raw_image_is_loaded),
		TEST(a_packed_image_is_loaded),
		TEST(an_efi_zboot_image_is_loaded),
		TEST(what_follows_the_image_is_not_loaded),
		TEST(wrong_headers_are_named),
		TEST(cut_anywhere_it_is_refused),
		TEST(a_damaged_efi_header_reads_nothing_outside),
		TEST(what_is_inside_is_judged),
		TEST(a_bomb_stops_at_the_end_of_ram),
		TEST(the_base_is_aligned),
	};

	said_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
