/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wrong chains and rings against the virtqueue and dev.c. Each case must end in the verdict that
 * the specification gives (tests/lib/judge.c), without a load or a segment outside RAM, within a
 * bounded number of loads; and after a reset the device works again. Queues that are set up
 * wrongly: test_hostile_queue.c.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/lib/ring_bench.h"

#define NEXT  VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define TABLE VRING_DESC_F_INDIRECT
#define V1    (1ull << VIRTIO_F_VERSION_1)

/* --- B01 ------------------------------------------------------------------------------------ */

static void test_b01_loops_and_long_chains(void **state)
{
	(void)state;
	for (unsigned len = 1; len <= BENCH_SIZE; len++)
		for (unsigned back = 0; back < len; back++)
			for (unsigned indirect = 0; indirect < 2; indirect++) {
				gpa_t table;

				case_begin("B01 %s chain of %u, the last goes back to %u",
					   indirect ? "indirect" : "direct", len, back);
				bench_start(DRIVER_ALL);
				table = indirect ? driver_alloc(&bench.drv, 16 * BENCH_SIZE, 16)
						 : bench.drv.q[0].desc;
				for (unsigned i = 0; i < len; i++)
					driver_table(
						&bench.drv, table, i,
						(struct vring_desc){
							0x1000, 4, NEXT,
							(uint16_t)(i + 1 < len ? i + 1 : back)});
				if (indirect)
					bench_desc(0, table, 16 * BENCH_SIZE, TABLE, 0);
				driver_offer(&bench.drv, 0, 0);
				CHECK(bench_verdict() == DRIVER_WRONG);
			}
	case_begin("B01 afterwards");
	bench_revive();
}

/* Direct and indirect parts together: as long as the queue is right, one more is wrong. */
static void test_b01_length_limit(void **state)
{
	(void)state;
	for (unsigned direct = 0; direct < BENCH_SIZE; direct++)
		for (unsigned extra = 0; extra < 2; extra++) {
			unsigned n = BENCH_SIZE - direct + extra;
			gpa_t table;

			case_begin("B01 %u direct and %u indirect", direct, n);
			bench_start(DRIVER_ALL);
			table = driver_alloc(&bench.drv, 16 * n, 16);
			for (unsigned i = 0; i < n; i++)
				driver_table(&bench.drv, table, i,
					     (struct vring_desc){0x1000, 1, i + 1 < n ? NEXT : 0,
								 (uint16_t)(i + 1)});
			for (uint16_t i = 0; i < direct; i++)
				bench_desc(i, 0x1000, 1, NEXT, (uint16_t)(i + 1));
			bench_desc((uint16_t)direct, table, 16 * n, TABLE, 0);
			driver_offer(&bench.drv, 0, 0);
			CHECK(bench_verdict() == (extra ? DRIVER_WRONG : DRIVER_VALID));
		}
	bench_revive();
}

/* --- B02 ------------------------------------------------------------------------------------ */

static void test_b02_zero_length_everywhere(void **state)
{
	(void)state;
	for (unsigned zero = 0; zero < 16; zero++)
		for (unsigned outs = 0; outs <= 4; outs++)
			for (unsigned flags = 0; flags < 2; flags++) {
				struct driver_seg s[4];

				case_begin("B02 zero lengths %#x, %u of 4 out, %s", zero, outs,
					   flags ? "indirect" : "direct");
				bench_start(DRIVER_ALL);
				for (unsigned i = 0; i < 4; i++)
					s[i] = (struct driver_seg){
						zero >> i & 1 ? ~0ull : 0x1000 * (i + 1),
						zero >> i & 1 ? 0 : 8, i >= outs};
				driver_add(&bench.drv, 0, s, 4, flags);
				CHECK(bench_verdict() == DRIVER_VALID);
				CHECK(bench.chain.out + bench.chain.in ==
				      4 - (unsigned)__builtin_popcount(zero));
				CHECK(driver_used_idx(&bench.drv, 0) == 1);
			}
	bench_revive();
}

/* --- B03 ------------------------------------------------------------------------------------ */

