/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtio network device between a driver that keeps the rules and a wire in memory. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/net/csum.h"
#include "devices/virtio/net.h"
#include "devices/virtio/net_hdr.h"
#include "tests/lib/driver.h"
#include "tests/lib/fake_wire.h"

#define RX 0
#define TX 1

static struct mem mem;
static struct fake_wire wire;
static struct virtio_net *vn;
static struct driver drv;
static uint8_t data[70000];

static const uint64_t no_mrg = ~(1ull << VIRTIO_NET_F_MRG_RXBUF);
static const uint64_t no_csum = ~(1ull << VIRTIO_NET_F_GUEST_CSUM);

static void plug(unsigned wire_features, uint32_t mtu)
{
	struct virtio_net_params params = {.mem = &mem, .wire = &wire.net};

	memcpy(params.mac, "\x52\x54\x00\x12\x34\x56", 6);
	fake_wire_init(&wire, wire_features, mtu);
	assert_int_equal(virtio_net_create(&vn, &params), 0);
	driver_attach(&drv, virtio_net_dev(vn), &mem, 0x10000, 60 << 20);
}

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(mem_create(&mem, &(struct mem_range){0, 64 << 20}, 1), 0);
	plug(NET_WIRE_CSUM | NET_WIRE_TSO, 0);
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

static void pump(void)
{
	fake_wire_ring(&wire);
	driver_pump(&drv);
}

/* Queues header and frame, cut into segments of @cut bytes. */
static int tx(const struct net_hdr *hdr, size_t hdr_len, size_t len, size_t cut)
{
	struct driver_seg seg[64];
	gpa_t buf = driver_alloc(&drv, hdr_len + len, 1);
	uint8_t *p = driver_ptr(&drv, buf, hdr_len + len);
	unsigned n = 0;

	memset(p, 0, hdr_len);
	if (hdr)
		memcpy(p, hdr, hdr_len);
	memcpy(p + hdr_len, data, len);
	for (size_t off = 0; off < hdr_len + len; off += cut) {
		size_t left = hdr_len + len - off;

		seg[n++] = (struct driver_seg){buf + off, (uint32_t)(left < cut ? left : cut), 0};
	}
	return driver_add(&drv, TX, seg, n, n > 8 ? DRIVER_INDIRECT : 0);
}

static gpa_t rx_buffer(uint32_t len)
{
	gpa_t buf = driver_alloc(&drv, len, 1);

	assert_true(driver_add(&drv, RX, (struct driver_seg[]){{buf, len, 1}}, 1, 0) >= 0);
	return buf;
}

static unsigned take_all(unsigned q)
{
	struct driver_used used;
	unsigned n = 0;
	int r;

	while ((r = driver_take(&drv, q, &used)) == 1)
		n++;
	assert_int_equal(r, 0);
	return n;
}

/* --- configuration --- */

static void config_5_1_4(void **state)
{
	uint8_t config[12];

	(void)state;
	virtio_net_destroy(vn);
	plug(NET_WIRE_CSUM, 65520);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	driver_config_read(&drv, 0, config, sizeof(config));
	assert_memory_equal(config, "\x52\x54\x00\x12\x34\x56\x01\x00\x01\x00\xf0\xff", 12);
	assert_true(virtio_has(virtio_net_dev(vn), VIRTIO_NET_F_MTU));
	assert_true(virtio_has(virtio_net_dev(vn), VIRTIO_NET_F_MAC));
	assert_false(virtio_has(virtio_net_dev(vn), VIRTIO_NET_F_HOST_TSO4));
}

static void mtu_only_where_the_wire_has_one(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	assert_false(virtio_has(virtio_net_dev(vn), VIRTIO_NET_F_MTU));
	assert_true(virtio_has(virtio_net_dev(vn), VIRTIO_NET_F_HOST_TSO6));
}

static void link_state(void **state)
{
	uint16_t status;

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	fake_wire_set_link(&wire, 0);
	driver_pump(&drv);
	assert_int_equal(drv.config_irqs, 1);
	driver_config_read(&drv, 6, &status, 2);
	assert_int_equal(status, 0);
	/* Frames are lost, as on a cable that was pulled; chains come back. */
	tx(NULL, 12, 60, 100);
	driver_kick(&drv, TX);
	assert_int_equal(take_all(TX), 1);
	assert_int_equal(stats().tx_lost, 1);
	fake_wire_set_link(&wire, 1);
	driver_pump(&drv);
	driver_config_read(&drv, 6, &status, 2);
	assert_int_equal(status, htole16(1));
	assert_int_equal(drv.config_irqs, 2);
}

