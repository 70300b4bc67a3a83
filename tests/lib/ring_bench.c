/* SPDX-License-Identifier: BSD-2-Clause */
/* The bench of ring_bench.h. */
#include "tests/lib/ring_bench.h"

#include <errno.h>
#include <string.h>

struct ring_bench bench;

int bench_is_ram(const void *p, size_t len)
{
	const uint8_t *at = p;

	for (unsigned i = 0; i < bench.mem.count; i++) {
		const struct mem_region *r = &bench.mem.region[i];

		if (at >= r->host && len <= r->len && (uint64_t)(at - r->host) <= r->len - len)
			return 1;
	}
	return 0;
}

uint64_t bench_load(const void *at, unsigned size, uint64_t value)
{
	bench.loads++;
	bench.outside |= !bench_is_ram(at, size);
	return value;
}

int bench_up_sized(uint16_t size)
{
	static const struct mem_range ram[] = {
		{0, BENCH_R0_END},
		{BENCH_R1, BENCH_R2 - BENCH_R1},
		{BENCH_R2, BENCH_R2_END - BENCH_R2},
		{BENCH_R3, BENCH_R3_END - BENCH_R3},
	};

	memset(&bench, 0, sizeof(bench));
	assert_int_equal(mem_create(&bench.mem, ram, 4), 0);
	echo_init(&bench.echo, &bench.mem, 2, size, ECHO_TYPE);
	bench.dev = &bench.echo.dev;
	bench.vq = &bench.dev->vq[0];
	bench.chain.v = bench.segs;
	bench.chain.max = VQ_SIZE_MAX;
	driver_attach(&bench.drv, bench.dev, &bench.mem, BENCH_HEAP, BENCH_R0_END - BENCH_HEAP);
	ring_load_hook = bench_load;
	said_start();
	return 0;
}

int bench_up(void **state)
{
	(void)state;
	return bench_up_sized(BENCH_SIZE);
}

int bench_down(void **state)
{
	(void)state;
	assert_int_equal(bench.echo.wrong_calls, 0);
	assert_false(bench.outside);
	echo_destroy(&bench.echo);
	mem_destroy(&bench.mem);
	ring_load_hook = NULL;
	return 0;
}

void bench_start(uint64_t features)
{
	CHECK(driver_start(&bench.drv, features, 0) == 0);
}

void bench_desc(uint16_t at, uint64_t addr, uint32_t len, unsigned flags, uint16_t next)
{
	driver_desc(&bench.drv, 0, at, (struct vring_desc){addr, len, (uint16_t)flags, next});
}

static void compare(const struct driver_chain *want)
{
	const struct vq_chain *got = &bench.chain;

	CHECK(got->head == want->head && got->out == want->out && got->in == want->in);
	CHECK(got->out_len == want->out_len && got->in_len == want->in_len);
	for (unsigned i = 0; i < got->out + got->in; i++)
		CHECK(bench_is_ram(got->v[i].iov_base, got->v[i].iov_len));
}

enum driver_verdict bench_verdict(void)
{
	struct vq *vq = bench.vq;
	struct driver_chain want;
	enum driver_verdict v = driver_judge(&bench.mem, &vq->s, &want);
	struct vq_chain none = {.v = bench.segs, .max = VQ_SIZE_MAX};
	int r;

	bench.loads = 0;
	r = vq_pop(vq, &bench.chain);
	/* avail.idx twice, the head, and four fields of size + 1 descriptors. */
	CHECK(bench.loads <= 3 + 4 * (vq->s.size + 1u));
	CHECK(r == (v == DRIVER_VALID ? 1 : v == DRIVER_EMPTY ? 0 : -EPROTO));
	if (r == 1) {
		compare(&want);
		vq_unpop(vq, bench.chain.head);
	} else if (r) {
		/* Broken until reset, whatever is offered next. The device is to see it too. */
		CHECK(vq_pop(vq, &none) == -EPROTO && vq_available(vq) == 0);
		vq->broken = 0;
	}
	virtio_kick(bench.dev, 0);
	driver_pump(&bench.drv);
	CHECK(!!(virtio_get_status(bench.dev) & VIRTIO_STATUS_NEEDS_RESET) == (v == DRIVER_WRONG));
	CHECK(!bench.outside);
	return v;
}

static int answers(unsigned q)
{
	struct driver *drv = &bench.drv;
	struct driver_used used;
	gpa_t in;
	int head = driver_add_request(drv, q, "abc", 3, 8, &in);

	driver_kick(drv, q);
	return head >= 0 && driver_take(drv, q, &used) == 1 && used.head == head && used.len == 3 &&
	       !memcmp(driver_ptr(drv, in, 4), "abc", 4);
}

void bench_revive(void)
{
	CHECK(driver_start(&bench.drv, DRIVER_ALL, 0) == 0);
	CHECK(answers(0) && answers(1));
}
