/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drivers and far ends that break the rules of virtio 1.2 §5.1.6. Each row is one case: it is sent
 * or dropped as said, what is sent has no bit that the wire was not promised, the device goes on.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/net.h"
#include "devices/virtio/net_hdr.h"
#include "tests/lib/driver.h"
#include "tests/lib/fake_wire.h"
#include "vmm/log.h"

#define RX 0
#define TX 1

static struct mem mem;
static struct fake_wire wire;
static struct virtio_net *vn;
static struct driver drv;
static uint8_t data[70000];
static unsigned cases;

static int setup(void **state)
{
	struct virtio_net_params params = {.mem = &mem, .wire = &wire.net, .mac = {0x52}};

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + 5);
	assert_int_equal(mem_create(&mem, &(struct mem_range){0, 64 << 20}, 1), 0);
	fake_wire_init(&wire, NET_WIRE_CSUM | NET_WIRE_TSO, 0);
	assert_int_equal(virtio_net_create(&vn, &params), 0);
	driver_attach(&drv, virtio_net_dev(vn), &mem, 0x10000, 60 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_net_destroy(vn);
	fake_wire_free(&wire);
	mem_destroy(&mem);
	return 0;
}

static struct virtio_net_stats stats(void)
{
	struct virtio_net_stats s;

	virtio_net_get_stats(vn, &s);
	return s;
}

/* A good frame gets through in both directions. */
static void assert_alive(const char *name)
{
	struct driver_used used;
	uint64_t sent = stats().tx_frames, got = stats().rx_frames;
	gpa_t buf = driver_alloc(&drv, 4096, 1);

	if (driver_status(&drv) & VIRTIO_STATUS_NEEDS_RESET)
		assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	fake_wire_make_room(&wire, ~0u);
	buf = driver_alloc(&drv, 4096, 1);
	driver_add(&drv, TX, (struct driver_seg[]){{buf, 72, 0}}, 1, 0);
	driver_kick(&drv, TX);
	driver_add(&drv, RX, (struct driver_seg[]){{buf, 4096, 1}}, 1, 0);
	driver_kick(&drv, RX);
	fake_wire_give(&wire, NULL, data, 60);
	fake_wire_ring(&wire);
	driver_pump(&drv);
	while (driver_take(&drv, TX, &used) == 1)
		;
	while (driver_take(&drv, RX, &used) == 1)
		;
	if (stats().tx_frames != sent + 1 || stats().rx_frames != got + 1)
		fail_msg("%s: dead afterwards", name);
	fake_wire_forget(&wire);
}

/* --- headers that a driver writes --- */

#define ALL    ~0ull
#define NOCSUM ~(1ull << VIRTIO_NET_F_CSUM)
#define NOTSO4 ~(1ull << VIRTIO_NET_F_HOST_TSO4)
#define NOTSO6 ~(1ull << VIRTIO_NET_F_HOST_TSO6)