static void offload_follows_the_driver(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	assert_int_equal(wire.offload, NET_WIRE_CSUM | NET_WIRE_TSO);
	driver_reset(&drv);
	assert_int_equal(wire.offload, 0);
	assert_int_equal(driver_start(&drv, no_csum, 0), 0);
	assert_int_equal(wire.offload, 0);
	assert_int_equal(driver_start(&drv, ~(1ull << VIRTIO_NET_F_GUEST_TSO6), 0), 0);
	assert_int_equal(wire.offload, NET_WIRE_CSUM);
}

/* --- transmit --- */

static void tx_any_framing_2_7_4_1(void **state)
{
	static const size_t cuts[] = {1000, 12, 13, 11, 1, 2, 7, 36};

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_true(tx(NULL, 12, cuts[i] < 3 ? 40 : 60, cuts[i]) >= 0);
	driver_kick(&drv, TX);
	assert_int_equal(wire.n_sent, 8);
	assert_int_equal(wire.sends, 1);
	for (unsigned i = 0; i < 8; i++) {
		size_t len = cuts[i] < 3 ? 40 : 60;

		assert_int_equal(wire.sent[i].len, 12 + len);
		assert_memory_equal(wire.sent[i].bytes, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
		assert_memory_equal(wire.sent[i].bytes + 12, data, len);
	}
	assert_int_equal(take_all(TX), 8);
	assert_int_equal(stats().tx_bytes, 6 * 60 + 2 * 40);
}

static void tx_legacy_header_of_10(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, no_mrg, DRIVER_LEGACY), 0);
	tx(NULL, 10, 60, 10);
	tx(NULL, 10, 60, 100);
	driver_kick(&drv, TX);
	assert_int_equal(wire.n_sent, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(wire.sent[i].len, 72);
		assert_memory_equal(wire.sent[i].bytes + 12, data, 60);
	}
	/* With MRG_RXBUF it is 12 there too. */
	fake_wire_forget(&wire);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, DRIVER_LEGACY), 0);
	tx(NULL, 12, 60, 100);
	driver_kick(&drv, TX);
	assert_int_equal(wire.sent[0].len, 72);
	assert_memory_equal(wire.sent[0].bytes + 12, data, 60);
}

static void tx_batches_many_frames_a_call(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	for (unsigned i = 0; i < 256; i++)
		assert_true(tx(NULL, 12, 60, 100) >= 0);
	driver_kick(&drv, TX);
	assert_int_equal(wire.n_sent, 256);
	assert_true(wire.sends <= 6);
	assert_int_equal(take_all(TX), 256);
}

static void tx_busy_wire_keeps_order(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	wire.room = 5;
	for (unsigned i = 0; i < 100; i++) {
		data[0] = (uint8_t)i;
		tx(NULL, 12, 60, 100);
	}
	driver_kick(&drv, TX);
	assert_int_equal(wire.n_sent, 5);
	assert_int_equal(take_all(TX), 5);
	/* Kicks meanwhile change nothing. */
	driver_kick(&drv, TX);
	assert_int_equal(wire.n_sent, 5);
	for (unsigned room = 1; wire.n_sent < 100; room += 3) {
		fake_wire_make_room(&wire, room);
		driver_pump(&drv);
	}
	assert_int_equal(take_all(TX), 95);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(wire.sent[i].bytes[12], i);
}

static void tx_bad_frames_between_good_ones_on_a_busy_wire(void **state)
{
	struct net_hdr bad = {.gso_type = 77};

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	wire.room = 0;
	for (unsigned i = 0; i < 60; i++) {
		data[0] = (uint8_t)i;
		tx(i % 3 ? NULL : &bad, 12, 60, 100);
	}
	driver_kick(&drv, TX);
	for (unsigned i = 0; i < 60; i++) {
		fake_wire_make_room(&wire, 1);
		driver_pump(&drv);
	}
	assert_int_equal(wire.n_sent, 40);
	assert_int_equal(stats().tx_bad, 20);
	assert_int_equal(take_all(TX), 60);
	for (unsigned i = 0, k = 0; i < 60; i++)
		if (i % 3)
			assert_int_equal(wire.sent[k++].bytes[12], i);
}

static void tx_reset_while_busy(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	wire.room = 0;
	tx(NULL, 12, 60, 100);
	driver_kick(&drv, TX);
	assert_int_equal(driver_reset(&drv), 0);
	fake_wire_make_room(&wire, 10);
	driver_pump(&drv);
	assert_int_equal(wire.n_sent, 0);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	tx(NULL, 12, 60, 100);
	driver_kick(&drv, TX);
	assert_int_equal(wire.n_sent, 1);
}

