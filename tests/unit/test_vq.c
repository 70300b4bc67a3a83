/* SPDX-License-Identifier: BSD-2-Clause */
/* The split virtqueue through queue.h: chains, kicks, interrupts. Wrong rings: test_hostile_ring.c.
 */
#include <errno.h>
#include <string.h>

#include "tests/lib/cases.h"
#include "tests/lib/driver.h"
#include "tests/lib/echo.h"

#define RAM    (8u << 20)
#define HEAP   0x10000
#define EVENT  (1ull << VIRTIO_F_EVENT_IDX)
#define PLAIN  (1ull << VIRTIO_F_VERSION_1)
#define TABLES (1ull << VIRTIO_F_INDIRECT_DESC)

static struct mem mem;
static struct echo echo;
static struct driver drv;
static struct vq *vq;
static struct iovec segs[64];
static struct vq_chain chain;

/* A running queue of 8 that nobody but the test pops. */
static void up(uint64_t features)
{
	assert_int_equal(mem_create(&mem, &(struct mem_range){0, RAM}, 1), 0);
	echo_init(&echo, &mem, 1, 8, ECHO_TYPE);
	echo.lazy = 1;
	driver_attach(&drv, &echo.dev, &mem, HEAP, RAM - HEAP);
	assert_int_equal(driver_start(&drv, PLAIN | features, 0), 0);
	vq = &echo.dev.vq[0];
	chain = (struct vq_chain){.v = segs, .max = 64};
}

static void down(void)
{
	echo_destroy(&echo);
	mem_destroy(&mem);
}

static uint16_t load16(gpa_t at)
{
	uint16_t v;

	assert_int_equal(mem_read(&mem, at, &v, 2), 0);
	return v;
}

static void test_segments_are_those_of_the_chain(void **state)
{
	const struct driver_seg in[] = {{0x1000, 16, 0}, {0x2000, 512, 1}, {0x3000, 1, 1}};
	int head;

	(void)state;
	for (unsigned flags = 0; flags < 2; flags++) {
		up(TABLES);
		head = driver_add(&drv, 0, in, 3, flags);
		assert_int_equal(vq_available(vq), 1);
		assert_int_equal(vq_pop(vq, &chain), 1);
		assert_int_equal(vq_available(vq), 0);
		assert_int_equal(chain.head, head);
		assert_int_equal(chain.out, 1);
		assert_int_equal(chain.in, 2);
		assert_int_equal(chain.out_len, 16);
		assert_int_equal(chain.in_len, 513);
		for (unsigned i = 0; i < 3; i++) {
			assert_ptr_equal(segs[i].iov_base, mem_at(&mem, in[i].addr, in[i].len));
			assert_int_equal(segs[i].iov_len, in[i].len);
		}
		assert_int_equal(vq_pop(vq, &chain), 0);
		down();
	}
}

/* §2.7.5.3.1 allows direct descriptors before the one that refers to a table. */
static void test_direct_then_indirect(void **state)
{
	gpa_t table;

	(void)state;
	up(TABLES);
	/* On an odd address: nothing is said of a table's alignment. */
	table = driver_alloc(&drv, 64, 16) + 1;
	driver_table(&drv, table, 0, (struct vring_desc){0x2000, 8, VRING_DESC_F_WRITE, 0});
	driver_desc(&drv, 0, 3, (struct vring_desc){0x1000, 4, VRING_DESC_F_NEXT, 5});
	/* WRITE on the referring descriptor is ignored. */
	driver_desc(&drv, 0, 5,
		    (struct vring_desc){table, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0});
	driver_offer(&drv, 0, 3);
	assert_int_equal(vq_pop(vq, &chain), 1);
	assert_int_equal(chain.out, 1);
	assert_int_equal(chain.in, 1);
	assert_int_equal(chain.in_len, 8);
	down();
}

