/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest and device at the same time: a driver thread and a device thread share one queue and
 * wake each other only when the ring says so, by kick and interrupt suppression. A wake-up that is
 * wrongly suppressed never comes, and the test says so; a missing acquire or release shows to the
 * thread sanitizer. (A missing full barrier is too rare an event to show here.)
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/lib/cases.h"
#include "tests/lib/driver.h"
#include "tests/lib/echo.h"

#define RAM      (4u << 20)
#define HEAP     0x10000
#define REQUESTS 100000
#define WINDOW   4

/* A doorbell or an interrupt line between two threads, which look for a while before they sleep. */
struct bell {
	_Atomic int rung;
	pthread_mutex_t lock;
	pthread_cond_t cond;
};

static struct mem mem;
static struct echo echo;
static struct driver drv;
static struct bell kicks = {0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};
static struct bell irqs = {0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};
static _Atomic int done;
static unsigned n_kicks, n_irqs;
static int asked; /* the device's thread: host->later */

static void ring(struct bell *b)
{
	pthread_mutex_lock(&b->lock);
	b->rung = 1;
	pthread_cond_signal(&b->cond);
	pthread_mutex_unlock(&b->lock);
}

/* 0 if it rang; -ETIMEDOUT after a time in which it would have had to. */
static int await(struct bell *b)
{
	struct timespec until;
	int r = 0;

	for (unsigned i = 0; i < 3000 && !b->rung; i++)
		;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&b->lock);
	while (!b->rung && !r)
		r = pthread_cond_timedwait(&b->cond, &b->lock, &until);
	b->rung = 0;
	pthread_mutex_unlock(&b->lock);
	return -r;
}

static void later(struct virtio_dev *dev)
{
	(void)dev;
	asked = 1;
}

static void interrupt(struct virtio_dev *dev, int q)
{
	(void)dev;
	(void)q;
	n_irqs++;
	ring(&irqs);
}

static const struct virtio_host host = {.later = later, .interrupt = interrupt};

static void *device(void *arg)
{
	(void)arg;
	while (!await(&kicks) && !done) {
		virtio_kick(&echo.dev, 0);
		while (asked) {
			asked = 0;
			virtio_run_later(&echo.dev);
		}
	}
	return NULL;
}

/* Makes request @i available and kicks if the device wants it: NULL, or what went wrong. */
static const char *send(gpa_t out, gpa_t in, uint32_t i)
{
	gpa_t at = 4 * (i % WINDOW);
	struct driver_seg s[] = {{out + at, 4, 0}, {in + at, 4, 1}};

	memcpy(driver_ptr(&drv, out + at, 4), &i, 4);
	if (driver_add(&drv, 0, s, 2, i & 1 ? DRIVER_INDIRECT : 0) < 0)
		return "no room";
	/* The driver's half of the handshake: avail.idx before the look at the event. */
	__sync_synchronize();
	if (driver_kick_wanted(&drv, 0)) {
		n_kicks++;
		ring(&kicks);
	}
	return NULL;
}

/* Waits for the answer to request @i, which comes in order. */
static const char *receive(gpa_t in, uint32_t i)
{
	struct driver_used used;
	int r = driver_take(&drv, 0, &used);

	while (!r) {
		/* Asked for in used_event by driver_take(); look once more, then wait. */
		__sync_synchronize();
		if (driver_used_idx(&drv, 0) == drv.q[0].used_seen && await(&irqs))
			return "an interrupt that never came";
		r = driver_take(&drv, 0, &used);
	}
	if (r < 0 || used.len != 4)
		return "a wrong answer";
	return memcmp(driver_ptr(&drv, in + 4 * (i % WINDOW), 4), &i, 4) ? "wrong bytes" : NULL;
}

/* Keeps 1 to WINDOW requests in flight, so that the device often runs dry. */
static const char *stream(gpa_t out, gpa_t in)
{
	const char *wrong = NULL;
	uint32_t sent = 0, got = 0;

	while (got < REQUESTS && !wrong) {
		uint32_t window = 1 + (got >> 10) % WINDOW;

		if (sent < REQUESTS && sent - got < window)
			wrong = send(out, in, sent++);
		else
			wrong = receive(in, got++);
	}
	return wrong;
}

static void run(uint64_t features)
{
	const char *wrong;
	pthread_t thread;
	gpa_t out, in;

	assert_int_equal(mem_create(&mem, &(struct mem_range){0, RAM}, 1), 0);
	echo_init(&echo, &mem, 1, 16, ECHO_TYPE);
	driver_attach(&drv, &echo.dev, &mem, HEAP, RAM - HEAP);
	assert_int_equal(driver_start(&drv, features, 0), 0);
	out = driver_alloc(&drv, 4 * WINDOW, 16);
	in = driver_alloc(&drv, 4 * WINDOW, 16);
	for (unsigned i = 0; i < 16; i++)
		drv.q[0].table[i] = driver_alloc(&drv, 16 * 16, 16);
	echo.dev.host = &host;
	n_kicks = n_irqs = 0;
	done = kicks.rung = irqs.rung = 0;
	assert_int_equal(pthread_create(&thread, NULL, device, NULL), 0);
	wrong = stream(out, in);
	done = 1;
	ring(&kicks);
	pthread_join(thread, NULL);
	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(echo.answered, REQUESTS);
	printf("# %u requests, %u kicks, %u interrupts\n", echo.answered, n_kicks, n_irqs);
	echo_destroy(&echo);
	mem_destroy(&mem);
}

static void test_with_flags(void **state)
{
	(void)state;
	run(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC);
}

static void test_with_event_idx(void **state)
{
	(void)state;
	run(DRIVER_ALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_flags),
		cmocka_unit_test(test_with_event_idx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
