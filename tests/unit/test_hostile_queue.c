/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wrong drivers against queue set-up, queue numbers, features and resets: dev.c and vq_start().
 * The device says no, or is broken until a reset; after it, it works again. Wrong chains:
 * test_hostile_ring.c.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/lib/ring_bench.h"

/* --- B11 ------------------------------------------------------------------------------------ */

static void test_b11_queue_numbers(void **state)
{
	(void)state;
	bench_start(DRIVER_ALL);
	bench.echo.kicks = 0;
	for (unsigned q = 2; q < 0x10000; q++) {
		virtio_kick(bench.dev, q);
		virtio_kick_later(bench.dev, q);
		virtio_queue_reset(bench.dev, q);
		if (virtio_queue_setup(bench.dev, q) || virtio_queue_enable(bench.dev, q) != -EBUSY)
			fail();
	}
	case_begin("B11 queues 2..65535");
	virtio_kick(bench.dev, UINT_MAX);
	virtio_kick_later(bench.dev, UINT_MAX);
	virtio_queue_reset(bench.dev, UINT_MAX);
	CHECK(!virtio_queue_setup(bench.dev, UINT_MAX));
	driver_pump(&bench.drv);
	CHECK(bench.echo.kicks == 0 && virtio_get_status(bench.dev) == 15);
	bench_revive();
}

/* --- B13 ------------------------------------------------------------------------------------ */

/* Up to FEATURES_OK; queue 0 as given: what the device says to that. */
static void try_queue(uint16_t size, gpa_t d, gpa_t a, gpa_t u, int good)
{
	struct vq_state *s;
	int r;

	CHECK(driver_reset(&bench.drv) == 0);
	virtio_set_status(bench.dev, 3);
	virtio_set_features(bench.dev, 1, 1);
	virtio_set_status(bench.dev, 11);
	s = virtio_queue_setup(bench.dev, 0);
	CHECK(s);
	s->size = size;
	s->desc = d;
	s->avail = a;
	s->used = u;
	r = virtio_queue_enable(bench.dev, 0);
	CHECK(r == (good ? 0 : -EINVAL));
	CHECK(bench.dev->vq[0].s.enabled == good);
	virtio_set_status(bench.dev, 15);
	CHECK(!!(virtio_get_status(bench.dev) & VIRTIO_STATUS_NEEDS_RESET) == !good);
	virtio_kick(bench.dev, 0);
	virtio_kick_later(bench.dev, 0);
	driver_pump(&bench.drv);
}

static void test_b13_sizes(void **state)
{
	(void)state;
	for (unsigned size = 0; size < 0x10000; size += size < 70 ? 1 : size < 1024 ? 31 : 1021) {
		case_begin("B13 size %u", size);
		try_queue((uint16_t)size, 0x1000, 0x2000, 0x3000,
			  size == 1 || size == 2 || size == 4 || size == 8 || size == 16);
	}
	for (unsigned bit = 5; bit < 16; bit++) {
		case_begin("B13 size %u", 1u << bit);
		try_queue((uint16_t)(1u << bit), 0x1000, 0x20000, 0x30000, 0);
	}
	bench_revive();
}

static void test_b13_alignment(void **state)
{
	(void)state;
	for (unsigned off = 0; off < 32; off++) {
		case_begin("B13 descriptor table + %u", off);
		try_queue(BENCH_SIZE, 0x1000 + off, 0x2000, 0x3000, off % 16 == 0);
		case_begin("B13 available ring + %u", off);
		try_queue(BENCH_SIZE, 0x1000, 0x2000 + off, 0x3000, off % 2 == 0);
		case_begin("B13 used ring + %u", off);
		try_queue(BENCH_SIZE, 0x1000, 0x2000, 0x3000 + off, off % 4 == 0);
	}
	bench_revive();
}

