/* SPDX-License-Identifier: BSD-2-Clause */
/* Address to device: what may be added, what an access reaches, and what it does where nothing is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/bus.h"

/* A device that remembers the last access and reads as its own number and the offset. */
struct probe {
	uint64_t id;
	unsigned reads, writes;
	uint64_t off, value;
	unsigned size;
};

static uint64_t probe_read(void *dev, uint64_t off, unsigned size)
{
	struct probe *p = dev;

	p->reads++;
	p->off = off;
	p->size = size;
	return p->id << 32 | (uint32_t)off;
}

static void probe_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct probe *p = dev;

	p->writes++;
	p->off = off;
	p->size = size;
	p->value = value;
}

static const struct bus_ops probe_ops = {probe_read, probe_write};

static void test_add(void **state)
{
	static const struct {
		uint64_t base, len;
		int expected;
	} table[] = {
		{0x1000, 0x100, 0},
		{0x1000, 0x100, -EEXIST},
		{0x10ff, 1, -EEXIST},
		{0x0fff, 1, 0},
		{0x0ff0, 0x0f, 0},
		{0x1100, 8, 0},
		{0x0f00, 0x1000, -EEXIST}, /* around several */
		{0x0ff0, 0x10, -EEXIST},
		{0x1080, 4, -EEXIST}, /* inside one */
		{0x2000, 0, -EINVAL},
		{UINT64_MAX, 1, 0}, /* the last byte there is */
		{UINT64_MAX, 2, -EINVAL},
		{UINT64_MAX - 1, 2, -EEXIST},
		{UINT64_MAX - 1, 3, -EINVAL},
		{0, UINT64_MAX, -EEXIST},
		{0, 1, 0},
	};
	static struct bus bus;
	struct probe p = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int is_free = bus_is_free(&bus, table[i].base, table[i].len);
		int r = bus_add(&bus, table[i].base, table[i].len, &probe_ops, &p);

		if (r != table[i].expected)
			fail_msg("line %zu: %d and not %d", i, r, table[i].expected);
		assert_int_equal(is_free, r == 0);
	}
	for (unsigned i = 1; i < bus.count; i++)
		assert_true(bus.range[i - 1].base + (bus.range[i - 1].len - 1) < bus.range[i].base);
	assert_int_equal(bus_read(&bus, UINT64_MAX, 1), 0);
	assert_int_equal(p.reads, 1);
}

static void test_accesses(void **state)
{
	static const struct {
		uint64_t addr;
		unsigned size;
		int dev; /* -1: nobody's */
		uint64_t off;
	} table[] = {
		{0x100, 1, 0, 0},       {0x100, 8, 0, 0},  {0x107, 1, 0, 7},
		{0x104, 4, 0, 4},       {0x103, 4, 0, 3}, /* not aligned is the device's business */
		{0x108, 8, 1, 0},                         /* adjacent */
		{0x10f, 1, 1, 7},       {0x0ff, 1, -1, 0}, {0x0ff, 2, -1, 0}, /* into the first */
		{0x105, 4, -1, 0},                         /* from one into the other */
		{0x10d, 4, -1, 0},                         /* out of the second */
		{0x110, 1, -1, 0},      {0x100, 3, -1, 0}, /* what a page crossing leaves */
		{0x100, 5, -1, 0},      {0x100, 7, -1, 0}, {0x100, 0, -1, 0},
		{UINT64_MAX, 8, -1, 0}, {0, 8, -1, 0},
	};
	static struct bus bus;
	struct probe dev[2];

	(void)state;
	assert_int_equal(bus_add(&bus, 0x108, 8, &probe_ops, &dev[1]), 0);
	assert_int_equal(bus_add(&bus, 0x100, 8, &probe_ops, &dev[0]), 0);
	/* Twice, so that each also starts from what the one before left in the cache. */
	for (size_t k = 0; k < 2 * sizeof(table) / sizeof(table[0]); k++) {
		size_t i = k % (sizeof(table) / sizeof(table[0]));
		uint64_t got;

		memset(dev, 0, sizeof(dev));
		dev[0].id = 1;
		dev[1].id = 2;
		got = bus_read(&bus, table[i].addr, table[i].size);
		bus_write(&bus, table[i].addr, table[i].size, 0x1122334455667788);
		for (int d = 0; d < 2; d++) {
			unsigned mine = d == table[i].dev;

			if (dev[d].reads != mine || dev[d].writes != mine)
				fail_msg("line %zu: device %d", i, d);
			if (!mine)
				continue;
			assert_int_equal(dev[d].off, table[i].off);
			assert_int_equal(dev[d].size, table[i].size);
			assert_int_equal(dev[d].value, 0x1122334455667788);
			assert_int_equal(got, dev[d].id << 32 | table[i].off);
		}
		if (table[i].dev < 0)
			assert_true(got == UINT64_MAX);
	}
}

