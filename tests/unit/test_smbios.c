/* SPDX-License-Identifier: BSD-2-Clause */
/* The SMBIOS tables, walked as a guest walks them (DSP0134 3.0). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/smbios.h"
#include "tests/lib/said.h"

#define GIB (1ull << 30)

static struct mem mem;
static struct smbios_params params;

static int setup(void **state)
{
	const struct mem_range ram[] = {{0, 3 * GIB}, {4 * GIB, GIB}};

	(void)state;
	params = (struct smbios_params){
		.version = "1.2",
		.serial = "ds=nocloud;s=http://10.0.2.2:8000/",
		.uuid = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
			 0xcc, 0xdd, 0xee, 0xff},
		.cpus = 4,
	};
	return mem_create(&mem, ram, 2);
}

static int teardown(void **state)
{
	(void)state;
	mem_destroy(&mem);
	return 0;
}

static uint64_t word(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* The end of a structure: behind its strings and their two zero bytes. */
static const uint8_t *next_structure(const uint8_t *p)
{
	for (p += p[1]; p[0] || p[1]; p++)
		;
	return p + 2;
}

static const char *string(const uint8_t *structure, unsigned field)
{
	const char *s = (const char *)structure + structure[1];

	assert_true(structure[field] != 0);
	for (unsigned n = structure[field]; n > 1; n--)
		s += strlen(s) + 1;
	assert_true(*s);
	return s;
}

/* The n-th structure of a type, or NULL; judges the entry point and the whole chain on the way. */
static const uint8_t *find(unsigned type, unsigned n)
{
	const uint8_t *ep = mem_at(&mem, 0xf0000, 24), *p, *end, *found = NULL;
	uint8_t handles[256] = {0}, sum = 0, last = 0;

	assert_memory_equal(ep, "_SM3_", 5);
	assert_int_equal(ep[6], 24);
	for (unsigned i = 0; i < 24; i++)
		sum += ep[i];
	assert_int_equal(sum, 0);
	p = mem_at(&mem, word(ep + 16, 8), word(ep + 12, 4));
	assert_non_null(p);
	assert_true(word(ep + 16, 8) + word(ep + 12, 4) <= 0x100000);
	for (end = p + word(ep + 12, 4); p < end; p = next_structure(p)) {
		assert_true(p[1] >= 4);
		assert_int_equal(handles[word(p + 2, 2)]++, 0);
		last = p[0];
		if (p[0] == type && n-- == 0)
			found = p;
	}
	assert_ptr_equal(p, end);
	assert_int_equal(last, 127);
	return found;
}

static void every_required_structure(void **state)
{
	static const uint8_t types[] = {0, 1, 3, 4, 16, 17, 19, 32, 127};

	(void)state;
	assert_int_equal(smbios_build(&mem, &params), 0);
	for (size_t i = 0; i < sizeof(types); i++)
		assert_non_null(find(types[i], 0));
	assert_null(find(11, 0));
	assert_null(find(1, 1));
}

static void who_it_is(void **state)
{
	const uint8_t *s;

	(void)state;
	assert_int_equal(smbios_build(&mem, &params), 0);
	s = find(1, 0);
	assert_string_equal(string(s, 4), "Skiff");
	assert_string_equal(string(s, 5), "Skiff VM");
	assert_string_equal(string(s, 6), "1.2");
	assert_string_equal(string(s, 7), params.serial);
	/* §7.2.1: printed as 00112233-4455-6677-8899-AABBCCDDEEFF */
	assert_memory_equal(s + 8,
			    "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
	s = find(0, 0);
	assert_string_equal(string(s, 4), "Skiff");
	assert_string_equal(string(s, 5), "1.2");
	assert_int_equal(s[19] & 0x10, 0x10); /* a virtual machine */
}

static void no_serial(void **state)
{
	(void)state;
	params.serial = NULL;
	assert_int_equal(smbios_build(&mem, &params), 0);
	assert_int_equal(find(1, 0)[7], 0);
	params.serial = "";
	assert_int_equal(smbios_build(&mem, &params), 0);
	assert_int_equal(find(1, 0)[7], 0);
}

static void processors(void **state)
{
	static const unsigned counts[] = {1, 4, 64, 300};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *s;

		params.cpus = counts[i];
		assert_int_equal(smbios_build(&mem, &params), 0);
		s = find(4, 0);
		assert_int_equal(s[1], 0x30);
		assert_int_equal(s[0x23], counts[i] < 255 ? counts[i] : 255);
		assert_int_equal(word(s + 0x2a, 2), counts[i]);
		assert_int_equal(word(s + 0x2e, 2), counts[i]);
	}
}