/* Each ring of the three against an end of RAM, in steps of its alignment. */
static void test_b13_rings_in_ram(void **state)
{
	static const uint32_t len[3] = {16 * BENCH_SIZE, 6 + 2 * BENCH_SIZE, 6 + 8 * BENCH_SIZE};
	static const uint32_t step[3] = {16, 2, 4};
	static const uint64_t ends[] = {BENCH_R0_END, BENCH_R2, BENCH_R2_END, BENCH_R3_END};
	static const uint64_t nowhere[] = {BENCH_R0_END, BENCH_R1 - 16, 0xfee00000,   BENCH_R3 - 64,
					   1ull << 40,   1ull << 63,    ~0ull - 4095, ~0ull - 15};

	(void)state;
	for (unsigned which = 0; which < 3; which++) {
		gpa_t at[3] = {0x1000, 0x2000, 0x3000};

		for (unsigned e = 0; e < 4; e++)
			for (unsigned over = 0; over < 3; over++) {
				case_begin("B13 ring %u, %u steps over %#llx", which, over,
					   (unsigned long long)ends[e]);
				at[which] = ((ends[e] - len[which]) & ~(step[which] - 1ull)) +
					    step[which] * over;
				try_queue(BENCH_SIZE, at[0], at[1], at[2],
					  at[which] + len[which] <= ends[e]);
			}
		for (unsigned i = 0; i < 8; i++) {
			case_begin("B13 ring %u at %#llx", which, (unsigned long long)nowhere[i]);
			at[which] = nowhere[i];
			try_queue(BENCH_SIZE, at[0], at[1], at[2], 0);
		}
	}
	bench_revive();
}

static void test_b13_overlap(void **state)
{
	static const uint32_t len[3] = {16 * BENCH_SIZE, 6 + 2 * BENCH_SIZE, 6 + 8 * BENCH_SIZE};

	(void)state;
	for (unsigned x = 0; x < 3; x++)
		for (unsigned y = 0; y < 3; y++)
			for (int off = -320; off <= 320 && x != y; off += 16) {
				gpa_t at[3] = {0x10000, 0x20000, 0x30000};
				int apart = off >= (int)len[x] || -off >= (int)len[y];

				case_begin("B13 ring %u at ring %u %+d", y, x, off);
				at[y] = at[x] + (gpa_t)off;
				try_queue(BENCH_SIZE, at[0], at[1], at[2], apart);
			}
	bench_revive();
}

/* --- B14 ------------------------------------------------------------------------------------ */

/* §2.7.5: not more than 2^32 bytes in total, and used.len has 32 bits. All in 8 MiB pieces. */
static void test_b14_lengths_add_up(void **state)
{
	static const struct {
		unsigned n; /* descriptors of 8 MiB */
		uint32_t last;
		enum driver_verdict want;
	} rows[] = {
		{510, 0x800000, DRIVER_VALID},  {511, 0, DRIVER_VALID},
		{511, 0x7fffff, DRIVER_VALID},  {511, 0x800000, DRIVER_WRONG},
		{512, 0, DRIVER_WRONG},         {512, 1, DRIVER_WRONG},
		{1023, 0x800000, DRIVER_WRONG},
	};
	struct driver_seg s[VQ_SIZE_MAX];

	(void)state;
	bench_down(NULL);
	bench_up_sized(1024);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned outs = 0; outs <= 1024; outs += 256)
			for (unsigned flags = 0; flags < 2; flags++) {
				case_begin("B14 %u of 8 MiB and %#x bytes, %u out, %s", rows[i].n,
					   rows[i].last, outs, flags ? "indirect" : "direct");
				bench_start(DRIVER_ALL);
				for (unsigned n = 0; n <= rows[i].n; n++)
					s[n] = (struct driver_seg){BENCH_R3, 0x800000, n >= outs};
				s[rows[i].n].len = rows[i].last;
				driver_add(&bench.drv, 0, s, rows[i].n + 1, flags);
				/* Valid or not: nobody copies gigabytes here. */
				struct driver_chain want;
				struct vq_state st = bench.vq->s;
				int r = vq_pop(bench.vq, &bench.chain);

				CHECK(driver_judge(&bench.mem, &st, &want) == rows[i].want);
				CHECK(r == (rows[i].want == DRIVER_VALID ? 1 : -EPROTO));
				CHECK(r != 1 || bench.chain.out_len == want.out_len);
				CHECK(r != 1 || bench.chain.in_len == want.in_len);
			}
	bench_revive();
}

/* --- B15 ------------------------------------------------------------------------------------ */

static uint32_t lot;

static unsigned draw(unsigned n)
{
	lot = lot * 1664525u + 1013904223u;
	return (lot >> 16) % n;
}

