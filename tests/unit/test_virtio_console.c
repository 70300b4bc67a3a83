/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-console carries bytes in order, both ways, through any framing, tells its host when
 * there is something and its guest when the terminal changes, and holds back when a side is slow.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/console.h"
#include "tests/lib/driver.h"

#define RAM (16u << 20)

static struct mem mem;
static struct virtio_console vc;
static struct driver drv;
static unsigned ready_calls, room_calls;

static void on_ready(void *arg)
{
	assert_ptr_equal(arg, &vc);
	ready_calls++;
}

static void on_room(void *arg)
{
	assert_ptr_equal(arg, &vc);
	room_calls++;
}

static int up(void **state)
{
	(void)state;
	if (mem_create(&mem, &(struct mem_range){0, RAM}, 1))
		return -1;
	virtio_console_init(&vc, &mem);
	vc.tx_ready = on_ready;
	vc.rx_room = on_room;
	vc.arg = &vc;
	ready_calls = room_calls = 0;
	driver_attach(&drv, &vc.dev, &mem, 4 << 20, RAM - (4 << 20));
	return driver_start(&drv, DRIVER_ALL, 0);
}

static int down(void **state)
{
	(void)state;
	mem_destroy(&mem);
	return 0;
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 31 + i / 255);
}

/* The guest sends the pattern's bytes [from, from + len) in pieces of @piece. */
static void guest_sends(size_t from, uint32_t len, uint32_t piece, unsigned flags)
{
	gpa_t at = driver_alloc(&drv, len, 1);
	uint8_t *p = driver_ptr(&drv, at, len);
	struct driver_seg segs[64];
	unsigned n = 0;

	for (uint32_t i = 0; i < len; i++)
		p[i] = pattern(from + i);
	for (uint32_t i = 0; i < len; i += piece)
		segs[n++] = (struct driver_seg){at + i, len - i < piece ? len - i : piece, 0};
	assert_true(driver_add(&drv, VIRTIO_CONSOLE_TX, segs, n, flags) >= 0);
	driver_kick(&drv, VIRTIO_CONSOLE_TX);
}

/* The host reads all there is, at most @step bytes at a time; checks it; how many. */
static size_t host_reads(size_t from, size_t step)
{
	size_t n = 0, len;
	const uint8_t *p;

	while (p = virtio_console_tx_peek(&vc, &len), len > 0) {
		if (len > step)
			len = step;
		for (size_t i = 0; i < len; i++)
			assert_int_equal(p[i], pattern(from + n + i));
		virtio_console_tx_consume(&vc, len);
		driver_pump(&drv);
		n += len;
	}
	return n;
}

static unsigned taken(unsigned q, uint32_t *sum)
{
	struct driver_used used;
	unsigned n = 0;

	for (; driver_take(&drv, q, &used) == 1; n++)
		*sum += used.len;
	return n;
}

static void guest_offers(uint32_t len, gpa_t *at)
{
	struct driver_seg seg = {driver_alloc(&drv, len, 1), len, 1};

	*at = seg.addr;
	assert_true(driver_add(&drv, VIRTIO_CONSOLE_RX, &seg, 1, 0) >= 0);
	driver_kick(&drv, VIRTIO_CONSOLE_RX);
}

static void test_output(void **state)
{
	uint32_t sum = 0;

	(void)state;
	guest_sends(0, 5, 5, 0);
	assert_int_equal(ready_calls, 1);
	guest_sends(5, 5, 5, 0);
	assert_int_equal(ready_calls, 1); /* it was not empty */
	assert_int_equal(host_reads(0, 3), 10);
	guest_sends(10, 1, 1, 0);
	assert_int_equal(ready_calls, 2);
	assert_int_equal(host_reads(10, 1), 1);
	assert_int_equal(taken(VIRTIO_CONSOLE_TX, &sum), 3);
	assert_int_equal(sum, 0);
	assert_int_equal(vc.tx_bytes, 11);
}

/* §2.7.4.1 */
static void test_output_framing(void **state)
{
	size_t at = 0;
	uint32_t sum = 0;

	(void)state;
	for (unsigned flags = 0; flags <= DRIVER_INDIRECT; flags++)
		for (uint32_t len = 1; len <= 64; len += 7)
			for (uint32_t piece = 1; piece <= len; piece += 3) {
				guest_sends(at, len, piece, flags);
				assert_int_equal(host_reads(at, 1000), len);
				assert_int_equal(taken(VIRTIO_CONSOLE_TX, &sum), 1);
				at += len;
			}
}

/* B30, B31: the host does not read: the ring fills, the guest's buffers stay where they are. */
static void test_host_is_slow(void **state)
{
	const uint32_t len = 5000, n = 20;
	uint32_t sum = 0;
	size_t got;

	(void)state;
	for (uint32_t i = 0; i < n; i++)
		guest_sends(i * len, len, 100, DRIVER_INDIRECT);
	assert_int_equal(vc.tx.count, CONSOLE_TX_RING_LEN);
	assert_int_equal(taken(VIRTIO_CONSOLE_TX, &sum), CONSOLE_TX_RING_LEN / len);
	/* One byte of room is one byte that moves. */
	virtio_console_tx_consume(&vc, 1);
	driver_pump(&drv);
	assert_int_equal(vc.tx.count, CONSOLE_TX_RING_LEN);
	got = 1 + host_reads(1, 777);
	assert_int_equal(got, n * len);
	assert_int_equal(taken(VIRTIO_CONSOLE_TX, &sum), n - CONSOLE_TX_RING_LEN / len);
	assert_int_equal(sum, 0);
}

