/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives loader/load.h: what is not a kernel, what is for another machine, and the initrd. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/load.h"
#include "tests/lib/compress.h"
#include "tests/lib/kernel_image.h"
#include "tests/lib/said.h"

#define MIB (1ull << 20)
#define RAM (64 * MIB)

static struct mem mem;

static int fresh_ram(void **state)
{
	const struct mem_range range = {0, RAM};

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

static int load_fd(int fd, enum image_arch arch)
{
	struct load_params p = {.path = "vmlinuz", .arch = arch};
	struct image img;

	said_clear();
	return load_kernel(fd, &p, &mem, &img);
}

static int load_bytes(const void *data, size_t len, enum image_arch arch)
{
	int fd = kernel_fd(data, len);
	int r = load_fd(fd, arch);

	close(fd);
	return r;
}

static void mistakes_are_named(void **state)
{
	static const struct {
		unsigned off;
		const char *magic;
		unsigned len;
		const char *sentence;
	} cases[] = {
		{0, "070701", 6, "initrd"},
		{0, "QFI\xfb", 4, "qcow2"},
		{0, "KDMV", 4, "VMDK"},
		{0, "hsqs", 4, "squashfs"},
		{0, "#!/bin/sh", 9, "script"},
		{0, "!<arch>\n", 8, "Debian package"},
		{0, "\xed\xab\xee\xdb", 4, "RPM"},
		{0, "\x27\x05\x19\x56", 4, "uImage"},
		{0, "PK\3\4", 4, "zip"},
		{257, "ustar", 5, "tar"},
		{510, "\x55\xaa", 2, "boot sector"},
		{512, "EFI PART", 8, "disk image"},
		{1080, "\x53\xef", 2, "ext4"},
		{0, "MZ", 2, "EFI program"},
		{0x8001, "CD001", 5, "ISO image"},
		{0, "whatever", 8, "no kernel known here"},
	};
	uint8_t *file = malloc(65536);

	(void)state;
	assert_non_null(file);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int arch = IMAGE_ARCH_X86_64; arch <= IMAGE_ARCH_ARM64; arch++) {
			memset(file, 0, 65536);
			memcpy(file + cases[i].off, cases[i].magic, cases[i].len);
			assert_int_equal(load_bytes(file, 65536, arch), -EINVAL);
			assert_int_equal(said_count(), 1);
			assert_non_null(strstr(said(), "kernel vmlinuz: is "));
			assert_non_null(strstr(said(), cases[i].sentence));
			/* And cut short right after the magic, it still is no kernel. */
			assert_int_equal(load_bytes(file, cases[i].off + cases[i].len, arch),
					 -EINVAL);
		}
	free(file);
}

static void a_packed_file_is_named_on_x86(void **state)
{
	static const struct {
		enum decompress_format format;
		const char *name;
	} cases[] = {
		{DECOMPRESS_GZIP, "with gzip"},
		{DECOMPRESS_XZ, "with xz"},
		{DECOMPRESS_ZSTD, "with zstd"},
		{DECOMPRESS_LZ4_LEGACY, "with LZ4"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len;
		uint8_t *p = compress_bytes(cases[i].format, "070701 and so on", 16, &len);

		assert_int_equal(load_bytes(p, len, IMAGE_ARCH_X86_64), -EINVAL);
		assert_non_null(strstr(said(), cases[i].name));
		free(p);
	}
}

static void a_kernel_for_another_machine_is_named(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_GZIP, KERNEL_RELOCS_NONE, 4096, 0};
	struct kernel_bytes x86 = kernel_bzimage(&spec), elf = kernel_elf(&spec);
	struct kernel_bytes arm = kernel_arm64(0, 0x100000, 0, 100000);
	struct kernel_bytes zboot = kernel_zboot(&arm, DECOMPRESS_ZSTD);

	(void)state;
	assert_int_equal(load_bytes(arm.data, arm.len, IMAGE_ARCH_X86_64), -EINVAL);
	assert_non_null(strstr(said(), "is for arm64, but this machine is x86-64"));
	assert_int_equal(load_bytes(zboot.data, zboot.len, IMAGE_ARCH_X86_64), -EINVAL);
	assert_non_null(strstr(said(), "is for arm64, but this machine is x86-64"));
	assert_int_equal(load_bytes(x86.data, x86.len, IMAGE_ARCH_ARM64), -EINVAL);
	assert_non_null(strstr(said(), "is for x86, but this machine is arm64"));
	assert_int_equal(load_bytes(elf.data, elf.len, IMAGE_ARCH_ARM64), -EINVAL);
	assert_non_null(strstr(said(), "on arm64 give the Image"));
	free(x86.data);
	free(elf.data);
	free(arm.data);
	free(zboot.data);
}

static void what_cannot_be_read_is_named(void **state)
{
	char path[64];
	int fd, dir, pipes[2];

	(void)state;
	assert_int_equal(load_bytes("", 0, IMAGE_ARCH_X86_64), -EINVAL);
	assert_non_null(strstr(said(), "is empty"));
	dir = open("/", O_RDONLY | O_DIRECTORY);
	assert_true(dir >= 0);
	assert_int_equal(load_fd(dir, IMAGE_ARCH_X86_64), -EISDIR);
	assert_non_null(strstr(said(), "is a directory"));
	close(dir);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(load_fd(pipes[0], IMAGE_ARCH_X86_64), -EINVAL);
	assert_non_null(strstr(said(), "not a regular file"));
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(load_fd(-1, IMAGE_ARCH_X86_64), -EBADF);
	assert_int_equal(said_count(), 1);
	fd = kernel_fd("#!", 2);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	dir = open(path, O_WRONLY);
	assert_true(dir >= 0);
	assert_int_equal(load_fd(dir, IMAGE_ARCH_X86_64), -EBADF);
	assert_non_null(strstr(said(), "cannot be read"));
	close(dir);
	close(fd);
}

