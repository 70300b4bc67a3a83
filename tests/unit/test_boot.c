/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a kernel finds in RAM at its entry: the memory map, the command line, where the initrd and
 * the RSDP are; read back by the protocols' own offsets.
 */
#include <asm/bootparam.h>
#include <asm/e820.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/boot.h"
#include "arch/x86_64/layout.h"
#include "tests/lib/said.h"
#include "vmm/mem.h"

#define MIB  (1ull << 20)
#define GIB  (1ull << 30)
#define RSDP (LAYOUT_ACPI + 0x40)

static const struct {
	struct mem_range r[2];
	unsigned n;
} sizes[] = {
	{{{0, 2 * MIB}}, 1},
	{{{0, 256 * MIB}}, 1},
	{{{0, LAYOUT_LOW_RAM_MAX}}, 1},
	{{{0, LAYOUT_LOW_RAM_MAX}, {LAYOUT_HIGH_RAM, 2 * GIB}}, 2}, /* 5 GiB */
};

#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct entry {
	uint64_t addr, size;
	uint32_t type;
};

/* Words at a guest address, whatever a header calls them. */
static uint64_t peek(const struct mem *mem, gpa_t at, unsigned size)
{
	uint64_t v = 0;

	assert_int_equal(mem_read(mem, at, &v, size), 0);
	return v;
}

static int type_of(const struct entry *map, unsigned n, uint64_t addr)
{
	for (unsigned i = 0; i < n; i++)
		if (addr >= map[i].addr && addr - map[i].addr < map[i].size)
			return (int)map[i].type;
	return 0;
}

/* The rules for a map, whichever protocol hands it over. */
static void check_map(const struct mem *mem, const struct entry *map, unsigned n)
{
	uint64_t ram = 0;

	for (unsigned i = 0; i < n; i++) {
		assert_true(map[i].size > 0);
		assert_true(map[i].type == E820_RAM || map[i].type == E820_RESERVED);
		for (unsigned k = 0; k < i; k++)
			assert_true(map[k].addr + map[k].size <= map[i].addr ||
				    map[i].addr + map[i].size <= map[k].addr);
		if (map[i].type == E820_RAM) {
			assert_non_null(mem_at(mem, map[i].addr, map[i].size));
			ram += map[i].size;
		}
	}
	/* All RAM is offered but what lies between the EBDA and 1 MiB. */
	assert_int_equal(ram, mem_size(mem) - (LAYOUT_1MIB - LAYOUT_EBDA));
	assert_int_equal(type_of(map, n, LAYOUT_BOOT_PARAMS), E820_RAM);
	assert_int_equal(type_of(map, n, LAYOUT_CMDLINE), E820_RAM);
	assert_int_equal(type_of(map, n, LAYOUT_EBDA - 1), E820_RAM);
	assert_int_equal(type_of(map, n, LAYOUT_EBDA), E820_RESERVED);
	assert_int_equal(type_of(map, n, LAYOUT_VGA_HOLE), 0);
	assert_int_equal(type_of(map, n, RSDP), E820_RESERVED);
	assert_int_equal(type_of(map, n, LAYOUT_SMBIOS + LAYOUT_SMBIOS_LEN - 1), E820_RESERVED);
	assert_int_equal(type_of(map, n, LAYOUT_1MIB), E820_RAM);
	assert_int_equal(type_of(map, n, LAYOUT_MMIO32), 0);
	assert_int_equal(type_of(map, n, LAYOUT_ECAM), E820_RESERVED);
	assert_int_equal(type_of(map, n, LAYOUT_ECAM + LAYOUT_ECAM_LEN - 1), E820_RESERVED);
	assert_int_equal(type_of(map, n, LAYOUT_IOAPIC), 0);
	assert_int_equal(type_of(map, n, LAYOUT_HIGH_RAM), mem->count > 1 ? E820_RAM : 0);
}

/* A setup header as a loader takes it from a bzImage: 0x1f1 on, with a mark in every byte. */
static struct image linux_image(void)
{
	struct image img = {
		.kind = IMAGE_LINUX64,
		.entry = 0x1000200,
		.cmdline_max = 2047,
		.setup_len = 0x7b,
	};
	struct setup_header *hdr = (struct setup_header *)img.setup;

	memset(img.setup, 0xa5, img.setup_len);
	hdr->header = 0x53726448; /* "HdrS" */
	hdr->version = 0x20f;
	hdr->loadflags = KASLR_FLAG;
	return img;
}

