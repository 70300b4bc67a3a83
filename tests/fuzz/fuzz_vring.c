/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver that is mostly right, by the input's bytes, against the virtqueue. Oracles: the judge of
 * tests/lib/driver.h, a model of what is in flight, every load inside RAM, a bounded number of
 * loads for a pop. With the top bit of the first byte set, words also read differently from
 * memory, as if the guest had changed them in between; then the judge has no say, but all that
 * comes out still lies in RAM.
 *
 * Link queue.c built with RING_LOAD_HOOK.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio/ring.h"
#include "tests/lib/driver.h"
#include "tests/lib/echo.h"
#include "vmm/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define RAM   (2u << 20)
#define HOLE  (3u << 20) /* a second region from here */
#define HEAP  0x10000
#define SEGS  24
#define STEPS 400

static const uint8_t *at, *end;
static struct mem mem;
static struct echo echo;
static struct driver drv;
static struct vq *vq;
static struct iovec segs[SEGS];
static struct vq_chain chain;
static uint8_t in_flight[VQ_SIZE_MAX];
static uint16_t held[VQ_SIZE_MAX];
static unsigned n_held, loads;
static int lying; /* words may read differently from memory */

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_vring: %s\n", what);
	abort();
}

static uint8_t u8(void)
{
	return at < end ? *at++ : 0;
}

static uint32_t u32(void)
{
	return u8() | (uint32_t)u8() << 8 | (uint32_t)u8() << 16 | (uint32_t)u8() << 24;
}

/* True about once in sixteen times. */
static int rarely(void)
{
	return (u8() & 15) == 15;
}

static int is_ram(const void *p, size_t len)
{
	for (unsigned i = 0; i < mem.count; i++) {
		const struct mem_region *r = &mem.region[i];
		const uint8_t *b = p;

		if (b >= r->host && len <= r->len && (uint64_t)(b - r->host) <= r->len - len)
			return 1;
	}
	return 0;
}

static uint64_t load(const void *where, unsigned size, uint64_t value)
{
	insist(is_ram(where, size), "a load outside RAM");
	insist(++loads < 10000, "loads without end");
	if (lying && rarely())
		value = rarely() ? u32() : value ^ u8();
	return value;
}

static uint64_t address(void)
{
	static const uint64_t edges[] = {0,    RAM - 1,  RAM - 16,   RAM,   HOLE - 1,
					 HOLE, HOLE + 1, 1ull << 32, ~0ull, ~0ull - 15};

	if (rarely())
		return edges[u8() % 10] + (int8_t)u8();
	return (u32() % RAM) & ~15u;
}

static uint32_t length(void)
{
	if (rarely())
		return u8() & 1 ? ~0u - u8() : u32();
	return u8() * (u8() & 1 ? 1u : 16u);
}

static struct vring_desc any_desc(void)
{
	struct vring_desc d = {.addr = address(), .len = length()};

	d.flags = rarely() ? (uint16_t)u32() : u8() & 3;
	d.next = rarely() ? (uint16_t)u32() : (uint16_t)(u8() % drv.q[0].size);
	return d;
}

static void add_chain(void)
{
	struct driver_seg s[SEGS];
	unsigned n = 1 + u8() % SEGS, outs = u8() % (n + 1);

	for (unsigned i = 0; i < n; i++)
		s[i] = (struct driver_seg){address(), length(), i >= outs};
	if (drv.heap_next < RAM / 2)
		driver_add(&drv, 0, s, n, u8() & 1);
}

static void add_table(void)
{
	uint16_t head = u8() % drv.q[0].size;
	gpa_t table = 0x1000u + 16 * (u8() % 64);
	unsigned n = u8() % 32;

	for (unsigned i = 0; i < n; i++)
		driver_table(&drv, table, i, any_desc());
	driver_desc(&drv, 0, head,
		    (struct vring_desc){rarely() ? address() : table, rarely() ? length() : 16 * n,
					VRING_DESC_F_INDIRECT | (rarely() ? u8() : 0), 0});
	driver_offer(&drv, 0, head);
}

/* A queue that has broken is as it was after reset. */
static void restart(void)
{
	static const uint16_t sizes[] = {1, 2, 4, 8, 16, 32, 64, 256};
	uint64_t features = 1ull << VIRTIO_F_VERSION_1 | (uint64_t)(u8() & 3) << 28;

	lying = 0;
	insist(driver_start_sized(&drv, features, 0, sizes[u8() & 7]) == 0, "no start after reset");
	memset(in_flight, 0, sizeof(in_flight));
	n_held = 0;
}