static void test_b03_addresses_and_lengths(void **state)
{
	static const uint64_t addrs[] = {
		0,
		1,
		BENCH_HEAP - 1,
		BENCH_R0_END - 1,
		BENCH_R0_END - 16,
		BENCH_R0_END - 4096,
		BENCH_R0_END,
		BENCH_R0_END + 1,
		BENCH_R1 - 1,
		BENCH_R1,
		BENCH_R2 - 1,
		BENCH_R2 - 16,
		BENCH_R2,
		BENCH_R2_END - 8,
		BENCH_R2_END,
		0xfffffff0,
		BENCH_R3 - 1,
		BENCH_R3,
		BENCH_R3_END - 1,
		BENCH_R3_END - 64,
		BENCH_R3_END,
		1ull << 52,
		1ull << 63,
		~0ull - 4095,
		~0ull - 15,
		~0ull,
	};
	static const uint32_t lens[] = {1,    15,       16,       17,         4096,
					4097, 0x100000, 0x100001, 0x80000000, ~0u};

	(void)state;
	for (unsigned a = 0; a < sizeof(addrs) / sizeof(addrs[0]); a++)
		for (unsigned l = 0; l < sizeof(lens) / sizeof(lens[0]); l++)
			for (unsigned way = 0; way < 4; way++) {
				struct driver_seg s = {addrs[a], lens[l], way & 1};
				/* By the map at the top of this file, in other words than mem.c's.
				 */
				uint64_t end = addrs[a] + lens[l];
				int good = end >= addrs[a] &&
					   ((addrs[a] < BENCH_R0_END && end <= BENCH_R0_END) ||
					    (addrs[a] >= BENCH_R1 && end <= BENCH_R2) ||
					    (addrs[a] >= BENCH_R2 && end <= BENCH_R2_END) ||
					    (addrs[a] >= BENCH_R3 && end <= BENCH_R3_END));

				/* The device may write there, and the driver's own rings are there.
				 */
				if (good && s.write && addrs[a] < BENCH_R0_END && end > BENCH_HEAP)
					continue;
				case_begin("B03 %s descriptor at %#llx, %#x bytes%s",
					   way & 1 ? "in" : "out", (unsigned long long)addrs[a],
					   lens[l], way & 2 ? ", indirect" : "");
				bench_start(DRIVER_ALL);
				driver_add(&bench.drv, 0, &s, 1, way & 2 ? DRIVER_INDIRECT : 0);
				CHECK(bench_verdict() == (good ? DRIVER_VALID : DRIVER_WRONG));
			}
	bench_revive();
}

/* --- B05 ------------------------------------------------------------------------------------ */

/* The n-th descriptor or its table entry cannot be had: nothing of the chain is used. */
static void test_b05_nth_fetch_fails(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8; n++)
		for (unsigned how = 0; how < 3; how++) {
			gpa_t buf;

			case_begin("B05 descriptor %u of 8: %s", n,
				   how == 0   ? "outside RAM"
				   : how == 1 ? "next out of the table"
					      : "its table outside RAM");
			bench_start(DRIVER_ALL);
			buf = driver_alloc(&bench.drv, 64, 16);
			for (uint16_t i = 0; i < 8; i++)
				bench_desc(i, buf, 8, (i < 7 ? NEXT : 0) | WRITE,
					   (uint16_t)(i + 1));
			if (how == 0)
				bench_desc((uint16_t)n, BENCH_R0_END, 8, (n < 7 ? NEXT : 0) | WRITE,
					   (uint16_t)(n + 1));
			else if (how == 1)
				bench_desc((uint16_t)n, buf, 8, NEXT | WRITE, BENCH_SIZE);
			else
				bench_desc((uint16_t)n, BENCH_R0_END, 64, TABLE, 0);
			driver_offer(&bench.drv, 0, 0);
			memset(driver_ptr(&bench.drv, buf, 64), 0xa5, 64);
			CHECK(bench_verdict() == DRIVER_WRONG);
			for (unsigned i = 0; i < 64; i++)
				CHECK(((uint8_t *)driver_ptr(&bench.drv, buf, 64))[i] == 0xa5);
			CHECK(driver_used_idx(&bench.drv, 0) == 0);
			bench_revive();
		}
}