static void test_boot_params(void **state)
{
	(void)state;
	for (size_t s = 0; s < N_SIZES; s++) {
		struct image img = linux_image();
		struct boot_info info = {.image = &img, .cmdline = "console=ttyS0", .rsdp = RSDP};
		const struct boot_params *bp;
		struct entry map[E820_MAX_ENTRIES_ZEROPAGE];
		struct mem mem;

		assert_int_equal(mem_create(&mem, sizes[s].r, sizes[s].n), 0);
		memset(mem_at(&mem, LAYOUT_BOOT_PARAMS, 4096), 0xee, 4096);
		assert_int_equal(boot_write(&mem, &info), 0);
		bp = mem_at(&mem, LAYOUT_BOOT_PARAMS, sizeof(*bp));
		assert_int_equal(sizeof(*bp), 4096);
		assert_int_equal(bp->hdr.header, 0x53726448);
		assert_int_equal(bp->hdr.version, 0x20f);
		assert_int_equal(bp->hdr.type_of_loader, 0xff);
		assert_int_equal(bp->hdr.loadflags & LOADED_HIGH, LOADED_HIGH);
		assert_int_equal(bp->hdr.loadflags & KASLR_FLAG, 0);
		assert_int_equal(bp->hdr.cmd_line_ptr, LAYOUT_CMDLINE);
		assert_int_equal(bp->ext_cmd_line_ptr, 0);
		assert_string_equal((char *)mem_at(&mem, LAYOUT_CMDLINE, 14), "console=ttyS0");
		assert_int_equal(bp->hdr.ramdisk_size | bp->ext_ramdisk_size, 0);
		assert_int_equal(bp->acpi_rsdp_addr, RSDP);
		assert_int_equal(peek(&mem, LAYOUT_BOOT_PARAMS + 0x070, 8), RSDP);
		/* A byte of the header that is nobody's is the kernel's own; past its end is 0. */
		assert_int_equal(bp->hdr.pref_address, 0xa5a5a5a5a5a5a5a5);
		assert_int_equal(peek(&mem, LAYOUT_BOOT_PARAMS + 0x1f1 + 0x7b, 1), 0);
		/* A sentinel of 0 says that everything outside the header was cleared. */
		assert_int_equal(bp->sentinel, 0);
		for (unsigned i = 0; i < bp->e820_entries; i++)
			map[i] = (struct entry){bp->e820_table[i].addr, bp->e820_table[i].size,
						bp->e820_table[i].type};
		check_map(&mem, map, bp->e820_entries);
		mem_destroy(&mem);
	}
}

static void test_kaslr_flag(void **state)
{
	struct image img = linux_image();
	struct boot_info info = {.image = &img, .cmdline = ""};
	struct mem mem;

	(void)state;
	img.kaslr = 1;
	assert_int_equal(mem_create(&mem, sizes[1].r, sizes[1].n), 0);
	assert_int_equal(boot_write(&mem, &info), 0);
	assert_int_equal(peek(&mem, LAYOUT_BOOT_PARAMS + 0x211, 1) & KASLR_FLAG, KASLR_FLAG);
	mem_destroy(&mem);
}

static void test_initrd(void **state)
{
	static const struct {
		uint64_t addr, len;
	} table[] = {
		{0x7f00000, 0x100000},
		{LAYOUT_HIGH_RAM + 0x12345000, 0x6789},
		{0xfffff000, 0x1000},
		{0x123456789000, 0x987654321},
	};
	struct image img = linux_image();
	struct mem mem;

	(void)state;
	assert_int_equal(mem_create(&mem, sizes[3].r, sizes[3].n), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct boot_info info = {&img, "", table[i].addr, table[i].len, RSDP};
		const gpa_t bp = LAYOUT_BOOT_PARAMS, si = LAYOUT_PVH_START_INFO;
		gpa_t module;

		/* boot.rst: ramdisk_image 0x218, ramdisk_size 0x21c, ext_... 0xc0, 0xc4 */
		img.kind = IMAGE_LINUX64;
		assert_int_equal(boot_write(&mem, &info), 0);
		assert_int_equal(peek(&mem, bp + 0x218, 4) | peek(&mem, bp + 0xc0, 4) << 32,
				 table[i].addr);
		assert_int_equal(peek(&mem, bp + 0x21c, 4) | peek(&mem, bp + 0xc4, 4) << 32,
				 table[i].len);
		img.kind = IMAGE_PVH;
		assert_int_equal(boot_write(&mem, &info), 0);
		assert_int_equal(peek(&mem, si + 12, 4), 1);
		module = peek(&mem, si + 16, 8);
		assert_int_equal(peek(&mem, module, 8), table[i].addr);
		assert_int_equal(peek(&mem, module + 8, 8), table[i].len);
		assert_int_equal(peek(&mem, module + 16, 8), 0);
	}
	mem_destroy(&mem);
}