static void tx_csum_and_tso_headers_pass(void **state)
{
	struct net_hdr hdr = {.flags = 1,
			      .gso_type = 1,
			      .hdr_len = htole16(54),
			      .gso_size = htole16(1448),
			      .csum_start = htole16(34),
			      .csum_offset = htole16(16)};

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	tx(&hdr, 12, 60000, 4096);
	driver_kick(&drv, TX);
	assert_int_equal(wire.n_sent, 1);
	assert_int_equal(wire.sent[0].len, 60012);
	assert_memory_equal(wire.sent[0].bytes, &hdr, 12);
}

/* --- receive --- */

static void rx_into_one_buffer(void **state)
{
	struct driver_used used;
	gpa_t buf;

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	buf = rx_buffer(2048);
	driver_kick(&drv, RX);
	fake_wire_give(&wire, NULL, data, 100);
	pump();
	assert_int_equal(driver_take(&drv, RX, &used), 1);
	assert_int_equal(used.len, 112);
	/* num_buffers is 1 (§5.1.6.4). */
	assert_memory_equal(driver_ptr(&drv, buf, 112), "\0\0\0\0\0\0\0\0\0\0\1\0", 12);
	assert_memory_equal(driver_ptr(&drv, buf + 12, 100), data, 100);
}

static void rx_merges_buffers_5_1_6_4(void **state)
{
	struct driver_used used;
	gpa_t buf[64];
	size_t got = 0;

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	for (unsigned i = 0; i < 64; i++)
		buf[i] = rx_buffer(1536);
	driver_kick(&drv, RX);
	fake_wire_give(&wire, NULL, data, 60000);
	fake_wire_give(&wire, NULL, data, 60);
	pump();
	assert_int_equal(*(uint16_t *)driver_ptr(&drv, buf[0] + 10, 2), htole16(40));
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(driver_take(&drv, RX, &used), 1);
		for (size_t k = i ? 0 : 12; k < used.len; k++, got++)
			if (*(uint8_t *)driver_ptr(&drv, buf[i] + k, 1) != data[got])
				fail_msg("byte %zu", got);
	}
	assert_int_equal(got, 60000);
	/* What is left has not room for the longest frame: it waits for the driver. */
	assert_int_equal(driver_take(&drv, RX, &used), 0);
	for (unsigned i = 0; i < 64; i++)
		rx_buffer(1536);
	driver_kick(&drv, RX);
	assert_int_equal(driver_take(&drv, RX, &used), 1);
	assert_int_equal(used.len, 72);
}

static void rx_many_frames_a_call(void **state)
{
	(void)state;
	virtio_net_destroy(vn);
	plug(NET_WIRE_CSUM, 1500);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	for (unsigned i = 0; i < 256; i++)
		rx_buffer(1536);
	driver_kick(&drv, RX);
	wire.recvs = 0;
	for (unsigned i = 0; i < 200; i++)
		fake_wire_give(&wire, NULL, data, 1514);
	pump();
	assert_int_equal(take_all(RX), 200);
	assert_true(wire.recvs <= 5);
}

static void rx_unused_buffers_are_kept(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	for (unsigned i = 0; i < 256; i++)
		rx_buffer(4096);
	driver_kick(&drv, RX);
	for (unsigned i = 0; i < 200; i++) {
		fake_wire_give(&wire, NULL, data, 60 + i);
		pump();
		assert_int_equal(take_all(RX), 1);
	}
	assert_int_equal(stats().rx_frames, 200);
}

/* What the driver adds while there is room is found without a kick. */
static void rx_asks_for_no_kick_while_there_is_room(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	for (unsigned i = 0; i < 64; i++)
		rx_buffer(4096);
	assert_true(driver_kick_wanted(&drv, RX));
	driver_kick(&drv, RX);
	for (unsigned i = 0; i < 1000; i++) {
		fake_wire_give(&wire, NULL, data, 1514);
		pump();
		assert_int_equal(take_all(RX), 1);
		rx_buffer(4096);
		assert_false(driver_kick_wanted(&drv, RX));
	}
	/* Without a refill the room ends, and then the kick is asked for. */
	for (unsigned i = 0; i < 64; i++)
		fake_wire_give(&wire, NULL, data, 1514);
	pump();
	assert_true(fake_wire_left(&wire) > 0);
	for (unsigned i = 0; i < 64; i++)
		rx_buffer(4096);
	assert_true(driver_kick_wanted(&drv, RX));
	driver_kick(&drv, RX);
	assert_int_equal(fake_wire_left(&wire), 0);
}