/* A single chain larger than the ring. */
static void test_one_long_chain(void **state)
{
	(void)state;
	guest_sends(0, 100000, 2500, DRIVER_INDIRECT);
	assert_int_equal(host_reads(0, 4096), 100000);
}

static void test_input(void **state)
{
	gpa_t at;
	uint32_t sum = 0;
	unsigned irqs = drv.irqs[VIRTIO_CONSOLE_RX];

	(void)state;
	guest_offers(16, &at);
	assert_int_equal(virtio_console_rx_put(&vc, "hello", 5), 5);
	driver_pump(&drv);
	assert_int_equal(drv.irqs[VIRTIO_CONSOLE_RX], irqs + 1);
	assert_int_equal(taken(VIRTIO_CONSOLE_RX, &sum), 1);
	assert_int_equal(sum, 5);
	assert_memory_equal(driver_ptr(&drv, at, 5), "hello", 5);
}

/* Typed before the guest reads: kept, up to the ring's length, then refused; and all in order. */
static void test_input_waits(void **state)
{
	static uint8_t bytes[3000];
	gpa_t at[CONSOLE_QUEUE_SIZE];
	struct driver_used used;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = pattern(i);
	assert_int_equal(virtio_console_rx_put(&vc, bytes, 1000), 1000);
	assert_int_equal(virtio_console_rx_put(&vc, bytes + 1000, 2000), 24);
	assert_int_equal(virtio_console_rx_put(&vc, bytes + 1024, 1), 0);
	assert_int_equal(room_calls, 0);
	guest_offers(100, &at[0]);
	assert_int_equal(room_calls, 1);
	/* The rest goes straight through the ring into buffers. */
	for (unsigned i = 1; i < 40; i++)
		guest_offers(100, &at[i]);
	assert_int_equal(virtio_console_rx_put(&vc, bytes + 1024, 1976), 1976);
	driver_pump(&drv);
	while (driver_take(&drv, VIRTIO_CONSOLE_RX, &used) == 1) {
		/* Heads come up in the order of their buffers: the free list is fresh. */
		assert_in_range(used.len, 1, 100);
		assert_memory_equal(driver_ptr(&drv, at[used.head], used.len), bytes + n, used.len);
		n += used.len;
	}
	assert_int_equal(n, sizeof(bytes));
	assert_int_equal(room_calls, 1);
}

/* §3.1.2: buffers are not touched before DRIVER_OK, and input that came early is there after it. */
static void test_input_before_the_driver(void **state)
{
	gpa_t at;

	(void)state;
	assert_int_equal(driver_reset(&drv), 0);
	assert_int_equal(virtio_console_rx_put(&vc, "early", 5), 5);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	guest_offers(8, &at);
	assert_memory_equal(driver_ptr(&drv, at, 5), "early", 5);
}

static void test_size_5_3_4(void **state)
{
	uint16_t size[2];
	unsigned before = drv.config_irqs;
	uint8_t generation = vc.dev.config_generation;

	(void)state;
	virtio_console_resize(&vc, 132, 43);
	driver_config_read(&drv, 0, size, 4);
	assert_int_equal(size[0], 132);
	assert_int_equal(size[1], 43);
	assert_int_equal(drv.config_irqs, before + 1);
	assert_int_not_equal(vc.dev.config_generation, generation);
	virtio_console_resize(&vc, 132, 43); /* no news */
	assert_int_equal(drv.config_irqs, before + 1);
}

/* A size that was known before is told at the start: drivers wait for a change of it. */
static void test_size_at_the_start(void **state)
{
	unsigned before = drv.config_irqs;

	(void)state;
	assert_int_equal(driver_reset(&drv), 0);
	virtio_console_resize(&vc, 100, 30);
	assert_int_equal(drv.config_irqs, before);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	assert_int_equal(drv.config_irqs, before + 1);
	assert_int_equal(driver_reset(&drv), 0);
	/* A driver that does not want to know. */
	assert_int_equal(driver_start(&drv, ~(1ull << VIRTIO_CONSOLE_F_SIZE), 0), 0);
	assert_int_equal(drv.config_irqs, before + 1);
}

/* A reset in the middle of a chain: what was sent is sent, the rest is not touched again. */
static void test_reset_while_held(void **state)
{
	(void)state;
	guest_sends(0, 40000, 1000, DRIVER_INDIRECT);
	assert_true(vc.held);
	assert_int_equal(driver_reset(&drv), 0);
	assert_int_equal(host_reads(0, 4096), CONSOLE_TX_RING_LEN);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	guest_sends(7, 5, 5, 0);
	assert_int_equal(host_reads(7, 5), 5);
}

static void test_legacy(void **state)
{
	gpa_t at;

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, DRIVER_LEGACY), 0);
	guest_sends(0, 5, 5, 0);
	assert_int_equal(host_reads(0, 5), 5);
	guest_offers(4, &at);
	assert_int_equal(virtio_console_rx_put(&vc, "abc", 3), 3);
	assert_memory_equal(driver_ptr(&drv, at, 3), "abc", 3);
}

#define ON(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_output),
		ON(test_output_framing),
		ON(test_host_is_slow),
		ON(test_one_long_chain),
		ON(test_input),
		ON(test_input_waits),
		ON(test_input_before_the_driver),
		ON(test_size_5_3_4),
		ON(test_size_at_the_start),
		ON(test_reset_while_held),
		ON(test_legacy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