/* --- B06 ------------------------------------------------------------------------------------ */

static struct {
	unsigned at; /* after this load, scribble */
	unsigned pattern;
	const void *seen[64];
	unsigned n_seen;
	int twice;
	gpa_t table;
} mutation;

static void scribble(gpa_t at, size_t len, unsigned pattern)
{
	uint8_t *p = driver_ptr(&bench.drv, at, len);

	for (size_t i = 0; i < len; i++)
		p[i] = pattern == 0   ? 0xff
		       : pattern == 1 ? 0
		       : pattern == 2 ? (uint8_t)(p[i] ^ 0x5a)
				      : (uint8_t)(i * 37 + 1);
}

static uint64_t mutate(const void *at, unsigned size, uint64_t value)
{
	bench_load(at, size, value);
	for (unsigned i = 0; i < mutation.n_seen; i++)
		mutation.twice |= mutation.seen[i] == at;
	if (mutation.n_seen < 64)
		mutation.seen[mutation.n_seen++] = at;
	if (bench.loads == mutation.at) {
		scribble(bench.drv.q[0].desc, 16 * BENCH_SIZE, mutation.pattern);
		scribble(bench.drv.q[0].avail, 6 + 2 * BENCH_SIZE, mutation.pattern);
		scribble(mutation.table, 64, mutation.pattern);
	}
	return value;
}

/*
 * Everything that the guest could change is changed right after the k-th load. Words loaded by
 * then keep their meaning, no word is loaded a second time, and what comes out is in RAM.
 */
static void test_b06_words_change_after_they_were_read(void **state)
{
	(void)state;
	for (unsigned k = 1; k <= 18; k++)
		for (unsigned pattern = 0; pattern < 4; pattern++)
			for (unsigned indirect = 0; indirect < 2; indirect++) {
				int r;

				case_begin("B06 %s chain, pattern %u after load %u",
					   indirect ? "indirect" : "direct", pattern, k);
				bench_start(DRIVER_ALL);
				mutation.table = driver_alloc(&bench.drv, 64, 16);
				for (unsigned i = 0; i < 3; i++)
					driver_table(
						&bench.drv,
						indirect ? mutation.table : bench.drv.q[0].desc, i,
						(struct vring_desc){0x1000u * (i + 1), 8,
								    (i < 2 ? NEXT : 0) |
									    (i ? WRITE : 0),
								    (uint16_t)(i + 1)});
				if (indirect)
					bench_desc(0, mutation.table, 48, TABLE, 0);
				driver_offer(&bench.drv, 0, 0);
				bench.loads = mutation.n_seen = 0;
				mutation.twice = 0;
				mutation.at = k;
				mutation.pattern = pattern;
				ring_load_hook = mutate;
				r = vq_pop(bench.vq, &bench.chain);
				ring_load_hook = bench_load;
				CHECK(!mutation.twice && !bench.outside);
				CHECK(r == 1 || r == -EPROTO);
				/* All of it was read by then: 2 words of the ring, 4 a descriptor.
				 */
				if (k >= (indirect ? 18u : 14u))
					CHECK(r == 1 && bench.chain.out == 1 &&
					      bench.chain.in == 2);
				for (unsigned i = 0; r == 1 && i < bench.chain.out + bench.chain.in;
				     i++)
					CHECK(bench_is_ram(bench.segs[i].iov_base,
							   bench.segs[i].iov_len));
			}
	bench_revive();
}

/* --- B07 ------------------------------------------------------------------------------------ */