/* A buffer with no place for a header is given back, and does not cost the next one its kick. */
static void rx_asks_again_after_buffers_of_no_use(void **state)
{
	(void)state;
	for (unsigned with = 0; with < 2; with++) {
		uint64_t features = with ? DRIVER_ALL : ~(1ull << VIRTIO_F_EVENT_IDX);

		assert_int_equal(driver_start(&drv, features, 0), 0);
		for (unsigned i = 0; i < 5; i++) {
			rx_buffer(4);
			assert_true(driver_kick_wanted(&drv, RX));
			driver_kick(&drv, RX);
			assert_int_equal(take_all(RX), 1);
		}
	}
}

/* B24: a flood that nobody reads, then life goes on. */
static void rx_goes_on_after_overload(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	for (unsigned i = 0; i < 64; i++)
		rx_buffer(4096);
	driver_kick(&drv, RX);
	for (unsigned i = 0; i < 1000; i++)
		fake_wire_give(&wire, NULL, data, 60);
	pump();
	assert_int_equal(stats().rx_frames, take_all(RX));
	assert_true(fake_wire_left(&wire) > 0);
	for (unsigned round = 0; round < 2000 && fake_wire_left(&wire); round++) {
		rx_buffer(4096);
		assert_true(driver_kick_wanted(&drv, RX));
		driver_kick(&drv, RX);
		take_all(RX);
	}
	assert_int_equal(fake_wire_left(&wire), 0);
	assert_int_equal(stats().rx_frames, 1000);
}

static void rx_driver_with_few_small_buffers(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	/* Never room for the longest frame, but for this one. */
	rx_buffer(1536);
	rx_buffer(1536);
	driver_kick(&drv, RX);
	fake_wire_give(&wire, NULL, data, 2000);
	fake_wire_give(&wire, NULL, data, 60);
	pump();
	assert_int_equal(take_all(RX), 2);
	rx_buffer(1536);
	driver_kick(&drv, RX);
	assert_int_equal(take_all(RX), 1);
	assert_int_equal(stats().rx_frames, 2);
	assert_int_equal(stats().rx_cut, 0);
}

static void rx_not_mergeable(void **state)
{
	struct driver_used used;
	gpa_t hdr, buf;

	(void)state;
	assert_int_equal(driver_start(&drv, no_mrg, 0), 0);
	hdr = driver_alloc(&drv, 12, 1);
	buf = driver_alloc(&drv, 1514, 1);
	driver_add(&drv, RX, (struct driver_seg[]){{hdr, 12, 1}, {buf, 1514, 1}}, 2, 0);
	rx_buffer(100);
	rx_buffer(1526);
	driver_kick(&drv, RX);
	fake_wire_give(&wire, NULL, data, 1514);
	/* One byte too long for the second buffer, which stays for the next frame. */
	fake_wire_give(&wire, NULL, data, 89);
	fake_wire_give(&wire, NULL, data, 88);
	pump();
	assert_int_equal(driver_take(&drv, RX, &used), 1);
	assert_int_equal(used.len, 1526);
	assert_memory_equal(driver_ptr(&drv, buf, 1514), data, 1514);
	/* §5.1.6.4.1: without MRG_RXBUF it is 1. */
	assert_memory_equal(driver_ptr(&drv, hdr, 12), "\0\0\0\0\0\0\0\0\0\0\1\0", 12);
	assert_int_equal(stats().rx_cut, 1);
	assert_int_equal(stats().rx_frames, 2);
}

static void rx_legacy_header_of_10(void **state)
{
	struct driver_used used;
	gpa_t buf;

	(void)state;
	assert_int_equal(driver_start(&drv, no_mrg, DRIVER_LEGACY), 0);
	buf = rx_buffer(1524);
	driver_kick(&drv, RX);
	fake_wire_give(&wire, NULL, data, 1514);
	pump();
	assert_int_equal(driver_take(&drv, RX, &used), 1);
	assert_int_equal(used.len, 1524);
	assert_memory_equal(driver_ptr(&drv, buf + 10, 1514), data, 1514);
}

