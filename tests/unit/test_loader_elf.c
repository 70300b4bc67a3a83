/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives loader/elf.h through load_kernel(): an uncompressed kernel with a PVH entry. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/le.h"
#include "loader/load.h"
#include "tests/lib/kernel_image.h"
#include "tests/lib/said.h"

#define RAM  (64u << 20)
#define LEAD 0x1000
#define NOTE (LEAD + 0x200)

static const struct kernel_spec spec = {DECOMPRESS_UNKNOWN, KERNEL_RELOCS_NONE, LEAD, 0};
static struct mem mem;

static int load(const struct kernel_bytes *b, struct image *img)
{
	struct load_params p = {.path = "vmlinux"};
	int fd = kernel_fd(b->data, b->len);
	int r;

	said_clear();
	r = load_kernel(fd, &p, &mem, img);
	close(fd);
	return r;
}

static int fresh_ram(void **state)
{
	const struct mem_range range = {0, RAM};

	(void)state;
	return mem_create(&mem, &range, 1);
}

static int drop_ram(void **state)
{
	(void)state;
	mem_destroy(&mem);
	return 0;
}

static void a_vmlinux_is_entered_by_its_pvh_note(void **state)
{
	struct kernel_bytes b = kernel_elf(&spec);
	uint8_t *want = kernel_expected(&spec, 0);
	struct image img;

	(void)state;
	assert_int_equal(load(&b, &img), 0);
	assert_int_equal(img.kind, IMAGE_PVH);
	assert_int_equal(img.entry, KERNEL_PREF + KERNEL_PVH_OFF);
	assert_int_equal(img.start, KERNEL_PREF);
	assert_int_equal(img.end, KERNEL_PREF + 0x78000);
	assert_true(img.initrd_max == 0xffffffff);
	assert_int_equal(img.cmdline_max, 2047);
	assert_int_equal(img.kaslr, 0);
	assert_int_equal(img.setup_len, 0);
	assert_memory_equal(mem_at(&mem, KERNEL_PREF, KERNEL_INIT_SIZE), want, KERNEL_INIT_SIZE);
	free(want);
	free(b.data);
}

static void a_note_of_four_bytes_will_do(void **state)
{
	struct kernel_bytes b = kernel_elf(&spec);
	struct image img;

	(void)state;
	le32_put(b.data + NOTE + 4, 4);
	assert_int_equal(load(&b, &img), 0);
	assert_int_equal(img.entry, KERNEL_PREF + KERNEL_PVH_OFF);
	free(b.data);
}

/* Another note comes first, with a name and content that need padding. */
static void other_notes_are_passed_over(void **state)
{
	static const uint8_t other[] = {4, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0, 1, 2,
					3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,   0,   9,   0, 0, 0};
	struct kernel_bytes b = kernel_elf(&spec);
	uint8_t note[24];
	struct image img;

	(void)state;
	memcpy(note, b.data + NOTE, sizeof(note));
	memcpy(b.data + NOTE, other, sizeof(other));
	memcpy(b.data + NOTE + sizeof(other), note, sizeof(note));
	le64_put(b.data + 64 + 4 * 56 + 32, sizeof(other) + sizeof(note));
	assert_int_equal(load(&b, &img), 0);
	assert_int_equal(img.entry, KERNEL_PREF + KERNEL_PVH_OFF);
	free(b.data);
}

static void without_the_note_it_says_so(void **state)
{
	struct kernel_spec none = spec;
	struct kernel_bytes b;
	struct image img;

	(void)state;
	none.no_note = 1;
	b = kernel_elf(&none);
	assert_int_equal(load(&b, &img), -EINVAL);
	assert_non_null(strstr(said(), "without a PVH entry note"));
	free(b.data);
}

#define PHDR(n, field) (64 + (n)*56 + (field))
#define P_OFFSET       8
#define P_PADDR        24
#define P_FILESZ       32
#define P_MEMSZ        40