static void test_b07_indirect_tables(void **state)
{
	/* The referring descriptor; T is a table of 4 entries in RAM. */
	enum { T = 0x8000 };
	static const struct {
		const char *name;
		uint64_t addr;
		uint32_t len;
		unsigned flags;
		enum driver_verdict want;
	} rows[] = {
		{"as it should be", T, 64, TABLE, DRIVER_VALID},
		{"WRITE is ignored", T, 64, TABLE | WRITE, DRIVER_VALID},
		{"with NEXT", T, 64, TABLE | NEXT, DRIVER_WRONG},
		{"with NEXT and WRITE", T, 64, TABLE | NEXT | WRITE, DRIVER_WRONG},
		{"empty", T, 0, TABLE, DRIVER_WRONG},
		{"length 1", T, 1, TABLE, DRIVER_WRONG},
		{"length 15", T, 15, TABLE, DRIVER_WRONG},
		{"length 17", T, 17, TABLE, DRIVER_WRONG},
		{"length 63", T, 63, TABLE, DRIVER_WRONG},
		{"length 65", T, 65, TABLE, DRIVER_WRONG},
		{"cut inside the chain", T, 16, TABLE, DRIVER_WRONG},
		{"cut before the last", T, 48, TABLE, DRIVER_WRONG},
		{"more entries than the queue", T, 16 * (BENCH_SIZE + 1), TABLE, DRIVER_VALID},
		{"a table of 1 MiB", T, 0x100000, TABLE, DRIVER_VALID},
		{"huge", T, 0xfffffff0, TABLE, DRIVER_WRONG},
		{"outside RAM", BENCH_R0_END, 64, TABLE, DRIVER_WRONG},
		{"in the hole", BENCH_R1 - 64, 64, TABLE, DRIVER_WRONG},
		{"over the end of RAM", BENCH_R0_END - 48, 64, TABLE, DRIVER_WRONG},
		{"over two regions", BENCH_R2 - 32, 64, TABLE, DRIVER_WRONG},
		{"wraps", ~0ull - 15, 64, TABLE, DRIVER_WRONG},
		{"at the end of the world", ~0ull - 63, 64, TABLE, DRIVER_WRONG},
		{"in a device's registers", 0xfee00000, 64, TABLE, DRIVER_WRONG},
		{"odd address", T + 0x1001, 64, TABLE, DRIVER_VALID},
		{"reserved flags", T, 64, TABLE | 0xff00, DRIVER_VALID},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned direct = 0; direct < 2; direct++)
			for (unsigned negotiated = 0; negotiated < 2; negotiated++) {
				case_begin("B07 %s%s%s", rows[i].name,
					   direct ? ", after a direct one" : "",
					   negotiated ? "" : ", not negotiated");
				bench_start(negotiated ? DRIVER_ALL : V1);
				for (unsigned at = 0; at < 2; at++)
					for (unsigned n = 0; n < 4; n++)
						driver_table(&bench.drv, at ? T + 0x1001 : T, n,
							     (struct vring_desc){
								     0x1000, 4,
								     (n < 3 ? NEXT : 0) | WRITE,
								     (uint16_t)(n + 1)});
				if (direct)
					bench_desc(0, 0x1000, 4, NEXT, 1);
				bench_desc((uint16_t)direct, rows[i].addr, rows[i].len,
					   rows[i].flags, 2);
				driver_offer(&bench.drv, 0, 0);
				CHECK(bench_verdict() ==
				      (negotiated ? rows[i].want : DRIVER_WRONG));
			}
	bench_revive();
}

