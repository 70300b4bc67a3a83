/* SPDX-License-Identifier: BSD-2-Clause */
/* The directory of unpacked kernels, by itself and behind load_kernel(). */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/kernel_cache.h"
#include "loader/load.h"
#include "tests/lib/kernel_image.h"
#include "tests/lib/said.h"
#include "tests/lib/scratch_home.h"

#define RAM      (64u << 20)
#define KERNELS  "cache/kernels"
#define SECOND   1000000000ull
/* The files of a test are old by then. */
#define LATER    (5000000000 * SECOND)
#define DATA_LEN 200000u

static struct kernel_cache cache;
static struct file file;
static uint8_t data[DATA_LEN];
static const uint8_t packed[256] = "packed";

static void reopen(uint64_t now_ns)
{
	kernel_cache_close(&cache);
	kernel_cache_open(&cache, scratch_home_path(KERNELS), now_ns);
}

static void open_file(const char *path, const void *bytes, size_t len)
{
	scratch_home_write(path, bytes, len);
	file.fd = open(scratch_home_path(path), O_RDWR);
	assert_int_equal(file_init(&file, file.fd, "kernel", path), 0);
}

static int setup(void **state)
{
	int r = scratch_home_make(state);

	said_start();
	/* Text, zeroes, text: a hole in the middle. */
	memset(data, 0, sizeof(data));
	memset(data, 'a', 1000);
	memset(data + DATA_LEN - 1000, 'b', 1000);
	cache.dir_fd = cache.new_fd = -1;
	reopen(LATER);
	open_file("vmlinuz", packed, sizeof(packed));
	return r;
}

static int teardown(void **state)
{
	kernel_cache_close(&cache);
	close(file.fd);
	return scratch_home_remove(state);
}

/* The data is what those bytes of the file were unpacked to. */
static void put(struct kernel_cache *c, uint64_t off, size_t len)
{
	uint8_t byte = 0;
	size_t size;

	assert_int_equal(kernel_cache_get(c, &file, off, len, &byte, 1, &size), -ENOENT);
	kernel_cache_put(c, &file, off, len, data, sizeof(data));
}

static void keep(uint64_t off, size_t len)
{
	put(&cache, off, len);
	kernel_cache_name(&cache);
}

static int is_kept(uint64_t off, size_t len)
{
	uint8_t *got = calloc(1, sizeof(data));
	size_t size = 0;
	int r = kernel_cache_get(&cache, &file, off, len, got, sizeof(data), &size);

	assert_int_equal(cache.used, r == 0);
	if (r == 0) {
		assert_int_equal(size, sizeof(data));
		assert_memory_equal(got, data, sizeof(data));
	} else {
		assert_int_equal(r, -ENOENT);
		assert_int_equal(got[0], 0);
		assert_memory_equal(got, got + 1, sizeof(data) - 1);
	}
	free(got);
	return r == 0;
}

static void what_was_unpacked_is_there_again(void **state)
{
	(void)state;
	assert_false(is_kept(0, 6));
	keep(0, 6);
	assert_true(is_kept(0, 6));
	reopen(LATER);
	assert_true(is_kept(0, 6));
	assert_int_equal(scratch_home_count(KERNELS), 1);
	assert_string_equal(said(), "");
}

static void without_a_cache_nothing_is_kept(void **state)
{
	uint8_t byte = 0;
	size_t size;

	(void)state;
	kernel_cache_put(NULL, &file, 0, 6, data, sizeof(data));
	assert_int_equal(kernel_cache_get(NULL, &file, 0, 6, &byte, 1, &size), -ENOENT);
	kernel_cache_close(&cache);
	keep(0, 6);
	assert_false(is_kept(0, 6));
}

static void other_bytes_of_the_file_are_another_kernel(void **state)
{
	(void)state;
	keep(0, 6);
	assert_false(is_kept(1, 6));
	assert_false(is_kept(0, 5));
}

static void a_file_that_changed_is_another_kernel(void **state)
{
	static const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	(void)state;
	assert_int_equal(futimens(file.fd, times), 0);
	keep(0, 6);
	assert_true(is_kept(0, 6));
	/* The same length, and the time of its last change put back. */
	assert_int_equal(pwrite(file.fd, "PACKED", 6, 0), 6);
	assert_int_equal(futimens(file.fd, times), 0);
	assert_false(is_kept(0, 6));
}