static void pop(int lies)
{
	struct driver_chain want;
	struct vq_state s = vq->s;
	enum driver_verdict v = driver_judge(&mem, &s, &want);
	int r, expected;

	chain.max = rarely() ? u8() % SEGS : SEGS;
	loads = 0;
	lying = lies;
	r = vq_pop(vq, &chain);
	lying = 0;
	insist(loads <= 3 + 4 * (s.size + 1u), "too many loads");
	for (unsigned i = 0; i < chain.out + chain.in; i++)
		insist(is_ram(segs[i].iov_base, segs[i].iov_len), "a segment outside RAM");
	insist(chain.out_len + chain.in_len <= UINT32_MAX, "more than 32 bits of bytes");
	if (v == DRIVER_VALID && in_flight[want.head])
		v = DRIVER_WRONG;
	expected = v == DRIVER_EMPTY                ? 0
		   : v == DRIVER_WRONG              ? -EPROTO
		   : want.out + want.in > chain.max ? -E2BIG
						    : 1;
	insist(lies || r == expected, "not what the judge says");
	if (!lies && r == 1)
		insist(chain.head == want.head && chain.out == want.out && chain.in == want.in &&
			       chain.out_len == want.out_len && chain.in_len == want.in_len,
		       "not the numbers of the judge");
	if (r == -EPROTO) {
		restart();
	} else if (r) {
		insist(!in_flight[chain.head], "a head twice");
		in_flight[chain.head] = 1;
		held[n_held++] = chain.head;
		if (r == 1 && rarely()) {
			vq_unpop(vq, chain.head);
			in_flight[chain.head] = 0;
			n_held--;
		}
	}
}

static void push(void)
{
	uint16_t before = driver_used_idx(&drv, 0), head;
	struct driver_used used;

	if (!n_held || rarely()) {
		head = (uint16_t)u32();
		/* What is not in flight cannot be given back. */
		if (head >= vq->s.size || !in_flight[head])
			vq_push(vq, head, u32());
	} else {
		unsigned i = u8() % n_held;

		head = held[i];
		held[i] = held[--n_held];
		in_flight[head] = 0;
		vq_push(vq, head, u8());
	}
	insist(driver_used_idx(&drv, 0) == before, "used.idx before publish");
	if (u8() & 1) {
		uint16_t due = (uint16_t)(vq->s.used_next - vq->published);

		vq_publish(vq);
		insist(driver_used_idx(&drv, 0) == (uint16_t)(before + due),
		       "used.idx after publish");
	}
	if (u8() & 1)
		driver_take(&drv, 0, &used);
}

static void silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void step(int lies)
{
	switch (u8() % 10) {
	case 0:
	case 1:
		add_chain();
		break;
	case 2:
		add_table();
		break;
	case 3:
		driver_desc(&drv, 0, u8() % drv.q[0].size, any_desc());
		break;
	case 4:
		driver_offer(&drv, 0, rarely() ? (uint16_t)u32() : u8() % drv.q[0].size);
		break;
	case 5:
		if (rarely())
			driver_set_avail_idx(&drv, 0, (uint16_t)(drv.q[0].avail_idx + u8() - 128));
		break;
	case 6:
	case 7:
		pop(lies);
		break;
	case 8:
		insist(vq_available(vq) <= vq->s.size, "more available than there can be");
		driver_want_irq(&drv, 0, u8() & 1);
		break;
	default:
		push();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int lies;

	at = data;
	end = data + len;
	log_set_sink(silent, NULL);
	if (!mem.count) {
		insist(mem_create(&mem, (struct mem_range[]){{0, RAM}, {HOLE, 65536}}, 2) == 0,
		       "RAM");
		echo_init(&echo, &mem, 1, 256, ECHO_TYPE);
		echo.lazy = 1;
		driver_attach(&drv, &echo.dev, &mem, HEAP, RAM - HEAP);
		vq = &echo.dev.vq[0];
		chain.v = segs;
		ring_load_hook = load;
	}
	/* Input by input the same: what earlier ones left behind would not be in a reproducer. */
	memset(driver_ptr(&drv, 0, HEAP), 0, HEAP);
	loads = 0;
	lies = u8() >> 7;
	restart();
	for (unsigned i = 0; i < STEPS && at < end; i++) {
		loads = 0;
		step(lies);
	}
	return 0;
}
