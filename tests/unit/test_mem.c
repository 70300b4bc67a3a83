/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory: which layouts are taken, which addresses have a pointer, and what lies beside. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/mem.h"

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)
#define PG  4096ull

/* Two regions with a hole, as on x86 but small: [0, 4 MiB) and [16 MiB, 18 MiB). */
static const struct mem_range two[] = {{0, 4 * MIB}, {16 * MIB, 2 * MIB}};

static int start(void **state)
{
	static struct mem mem;

	said_start();
	*state = &mem;
	return mem_create(&mem, two, 2);
}

static int stop(void **state)
{
	mem_destroy(*state);
	return 0;
}

static void test_layouts(void **state)
{
	static const struct {
		const char *name;
		struct mem_range r[MEM_REGIONS_MAX + 1];
		unsigned n;
		int expected;
	} table[] = {
		{"one page", {{0, PG}}, 1, 0},
		{"not at zero", {{GIB, PG}}, 1, 0},
		{"adjacent", {{0, PG}, {PG, PG}}, 2, 0},
		{"as many as can be", {{0, PG}, {MIB, PG}, {GIB, PG}, {4 * GIB, PG}}, 4, 0},
		{"5 GiB", {{0, 3 * GIB}, {4 * GIB, 2 * GIB}}, 2, 0},
		{"odd offsets in huge pages",
		 {{2 * MIB - PG, 2 * MIB}, {8 * MIB - PG, 4 * MIB}, {GIB + MIB, 2 * MIB}},
		 3,
		 0},
		{"the last page but one of the address space", {{-2 * PG, PG}}, 1, 0},
		{"none", {{0, PG}}, 0, -EINVAL},
		{"too many",
		 {{0, PG}, {PG, PG}, {2 * PG, PG}, {3 * PG, PG}, {4 * PG, PG}},
		 5,
		 -EINVAL},
		{"empty", {{0, 0}}, 1, -EINVAL},
		{"an empty second", {{0, PG}, {PG, 0}}, 2, -EINVAL},
		{"base inside a page", {{1, PG}}, 1, -EINVAL},
		{"length not in pages", {{0, PG + 1}}, 1, -EINVAL},
		{"overlap", {{0, 2 * PG}, {PG, PG}}, 2, -EINVAL},
		{"descending", {{MIB, PG}, {0, PG}}, 2, -EINVAL},
		{"wraps", {{-PG, 2 * PG}}, 1, -EINVAL},
		{"ends at 2^64", {{-PG, PG}}, 1, -EINVAL},
		{"more than an address space", {{0, 1ull << 60}}, 1, -ENOMEM},
		{"a sum that wraps",
		 {{0, 1ull << 62}, {1ull << 62, 1ull << 62}, {1ull << 63, 1ull << 62}},
		 3,
		 -ENOMEM},
	};

	(void)state;
	said_start();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct mem mem;
		int r;

		said_clear();
		r = mem_create(&mem, table[i].r, table[i].n);
		if (r != table[i].expected)
			fail_msg("%s: %d and not %d", table[i].name, r, table[i].expected);
		assert_int_equal(said_count(), r < 0);
		assert_int_equal(mem.count, r < 0 ? 0 : table[i].n);
		mem_destroy(&mem);
		assert_null(mem.map);
		mem_destroy(&mem);
	}
}

static void test_addresses(void **state)
{
	static const struct {
		gpa_t gpa;
		uint64_t len;
		int region; /* -1: NULL */
	} table[] = {
		{0, 1, 0},
		{0, 4 * MIB, 0},
		{4 * MIB - 1, 1, 0},
		{16 * MIB, 2 * MIB, 1},
		{18 * MIB - 8, 8, 1},
		{0, 0, -1},
		{16 * MIB, 0, -1},
		{0, 4 * MIB + 1, -1},
		{4 * MIB - 1, 2, -1},
		{4 * MIB, 1, -1},
		{16 * MIB - 1, 1, -1},
		{16 * MIB - 1, 2, -1},
		{18 * MIB - 8, 9, -1},
		{18 * MIB, 1, -1},
		{0, UINT64_MAX, -1},
		{1, UINT64_MAX, -1},
		{17 * MIB, UINT64_MAX - 17 * MIB + 1, -1},
		{UINT64_MAX, 1, -1},
		{UINT64_MAX, 2, -1},
		{UINT64_MAX - 7, 8, -1},
	};
	const struct mem *mem = *state;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct mem_region *r =
			table[i].region < 0 ? NULL : &mem->region[table[i].region];
		void *expected = r ? r->host + (table[i].gpa - r->base) : NULL;

		if (mem_at(mem, table[i].gpa, table[i].len) != expected)
			fail_msg("%#llx + %#llx", (unsigned long long)table[i].gpa,
				 (unsigned long long)table[i].len);
	}
	assert_int_equal(mem_size(mem), 6 * MIB);
}