static void memory(void **state)
{
	const uint8_t *s;

	(void)state;
	assert_int_equal(smbios_build(&mem, &params), 0);
	s = find(16, 0);
	assert_int_equal(word(s + 7, 4), 4 * GIB / 1024);
	s = find(17, 0);
	assert_int_equal(word(s + 0x0c, 2), 4096);
	assert_int_equal(word(s + 4, 2), word(find(16, 0) + 2, 2));
	s = find(19, 0);
	assert_int_equal(word(s + 4, 4), 0);
	assert_int_equal(word(s + 8, 4), 3 * GIB / 1024 - 1);
	s = find(19, 1);
	assert_int_equal(word(s + 4, 4), 4 * GIB / 1024);
	assert_int_equal(word(s + 8, 4), 5 * GIB / 1024 - 1);
	assert_null(find(19, 2));
}

/* Sizes that need the wide fields; nothing is touched above 1 MiB, so the size costs nothing. */
static void memory_of_many_tebibytes(void **state)
{
	const uint64_t high = 5120 * GIB;
	const struct mem_range ram[] = {{0, 3 * GIB}, {4 * GIB, high}};
	const uint8_t *s;

	(void)state;
	mem_destroy(&mem);
	assert_int_equal(mem_create(&mem, ram, 2), 0);
	assert_int_equal(smbios_build(&mem, &params), 0);
	s = find(16, 0);
	assert_int_equal(word(s + 7, 4), 0x80000000);
	assert_int_equal(word(s + 0x0f, 8), 3 * GIB + high);
	s = find(17, 0);
	assert_int_equal(word(s + 0x0c, 2), 0x7fff);
	assert_int_equal(word(s + 0x1c, 4), (3 * GIB + high) >> 20);
	s = find(19, 1);
	assert_int_equal(word(s + 4, 4), UINT32_MAX);
	assert_int_equal(word(s + 8, 4), UINT32_MAX);
	assert_int_equal(word(s + 0x0f, 8), 4 * GIB);
	assert_int_equal(word(s + 0x17, 8), 4 * GIB + high - 1);
}

static void oem_strings(void **state)
{
	static const char *const oem[] = {"io.systemd.credential:a=1", "second"};
	const uint8_t *s;

	(void)state;
	params.oem = oem;
	params.oem_count = 2;
	assert_int_equal(smbios_build(&mem, &params), 0);
	s = find(11, 0);
	assert_int_equal(s[4], 2);
	assert_string_equal((const char *)s + s[1], oem[0]);
	assert_string_equal((const char *)s + s[1] + strlen(oem[0]) + 1, oem[1]);
}

/* The segment is 64 KiB: one string grows to the last byte that fits, and one further. */
static void strings_fill_the_segment_and_no_more(void **state)
{
	static char big[LAYOUT_SMBIOS_LEN + 1];
	const char *const oem[] = {big};
	size_t fits;

	(void)state;
	params.oem = oem;
	params.oem_count = 1;
	big[0] = 'x';
	assert_int_equal(smbios_build(&mem, &params), 0);
	fits = LAYOUT_SMBIOS_LEN - 24 - word(mem_at(&mem, 0xf000c, 4), 4) + 1;
	memset(big, 'x', fits);
	assert_int_equal(smbios_build(&mem, &params), 0);
	assert_int_equal(word(mem_at(&mem, 0xf000c, 4), 4), LAYOUT_SMBIOS_LEN - 24);
	assert_int_equal(strlen(string(find(11, 0), 4)), fits);
	big[fits] = 'x';
	said_start();
	*(uint8_t *)mem_at(&mem, 0x100000, 1) = 0x5a;
	assert_int_equal(smbios_build(&mem, &params), -E2BIG);
	assert_int_equal(*(uint8_t *)mem_at(&mem, 0x100000, 1), 0x5a);
}

static void strings_a_table_cannot_hold(void **state)
{
	static const char *many[256];

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		many[i] = "s";
	said_start();
	params.oem = many;
	params.oem_count = 255;
	assert_int_equal(smbios_build(&mem, &params), 0);
	assert_int_equal(find(11, 0)[4], 255);
	params.oem_count = 256;
	assert_int_equal(smbios_build(&mem, &params), -E2BIG);
	many[7] = "";
	params.oem_count = 9;
	assert_int_equal(smbios_build(&mem, &params), -EINVAL);
	assert_non_null(strstr(said(), "OEM string 7"));
}

static void ram_too_small(void **state)
{
	const struct mem_range ram = {0, 1 << 19};

	(void)state;
	mem_destroy(&mem);
	assert_int_equal(mem_create(&mem, &ram, 1), 0);
	said_start();
	assert_int_equal(smbios_build(&mem, &params), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_required_structure, setup, teardown),
		cmocka_unit_test_setup_teardown(who_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(no_serial, setup, teardown),
		cmocka_unit_test_setup_teardown(processors, setup, teardown),
		cmocka_unit_test_setup_teardown(memory, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_of_many_tebibytes, setup, teardown),
		cmocka_unit_test_setup_teardown(oem_strings, setup, teardown),
		cmocka_unit_test_setup_teardown(strings_fill_the_segment_and_no_more, setup,
						teardown),
		cmocka_unit_test_setup_teardown(strings_a_table_cannot_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(ram_too_small, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