/* A disk named by mistake is not read to its end. */
static void a_huge_file_is_no_kernel(void **state)
{
	struct kernel_spec spec = {DECOMPRESS_GZIP, KERNEL_RELOCS_NONE, 4096, 0};
	struct kernel_bytes b = kernel_bzimage(&spec);
	int fd = kernel_fd(b.data, b.len);

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)(2ull << 40)), 0);
	assert_int_equal(load_fd(fd, IMAGE_ARCH_X86_64), -EINVAL);
	assert_int_equal(said_count(), 1);
	close(fd);
	free(b.data);
}

static int load_rd(uint64_t size, const struct image *img, gpa_t floor, gpa_t *addr)
{
	uint64_t len = 0;
	int fd = memfd_create("initrd", MFD_CLOEXEC), r;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	if (size > 0) {
		assert_int_equal(pwrite(fd, "A", 1, 0), 1);
		assert_int_equal(pwrite(fd, "Z", 1, (off_t)size - 1), 1);
	}
	said_clear();
	*addr = 0;
	r = load_initrd(fd, "initrd.img", img, &mem, floor, addr, &len);
	close(fd);
	if (r == 0) {
		const uint8_t *p = mem_at(&mem, *addr, size);

		assert_true(len == size && *addr % 4096 == 0);
		assert_non_null(p);
		assert_int_equal(p[size - 1], 'Z');
		assert_true(size == 1 || p[0] == 'A');
	} else {
		assert_int_equal(said_count(), 1);
		assert_non_null(strstr(said(), "initrd initrd.img: "));
	}
	return r;
}

static void an_initrd_lies_as_high_as_it_may(void **state)
{
	static const struct {
		uint64_t size, start, end, max, floor, want; /* want 0: it does not fit */
	} cases[] = {
		{5000, 16 * MIB, 24 * MIB, 0xffffffff, MIB, RAM - 8192},
		{4096, 16 * MIB, 24 * MIB, 0xffffffff, MIB, RAM - 4096},
		{1 * MIB, 16 * MIB, 24 * MIB, 48 * MIB - 1, MIB, 47 * MIB},
		{1 * MIB, 16 * MIB, 24 * MIB, 48 * MIB - 2, MIB, 47 * MIB - 4096},
		{40 * MIB, 16 * MIB, 24 * MIB, 0xffffffff, MIB, 24 * MIB},
		{40 * MIB + 1, 16 * MIB, 24 * MIB, 0xffffffff, MIB, 0},
		{9 * MIB, 16 * MIB, 56 * MIB, 0xffffffff, MIB, 7 * MIB}, /* below the kernel */
		{15 * MIB, 16 * MIB, 56 * MIB, 0xffffffff, MIB, 1 * MIB},
		{15 * MIB + 1, 16 * MIB, 56 * MIB, 0xffffffff, MIB, 0},
		{15 * MIB, 16 * MIB, 56 * MIB, 0xffffffff, MIB + 1, 0},
		{2 * MIB, 16 * MIB, RAM, 0xffffffff, 15 * MIB, 0},
		{1 * MIB, 16 * MIB, 24 * MIB, MIB - 1, MIB, 0},
		{65 * MIB, 16 * MIB, 24 * MIB, 0xffffffff, MIB, 0},
		{1ull << 40, 16 * MIB, 24 * MIB, 0xffffffff, MIB, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image img = {
			.start = cases[i].start, .end = cases[i].end, .initrd_max = cases[i].max};
		gpa_t addr;

		assert_int_equal(load_rd(cases[i].size, &img, cases[i].floor, &addr),
				 cases[i].want ? 0 : -EINVAL);
		assert_int_equal(addr, cases[i].want);
	}
}

/* RAM above 4 GiB is used only by a kernel that takes an initrd there. */
static void an_initrd_keeps_to_its_limit_in_high_ram(void **state)
{
	const struct mem_range ranges[] = {{0, 32 * MIB}, {4096 * MIB, 32 * MIB}};
	struct image img = {.start = 16 * MIB, .end = 24 * MIB, .initrd_max = 0xffffffff};
	gpa_t addr;

	(void)state;
	mem_destroy(&mem);
	assert_int_equal(mem_create(&mem, ranges, 2), 0);
	assert_int_equal(load_rd(4096, &img, MIB, &addr), 0);
	assert_true(addr == 32 * MIB - 4096);
	img.initrd_max = UINT64_MAX;
	assert_int_equal(load_rd(4096, &img, MIB, &addr), 0);
	assert_true(addr == 4128 * MIB - 4096);
}

static void an_initrd_must_be_something(void **state)
{
	struct image img = {.start = 16 * MIB, .end = 24 * MIB, .initrd_max = 0xffffffff};
	gpa_t addr;
	uint64_t len;
	int dir = open("/", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(load_rd(0, &img, MIB, &addr), -EINVAL);
	assert_non_null(strstr(said(), "is empty"));
	assert_int_equal(load_rd(1, &img, MIB, &addr), 0);
	assert_true(dir >= 0);
	assert_int_equal(load_initrd(dir, "initrd.img", &img, &mem, MIB, &addr, &len), -EISDIR);
	close(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh_ram, drop_ram)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mistakes_are_named),
		TEST(a_packed_file_is_named_on_x86),
		TEST(a_kernel_for_another_machine_is_named),
		TEST(what_cannot_be_read_is_named),
		TEST(a_huge_file_is_no_kernel),
		TEST(an_initrd_lies_as_high_as_it_may),
		TEST(an_initrd_keeps_to_its_limit_in_high_ram),
		TEST(an_initrd_must_be_something),
	};

	said_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