/* Regions that touch are two all the same: nothing spans both. */
static void test_adjacent_regions_do_not_join(void **state)
{
	struct mem mem;

	(void)state;
	assert_int_equal(mem_create(&mem, (struct mem_range[]){{0, PG}, {PG, PG}}, 2), 0);
	assert_non_null(mem_at(&mem, PG - 1, 1));
	assert_non_null(mem_at(&mem, PG, 1));
	assert_null(mem_at(&mem, PG - 1, 2));
	mem_destroy(&mem);
}

static void test_copies(void **state)
{
	struct mem *mem = *state;
	const char out[] = "guest memory";
	char in[sizeof(out)] = {0};
	uint8_t last = 0x5a;

	assert_int_equal(mem_write(mem, 16 * MIB, out, sizeof(out)), 0);
	assert_int_equal(mem_read(mem, 16 * MIB, in, sizeof(in)), 0);
	assert_string_equal(in, out);

	/* All or nothing, at both ends of a region. */
	assert_int_equal(mem_write(mem, 4 * MIB - 1, &last, 1), 0);
	assert_int_equal(mem_write(mem, 4 * MIB - 1, out, 2), -EFAULT);
	assert_int_equal(*(uint8_t *)mem_at(mem, 4 * MIB - 1, 1), 0x5a);
	in[0] = 'x';
	assert_int_equal(mem_read(mem, 4 * MIB - 1, in, 2), -EFAULT);
	assert_int_equal(in[0], 'x');
	assert_int_equal(mem_read(mem, 8 * MIB, in, 1), -EFAULT);

	/* Nothing succeeds anywhere. */
	assert_int_equal(mem_read(mem, 8 * MIB, NULL, 0), 0);
	assert_int_equal(mem_write(mem, UINT64_MAX, NULL, 0), 0);
}

/* RAM starts as zeroes, and guest and host addresses agree modulo a huge page. */
static void test_fresh_and_aligned(void **state)
{
	static const gpa_t bases[] = {0, 3 * MIB, 8 * MIB + PG, GIB + 2 * MIB - PG};
	struct mem_range r[4];
	struct mem mem;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		r[i] = (struct mem_range){bases[i], 2 * MIB};
	assert_int_equal(mem_create(&mem, r, 4), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal((uintptr_t)mem.region[i].host % (2 * MIB), bases[i] % (2 * MIB));
		for (uint64_t at = 0; at < 2 * MIB; at += PG)
			assert_int_equal(mem.region[i].host[at], 0);
		mem.region[i].host[2 * MIB - 1] = 1;
	}
	mem_destroy(&mem);
}

/* A child that touches @p: true if a guard stopped it. */
static int faults(uint8_t *p)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile uint8_t *)p = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void test_guards(void **state)
{
	const struct mem *mem = *state;

	for (unsigned i = 0; i < mem->count; i++) {
		const struct mem_region *r = &mem->region[i];
		static const uint64_t away[] = {1, PG, GIB / 2, GIB - 1};

		for (size_t k = 0; k < sizeof(away) / sizeof(away[0]); k++) {
			assert_true(faults(r->host - away[k]));
			assert_true(faults(r->host + r->len - 1 + away[k]));
		}
		/* The reservation ends a guard's length beyond, no nearer. */
		assert_true((uintptr_t)r->host - (uintptr_t)mem->map >= GIB);
		assert_true((uintptr_t)mem->map + mem->map_len - (uintptr_t)(r->host + r->len) >=
			    GIB);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test_setup_teardown(test_addresses, start, stop),
		cmocka_unit_test(test_adjacent_regions_do_not_join),
		cmocka_unit_test_setup_teardown(test_copies, start, stop),
		cmocka_unit_test(test_fresh_and_aligned),
		cmocka_unit_test_setup_teardown(test_guards, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