/* A queue that is not enabled gets fresh rings and is started. */
static void restart_queue(unsigned q)
{
	struct driver_queue *dq = &bench.drv.q[q];
	struct vq_state *s = virtio_queue_setup(bench.dev, q);

	if (!s)
		return;
	memset(dq, 0, sizeof(*dq));
	dq->size = dq->n_free = BENCH_SIZE;
	for (unsigned i = 0; i < BENCH_SIZE; i++)
		dq->next[i] = (uint16_t)(i + 1);
	s->desc = dq->desc = driver_alloc(&bench.drv, 16 * BENCH_SIZE, 16);
	s->avail = dq->avail = driver_alloc(&bench.drv, 6 + 2 * BENCH_SIZE, 2);
	s->used = dq->used = driver_alloc(&bench.drv, 6 + 8 * BENCH_SIZE, 4);
	CHECK(virtio_queue_enable(bench.dev, q) == 0);
}

/* Once status reads 0 the memory is the driver's: nothing the device had in hand changes it. */
static void check_memory_is_ours(void)
{
	uint8_t *p = driver_ptr(&bench.drv, BENCH_HEAP, BENCH_R0_END - BENCH_HEAP);
	size_t len = bench.drv.heap_next - BENCH_HEAP;

	memset(p, 0xe5, len);
	echo_finish(&bench.echo, UINT_MAX);
	virtio_run_later(bench.dev);
	virtio_kick(bench.dev, 0);
	for (size_t i = 0; i < len; i++)
		CHECK(p[i] == 0xe5);
}

static void test_b15_reset_storm(void **state)
{
	struct driver_used used;

	(void)state;
	bench.echo.slow = 1;
	for (unsigned round = 0; round < 3000; round++) {
		unsigned steps = draw(24);

		case_begin("B15 reset after %u steps, seed %#x", steps, lot);
		bench_start(draw(2) ? DRIVER_ALL : DRIVER_ALL & ~(1ull << VIRTIO_F_EVENT_IDX));
		for (unsigned i = 0; i < steps; i++) {
			unsigned q = draw(2);

			switch (draw(8)) {
			case 0:
				virtio_queue_reset(bench.dev, q);
				break;
			case 1:
				restart_queue(q);
				break;
			case 2:
				echo_finish(&bench.echo, draw(4));
				break;
			case 3:
				while (driver_take(&bench.drv, q, &used) == 1)
					;
				break;
			case 4:
				driver_pump(&bench.drv);
				break;
			default:
				if (bench.drv.q[q].size)
					driver_add_request(&bench.drv, q, "abcdefgh", 8,
							   1 + draw(9), NULL);
				virtio_kick(bench.dev, q);
				break;
			}
		}
		virtio_set_status(bench.dev, 0);
		while (bench.echo.n_held) {
			CHECK(bench.echo.question == -2 || virtio_get_status(bench.dev) != 0);
			echo_finish(&bench.echo, 1);
		}
		CHECK(virtio_get_status(bench.dev) == 0);
		check_memory_is_ours();
		driver_pump(&bench.drv);
	}
	bench.echo.slow = 0;
	bench_revive();
}

/* --- B16 ------------------------------------------------------------------------------------ */

/* The device's answer goes onto its own rings: the driver's problem and nobody else's. */
static void test_b16_descriptor_aims_at_the_rings(void **state)
{
	static const char *const what[] = {"descriptors", "available ring", "used ring", "itself"};

	(void)state;
	for (unsigned t = 0; t < 4; t++)
		for (uint32_t len = 1; len <= 64; len++)
			for (unsigned fill = 0; fill < 2; fill++) {
				gpa_t out, aim[4];
				unsigned before = bench.echo.answered;

				case_begin("B16 %u bytes of %#x onto the %s", len, fill ? 0xff : 0,
					   what[t]);
				bench_start(DRIVER_ALL);
				out = driver_alloc(&bench.drv, 64, 16);
				memset(driver_ptr(&bench.drv, out, 64), fill ? 0xff : 0, 64);
				aim[0] = bench.drv.q[0].desc;
				aim[1] = bench.drv.q[0].avail;
				aim[2] = bench.drv.q[0].used;
				aim[3] = out;
				for (unsigned i = 0; i < 3; i++)
					driver_add(&bench.drv, 0,
						   (struct driver_seg[]){{out, len, 0},
									 {aim[t], len, 1}},
						   2, 0);
				virtio_kick(bench.dev, 0);
				driver_pump(&bench.drv);
				CHECK(bench.echo.answered - before <= BENCH_SIZE);
			}
	bench_revive();
}

/* --- B17 ------------------------------------------------------------------------------------ */