static void test_b07_inside_the_table(void **state)
{
	static const struct {
		const char *name;
		unsigned flags; /* of entry 1 of 3 */
		uint16_t next;
		uint64_t addr;
		enum driver_verdict want;
	} rows[] = {
		{"nested", TABLE, 0, 0x8000, DRIVER_WRONG},
		{"nested in itself", TABLE, 0, 0, DRIVER_WRONG},
		{"nested with NEXT", TABLE | NEXT, 2, 0x8000, DRIVER_WRONG},
		{"next past the end", NEXT, 3, 0x1000, DRIVER_WRONG},
		{"next 65535", NEXT, 0xffff, 0x1000, DRIVER_WRONG},
		{"next itself", NEXT, 1, 0x1000, DRIVER_WRONG},
		{"back to the first", NEXT, 0, 0x1000, DRIVER_WRONG},
		{"ends early", 0, 77, 0x1000, DRIVER_VALID},
		{"in before out", NEXT | WRITE, 2, 0x1000, DRIVER_WRONG},
		{"outside RAM", NEXT, 2, BENCH_R0_END, DRIVER_WRONG},
		{"on top of the table", NEXT, 2, 0x9000, DRIVER_VALID},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const gpa_t table = 0x9000;

		case_begin("B07 entry: %s", rows[i].name);
		bench_start(DRIVER_ALL);
		driver_table(&bench.drv, table, 0, (struct vring_desc){0x1000, 4, NEXT, 1});
		driver_table(&bench.drv, table, 1,
			     (struct vring_desc){rows[i].addr ? rows[i].addr : table, 16,
						 (uint16_t)rows[i].flags, rows[i].next});
		driver_table(&bench.drv, table, 2, (struct vring_desc){0x1000, 4, 0, 0});
		bench_desc(0, table, 48, TABLE, 0);
		driver_offer(&bench.drv, 0, 0);
		CHECK(bench_verdict() == rows[i].want);
	}
	bench_revive();
}

/* The order of device-readable and device-writable parts, all shapes of four descriptors. */
static void test_directions(void **state)
{
	(void)state;
	for (unsigned shape = 0; shape < 16; shape++) {
		int sorted = shape == 0 || shape == 8 || shape == 12 || shape == 14 || shape == 15;

		case_begin("directions %#x", shape);
		bench_start(DRIVER_ALL);
		for (uint16_t i = 0; i < 4; i++)
			bench_desc(i, 0x1000u * (i + 1), 4,
				   (i < 3 ? NEXT : 0) | (shape >> i & 1 ? WRITE : 0),
				   (uint16_t)(i + 1));
		driver_offer(&bench.drv, 0, 0);
		CHECK(bench_verdict() == (sorted ? DRIVER_VALID : DRIVER_WRONG));
	}
	bench_revive();
}

/* --- B08 ------------------------------------------------------------------------------------ */