static void test_zero_length_descriptors_make_no_segment(void **state)
{
	(void)state;
	up(0);
	driver_add(&drv, 0, (struct driver_seg[]){{0, 0, 0}, {0x1000, 4, 0}, {~0ull, 0, 1}}, 3, 0);
	assert_int_equal(vq_pop(vq, &chain), 1);
	assert_int_equal(chain.out, 1);
	assert_int_equal(chain.in, 0);
	assert_int_equal(chain.out_len, 4);
	down();
}

static void test_too_many_segments_for_the_caller(void **state)
{
	struct driver_seg s[8];
	struct driver_used used;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		s[i] = (struct driver_seg){0x1000 * (i + 1), 4, 1};
	up(0);
	chain.max = 7;
	segs[7] = (struct iovec){&chain, 77};
	driver_add(&drv, 0, s, 8, 0);
	assert_int_equal(vq_pop(vq, &chain), -E2BIG);
	assert_int_equal(chain.out + chain.in, 0);
	assert_ptr_equal(segs[7].iov_base, &chain);
	assert_int_equal(segs[7].iov_len, 77);
	vq_push(vq, chain.head, 0);
	assert_int_equal(vq_publish(vq), 1);
	assert_int_equal(driver_take(&drv, 0, &used), 1);
	chain.max = 8;
	driver_add(&drv, 0, s, 8, 0);
	assert_int_equal(vq_pop(vq, &chain), 1);
	assert_int_equal(chain.in, 8);
	down();
}

static void test_unpop_yields_the_same_chain(void **state)
{
	int head;

	(void)state;
	up(EVENT);
	driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 1, 1}}, 1, 0);
	head = driver_add(&drv, 0, (struct driver_seg[]){{0x2000, 2, 1}}, 1, 0);
	assert_int_equal(vq_pop(vq, &chain), 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(vq_pop(vq, &chain), 1);
		assert_int_equal(chain.head, head);
		assert_int_equal(chain.in_len, 2);
		vq_unpop(vq, chain.head);
		assert_int_equal(vq_available(vq), 1);
	}
	/* What is not in flight cannot be taken back. */
	vq_unpop(vq, chain.head);
	vq_unpop(vq, 0xffff);
	assert_int_equal(vq_available(vq), 1);
	down();
}

static void test_used_entries_arrive_with_publish(void **state)
{
	struct driver_used used;
	int head;

	(void)state;
	up(0);
	head = driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 100, 1}}, 1, 0);
	assert_int_equal(vq_pop(vq, &chain), 1);
	vq_push(vq, chain.head, 77);
	assert_int_equal(driver_take(&drv, 0, &used), 0);
	assert_int_equal(vq_publish(vq), 1);
	assert_int_equal(driver_take(&drv, 0, &used), 1);
	assert_int_equal(used.head, head);
	assert_int_equal(used.len, 77);
	/* Nothing new: nothing to say. A chain is given back once. */
	assert_int_equal(vq_publish(vq), 0);
	vq_push(vq, chain.head, 77);
	assert_int_equal(vq_publish(vq), 0);
	down();
}

/* 70,000 chains: all indices wrap. The ring never loses or repeats one. */
static void test_indices_wrap(void **state)
{
	struct driver_used used;

	(void)state;
	for (unsigned way = 0; way < 4; way++) {
		up((way & 1 ? EVENT : 0) | (way & 2 ? TABLES : 0));
		for (unsigned i = 0; i < 70000; i++) {
			int head = driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 4, 1}}, 1,
					      way & 2 ? DRIVER_INDIRECT : 0);

			if (head < 0 || vq_pop(vq, &chain) != 1 || chain.head != head)
				fail();
			vq_push(vq, chain.head, i);
			if (vq_publish(vq) != 1 || driver_take(&drv, 0, &used) != 1 ||
			    used.head != head || used.len != i)
				fail();
		}
		assert_int_equal(vq->s.last_avail, 70000 & 0xffff);
		down();
	}
}