static const struct tx_row {
	const char *name;
	uint64_t features;
	uint8_t flags, gso;
	uint16_t hdr_len, gso_size, start, offset;
	uint32_t len;
	int sent;
} tx_rows[] = {
	{"plain", ALL, 0, 0, 0, 0, 0, 0, 60, 1},
	{"shortest frame", ALL, 0, 0, 0, 0, 0, 0, 14, 1},
	{"13 bytes", ALL, 0, 0, 0, 0, 0, 0, 13, 0},
	{"header alone", ALL, 0, 0, 0, 0, 0, 0, 0, 0},
	{"one byte", ALL, 0, 0, 0, 0, 0, 0, 1, 0},
	{"longest frame", ALL, 0, 0, 0, 0, 0, 0, NET_FRAME_MAX - 12, 1},
	{"one byte longer", ALL, 0, 0, 0, 0, 0, 0, NET_FRAME_MAX - 11, 0},
	{"much longer", ALL, 0, 0, 0, 0, 0, 0, 70000, 0},
	{"junk in fields that mean nothing", ALL, 0, 0, 0xffff, 0xffff, 0xffff, 0xffff, 60, 1},
	{"flags unknown", ALL, 0xfc, 0, 0, 0, 0, 0, 60, 1},
	{"flags DATA_VALID from a driver", ALL, 2, 0, 0, 0, 0, 0, 60, 1},
	{"flags all", ALL, 0xff, 0, 0, 0, 34, 16, 60, 1},
	{"csum", ALL, 1, 0, 0, 0, 34, 16, 60, 1},
	{"csum not negotiated", NOCSUM, 1, 0, 0, 0, 34, 16, 60, 0},
	{"csum field ends the frame", ALL, 1, 0, 0, 0, 34, 24, 60, 1},
	{"csum field one byte out", ALL, 1, 0, 0, 0, 34, 25, 60, 0},
	{"csum field wholly out", ALL, 1, 0, 0, 0, 34, 26, 60, 0},
	{"csum_start in the Ethernet header", ALL, 1, 0, 0, 0, 13, 16, 60, 0},
	{"csum_start 0", ALL, 1, 0, 0, 0, 0, 0, 60, 0},
	{"csum_start behind it", ALL, 1, 0, 0, 0, 14, 0, 60, 1},
	{"csum_start at the end", ALL, 1, 0, 0, 0, 60, 0, 60, 0},
	{"csum_start last word", ALL, 1, 0, 0, 0, 58, 0, 60, 1},
	{"csum_start 65535", ALL, 1, 0, 0, 0, 0xffff, 0, 60, 0},
	{"csum_offset 65535", ALL, 1, 0, 0, 0, 34, 0xffff, 60, 0},
	{"csum sum wraps 16 bits to 14", ALL, 1, 0, 0, 0, 0xfff0, 30, 60, 0},
	{"csum sum wraps 16 bits to 50", ALL, 1, 0, 0, 0, 0x8000, 0x8032, 60, 0},
	{"csum both 65535, longest frame", ALL, 1, 0, 0, 0, 0xffff, 0xffff, 65553, 0},
	{"csum_start 65535, long frame", ALL, 1, 0, 0, 0, 0xffff, 0, 65540, 1},
	{"csum in a frame of 14", ALL, 1, 0, 0, 0, 14, 0, 14, 0},
	{"csum in a frame of 15", ALL, 1, 0, 0, 0, 14, 0, 15, 0},
	{"csum in a frame of 16", ALL, 1, 0, 0, 0, 14, 0, 16, 1},
	{"tso4", ALL, 1, 1, 54, 1448, 34, 16, 3000, 1},
	{"tso6", ALL, 1, 4, 74, 1428, 54, 16, 3000, 1},
	{"tso4 not negotiated", NOTSO4, 1, 1, 54, 1448, 34, 16, 3000, 0},
	{"tso6 not negotiated", NOTSO6, 1, 4, 74, 1428, 54, 16, 3000, 0},
	{"tso4 without csum negotiated", NOCSUM, 1, 1, 54, 1448, 34, 16, 3000, 0},
	{"tso4 without NEEDS_CSUM", ALL, 0, 1, 54, 1448, 34, 16, 3000, 0},
	{"tso4 gso_size 0", ALL, 1, 1, 54, 0, 34, 16, 3000, 0},
	{"tso4 gso_size 65535", ALL, 1, 1, 54, 0xffff, 34, 16, 3000, 1},
	{"tso4 gso_size 1", ALL, 1, 1, 54, 1, 34, 16, 3000, 1},
	{"tso4 hdr_len beyond the frame", ALL, 1, 1, 3001, 1448, 34, 16, 3000, 0},
	{"tso4 hdr_len 65535", ALL, 1, 1, 0xffff, 1448, 34, 16, 3000, 0},
	{"tso4 hdr_len 0, a hint", ALL, 1, 1, 0, 1448, 34, 16, 3000, 1},
	{"tso4 csum_offset not TCP's", ALL, 1, 1, 54, 1448, 34, 6, 3000, 0},
	{"tso4 no room for a TCP header", ALL, 1, 1, 34, 1448, 34, 16, 53, 0},
	{"tso4 TCP header and nothing else", ALL, 1, 1, 54, 1448, 34, 16, 54, 1},
	{"tso4 csum_start 0", ALL, 1, 1, 54, 1448, 0, 16, 3000, 0},
	{"tso4 csum_start out", ALL, 1, 1, 54, 1448, 2990, 16, 3000, 0},
	{"gso UDP (UFO)", ALL, 1, 3, 42, 1448, 34, 6, 3000, 0},
	{"gso UDP_L4", ALL, 1, 5, 42, 1448, 34, 6, 3000, 0},
	{"gso 2", ALL, 1, 2, 54, 1448, 34, 16, 3000, 0},
	{"gso 127", ALL, 1, 127, 54, 1448, 34, 16, 3000, 0},
	{"gso ECN alone", ALL, 1, 0x80, 54, 1448, 34, 16, 3000, 0},
	{"gso TCPV4 with ECN, not offered", ALL, 1, 0x81, 54, 1448, 34, 16, 3000, 0},
	{"gso TCPV6 with ECN, not offered", ALL, 1, 0x84, 74, 1448, 54, 16, 3000, 0},
	{"gso 255", ALL, 0xff, 0xff, 0xffff, 0xffff, 0xffff, 0xffff, 3000, 0},
};

