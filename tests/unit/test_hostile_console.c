/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wrong guests, and wrong hosts, against virtio-console and virtio-rng. After each case the
 * device carries bytes again, at once or after a reset. Letters as in test_hostile_blk.c, and
 * B30 floods, B31 readers that stand still.
 *
 * Built with RING_LOAD_HOOK.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "devices/virtio/console.h"
#include "devices/virtio/ring.h"
#include "devices/virtio/rng.h"
#include "tests/lib/driver.h"
#include "vmm/log.h"

#define RAM  (24u << 20)
#define HEAP (20u << 20) /* the driver's; below it a 16 MiB buffer fits */

static unsigned cases;
static struct mem mem;
static struct virtio_console vc;
static struct virtio_rng rng;
static struct driver drv, rng_drv;

static void swallow(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void entropy(void *arg, void *dst, size_t len)
{
	(void)arg;
	memset(dst, 0x42, len);
}

static int up(void **state)
{
	(void)state;
	log_set_sink(swallow, NULL);
	if (mem_create(&mem, &(struct mem_range){0, RAM}, 1))
		return -1;
	virtio_console_init(&vc, &mem);
	virtio_rng_init(&rng, &mem, entropy, NULL, NULL);
	driver_attach(&drv, &vc.dev, &mem, HEAP, 2 << 20);
	driver_attach(&rng_drv, &rng.dev, &mem, HEAP + (2 << 20), 2 << 20);
	return driver_start(&drv, DRIVER_ALL, 0) || driver_start(&rng_drv, DRIVER_ALL, 0);
}

static int down(void **state)
{
	(void)state;
	mem_destroy(&mem);
	log_set_sink(NULL, NULL);
	return 0;
}

static void drop_output(void)
{
	size_t len;

	while (virtio_console_tx_peek(&vc, &len), len > 0) {
		virtio_console_tx_consume(&vc, len);
		driver_pump(&drv);
	}
}

/* Sends a line and receives one. */
static int console_alive(void)
{
	struct driver_used used;
	const uint8_t *p;
	size_t len, n;
	gpa_t in;
	struct driver_seg seg = {driver_alloc(&drv, 64, 1), 64, 1};

	drop_output();
	for (unsigned q = 0; q < 2; q++)
		while (driver_take(&drv, q, &used) == 1)
			;
	/* Nobody may be asleep on the receiveq, and what was typed into a broken device is gone. */
	vc.rx.count = 0;
	if (driver_add(&drv, VIRTIO_CONSOLE_RX, &seg, 1, 0) < 0)
		return 0;
	driver_kick(&drv, VIRTIO_CONSOLE_RX);
	in = seg.addr;
	n = virtio_console_rx_put(&vc, "in", 2);
	driver_pump(&drv);
	if (n != 2 || driver_take(&drv, VIRTIO_CONSOLE_RX, &used) != 1 || used.len != 2 ||
	    memcmp(driver_ptr(&drv, in, 2), "in", 2))
		return 0;
	if (driver_add_request(&drv, VIRTIO_CONSOLE_TX, "out", 3, 0, NULL) < 0)
		return 0;
	driver_kick(&drv, VIRTIO_CONSOLE_TX);
	p = virtio_console_tx_peek(&vc, &len);
	if (len != 3 || memcmp(p, "out", 3))
		return 0;
	virtio_console_tx_consume(&vc, 3);
	driver_pump(&drv);
	return driver_take(&drv, VIRTIO_CONSOLE_TX, &used) == 1;
}

static int rng_alive(void)
{
	struct driver_used used;
	gpa_t in;

	while (driver_take(&rng_drv, 0, &used) == 1)
		;
	if (driver_add_request(&rng_drv, 0, NULL, 0, 16, &in) < 0)
		return 0;
	driver_kick(&rng_drv, 0);
	return driver_take(&rng_drv, 0, &used) == 1 && used.len == 16 &&
	       *(uint8_t *)driver_ptr(&rng_drv, in, 16) == 0x42;
}

static void check_console(const char *name, int broken)
{
	cases++;
	if (!(driver_status(&drv) & VIRTIO_STATUS_NEEDS_RESET) != !broken)
		fail_msg("console, %s: %s", name, broken ? "not broken" : "broken");
	if (broken || cases % 2)
		if (driver_start(&drv, DRIVER_ALL, 0))
			fail_msg("console, %s: does not come back", name);
	if (!console_alive())
		fail_msg("console, %s: dead", name);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
}

static void check_rng(const char *name, int broken)
{
	cases++;
	if (!(driver_status(&rng_drv) & VIRTIO_STATUS_NEEDS_RESET) != !broken)
		fail_msg("rng, %s: %s", name, broken ? "not broken" : "broken");
	if (broken && driver_start(&rng_drv, DRIVER_ALL, 0))
		fail_msg("rng, %s: does not come back", name);
	if (!rng_alive())
		fail_msg("rng, %s: dead", name);
	assert_int_equal(driver_start(&rng_drv, DRIVER_ALL, 0), 0);
}

/* --- chains ---------------------------------------------------------------------------------- */

struct chain_case {
	const char *name;
	unsigned n;
	struct driver_seg segs[4];
	int broken;
};

#define END (RAM - 1)

static const struct chain_case chains[] = {
	{"one empty segment", 1, {{0, 0, 0}}, 0},
	{"one empty writable segment", 1, {{0, 0, 1}}, 0},
	{"four empty segments", 4, {{0, 0, 0}, {END, 0, 0}, {RAM, 0, 1}, {UINT64_MAX, 0, 1}}, 0},
	{"empty, then a byte", 2, {{UINT64_MAX, 0, 0}, {64, 1, 0}}, 0},
	{"a byte, then empty", 2, {{64, 1, 0}, {UINT64_MAX, 0, 0}}, 0},
	{"empty, then a byte to fill", 2, {{UINT64_MAX, 0, 1}, {64, 1, 1}}, 0},
	{"to read and to fill", 2, {{64, 10, 0}, {128, 10, 1}}, 0},
	{"to fill and then to read", 2, {{64, 10, 1}, {128, 10, 0}}, 1},
	{"only to read", 1, {{64, 10, 0}}, 0},
	{"only to fill", 1, {{64, 10, 1}}, 0},
	{"the last byte of RAM, to read", 1, {{END, 1, 0}}, 0},
	{"the last byte of RAM, to fill", 1, {{END, 1, 1}}, 0},
	{"the last byte and one more, to read", 1, {{END, 2, 0}}, 1},
	{"the last byte and one more, to fill", 1, {{END, 2, 1}}, 1},
	{"behind RAM, to read", 1, {{RAM, 1, 0}}, 1},
	{"behind RAM, to fill", 1, {{RAM, 1, 1}}, 1},
	{"far away, to read", 1, {{1ull << 40, 64, 0}}, 1},
	{"far away, to fill", 1, {{1ull << 40, 64, 1}}, 1},
	{"address wraps, to read", 1, {{UINT64_MAX - 7, 64, 0}}, 1},
	{"address wraps, to fill", 1, {{UINT64_MAX - 7, 64, 1}}, 1},
	{"good, then behind RAM", 2, {{64, 64, 0}, {RAM, 64, 0}}, 1},
	{"good, then behind RAM, to fill", 2, {{64, 64, 1}, {RAM, 64, 1}}, 1},
	{"16 MiB to read", 1, {{0, 16 << 20, 0}}, 0},
	{"16 MiB to fill", 1, {{0, 16 << 20, 1}}, 0},
	{"three times 16 MiB to fill",
	 3,
	 {{0, 16 << 20, 1}, {0, 16 << 20, 1}, {0, 16 << 20, 1}},
	 0},
	{"all ones in length, to read", 1, {{0, UINT32_MAX, 0}}, 1},
	{"all ones in length, to fill", 1, {{0, UINT32_MAX, 1}}, 1},
};

/* Every chain on both queues of the console and on the one of rng, direct and indirect. */
static void test_chains(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		for (unsigned flags = 0; flags <= DRIVER_INDIRECT; flags++) {
			const struct chain_case *c = &chains[i];

			for (unsigned q = 0; q < 2; q++) {
				assert_true(driver_add(&drv, q, c->segs, c->n, flags) >= 0);
				/* The receiveq is looked at when there is something to receive. */
				virtio_console_rx_put(&vc, "x", 1);
				driver_kick(&drv, q);
				drop_output();
				check_console(c->name, c->broken);
			}
			assert_true(driver_add(&rng_drv, 0, c->segs, c->n, flags) >= 0);
			driver_kick(&rng_drv, 0);
			check_rng(c->name, c->broken);
		}
}

/* A chain as long as the queue, and longer ones; a gigabyte, which is allowed (B14). */
static void test_long_chains(void **state)
{
	struct driver_seg segs[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		segs[i] = (struct driver_seg){i, 64, 0};
	assert_true(driver_add(&drv, VIRTIO_CONSOLE_TX, segs, 64, DRIVER_INDIRECT) >= 0);
	driver_kick(&drv, VIRTIO_CONSOLE_TX);
	check_console("64 segments", 0);
	for (unsigned n = 65; n <= 4096; n *= 2) {
		gpa_t table = driver_alloc(&drv, 16 * n, 16);

		for (unsigned i = 0; i < n; i++)
			driver_table(
				&drv, table, i,
				(struct vring_desc){64, 1, VRING_DESC_F_NEXT, (uint16_t)(i + 1)});
		driver_desc(&drv, VIRTIO_CONSOLE_TX, 0,
			    (struct vring_desc){table, 16 * n, VRING_DESC_F_INDIRECT, 0});
		driver_offer(&drv, VIRTIO_CONSOLE_TX, 0);
		driver_kick(&drv, VIRTIO_CONSOLE_TX);
		check_console("a table longer than the queue", 1);
	}
	for (unsigned i = 0; i < 64; i++)
		segs[i] = (struct driver_seg){0, 16 << 20, 1};
	assert_true(driver_add(&drv, VIRTIO_CONSOLE_RX, segs, 63, DRIVER_INDIRECT) >= 0);
	virtio_console_rx_put(&vc, "y", 1);
	driver_kick(&drv, VIRTIO_CONSOLE_RX);
	check_console("a gigabyte to fill", 0);
}

/* --- ring and queue numbers ------------------------------------------------------------------ */

static void test_ring(void **state)
{
	static const uint16_t heads[] = {64, 65, 255, 1024, 0x7fff, 0x8000, 0xffff};
	static const uint16_t jumps[] = {65, 66, 1000, 0x7fff, 0x8000, 0xffff};
	gpa_t page;

	(void)state;
	for (unsigned q = 0; q < 2; q++) {
		for (unsigned i = 0; i < 7; i++) {
			driver_offer(&drv, q, heads[i]);
			virtio_console_rx_put(&vc, "x", 1);
			driver_kick(&drv, q);
			check_console("head out of range", 1);
		}
		for (unsigned i = 0; i < 6; i++) {
			driver_set_avail_idx(&drv, q, jumps[i]);
			virtio_console_rx_put(&vc, "x", 1);
			driver_kick(&drv, q);
			check_console("index jumps", 1);
		}
		for (unsigned next = 0; next < 3; next++) {
			page = driver_alloc(&drv, 64, 16);
			for (uint16_t i = 0; i < 3; i++)
				driver_desc(&drv, q, i,
					    (struct vring_desc){page, 8, (uint16_t)(q ? 1 : 3),
								i < 2 ? (uint16_t)(i + 1)
								      : (uint16_t)next});
			driver_offer(&drv, q, 0);
			virtio_console_rx_put(&vc, "x", 1);
			driver_kick(&drv, q);
			check_console("a loop", 1);
		}
	}
	for (unsigned q = 0; q <= 65536; q++)
		virtio_kick(&vc.dev, q);
	driver_pump(&drv);
	check_console("queue numbers", 0);
}

/* B09: a chain of the transmitq that is held half-way is offered again. */
static void test_head_twice_while_held(void **state)
{
	(void)state;
	for (unsigned times = 1; times < 64; times *= 2) {
		struct driver_seg seg = {0, 100000, 0};
		int head = driver_add(&drv, VIRTIO_CONSOLE_TX, &seg, 1, 0);

		driver_kick(&drv, VIRTIO_CONSOLE_TX);
		assert_true(vc.held);
		for (unsigned i = 0; i < times; i++)
			driver_offer(&drv, VIRTIO_CONSOLE_TX, (uint16_t)head);
		driver_kick(&drv, VIRTIO_CONSOLE_TX);
		drop_output();
		/* After the first one is through, the same head is a new chain; at last the ring
		 * is empty, or the device has noticed a head twice. */
		driver_start(&drv, DRIVER_ALL, 0);
		check_console("head twice", 0);
	}
}

/* What a held chain says is settled when it was popped. */
static void test_descriptors_change_while_held(void **state)
{
	struct driver_seg seg = {0, 100000, 0};

	(void)state;
	assert_true(driver_add(&drv, VIRTIO_CONSOLE_TX, &seg, 1, 0) >= 0);
	driver_kick(&drv, VIRTIO_CONSOLE_TX);
	driver_desc(&drv, VIRTIO_CONSOLE_TX, 0,
		    (struct vring_desc){UINT64_MAX, UINT32_MAX, 0xffff, 0xffff});
	drop_output();
	assert_int_equal(vc.tx_bytes % 100000, 0);
	check_console("descriptor changes", 0);
}

static int loads_left;

static uint64_t turn_to_ones(const void *at, unsigned size, uint64_t value)
{
	if (loads_left-- == 0)
		memset((void *)(uintptr_t)at, 0xff, size);
	return value;
}

/* B06: each ring word in turn changes right after it was read; the request is the one read. */
static void test_ring_words_change(void **state)
{
	(void)state;
	for (int nth = 0; nth < 12; nth++) {
		struct driver_seg seg = {64, 3, 0};
		size_t len;

		drop_output();
		memcpy(driver_ptr(&drv, 64, 3), "abc", 3);
		assert_true(driver_add(&drv, VIRTIO_CONSOLE_TX, &seg, 1, 0) >= 0);
		loads_left = nth;
		ring_load_hook = turn_to_ones;
		virtio_kick(&vc.dev, VIRTIO_CONSOLE_TX);
		ring_load_hook = NULL;
		assert_memory_equal(virtio_console_tx_peek(&vc, &len), "abc", 3);
		driver_start(&drv, DRIVER_ALL, 0);
		check_console("a word that changes", 0);
	}
}

/* --- configuration space --------------------------------------------------------------------- */

static void test_config_grid(void **state)
{
	static const uint32_t offs[] = {0,  1,  2,  3,   4,    8,          10,         11,
					12, 13, 16, 255, 4096, 0x7fffffff, 0xfffffffc, 0xffffffff};
	static const uint32_t lens[] = {1, 2, 4, 8};
	uint8_t whole[sizeof(vc.config)];

	(void)state;
	virtio_console_resize(&vc, 0x1234, 0x5678);
	memcpy(whole, &vc.config, sizeof(whole));
	for (unsigned o = 0; o < sizeof(offs) / sizeof(offs[0]); o++)
		for (unsigned l = 0; l < 4; l++) {
			uint8_t got[8], ones[8];

			cases += 2;
			memset(ones, 0xff, sizeof(ones));
			driver_config_read(&drv, offs[o], got, lens[l]);
			for (uint32_t i = 0; i < lens[l]; i++) {
				uint64_t at = (uint64_t)offs[o] + i;

				assert_int_equal(got[i], at < sizeof(whole) ? whole[at] : 0);
			}
			driver_config_write(&drv, offs[o], ones, lens[l]);
			assert_memory_equal(&vc.config, whole, sizeof(whole));
			/* rng has no configuration at all. */
			driver_config_read(&rng_drv, offs[o], got, lens[l]);
			for (uint32_t i = 0; i < lens[l]; i++)
				assert_int_equal(got[i], 0);
			driver_config_write(&rng_drv, offs[o], ones, lens[l]);
		}
	assert_true(rng_alive());
	assert_true(console_alive());
}

/* --- B30, B31: floods and readers that stand still ------------------------------------------- */

static long rss_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* The host offers 100 MB to a guest that does not read. */
static void test_input_flood(void **state)
{
	static uint8_t bytes[65536];
	size_t taken = 0;
	long before = rss_kib();

	(void)state;
	for (unsigned i = 0; i < 1600; i++)
		taken += virtio_console_rx_put(&vc, bytes, sizeof(bytes));
	assert_int_equal(taken, CONSOLE_RX_RING_LEN);
	assert_in_range(rss_kib() - before, 0, 1024);
	vc.rx.count = 0;
	check_console("input flood", 0);
}

/* The guest offers 1 GiB to a host that does not read: the kick returns, the rest waits. */
static void test_output_flood(void **state)
{
	struct driver_used used;
	long before = rss_kib();

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		struct driver_seg seg = {0, 16 << 20, 0};

		assert_true(driver_add(&drv, VIRTIO_CONSOLE_TX, &seg, 1, 0) >= 0);
		driver_kick(&drv, VIRTIO_CONSOLE_TX);
	}
	assert_int_equal(vc.tx.count, CONSOLE_TX_RING_LEN);
	assert_int_equal(driver_take(&drv, VIRTIO_CONSOLE_TX, &used), 0);
	assert_in_range(rss_kib() - before, 0, 20 << 10); /* the guest's own 16 MiB */
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	check_console("output flood", 0);
}

/* Kicks without end while the ring is full cost a constant each and change nothing. */
static void test_kicks_while_full(void **state)
{
	struct driver_seg seg = {0, 16 << 20, 0};

	(void)state;
	assert_true(driver_add(&drv, VIRTIO_CONSOLE_TX, &seg, 1, 0) >= 0);
	for (unsigned i = 0; i < 100000; i++)
		driver_kick(&drv, VIRTIO_CONSOLE_TX);
	assert_int_equal(vc.tx_bytes, CONSOLE_TX_RING_LEN);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	check_console("kicks while full", 0);
}

static uint32_t rnd(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* One step of a storm: send, offer, type, read, resize, reset. */
static void storm_step(uint32_t *seed)
{
	static uint8_t bytes[2000];
	struct driver_seg seg = {rnd(seed) % 65536, rnd(seed) % 5000, 0};
	struct driver_used used;
	size_t len;

	switch (rnd(seed) % 16) {
	case 0:
		driver_start(&drv, DRIVER_ALL, 0);
		break;
	case 1:
		virtio_set_status(&vc.dev, 0);
		driver_start(&drv, 1ull << VIRTIO_F_VERSION_1, 0);
		break;
	case 2:
		virtio_console_resize(&vc, (uint16_t)rnd(seed), (uint16_t)rnd(seed));
		break;
	case 3:
	case 4:
	case 5:
		virtio_console_rx_put(&vc, bytes, rnd(seed) % sizeof(bytes));
		break;
	case 6:
	case 7:
	case 8:
		virtio_console_tx_peek(&vc, &len);
		virtio_console_tx_consume(&vc, len ? rnd(seed) % (len + 1) : 0);
		break;
	case 9:
	case 10:
	case 11:
		seg.write = 1;
		driver_add(&drv, VIRTIO_CONSOLE_RX, &seg, 1, 0);
		virtio_kick(&vc.dev, VIRTIO_CONSOLE_RX);
		break;
	default:
		driver_add(&drv, VIRTIO_CONSOLE_TX, &seg, 1, 0);
		virtio_kick(&vc.dev, VIRTIO_CONSOLE_TX);
	}
	driver_pump(&drv);
	assert_true(vc.tx.count <= CONSOLE_TX_RING_LEN && vc.rx.count <= CONSOLE_RX_RING_LEN);
	for (unsigned q = 0; q < 2; q++)
		while (driver_take(&drv, q, &used) == 1)
			assert_true(q == VIRTIO_CONSOLE_RX || used.len == 0);
}

static void test_storm(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 10; seed++) {
		uint32_t s = seed * 2654435761u;

		for (unsigned i = 0; i < 5000; i++)
			storm_step(&s);
		assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
		check_console("storm", 0);
	}
}

/* --- a reader on another thread, for TSan ----------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int stop;

/* Reads in place without the lock, as a write in flight would, and consumes under it. */
static void *reader(void *arg)
{
	unsigned *sum = arg;

	for (int last = 0; !last;) {
		const uint8_t *p;
		size_t len;

		pthread_mutex_lock(&lock);
		last = stop;
		p = virtio_console_tx_peek(&vc, &len);
		pthread_mutex_unlock(&lock);
		for (size_t i = 0; i < len; i++)
			*sum += p[i];
		pthread_mutex_lock(&lock);
		virtio_console_tx_consume(&vc, len);
		driver_pump(&drv);
		pthread_mutex_unlock(&lock);
		if (len)
			last = 0;
		else
			sched_yield();
	}
	return NULL;
}

static void test_reader_on_another_thread(void **state)
{
	struct driver_used used;
	unsigned sum = 0, sent = 0;
	pthread_t thread;

	(void)state;
	stop = 0;
	assert_int_equal(pthread_create(&thread, NULL, reader, &sum), 0);
	for (unsigned i = 0; i < 3000; i++) {
		uint8_t bytes[300];

		pthread_mutex_lock(&lock);
		memset(bytes, (int)i, sizeof(bytes));
		if (drv.heap_end - drv.heap_next > 8192 && drv.q[1].n_free > 0) {
			driver_add_request(&drv, VIRTIO_CONSOLE_TX, bytes, 300, 0, NULL);
			driver_kick(&drv, VIRTIO_CONSOLE_TX);
			sent += 300 * (i & 255);
		}
		while (driver_take(&drv, VIRTIO_CONSOLE_TX, &used) == 1)
			;
		pthread_mutex_unlock(&lock);
	}
	pthread_mutex_lock(&lock);
	stop = 1;
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	assert_int_equal(sum, sent);
	check_console("reader on another thread", 0);
}

#define ON(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_chains),
		ON(test_long_chains),
		ON(test_ring),
		ON(test_head_twice_while_held),
		ON(test_descriptors_change_while_held),
		ON(test_ring_words_change),
		ON(test_config_grid),
		ON(test_input_flood),
		ON(test_output_flood),
		ON(test_kicks_while_full),
		ON(test_storm),
		ON(test_reader_on_another_thread),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	printf("test_hostile_console: %u cases\n", cases);
	return r;
}