/* §2.7.7: no kicks while draining, kicks when empty. */
static void test_kicks_are_off_while_draining(void **state)
{
	const struct driver_seg one = {0x1000, 4, 1};

	(void)state;
	for (unsigned way = 0; way < 2; way++) {
		up(way ? EVENT : 0);
		driver_add(&drv, 0, &one, 1, 0);
		assert_true(driver_kick_wanted(&drv, 0));
		assert_int_equal(vq_pop(vq, &chain), 1);
		for (unsigned i = 0; i < 3; i++) {
			driver_add(&drv, 0, &one, 1, 0);
			assert_false(driver_kick_wanted(&drv, 0));
		}
		while (vq_pop(vq, &chain) == 1)
			vq_push(vq, chain.head, 0);
		driver_add(&drv, 0, &one, 1, 0);
		assert_true(driver_kick_wanted(&drv, 0));
		down();
	}
}

/* §2.7.10: the event is the index after which a kick is wanted; a batch that passes it counts. */
static void test_event_idx_asks_for_the_next_kick(void **state)
{
	const struct driver_seg one = {0x1000, 4, 1};

	(void)state;
	up(EVENT);
	for (unsigned i = 0; i < 3; i++)
		driver_add(&drv, 0, &one, 1, 0);
	assert_true(driver_kick_wanted(&drv, 0));
	while (vq_pop(vq, &chain) == 1)
		;
	assert_int_equal(load16(drv.q[0].used + 4 + 8 * 8), 3);
	/* EVENT_IDX replaces the flag, which stays 0. */
	assert_int_equal(load16(drv.q[0].used), 0);
	driver_add(&drv, 0, &one, 1, 0);
	driver_add(&drv, 0, &one, 1, 0);
	assert_true(driver_kick_wanted(&drv, 0));
	down();
}

/* A device that has enough asks for no kick until it says so, and then misses none. */
static void test_quiet_pop_asks_for_no_kick(void **state)
{
	const struct driver_seg one = {0x1000, 4, 1};

	(void)state;
	for (unsigned with = 0; with < 2; with++) {
		up(with ? EVENT : 0);
		driver_add(&drv, 0, &one, 1, 0);
		assert_int_equal(vq_pop_quietly(vq, &chain), 1);
		assert_int_equal(vq_pop_quietly(vq, &chain), 0);
		driver_kick_wanted(&drv, 0);
		driver_add(&drv, 0, &one, 1, 0);
		assert_false(driver_kick_wanted(&drv, 0));
		/* One is there already, for which nobody will kick. */
		assert_true(vq_ask_kick(vq));
		assert_int_equal(vq_pop_quietly(vq, &chain), 1);
		assert_false(vq_ask_kick(vq));
		driver_add(&drv, 0, &one, 1, 0);
		assert_true(driver_kick_wanted(&drv, 0));
		down();
	}
}

static void test_interrupt_flag(void **state)
{
	struct driver_used used;

	(void)state;
	up(0);
	for (unsigned wanted = 0; wanted < 2; wanted++) {
		driver_want_irq(&drv, 0, (int)wanted);
		driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 4, 1}}, 1, 0);
		assert_int_equal(vq_pop(vq, &chain), 1);
		vq_push(vq, chain.head, 0);
		assert_int_equal(vq_publish(vq), wanted);
		assert_int_equal(driver_take(&drv, 0, &used), 1);
	}
	down();
}

/* §2.7.10: due exactly when used.idx steps past used_event. Every old/new/event near the wrap. */
static void test_interrupt_event(void **state)
{
	(void)state;
	up(EVENT);
	for (unsigned base = 0xfff8; base < 0x10008; base++)
		for (unsigned step = 1; step <= 8; step++)
			for (unsigned ahead = 0; ahead < 20; ahead++) {
				uint16_t old = (uint16_t)base, event = (uint16_t)(base + ahead - 6);
				/* In integers: some i in [old, old + step) equals event. */
				int due = ahead >= 6 && ahead - 6 < step;

				case_begin("old %#x step %u event %#x", old, step, event);
				assert_int_equal(
					mem_write(&mem, drv.q[0].avail + 4 + 16, &event, 2), 0);
				vq->published = old;
				vq->s.used_next = (uint16_t)(old + step);
				CHECK(vq_publish(vq) == due);
			}
	down();
}

