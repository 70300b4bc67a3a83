/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_RING_BENCH_H
#define TESTS_LIB_RING_BENCH_H

#include <stdint.h>

#define RING_LOAD_HOOK
#include "devices/virtio/ring.h"
#include "tests/lib/cases.h"
#include "tests/lib/driver.h"
#include "tests/lib/echo.h"
#include "tests/lib/said.h"

/*
 * A bench for wrong drivers: an echo device with two queues of BENCH_SIZE, RAM with an end, a hole,
 * two regions that touch, and a region above 4 GiB. Every load of ring memory is watched.
 */
#define BENCH_SIZE 16
#define BENCH_HEAP 0x10000ull /* the driver's rings and buffers are from here to BENCH_R0_END */
#define BENCH_R0_END \
	0x200000ull /* below BENCH_HEAP and outside this region the test may do as it likes */
#define BENCH_R1     0x300000ull
#define BENCH_R2     0x400000ull /* R1 ends here */
#define BENCH_R2_END 0x500000ull
#define BENCH_R3     0x100000000ull
#define BENCH_R3_END 0x100800000ull

struct ring_bench {
	struct mem mem;
	struct echo echo;
	struct driver drv;
	struct virtio_dev *dev;
	struct vq *vq; /* queue 0 */
	struct iovec segs[VQ_SIZE_MAX];
	struct vq_chain chain; /* of the last bench_verdict() */
	unsigned loads;        /* of ring memory, since the test cleared it */
	int outside;           /* one of them was not in RAM */
};
extern struct ring_bench bench;

/* cmocka setup and teardown; bench_up_sized() for queues of another size. */
int bench_up(void **state);
int bench_up_sized(uint16_t size);
int bench_down(void **state);

/* Starts the driver from reset with these of the features offered. */
void bench_start(uint64_t features);

/* One descriptor of queue 0. */
void bench_desc(uint16_t at, uint64_t addr, uint32_t len, unsigned flags, uint16_t next);

/*
 * What the specification says about the next chain of queue 0 (driver_judge), after checking that
 * vq_pop() says the same with the same numbers in a bounded number of loads, and that the device
 * then takes it, or is broken, as it should.
 */
enum driver_verdict bench_verdict(void);

/* Resets, and checks that the device answers on both queues. */
void bench_revive(void);

/* True if [p, p + len) is guest RAM. */
int bench_is_ram(const void *p, size_t len);

/* The hook that counts; hooks of tests call it too. */
uint64_t bench_load(const void *at, unsigned size, uint64_t value);

#endif