static void a_file_that_was_replaced_is_another_kernel(void **state)
{
	(void)state;
	keep(0, 6);
	close(file.fd);
	open_file("new", packed, sizeof(packed));
	assert_int_equal(rename(scratch_home_path("new"), scratch_home_path("vmlinuz")), 0);
	assert_false(is_kept(0, 6));
}

static void a_file_that_changed_a_moment_ago_is_not_kept(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(fstat(file.fd, &st), 0);
	reopen(((uint64_t)st.st_ctim.tv_sec + 1) * SECOND);
	keep(0, 6);
	assert_int_equal(scratch_home_count(KERNELS), 0);
	reopen(((uint64_t)st.st_ctim.tv_sec + 60) * SECOND);
	keep(0, 6);
	assert_int_equal(scratch_home_count(KERNELS), 1);
}

static void a_file_that_changes_while_it_is_unpacked_is_not_kept(void **state)
{
	uint8_t byte = 0;
	size_t size;

	(void)state;
	assert_int_equal(kernel_cache_get(&cache, &file, 0, 6, &byte, 1, &size), -ENOENT);
	assert_int_equal(pwrite(file.fd, "PACKED", 6, 0), 6);
	kernel_cache_put(&cache, &file, 0, 6, data, sizeof(data));
	assert_int_equal(cache.new_fd, -1);
	assert_int_equal(scratch_home_count(KERNELS), 0);
}

static void a_file_without_a_name_is_not_kept(void **state)
{
	(void)state;
	assert_int_equal(unlink(scratch_home_path("vmlinuz")), 0);
	keep(0, 6);
	assert_int_equal(scratch_home_count(KERNELS), 0);
}

static void what_is_not_named_is_removed(void **state)
{
	(void)state;
	put(&cache, 0, 6);
	assert_int_equal(scratch_home_count(KERNELS), 1);
	assert_false(is_kept(0, 6));
	reopen(LATER);
	assert_int_equal(scratch_home_count(KERNELS), 0);
}

static void a_second_one_waits_for_the_first(void **state)
{
	(void)state;
	put(&cache, 0, 6);
	put(&cache, 1, 5);
	kernel_cache_name(&cache);
	assert_true(is_kept(0, 6));
	assert_false(is_kept(1, 5));
}

static void two_do_not_write_the_same_one(void **state)
{
	struct kernel_cache other;

	(void)state;
	kernel_cache_open(&other, scratch_home_path(KERNELS), LATER);
	put(&cache, 0, 6);
	put(&other, 0, 6);
	assert_int_equal(other.new_fd, -1);
	kernel_cache_name(&other);
	kernel_cache_close(&other);
	assert_false(is_kept(0, 6));
	/* One that was killed at it has left its file, and no lock. */
	close(cache.new_fd);
	cache.new_fd = -1;
	assert_int_equal(scratch_home_count(KERNELS), 1);
	keep(0, 6);
	assert_true(is_kept(0, 6));
	assert_int_equal(scratch_home_count(KERNELS), 1);
}

static void zeroes_are_holes(void **state)
{
	struct stat st;

	(void)state;
	put(&cache, 0, 6);
	assert_int_equal(fstat(cache.new_fd, &st), 0);
	assert_true(st.st_blocks * 512 < (off_t)sizeof(data));
}

static void one_that_has_no_room_is_left_where_it_is(void **state)
{
	uint8_t *dst = calloc(1, sizeof(data));
	size_t size;

	(void)state;
	keep(0, 6);
	assert_int_equal(kernel_cache_get(&cache, &file, 0, 6, dst, sizeof(data) - 1, &size),
			 -ENOENT);
	assert_int_equal(dst[0], 0);
	free(dst);
}

/* A limit on a file's size stands for a disk that is full. */
static void a_full_disk_keeps_nothing_and_says_nothing(void **state)
{
	struct rlimit before, little;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	little = before;
	little.rlim_cur = 100000;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	keep(0, 6);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(scratch_home_count(KERNELS), 0);
	assert_string_equal(said(), "");
}