static void driver_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(tx_rows) / sizeof(tx_rows[0]); i++) {
		const struct tx_row *row = &tx_rows[i];
		struct net_hdr hdr = {row->flags,
				      row->gso,
				      htole16(row->hdr_len),
				      htole16(row->gso_size),
				      htole16(row->start),
				      htole16(row->offset),
				      htole16(0xffff)},
			       out;
		struct virtio_net_stats before;
		gpa_t buf;

		assert_int_equal(driver_start(&drv, row->features, 0), 0);
		before = stats();
		buf = driver_alloc(&drv, 12 + 70000, 1);
		memcpy(driver_ptr(&drv, buf, 12), &hdr, 12);
		memcpy(driver_ptr(&drv, buf, 12 + row->len) + 12, data, row->len);
		driver_add(&drv, TX, (struct driver_seg[]){{buf, 12 + row->len, 0}}, 1, 0);
		driver_kick(&drv, TX);
		if ((int)wire.n_sent != row->sent)
			fail_msg("%s: %u frames sent", row->name, wire.n_sent);
		assert_int_equal(stats().tx_bad - before.tx_bad, !row->sent);
		if (row->sent) {
			memcpy(&out, wire.sent[0].bytes, 12);
			assert_int_equal(wire.sent[0].len, 12 + row->len);
			assert_memory_equal(wire.sent[0].bytes + 12, data, row->len);
			/* Nothing that the wire was not promised. */
			assert_int_equal(out.flags & ~1, 0);
			assert_int_equal(out.num_buffers, 0);
			if (!out.flags)
				assert_int_equal(out.csum_start | out.csum_offset, 0);
			if (!out.gso_type)
				assert_int_equal(out.hdr_len | out.gso_size, 0);
		}
		/* The chain came back either way. */
		assert_int_equal(driver_used_idx(&drv, TX), 1);
		fake_wire_forget(&wire);
		assert_alive(row->name);
		cases++;
	}
}

/* --- headers that a far end writes --- */

static const struct rx_row {
	const char *name;
	uint64_t features;
	uint8_t flags, gso;
	uint16_t gso_size, start, offset;
	uint32_t len;
	int given; /* to the driver */
} rx_rows[] = {
	{"plain", ALL, 0, 0, 0, 0, 0, 60, 1},
	{"flags unknown", ALL, 0xfc, 0, 0, 0, 0, 60, 1},
	{"csum", ALL, 1, 0, 0, 34, 16, 60, 1},
	{"csum out of the frame", ALL, 1, 0, 0, 34, 60, 60, 0},
	{"csum_start 65535", ALL, 1, 0, 0, 65535, 65535, 60, 0},
	{"csum for a driver without it, out of the frame", 1ull << 32, 1, 0, 0, 34, 60, 60, 0},
	{"csum for a driver without it, wraps", 1ull << 32, 1, 0, 0, 0xfff0, 30, 60, 0},
	{"csum for a driver without it", 1ull << 32, 1, 0, 0, 34, 16, 60, 1},
	{"tso4", ALL, 1, 1, 1448, 34, 16, 3000, 1},
	{"tso4 that the driver cannot", ~(1ull << VIRTIO_NET_F_GUEST_TSO4), 1, 1, 1448, 34, 16,
	 3000, 0},
	{"tso6 that the driver cannot", ~(1ull << VIRTIO_NET_F_GUEST_TSO6), 1, 4, 1428, 54, 16,
	 3000, 0},
	{"tso4 for a driver without csum", 1ull << 32, 1, 1, 1448, 34, 16, 3000, 0},
	{"tso4 gso_size 0", ALL, 1, 1, 0, 34, 16, 3000, 0},
	{"gso UDP", ALL, 1, 3, 1448, 34, 6, 3000, 0},
	{"gso 255", ALL, 1, 255, 1448, 34, 6, 3000, 0},
	{"13 bytes", ALL, 0, 0, 0, 0, 0, 13, 0},
	{"no bytes", ALL, 0, 0, 0, 0, 0, 0, 0},
	{"one byte too long", ALL, 0, 0, 0, 0, 0, NET_FRAME_MAX - 11, 0},
};