static void wrong_files_are_named(void **state)
{
	static const struct {
		size_t off;
		unsigned len;
		uint64_t value;
		const char *sentence;
	} cases[] = {
		{4, 1, ELFCLASS32, "32-bit ELF"},
		{4, 1, 9, "not a little-endian ELF64"},
		{5, 1, ELFDATA2MSB, "not a little-endian ELF64"},
		{16, 2, ET_REL, "no program"},
		{16, 2, ET_CORE, "no program"},
		{18, 2, EM_AARCH64, "arm64 ELF file, but this machine is x86-64"},
		{18, 2, EM_386, "processor other than x86-64"},
		{54, 2, 32, "strange size"},
		{56, 2, 0, "no ELF program headers"},
		{56, 2, 65, "more than 64"},
		{56, 2, 0xffff, "more than 64"},
		{32, 8, 0xffffffffffffff00, "headers outside the file"},
		{32, 8, 1 << 30, "headers outside the file"},
		{PHDR(0, P_OFFSET), 8, UINT64_MAX, "segment outside the file"},
		{PHDR(0, P_FILESZ), 8, UINT64_MAX, "segment outside the file"},
		{PHDR(4, P_OFFSET), 8, UINT64_MAX, "segment outside the file"},
		{PHDR(0, P_MEMSZ), 8, 16, "larger in the file"},
		{PHDR(3, P_MEMSZ), 8, UINT64_MAX, "wraps"},
		{PHDR(3, P_PADDR), 8, UINT64_MAX - 0x100, "wraps"},
		{PHDR(3, P_PADDR), 8, KERNEL_PREF + 0x17fff, "overlap"},
		{PHDR(1, P_PADDR), 8, KERNEL_PREF - 0x7fff, "overlap"},
		{PHDR(1, P_PADDR), 8, 0x1000, "below 1 MiB"},
		{PHDR(3, P_PADDR), 8, RAM - 0x40000, "outside the guest's 64 MiB"},
		{PHDR(3, P_PADDR), 8, 1ull << 40, "outside the guest's 64 MiB"},
		{PHDR(3, P_MEMSZ), 8, 1ull << 40, "outside the guest's 64 MiB"},
		{NOTE, 4, 5, "without a PVH"},
		{NOTE, 4, UINT32_MAX, "without a PVH"},
		{NOTE + 4, 4, UINT32_MAX, "without a PVH"},
		{NOTE + 4, 4, 5, "without a PVH"},
		{NOTE + 8, 4, 17, "without a PVH"},
		{NOTE + 12, 1, 'x', "without a PVH"},
		{PHDR(4, P_FILESZ), 8, 23, "without a PVH"},
		{PHDR(4, P_FILESZ), 8, 11, "without a PVH"},
		{NOTE + 16, 8, KERNEL_PREF - 1, "PVH entry at 0xffffff, where"},
		{NOTE + 16, 8, KERNEL_PREF + 0x18000, "PVH entry"},
		{NOTE + 16, 8, (1ull << 32) + KERNEL_PREF, "PVH entry"},
	};
	struct kernel_bytes b = kernel_elf(&spec);
	struct image img;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t saved[8], value[8];

		le64_put(value, cases[i].value);
		memcpy(saved, b.data + cases[i].off, 8);
		memcpy(b.data + cases[i].off, value, cases[i].len);
		assert_int_equal(load(&b, &img), -EINVAL);
		assert_int_equal(said_count(), 1);
		assert_non_null(strstr(said(), "kernel vmlinux: "));
		assert_non_null(strstr(said(), cases[i].sentence));
		memcpy(b.data + cases[i].off, saved, 8);
	}
	free(b.data);
}

static void nothing_to_load_is_named(void **state)
{
	struct kernel_bytes b = kernel_elf(&spec);
	struct image img;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		le32_put(b.data + PHDR(i, 0), PT_NULL);
	assert_int_equal(load(&b, &img), -EINVAL);
	assert_non_null(strstr(said(), "nothing to load"));
	free(b.data);
}

static void cut_anywhere_it_is_refused(void **state)
{
	struct kernel_bytes b = kernel_elf(&spec);
	size_t end = LEAD + 0x48000; /* the section header after that is not needed */
	struct image img;

	(void)state;
	for (size_t len = 1; len < end; len += len < 512 ? 17 : 4096) {
		struct kernel_bytes cut = {b.data, len};

		assert_int_equal(load(&cut, &img), -EINVAL);
		assert_int_equal(said_count(), 1);
	}
	free(b.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_vmlinux_is_entered_by_its_pvh_note, fresh_ram,
						drop_ram),
		cmocka_unit_test_setup_teardown(a_note_of_four_bytes_will_do, fresh_ram, drop_ram),
		cmocka_unit_test_setup_teardown(other_notes_are_passed_over, fresh_ram, drop_ram),
		cmocka_unit_test_setup_teardown(without_the_note_it_says_so, fresh_ram, drop_ram),
		cmocka_unit_test_setup_teardown(wrong_files_are_named, fresh_ram, drop_ram),
		cmocka_unit_test_setup_teardown(nothing_to_load_is_named, fresh_ram, drop_ram),
		cmocka_unit_test_setup_teardown(cut_anywhere_it_is_refused, fresh_ram, drop_ram),
	};

	said_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