static void test_start_resumes_where_the_state_says(void **state)
{
	struct vq_state saved;
	struct driver_used used;

	(void)state;
	up(0);
	for (unsigned i = 0; i < 5; i++) {
		driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 4, 1}}, 1, 0);
		assert_int_equal(vq_pop(vq, &chain), 1);
		vq_push(vq, chain.head, i);
		vq_publish(vq);
		assert_int_equal(driver_take(&drv, 0, &used), 1);
	}
	saved = vq->s;
	vq_init(vq, &mem, 8);
	assert_int_equal(vq_pop(vq, &chain), 0);
	vq->s = saved;
	assert_int_equal(vq_start(vq), 0);
	assert_int_equal(vq_publish(vq), 0);
	assert_int_equal(vq_pop(vq, &chain), 0);
	driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 4, 1}}, 1, 0);
	assert_true(driver_kick_wanted(&drv, 0));
	assert_int_equal(vq_pop(vq, &chain), 1);
	vq_push(vq, chain.head, 9);
	vq_publish(vq);
	assert_int_equal(driver_take(&drv, 0, &used), 1);
	assert_int_equal(used.len, 9);
	down();
}

static void test_stop_forgets_what_is_in_flight(void **state)
{
	(void)state;
	up(0);
	driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 4, 1}}, 1, 0);
	assert_int_equal(vq_pop(vq, &chain), 1);
	vq_stop(vq);
	vq_push(vq, chain.head, 4);
	assert_int_equal(vq_publish(vq), 0);
	assert_int_equal(vq_pop(vq, &chain), 0);
	assert_int_equal(vq_available(vq), 0);
	assert_int_equal(driver_used_idx(&drv, 0), 0);
	/* Started again, it may be offered again. */
	vq->s.last_avail = 0;
	assert_int_equal(vq_start(vq), 0);
	vq_push(vq, chain.head, 4);
	assert_int_equal(vq_publish(vq), 0);
	assert_int_equal(vq_pop(vq, &chain), 1);
	down();
}

static void test_nothing_is_published_by_a_broken_queue(void **state)
{
	(void)state;
	up(0);
	driver_add(&drv, 0, (struct driver_seg[]){{0x1000, 4, 1}}, 1, 0);
	assert_int_equal(vq_pop(vq, &chain), 1);
	vq_push(vq, chain.head, 4);
	driver_offer(&drv, 0, 8);
	assert_int_equal(vq_pop(vq, &chain), -EPROTO);
	assert_int_equal(chain.out + chain.in, 0);
	assert_int_equal(vq_publish(vq), 0);
	assert_int_equal(driver_used_idx(&drv, 0), 0);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments_are_those_of_the_chain),
		cmocka_unit_test(test_direct_then_indirect),
		cmocka_unit_test(test_zero_length_descriptors_make_no_segment),
		cmocka_unit_test(test_too_many_segments_for_the_caller),
		cmocka_unit_test(test_unpop_yields_the_same_chain),
		cmocka_unit_test(test_used_entries_arrive_with_publish),
		cmocka_unit_test(test_indices_wrap),
		cmocka_unit_test(test_kicks_are_off_while_draining),
		cmocka_unit_test(test_event_idx_asks_for_the_next_kick),
		cmocka_unit_test(test_quiet_pop_asks_for_no_kick),
		cmocka_unit_test(test_interrupt_flag),
		cmocka_unit_test(test_interrupt_event),
		cmocka_unit_test(test_start_resumes_where_the_state_says),
		cmocka_unit_test(test_stop_forgets_what_is_in_flight),
		cmocka_unit_test(test_nothing_is_published_by_a_broken_queue),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