static void a_directory_that_others_write_to_is_not_used(void **state)
{
	(void)state;
	keep(0, 6);
	for (unsigned bit = 02; bit <= 020; bit <<= 3) {
		assert_int_equal(chmod(scratch_home_path(KERNELS), 0700 | bit), 0);
		reopen(LATER);
		assert_int_equal(cache.dir_fd, -1);
		assert_false(is_kept(0, 6));
	}
	assert_int_equal(chmod(scratch_home_path(KERNELS), 0755), 0);
	reopen(LATER);
	assert_true(is_kept(0, 6));
}

static void the_directory_is_no_symbolic_link(void **state)
{
	(void)state;
	keep(0, 6);
	kernel_cache_close(&cache);
	assert_int_equal(symlink(scratch_home_path(KERNELS), scratch_home_path("link")), 0);
	kernel_cache_open(&cache, scratch_home_path("link"), LATER);
	assert_int_equal(cache.dir_fd, -1);
}

/* --- how many ------------------------------------------------------------------------------- */

static void set_mtime(const char *path, time_t seconds)
{
	struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};

	assert_int_equal(utimensat(cache.dir_fd, path, times, 0), 0);
}

static void those_that_were_used_last_are_kept(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KERNEL_CACHE_MAX; i++) {
		keep(i, 1);
		set_mtime(cache.new_id, 1000 + (time_t)i);
	}
	assert_true(is_kept(0, 1)); /* now the one that was used last */
	keep(100, 1);
	assert_int_equal(scratch_home_count(KERNELS), KERNEL_CACHE_MAX);
	assert_true(is_kept(0, 1));
	assert_false(is_kept(1, 1));
	assert_true(is_kept(2, 1));
	assert_true(is_kept(100, 1));
}

static void what_killed_ones_left_goes_and_what_is_not_ours_stays(void **state)
{
	int fd;

	(void)state;
	scratch_home_write(KERNELS "/.new-1", "x", 1);
	scratch_home_write(KERNELS "/.new-2", "x", 1);
	scratch_home_write(KERNELS "/README", "x", 1);
	set_mtime("README", 0);
	fd = open(scratch_home_path(KERNELS "/.new-2"), O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	keep(0, 6);
	close(fd);
	assert_int_not_equal(faccessat(cache.dir_fd, ".new-1", F_OK, 0), 0);
	assert_int_equal(faccessat(cache.dir_fd, ".new-2", F_OK, 0), 0);
	assert_int_equal(faccessat(cache.dir_fd, "README", F_OK, 0), 0);
}

/* --- behind the loader ----------------------------------------------------------------------- */

/* Loads the file into RAM of its own; whether the cache had it. */
static int load(struct mem *mem, enum image_arch arch)
{
	struct mem_range range = {0, RAM};
	struct load_params p = {.path = "vmlinuz", .arch = arch, .cache = &cache};
	struct image img;

	assert_int_equal(mem_create(mem, &range, 1), 0);
	assert_int_equal(load_kernel(file.fd, &p, mem, &img), 0);
	kernel_cache_name(&cache);
	return cache.used;
}

static void assert_same_ram(struct mem *a, struct mem *b)
{
	assert_memory_equal(mem_at(a, 0, RAM), mem_at(b, 0, RAM), RAM);
}

/* Writes over what is kept, in all of the ways that it may be damaged. */
static void damage(unsigned how)
{
	static char junk[1 << 20];
	int fd = openat(cache.dir_fd, cache.new_id, O_RDWR);

	assert_true(fd >= 0);
	switch (how) {
	case 0:
		assert_int_equal(ftruncate(fd, 0), 0);
		break;
	case 1:
		assert_int_equal(ftruncate(fd, 100), 0);
		break;
	case 2: /* holes, where a disk lost the data */
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(ftruncate(fd, 1 << 20), 0);
		break;
	case 3: /* bytes that are no kernel */
		memset(junk, 'j', sizeof(junk));
		assert_int_equal(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk));
		break;
	case 4: /* someone else may have written it */
		assert_int_equal(fchmod(fd, 0666), 0);
		break;
	case 5:
		assert_int_equal(unlinkat(cache.dir_fd, cache.new_id, 0), 0);
		assert_int_equal(symlinkat("/etc/passwd", cache.dir_fd, cache.new_id), 0);
		break;
	case 6:
		assert_int_equal(unlinkat(cache.dir_fd, cache.new_id, 0), 0);
		assert_int_equal(mkfifoat(cache.dir_fd, cache.new_id, 0600), 0);
		break;
	}
	close(fd);
}