static void far_end_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rx_rows) / sizeof(rx_rows[0]); i++) {
		const struct rx_row *row = &rx_rows[i];
		struct net_hdr hdr = {row->flags,
				      row->gso,
				      0,
				      htole16(row->gso_size),
				      htole16(row->start),
				      htole16(row->offset),
				      htole16(77)};
		struct virtio_net_stats before;
		gpa_t buf;

		assert_int_equal(driver_start(&drv, row->features, 0), 0);
		before = stats();
		for (unsigned b = 0; b < 2; b++) {
			buf = driver_alloc(&drv, 70000, 1);
			driver_add(&drv, RX, (struct driver_seg[]){{buf, 70000, 1}}, 1, 0);
		}
		driver_kick(&drv, RX);
		fake_wire_give(&wire, &hdr, data, row->len);
		fake_wire_ring(&wire);
		driver_pump(&drv);
		if (stats().rx_frames - before.rx_frames != (unsigned)row->given)
			fail_msg("%s: given %d", row->name, !row->given);
		assert_int_equal(stats().rx_bad - before.rx_bad, !row->given);
		assert_alive(row->name);
		cases++;
	}
}

/* A message from the far end that is shorter than a header. */
static void far_end_runts(void **state)
{
	(void)state;
	for (size_t len = 1; len < 12 + 14; len++) {
		uint64_t bad;
		gpa_t buf;

		assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
		bad = stats().rx_bad;
		buf = driver_alloc(&drv, 70000, 1);
		driver_add(&drv, RX, (struct driver_seg[]){{buf, 70000, 1}}, 1, 0);
		driver_kick(&drv, RX);
		fake_wire_give_raw(&wire, "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1",
				   len);
		fake_wire_ring(&wire);
		driver_pump(&drv);
		assert_int_equal(stats().rx_bad - bad, 1);
		assert_alive("runt");
		cases++;
	}
}

/* --- shapes of chains --- */

