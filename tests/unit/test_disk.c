/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole way of a guest's request and back: driver, queue, virtio-blk, raw file, io_uring. Also
 * resets while the kernel still holds the guest's buffers. Skipped where io_uring is not to be
 * had; an alarm ends a test that hangs.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/raw.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/blk_parse.h"
#include "tests/lib/driver.h"
#include "tests/lib/said.h"
#include "vmm/loop.h"

#define HANG_SECONDS 60
#define RAM          (32u << 20)
#define HEAP         (16u << 20) /* the driver's; data lies below it */
#define SIZE         (8u << 20)
#define DEPTH        32

static struct loop *loop;
static struct mem mem;
static struct blk *disk;
static struct virtio_blk *vb;
static struct driver drv;
static char path[64];
static uint8_t model[SIZE];

static int up(void **state)
{
	int fd;

	(void)state;
	said_start();
	alarm(HANG_SECONDS);
	snprintf(path, sizeof(path), "/tmp/test_disk.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, SIZE))
		return -1;
	close(fd);
	memset(model, 0, SIZE);
	if (loop_create(&loop, 128)) {
		loop = NULL;
		return 0;
	}
	if (mem_create(&mem, &(struct mem_range){0, RAM}, 1) ||
	    raw_open(loop, &(struct raw_params){.path = path}, &disk) ||
	    virtio_blk_create(&vb,
			      &(struct virtio_blk_params){
				      .mem = &mem, .disk = disk, .queues = 1, .queue_size = 128}))
		return -1;
	driver_attach(&drv, virtio_blk_dev(vb), &mem, HEAP, RAM - HEAP);
	return driver_start(&drv, DRIVER_ALL, 0);
}

/* Takes turns until nothing is in flight. */
static void settle(void)
{
	while (virtio_blk_in_flight(vb) > 0)
		loop_run_once(loop);
	driver_pump(&drv);
}

static int down(void **state)
{
	(void)state;
	if (loop) {
		settle();
		virtio_blk_destroy(vb);
		disk->ops->close(disk);
		mem_destroy(&mem);
		loop_destroy(loop);
	}
	alarm(0);
	return unlink(path);
}

static void need_loop(void)
{
	if (!loop) {
		print_message("    skipped: %s\n", said());
		skip();
	}
}

/* Makes one request available: @len bytes of guest memory at @data. The status byte's address. */
static gpa_t add(uint32_t type, uint64_t sector, gpa_t data, uint32_t len)
{
	gpa_t header = driver_alloc(&drv, VBLK_HEADER_LEN, 16), status = driver_alloc(&drv, 1, 1);
	struct driver_seg segs[3] = {
		{header, VBLK_HEADER_LEN, 0}, {data, len, type == VIRTIO_BLK_T_IN}, {status, 1, 1}};
	uint8_t *p = driver_ptr(&drv, header, VBLK_HEADER_LEN);

	memcpy(p, &type, 4);
	memcpy(p + 8, &sector, 8);
	*(uint8_t *)driver_ptr(&drv, status, 1) = 0xee;
	assert_true(driver_add(&drv, 0, segs, 3, 0) >= 0);
	return status;
}

static void kick(void)
{
	loop_lock(loop);
	virtio_kick(virtio_blk_dev(vb), 0);
	loop_unlock(loop);
}

static unsigned take_all(void)
{
	struct driver_used used;
	unsigned n = 0;

	while (driver_take(&drv, 0, &used) == 1)
		n++;
	return n;
}

static void start(void)
{
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
}

static uint32_t seed = 12345;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

/* Batches that do not overlap within themselves, against a byte array. */
static void test_batches(void **state)
{
	gpa_t status[DEPTH], where[DEPTH];
	uint64_t sector[DEPTH];
	uint32_t type[DEPTH];

	(void)state;
	need_loop();
	for (unsigned batch = 0; batch < 60; batch++) {
		start();
		for (unsigned i = 0; i < DEPTH; i++) {
			type[i] = rnd(2) ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
			sector[i] = (uint64_t)i * (SIZE / DEPTH / 512) + rnd(400);
			where[i] = (gpa_t)i * 65536 + 512 * rnd(8);
			memset(driver_ptr(&drv, where[i], 16384), (int)rnd(256), 16384);
			if (type[i] == VIRTIO_BLK_T_OUT)
				memcpy(model + sector[i] * 512, driver_ptr(&drv, where[i], 16384),
				       16384);
			status[i] = add(type[i], sector[i], where[i], 16384);
		}
		kick();
		settle();
		assert_int_equal(take_all(), DEPTH);
		for (unsigned i = 0; i < DEPTH; i++) {
			assert_int_equal(*(uint8_t *)driver_ptr(&drv, status[i], 1),
					 VIRTIO_BLK_S_OK);
			if (type[i] == VIRTIO_BLK_T_IN)
				assert_memory_equal(driver_ptr(&drv, where[i], 16384),
						    model + sector[i] * 512, 16384);
		}
	}
	add(VIRTIO_BLK_T_FLUSH, 0, 0, 0);
	kick();
	settle();
	assert_int_equal(take_all(), 1);
}

/*
 * B15: once the status register reads 0 the guest's memory is the guest's: what it writes there
 * stays, whatever the kernel was doing.
 */
static void test_reset_in_flight(void **state)
{
	static uint8_t mine[DEPTH * 16384];

	(void)state;
	need_loop();
	memset(mine, 0xc3, sizeof(mine));
	for (unsigned round = 0; round < 50; round++) {
		start();
		for (unsigned i = 0; i < DEPTH; i++)
			add(VIRTIO_BLK_T_IN, i * 32, i * 16384, 16384);
		kick();
		if (round % 2)
			loop_run_once(loop);
		loop_lock(loop);
		virtio_set_status(virtio_blk_dev(vb), 0);
		loop_unlock(loop);
		while (driver_status(&drv))
			loop_run_once(loop);
		assert_int_equal(virtio_blk_in_flight(vb), 0);
		memset(driver_ptr(&drv, 0, sizeof(mine)), 0xc3, sizeof(mine));
		start();
		add(VIRTIO_BLK_T_FLUSH, 0, 0, 0);
		kick();
		settle();
		assert_memory_equal(driver_ptr(&drv, 0, sizeof(mine)), mine, sizeof(mine));
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* No verdict on speed: says what a request costs in submissions and in system calls. */
static void test_cost(void **state)
{
	static const unsigned depths[] = {1, 8, 32};

	(void)state;
	need_loop();
	for (unsigned d = 0; d < 3; d++) {
		const unsigned total = 1024;
		struct loop_stats a, b;
		uint64_t t;

		start();
		loop_get_stats(loop, &a);
		t = now_ns();
		for (unsigned done = 0; done < total; done += depths[d]) {
			drv.heap_next = HEAP + (1 << 20);
			for (unsigned i = 0; i < depths[d]; i++)
				add(VIRTIO_BLK_T_IN, 8 * rnd(SIZE / 4096), i * 4096, 4096);
			kick();
			settle();
			assert_int_equal(take_all(), depths[d]);
		}
		t = now_ns() - t;
		loop_get_stats(loop, &b);
		print_message("    4 KiB reads, depth %2u: %.2f entries and %.2f system calls a "
			      "request, %.1f us\n",
			      depths[d], (double)(b.entries - a.entries) / total,
			      (double)(b.enters - a.enters) / total, (double)t / total / 1000);
		assert_int_equal(b.entries - a.entries, total);
		assert_in_range(b.enters - a.enters, 1, total + total / 8);
	}
}

#define ON(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_batches),
		ON(test_reset_in_flight),
		ON(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