static void load_as_before(const struct kernel_bytes *b, enum image_arch arch)
{
	struct mem plain, first, second, again;

	close(file.fd);
	open_file("kernel", b->data, b->len);
	free(b->data);
	cache.dir_fd = -1;
	load(&plain, arch);
	reopen(LATER);
	assert_int_equal(load(&first, arch), 0);
	assert_int_equal(load(&second, arch), 1);
	assert_same_ram(&plain, &first);
	assert_same_ram(&plain, &second);
	for (unsigned how = 0; how < 7; how++) {
		damage(how);
		load(&again, arch);
		assert_same_ram(&plain, &again);
		mem_destroy(&again);
		/* A good one has taken its place. */
		assert_int_equal(load(&again, arch), 1);
		assert_same_ram(&plain, &again);
		mem_destroy(&again);
	}
	mem_destroy(&plain);
	mem_destroy(&first);
	mem_destroy(&second);
}

static void a_bzimage_lies_in_ram_as_without_a_cache(void **state)
{
	struct kernel_spec spec = {
		.format = DECOMPRESS_ZSTD, .relocs = KERNEL_RELOCS_NEW, .lead = KERNEL_LEAD};
	struct kernel_bytes b = kernel_bzimage(&spec);

	(void)state;
	load_as_before(&b, IMAGE_ARCH_X86_64);
}

static void a_zboot_image_lies_in_ram_as_without_a_cache(void **state)
{
	struct kernel_bytes image = kernel_arm64(0, 4 << 20, 2, 3 << 20);
	struct kernel_bytes b = kernel_zboot(&image, DECOMPRESS_GZIP);

	(void)state;
	free(image.data);
	load_as_before(&b, IMAGE_ARCH_ARM64);
}

/* A payload that unpacks, and is no kernel that can be settled: the guest has to unpack it. */
static void what_only_the_guest_can_unpack_is_not_kept(void **state)
{
	struct kernel_spec spec = {
		.format = DECOMPRESS_ZSTD, .relocs = KERNEL_RELOCS_NEW, .lead = 4096};
	struct kernel_bytes elf = kernel_elf_relocs(&spec), b;
	struct mem mem;

	(void)state;
	/* Program headers, from offset 64 on, of 56 bytes: two change places. */
	for (unsigned i = 0; i < 56; i++) {
		uint8_t first = elf.data[64 + i];

		elf.data[64 + i] = elf.data[120 + i];
		elf.data[120 + i] = first;
	}
	b = kernel_bzimage_of(DECOMPRESS_ZSTD, elf.data, elf.len);
	free(elf.data);
	close(file.fd);
	open_file("kernel", b.data, b.len);
	free(b.data);
	load(&mem, IMAGE_ARCH_X86_64);
	assert_non_null(strstr(said(), "the guest unpacks it"));
	assert_int_equal(cache.new_fd, -1);
	assert_int_equal(scratch_home_count(KERNELS), 0);
	mem_destroy(&mem);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_was_unpacked_is_there_again),
		CASE(without_a_cache_nothing_is_kept),
		CASE(other_bytes_of_the_file_are_another_kernel),
		CASE(a_file_that_changed_is_another_kernel),
		CASE(a_file_that_was_replaced_is_another_kernel),
		CASE(a_file_that_changed_a_moment_ago_is_not_kept),
		CASE(a_file_that_changes_while_it_is_unpacked_is_not_kept),
		CASE(a_file_without_a_name_is_not_kept),
		CASE(what_is_not_named_is_removed),
		CASE(a_second_one_waits_for_the_first),
		CASE(two_do_not_write_the_same_one),
		CASE(zeroes_are_holes),
		CASE(one_that_has_no_room_is_left_where_it_is),
		CASE(a_full_disk_keeps_nothing_and_says_nothing),
		CASE(a_directory_that_others_write_to_is_not_used),
		CASE(the_directory_is_no_symbolic_link),
		CASE(those_that_were_used_last_are_kept),
		CASE(what_killed_ones_left_goes_and_what_is_not_ours_stays),
		CASE(a_bzimage_lies_in_ram_as_without_a_cache),
		CASE(a_zboot_image_lies_in_ram_as_without_a_cache),
		CASE(what_only_the_guest_can_unpack_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