static const struct shape_row {
	const char *name;
	unsigned q;
	struct driver_seg seg[4];
	unsigned n;
	int broken; /* NEEDS_RESET */
} shapes[] = {
	{"tx: nothing to read", TX, {{0x100000, 100, 1}}, 1, 0},
	{"tx: half a header", TX, {{0x100000, 6, 0}}, 1, 0},
	{"tx: header one byte short", TX, {{0x100000, 11, 0}}, 1, 0},
	{"tx: header exactly", TX, {{0x100000, 12, 0}}, 1, 0},
	{"tx: zero-length first", TX, {{0x100000, 0, 0}, {0x100000, 72, 0}}, 2, 0},
	{"tx: zero-length between", TX, {{0x100000, 12, 0}, {0, 0, 0}, {0x100100, 60, 0}}, 3, 0},
	{"tx: zero-length only", TX, {{0x100000, 0, 0}}, 1, 0},
	{"tx: writable tail", TX, {{0x100000, 72, 0}, {0x101000, 72, 1}}, 2, 0},
	{"tx: read after write", TX, {{0x100000, 72, 1}, {0x101000, 72, 0}}, 2, 1},
	{"tx: outside RAM", TX, {{1ull << 40, 72, 0}}, 1, 1},
	{"tx: over the end of RAM", TX, {{(64 << 20) - 10, 72, 0}}, 1, 1},
	{"tx: address wraps", TX, {{~0ull - 10, 72, 0}}, 1, 1},
	{"tx: 4 GiB", TX, {{0x100000, 0xffffffff, 0}}, 1, 1},
	{"rx: nothing to fill", RX, {{0x100000, 100, 0}}, 1, 0},
	{"rx: half a header", RX, {{0x100000, 6, 1}}, 1, 0},
	{"rx: header exactly", RX, {{0x100000, 12, 1}}, 1, 0},
	{"rx: zero-length only", RX, {{0x100000, 0, 1}}, 1, 0},
	{"rx: readable head", RX, {{0x100000, 72, 0}, {0x101000, 2000, 1}}, 2, 0},
	{"rx: read after write", RX, {{0x100000, 72, 1}, {0x101000, 72, 0}}, 2, 1},
	{"rx: outside RAM", RX, {{1ull << 40, 2000, 1}}, 1, 1},
	{"rx: address wraps", RX, {{~0ull - 10, 2000, 1}}, 1, 1},
	{"rx: the whole of RAM", RX, {{0, 64 << 20, 1}}, 1, 0},
};

static void chain_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct shape_row *row = &shapes[i];

		assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
		memset(driver_ptr(&drv, 0x100000, 0x2000), 0, 0x2000);
		driver_add(&drv, row->q, row->seg, row->n, 0);
		driver_kick(&drv, row->q);
		if (!!(driver_status(&drv) & VIRTIO_STATUS_NEEDS_RESET) != row->broken)
			fail_msg("%s: status %#x", row->name, driver_status(&drv));
		/* A buffer over the whole of RAM may be filled: the rings with it. Start anew. */
		driver_reset(&drv);
		assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
		assert_alive(row->name);
		cases++;
	}
}

/* Rows of buffers too small for anything: given back or kept, never more work than chains. */
static void rx_tiny_buffers(void **state)
{
	(void)state;
	for (uint32_t len = 1; len < 40; len += 3) {
		unsigned calls;

		assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
		for (unsigned i = 0; i < 256; i++) {
			gpa_t buf = driver_alloc(&drv, len, 1);

			driver_add(&drv, RX, (struct driver_seg[]){{buf, len, 1}}, 1, 0);
		}
		for (unsigned i = 0; i < 20; i++)
			fake_wire_give(&wire, NULL, data, 1000);
		calls = wire.recvs;
		driver_kick(&drv, RX);
		fake_wire_ring(&wire);
		driver_pump(&drv);
		assert_true(wire.recvs - calls < 300);
		driver_reset(&drv);
		assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
		fake_wire_forget(&wire);
		wire.drained = 1;
		assert_alive("tiny buffers");
		cases++;
	}
}

/* The header changes behind the judge's back: what was judged is what is sent. */
static void header_is_loaded_once(void **state)
{
	struct net_hdr hdr = {.flags = 1, .csum_start = htole16(34), .csum_offset = htole16(16)};
	gpa_t buf;

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	buf = driver_alloc(&drv, 72, 1);
	memcpy(driver_ptr(&drv, buf, 12), &hdr, 12);
	/* The wire is busy, so the chain goes back and is judged again. */
	wire.room = 0;
	driver_add(&drv, TX, (struct driver_seg[]){{buf, 72, 0}}, 1, 0);
	driver_kick(&drv, TX);
	hdr.csum_offset = 0xffff;
	memcpy(driver_ptr(&drv, buf, 12), &hdr, 12);
	fake_wire_make_room(&wire, 5);
	driver_pump(&drv);
	assert_int_equal(wire.n_sent, 0);
	assert_int_equal(stats().tx_bad, 1);
	assert_alive("changed header");
	cases++;
}

static void silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(driver_headers), T(far_end_headers), T(far_end_runts),
		T(chain_shapes),   T(rx_tiny_buffers), T(header_is_loaded_once),
	};
	int r;

	log_set_sink(silent, NULL);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	printf("%u cases\n", cases);
	return r;
}