/* §3.1.1 once more, as a model: bits stick in their order, and only a reset clears them. */
struct model {
	uint8_t status;
	uint64_t features;
};

static void model_status(struct model *m, uint8_t v)
{
	int good = (m->features & 1ull << VIRTIO_F_VERSION_1) &&
		   !(m->features & ~(VIRTIO_RING_FEATURES | 1ull << VIRTIO_F_RING_RESET));

	if (!v) {
		*m = (struct model){0};
		return;
	}
	m->status |= v & 0x81;
	if ((v & 2) && (m->status & 1))
		m->status |= 2;
	if ((v & 8) && (m->status & 2) && good)
		m->status |= 8;
	if ((v & 4) && (m->status & 8))
		m->status |= 4;
}

static void test_b17_status_and_features_follow_the_model(void **state)
{
	static const uint8_t values[] = {0, 1, 2, 3, 4, 7, 8, 11, 15, 0x80, 0x8f, 0x40, 0x30, 0xff};
	static const uint32_t halves[] = {0, 1, 1u << 28, 1u << 29, 3u << 28, 0x101, 0x100, ~0u};
	struct model m = {0};

	(void)state;
	CHECK(driver_reset(&bench.drv) == 0);
	for (unsigned i = 0; i < 100000; i++) {
		if (i % 100 == 0)
			case_begin("B17 steps %u.., seed %#x", i, lot);
		if (draw(3)) {
			/* Mostly forwards. */
			uint8_t v = draw(8) ? values[draw(14)] : (uint8_t)draw(256);

			if (!v && draw(3))
				v = 3;
			virtio_set_status(bench.dev, v);
			model_status(&m, v);
		} else {
			unsigned sel = draw(3);
			uint32_t v = halves[draw(8)];

			virtio_set_features(bench.dev, sel, v);
			if (sel < 2 && !(m.status & 8))
				m.features = (m.features & ~(0xffffffffull << (32 * sel))) |
					     (uint64_t)v << (32 * sel);
		}
		CHECK(virtio_get_status(bench.dev) == m.status);
		CHECK(bench.dev->features == m.features);
		CHECK(bench.dev->started == !!(m.status & 4));
		/* Queues may be set up from FEATURES_OK to DRIVER_OK, later with RING_RESET. */
		CHECK(!!virtio_queue_setup(bench.dev, 0) ==
		      ((m.status & 8) &&
		       (!(m.status & 4) || (m.features >> VIRTIO_F_RING_RESET & 1))));
	}
	bench_revive();
}

/* Features that were not negotiated have no effect, whatever the rings say. */
static void test_b17_unnegotiated_features(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		uint64_t f = 1ull << VIRTIO_F_VERSION_1 | (n & 1 ? 1ull << VIRTIO_F_EVENT_IDX : 0) |
			     (n & 2 ? 1ull << VIRTIO_F_INDIRECT_DESC : 0);

		case_begin("B17 features %u", n);
		bench_start(f);
		CHECK(bench.vq->s.event_idx == (n & 1) && bench.vq->s.indirect == n >> 1);
		bench.drv.irqs[0] = 0;
		/* used_event says "not yet"; without EVENT_IDX that is no word of the ring's. */
		uint16_t far = 0x4000;

		CHECK(mem_write(&bench.mem, bench.drv.q[0].avail + 4 + 2 * BENCH_SIZE, &far, 2) ==
		      0);
		driver_add(&bench.drv, 0, (struct driver_seg[]){{0x1000, 4, 1}}, 1,
			   n & 2 ? DRIVER_INDIRECT : 0);
		driver_kick(&bench.drv, 0);
		CHECK(bench.drv.irqs[0] == !(n & 1));
		/* avail_event, likewise, stays as the driver left it. */
		CHECK(mem_read(&bench.mem, bench.drv.q[0].used + 4 + 8 * BENCH_SIZE, &far, 2) == 0);
		CHECK(far == (n & 1 ? 1 : 0));
	}
	bench_revive();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_up, bench_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_b11_queue_numbers),
		TEST(test_b13_sizes),
		TEST(test_b13_alignment),
		TEST(test_b13_rings_in_ram),
		TEST(test_b13_overlap),
		TEST(test_b14_lengths_add_up),
		TEST(test_b15_reset_storm),
		TEST(test_b16_descriptor_aims_at_the_rings),
		TEST(test_b17_status_and_features_follow_the_model),
		TEST(test_b17_unnegotiated_features),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