static void test_remove(void **state)
{
	static struct bus bus;
	struct probe p[3] = {{.id = 1}, {.id = 2}, {.id = 3}};

	(void)state;
	assert_int_equal(bus_remove(&bus, 0), -ENOENT);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(bus_add(&bus, i * 16, 16, &probe_ops, &p[i]), 0);
	assert_int_equal(bus_read(&bus, 32, 4) >> 32, 3); /* now in the cache */
	assert_int_equal(bus_remove(&bus, 17), -ENOENT);
	assert_int_equal(bus_remove(&bus, 16), 0);
	assert_int_equal(bus_remove(&bus, 16), -ENOENT);
	assert_true(bus_read(&bus, 16, 4) == UINT64_MAX);
	assert_int_equal(bus_read(&bus, 32, 4) >> 32, 3);
	assert_int_equal(bus_read(&bus, 0, 4) >> 32, 1);
	assert_int_equal(bus_remove(&bus, 32), 0);
	assert_true(bus_read(&bus, 32, 4) == UINT64_MAX);
	/* The room is free for another, of another shape. */
	assert_int_equal(bus_add(&bus, 16, 32, &probe_ops, &p[1]), 0);
	assert_int_equal(bus_read(&bus, 40, 4), 2ull << 32 | 24);
}

static void test_full(void **state)
{
	static struct bus bus;
	struct probe p = {.id = 9};

	(void)state;
	for (unsigned i = BUS_RANGES_MAX; i-- > 0;)
		assert_int_equal(bus_add(&bus, i * 4, 2, &probe_ops, &p), 0);
	assert_int_equal(bus_add(&bus, 2, 1, &probe_ops, &p), -ENOSPC);
	assert_int_equal(bus_add(&bus, 0, 1, &probe_ops, &p), -EEXIST);
	for (unsigned i = 0; i < BUS_RANGES_MAX; i++) {
		assert_int_equal(bus_read(&bus, i * 4 + 1, 1), 9ull << 32 | 1);
		assert_true(bus_read(&bus, i * 4 + 2, 1) == UINT64_MAX);
	}
	assert_int_equal(bus_remove(&bus, 0), 0);
	assert_int_equal(bus_add(&bus, 2, 1, &probe_ops, &p), 0);
}

/* A BAR moves while it is written: the write handler takes its own range away. */
static struct bus moving;

static void move_write(void *dev, uint64_t off, unsigned size, uint64_t value);
static const struct bus_ops move_ops = {probe_read, move_write};

static void move_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct probe *p = dev;

	assert_int_equal(bus_remove(&moving, p->id), 0);
	probe_write(dev, off, size, value);
	p->id = value;
	assert_int_equal(bus_add(&moving, value, 16, &move_ops, dev), 0);
}

static void test_moves_itself(void **state)
{
	struct probe mover = {.id = 0x100}, other = {.id = 5};

	(void)state;
	assert_int_equal(bus_add(&moving, 0x100, 16, &move_ops, &mover), 0);
	assert_int_equal(bus_add(&moving, 0x200, 16, &probe_ops, &other), 0);
	bus_write(&moving, 0x104, 4, 0x300);
	assert_int_equal(mover.writes, 1);
	assert_int_equal(moving.count, 2);
	assert_true(bus_read(&moving, 0x104, 4) == UINT64_MAX);
	assert_int_equal(bus_read(&moving, 0x200, 1), 5ull << 32);
	assert_int_equal(bus_read(&moving, 0x30c, 4), 0x300ull << 32 | 12);
	assert_false(bus_is_free(&moving, 0x30f, 1));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),          cmocka_unit_test(test_accesses),
		cmocka_unit_test(test_remove),       cmocka_unit_test(test_full),
		cmocka_unit_test(test_moves_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