static void test_b08_available_index_jumps(void **state)
{
	static const uint16_t bases[] = {0, 1, 15, 16, 0x7ff8, 0xfff8, 0xffff};
	static const uint16_t jumps[] = {1,   2,   15,     16,     17,     18,
					 255, 256, 0x7fff, 0x8000, 0xfffe, 0xffff};

	(void)state;
	for (unsigned i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		for (unsigned j = 0; j < sizeof(jumps) / sizeof(jumps[0]); j++) {
			case_begin("B08 index %u jumps by %u", bases[i], jumps[j]);
			bench_start(DRIVER_ALL);
			for (uint16_t n = 0; n < BENCH_SIZE; n++) {
				bench_desc(n, 0x1000, 4, 0, 0);
				driver_offer(&bench.drv, 0, n);
			}
			/* A device that has been running for a while. */
			bench.vq->s.last_avail = bases[i];
			driver_set_avail_idx(&bench.drv, 0, (uint16_t)(bases[i] + jumps[j]));
			CHECK(bench_verdict() ==
			      (jumps[j] <= BENCH_SIZE ? DRIVER_VALID : DRIVER_WRONG));
			CHECK(jumps[j] > BENCH_SIZE || driver_used_idx(&bench.drv, 0) == jumps[j]);
		}
	bench_revive();
}

/* A driver that adds a chain whenever the device looks: each turn ends all the same. */
static uint64_t one_more(const void *at, unsigned size, uint64_t value)
{
	static uint8_t *idx;
	uint16_t v;

	bench_load(at, size, value);
	idx = driver_ptr(&bench.drv, bench.drv.q[0].avail + 2, 2);
	if (at != idx)
		return value;
	v = (uint16_t)(bench.dev->vq[0].s.last_avail + 1);
	memcpy(idx, &v, 2);
	return v;
}

static void test_b08_endless_supply(void **state)
{
	(void)state;
	case_begin("B08 a chain for every look");
	bench_start(DRIVER_ALL);
	for (uint16_t n = 0; n < BENCH_SIZE; n++)
		bench_desc(n, 0x1000, 4, 0, 0);
	for (uint16_t n = 0; n < BENCH_SIZE; n++)
		driver_offer(&bench.drv, 0, n);
	driver_set_avail_idx(&bench.drv, 0, 0);
	ring_load_hook = one_more;
	for (unsigned turn = 1; turn < 50; turn++) {
		bench.drv.later = 0;
		virtio_kick_later(bench.dev, 0);
		virtio_run_later(bench.dev);
		CHECK(bench.echo.answered <= turn * VIRTIO_BUDGET);
	}
	CHECK(bench.echo.answered == 49 * VIRTIO_BUDGET);
	ring_load_hook = bench_load;
	bench_revive();
}

/* --- B09 ------------------------------------------------------------------------------------ */

static void test_b09_same_head_twice(void **state)
{
	(void)state;
	for (uint16_t head = 0; head < BENCH_SIZE; head++)
		for (unsigned between = 0; between < 3; between++) {
			case_begin("B09 head %u twice with %u others between", head, between);
			bench.echo.slow = 1;
			bench_start(DRIVER_ALL);
			for (uint16_t n = 0; n < BENCH_SIZE; n++)
				bench_desc(n, 0x1000, 4, WRITE, 0);
			driver_offer(&bench.drv, 0, head);
			for (uint16_t n = 1; n <= between; n++)
				driver_offer(&bench.drv, 0, (head + n) % BENCH_SIZE);
			driver_offer(&bench.drv, 0, head);
			driver_kick(&bench.drv, 0);
			CHECK(virtio_get_status(bench.dev) & VIRTIO_STATUS_NEEDS_RESET);
			CHECK(bench.echo.n_held == between + 1);
			/* The backend's answers to a broken device go nowhere. */
			echo_finish(&bench.echo, UINT_MAX);
			driver_pump(&bench.drv);
			CHECK(driver_used_idx(&bench.drv, 0) == 0);
			bench.echo.slow = 0;
			bench_revive();
		}
}

static void test_b09_tail_shared_by_two_heads(void **state)
{
	(void)state;
	case_begin("B09 two heads, one tail");
	bench.echo.slow = 1;
	bench_start(DRIVER_ALL);
	bench_desc(0, 0x1000, 4, NEXT, 2);
	bench_desc(1, 0x1000, 4, NEXT, 2);
	bench_desc(2, 0x2000, 4, WRITE, 0);
	driver_offer(&bench.drv, 0, 0);
	driver_offer(&bench.drv, 0, 1);
	driver_kick(&bench.drv, 0);
	CHECK(bench.echo.n_held == 2);
	echo_finish(&bench.echo, UINT_MAX);
	driver_pump(&bench.drv);
	CHECK(driver_used_idx(&bench.drv, 0) == 2);
	bench.echo.slow = 0;
	bench_revive();
}

/* Heads that are no descriptors at all. */
static void test_heads_out_of_range(void **state)
{
	(void)state;
	for (unsigned head = BENCH_SIZE; head < 0x10000; head += head < 64 ? 1 : 4093) {
		case_begin("head %u", head);
		bench_start(DRIVER_ALL);
		driver_offer(&bench.drv, 0, (uint16_t)head);
		CHECK(bench_verdict() == DRIVER_WRONG);
	}
	bench_revive();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_up, bench_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_b01_loops_and_long_chains),
		TEST(test_b01_length_limit),
		TEST(test_b02_zero_length_everywhere),
		TEST(test_b03_addresses_and_lengths),
		TEST(test_b05_nth_fetch_fails),
		TEST(test_b06_words_change_after_they_were_read),
		TEST(test_b07_indirect_tables),
		TEST(test_b07_inside_the_table),
		TEST(test_directions),
		TEST(test_b08_available_index_jumps),
		TEST(test_b08_endless_supply),
		TEST(test_b09_same_head_twice),
		TEST(test_b09_tail_shared_by_two_heads),
		TEST(test_heads_out_of_range),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