static void rx_data_valid_passes(void **state)
{
	struct net_hdr hdr = {.flags = NET_HDR_DATA_VALID};
	gpa_t buf;

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	buf = rx_buffer(1536);
	driver_kick(&drv, RX);
	fake_wire_give(&wire, &hdr, data, 60);
	pump();
	assert_int_equal(*(uint8_t *)driver_ptr(&drv, buf, 1), NET_HDR_DATA_VALID);
	/* §5.1.6.4.1: without GUEST_CSUM flags are 0. */
	assert_int_equal(driver_start(&drv, no_csum, 0), 0);
	buf = rx_buffer(1536);
	driver_kick(&drv, RX);
	fake_wire_give(&wire, &hdr, data, 60);
	pump();
	assert_int_equal(take_all(RX), 1);
	assert_int_equal(*(uint8_t *)driver_ptr(&drv, buf, 1), 0);
}

static void rx_completes_checksums_for_drivers_that_cannot(void **state)
{
	struct net_hdr hdr = {.flags = 1, .csum_start = htole16(34), .csum_offset = htole16(16)};
	uint8_t want[1514];
	gpa_t buf;

	(void)state;
	memcpy(want, data, sizeof(want));
	csum_complete(&hdr, want, sizeof(want));
	/* The field at 50 and the end of the frame fall on every kind of cut. */
	for (uint32_t cut = 60; cut < 66; cut++) {
		assert_int_equal(driver_start(&drv, no_csum, 0), 0);
		buf = driver_alloc(&drv, 3000, 1);
		driver_add(&drv, RX,
			   (struct driver_seg[]){{buf, cut, 1}, {buf + cut, 3000 - cut, 1}}, 2, 0);
		driver_kick(&drv, RX);
		fake_wire_give(&wire, &hdr, data, sizeof(want));
		pump();
		assert_int_equal(take_all(RX), 1);
		assert_memory_equal(driver_ptr(&drv, buf + 12, sizeof(want)), want, sizeof(want));
		assert_memory_equal(driver_ptr(&drv, buf, 10), "\0\0\0\0\0\0\0\0\0\0", 10);
	}
}

static void rx_reset_forgets_buffers(void **state)
{
	uint8_t before[2048];
	gpa_t buf;

	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	buf = rx_buffer(2048);
	driver_kick(&drv, RX);
	memcpy(before, driver_ptr(&drv, buf, 2048), 2048);
	driver_reset(&drv);
	fake_wire_give(&wire, NULL, data, 500);
	pump();
	/* The memory is the driver's again. */
	assert_memory_equal(driver_ptr(&drv, buf, 2048), before, 2048);
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	rx_buffer(2048);
	driver_kick(&drv, RX);
	assert_int_equal(take_all(RX), 1);
}

static void rx_queue_reset_2_6_1(void **state)
{
	(void)state;
	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
	rx_buffer(2048);
	driver_kick(&drv, RX);
	virtio_queue_reset(virtio_net_dev(vn), RX);
	fake_wire_give(&wire, NULL, data, 500);
	pump();
	assert_int_equal(stats().rx_frames, 0);
	/* The other queue is not touched. */
	tx(NULL, 12, 60, 100);
	driver_kick(&drv, TX);
	assert_int_equal(wire.n_sent, 1);
}

static void create_refuses(void **state)
{
	struct virtio_net_params params = {.mem = &mem, .wire = &wire.net, .queue_size = 100};
	struct virtio_net *other = NULL;

	(void)state;
	assert_int_equal(virtio_net_create(&other, &params), -EINVAL);
	params.queue_size = 512;
	assert_int_equal(virtio_net_create(&other, &params), -EINVAL);
	params.queue_size = 0;
	params.mac[0] = 1;
	assert_int_equal(virtio_net_create(&other, &params), -EINVAL);
	assert_null(other);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(config_5_1_4),
		T(mtu_only_where_the_wire_has_one),
		T(link_state),
		T(offload_follows_the_driver),
		T(tx_any_framing_2_7_4_1),
		T(tx_legacy_header_of_10),
		T(tx_batches_many_frames_a_call),
		T(tx_busy_wire_keeps_order),
		T(tx_bad_frames_between_good_ones_on_a_busy_wire),
		T(tx_reset_while_busy),
		T(tx_csum_and_tso_headers_pass),
		T(rx_into_one_buffer),
		T(rx_merges_buffers_5_1_6_4),
		T(rx_many_frames_a_call),
		T(rx_unused_buffers_are_kept),
		T(rx_asks_for_no_kick_while_there_is_room),
		T(rx_asks_again_after_buffers_of_no_use),
		T(rx_goes_on_after_overload),
		T(rx_driver_with_few_small_buffers),
		T(rx_not_mergeable),
		T(rx_legacy_header_of_10),
		T(rx_data_valid_passes),
		T(rx_completes_checksums_for_drivers_that_cannot),
		T(rx_reset_forgets_buffers),
		T(rx_queue_reset_2_6_1),
		T(create_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