static void test_pvh(void **state)
{
	(void)state;
	for (size_t s = 0; s < N_SIZES; s++) {
		struct image img = {.kind = IMAGE_PVH, .cmdline_max = 2047};
		struct boot_info info = {.image = &img, .cmdline = "quiet", .rsdp = RSDP};
		struct entry map[32];
		const gpa_t si = LAYOUT_PVH_START_INFO;
		unsigned n;
		gpa_t at;
		struct mem mem;

		assert_int_equal(mem_create(&mem, sizes[s].r, sizes[s].n), 0);
		memset(mem_at(&mem, si, 4096), 0xee, 4096);
		assert_int_equal(boot_write(&mem, &info), 0);
		assert_int_equal(peek(&mem, si, 4), 0x336ec578);
		assert_int_equal(peek(&mem, si + 4, 4), 1);
		assert_int_equal(peek(&mem, si + 8, 4), 0);
		assert_int_equal(peek(&mem, si + 12, 4), 0); /* no initrd, no module */
		assert_int_equal(peek(&mem, si + 24, 8), LAYOUT_CMDLINE);
		assert_string_equal((char *)mem_at(&mem, LAYOUT_CMDLINE, 6), "quiet");
		assert_int_equal(peek(&mem, si + 32, 8), RSDP);
		at = peek(&mem, si + 40, 8);
		n = (unsigned)peek(&mem, si + 48, 4);
		assert_int_equal(peek(&mem, si + 52, 4), 0);
		assert_true(n <= sizeof(map) / sizeof(map[0]));
		/* Everything lies in the page that the layout gives it. */
		assert_true(at >= si + 56 && at + n * 24 <= si + 4096);
		for (unsigned i = 0; i < n; i++) {
			map[i].addr = peek(&mem, at + i * 24, 8);
			map[i].size = peek(&mem, at + i * 24 + 8, 8);
			map[i].type = (uint32_t)peek(&mem, at + i * 24 + 16, 4);
			assert_int_equal(peek(&mem, at + i * 24 + 20, 4), 0);
		}
		check_map(&mem, map, n);
		mem_destroy(&mem);
	}
}

static void test_cmdline_length(void **state)
{
	static const struct {
		uint32_t max;
		size_t len;
		int expected;
	} table[] = {
		{2047, 0, 0},
		{2047, 2047, 0},
		{2047, 2048, -E2BIG},
		{255, 256, -E2BIG},
		{0, 1, -E2BIG},
		{UINT32_MAX, LAYOUT_CMDLINE_MAX - 1, 0},
		{UINT32_MAX, LAYOUT_CMDLINE_MAX, -E2BIG},
	};
	char *text = malloc(LAYOUT_CMDLINE_MAX + 1);
	struct mem mem;

	(void)state;
	assert_non_null(text);
	said_start();
	assert_int_equal(mem_create(&mem, sizes[1].r, sizes[1].n), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (int kind = IMAGE_LINUX64; kind <= IMAGE_PVH; kind++) {
			struct image img = linux_image();
			struct boot_info info = {.image = &img, .cmdline = text};
			int r;

			memset(text, 'c', table[i].len);
			text[table[i].len] = '\0';
			img.kind = (enum image_entry)kind;
			img.cmdline_max = table[i].max;
			said_clear();
			r = boot_write(&mem, &info);
			if (r != table[i].expected)
				fail_msg("%zu of %u bytes: %d", table[i].len, table[i].max, r);
			assert_int_equal(said_count(), r < 0);
			if (r == 0)
				assert_string_equal(
					(char *)mem_at(&mem, LAYOUT_CMDLINE, table[i].len + 1),
					text);
		}
	}
	/* The sentence says what fits, also where our own room is the limit. */
	assert_string_equal(said(), "--append: the command line has 65536 bytes and this kernel "
				    "takes 65535: shorten it");
	mem_destroy(&mem);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot_params),    cmocka_unit_test(test_kaslr_flag),
		cmocka_unit_test(test_initrd),         cmocka_unit_test(test_pvh),
		cmocka_unit_test(test_cmdline_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
