/* SPDX-License-Identifier: BSD-2-Clause */
/* The learning switch and the queue of a port. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/net/netd/backlog.h"
#include "devices/net/netd/switch.h"

static struct switching sw;

static const uint8_t A[6] = {2, 0, 0, 0, 0, 1}, B[6] = {2, 0, 0, 0, 0, 2},
		     C[6] = {2, 0, 0, 0, 0, 3}, GATE[6] = {0x52, 0x55, 10, 0, 2, 2},
		     ALL[6] = {255, 255, 255, 255, 255, 255}, GROUP[6] = {1, 0, 0x5e, 0, 0, 1};

static uint64_t go(unsigned port, const uint8_t dst[6], const uint8_t src[6], uint32_t now)
{
	uint8_t frame[12];

	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	return switch_forward(&sw, port, frame, now);
}

static int setup(void **state)
{
	(void)state;
	switch_init(&sw, 0x1234567890abcdef);
	for (unsigned p = 0; p < 4; p++)
		switch_plug(&sw, p);
	switch_pin(&sw, GATE, 0);
	return 0;
}

static void unknown_goes_everywhere_but_back(void **state)
{
	(void)state;
	assert_int_equal(go(1, B, A, 0), 0xd);
	assert_int_equal(go(1, ALL, A, 0), 0xd);
	assert_int_equal(go(1, GROUP, A, 0), 0xd);
}

static void learns_where_an_address_is(void **state)
{
	(void)state;
	go(1, ALL, A, 0);
	assert_int_equal(go(2, A, B, 0), 1 << 1);
	assert_int_equal(go(1, B, A, 0), 1 << 2);
	/* It moves. */
	go(3, ALL, B, 1);
	assert_int_equal(go(1, B, A, 1), 1 << 3);
}

static void to_itself_goes_nowhere(void **state)
{
	(void)state;
	go(1, ALL, A, 0);
	assert_int_equal(go(1, A, C, 0), 0);
}

static void group_source_is_refused(void **state)
{
	(void)state;
	assert_int_equal(go(1, B, GROUP, 0), 0);
	assert_int_equal(go(1, B, ALL, 0), 0);
	assert_int_equal(sw.addrs[1], 0);
}

static void pinned_address_stays(void **state)
{
	(void)state;
	/* A guest that says it is the gateway. */
	go(2, ALL, GATE, 0);
	assert_int_equal(go(1, GATE, A, 0), 1 << 0);
	assert_int_equal(go(1, GATE, A, 100000), 1 << 0);
}

static void forgets_by_age(void **state)
{
	(void)state;
	go(1, ALL, A, 10);
	assert_int_equal(go(2, A, B, 10 + SWITCH_AGE_S), 1 << 1);
	assert_int_equal(go(2, A, B, 11 + SWITCH_AGE_S), 0xb);
}

static void forgets_an_unplugged_port(void **state)
{
	(void)state;
	go(1, ALL, A, 0);
	switch_unplug(&sw, 1);
	assert_int_equal(go(2, A, B, 0), 0x9);
	assert_int_equal(sw.addrs[1], 0);
}

static void one_port_cannot_fill_the_table(void **state)
{
	(void)state;
	go(1, ALL, A, 0);
	for (unsigned i = 0; i < 100000; i++) {
		uint8_t mac[6] = {2, 1, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

		go(2, ALL, mac, 0);
	}
	assert_int_equal(sw.addrs[2], SWITCH_PORT_ADDRS);
	assert_int_equal(go(3, A, C, 0), 1 << 1);
	assert_int_equal(go(3, GATE, C, 0), 1 << 0);
}

/* --- backlog --- */

static int push(struct backlog *b, const struct net_hdr *hdr, uint8_t *frame, size_t len)
{
	size_t half = len / 2;
	struct iovec v[2] = {{frame, half}, {frame + half, len - half}};

	return backlog_push(b, hdr, v, 2);
}

static void backlog_keeps_order_and_bytes(void **state)
{
	static uint8_t data[9000];
	struct net_hdr hdr = {0};
	struct backlog b;
	unsigned in = 0, out = 0;

	(void)state;
	assert_int_equal(backlog_init(&b), 0);
	/* Many times around the ring, always about 3 MiB full. */
	for (unsigned i = 0; i < 20000; i++) {
		size_t len = 14 + (i * 977) % 8000;
		struct iovec v;

		memset(data, (int)(in & 0xff), len);
		hdr.csum_start = (uint16_t)in;
		assert_int_equal(push(&b, &hdr, data, len), 0);
		in++;
		while (b.bytes > 3u << 20 || b.count > 1500) {
			assert_int_equal(backlog_peek(&b, &v, 1), 1);
			len = 14 + (out * 977) % 8000;
			assert_int_equal(v.iov_len, NET_HDR_LEN + len);
			memcpy(&hdr, v.iov_base, sizeof(hdr));
			assert_int_equal(hdr.csum_start, out & 0xffff);
			assert_int_equal(((uint8_t *)v.iov_base)[v.iov_len - 1], out & 0xff);
			backlog_drop(&b, 1);
			out++;
		}
	}
	assert_int_equal(in - out, b.count);
	backlog_free(&b);
}

static void backlog_is_bounded(void **state)
{
	static uint8_t data[65000];
	struct net_hdr hdr = {0};
	struct backlog b;
	unsigned n = 0;

	(void)state;
	assert_int_equal(backlog_init(&b), 0);
	while (!push(&b, &hdr, data, sizeof(data)))
		n++;
	assert_int_equal(n, BACKLOG_BYTES / (sizeof(data) + NET_HDR_LEN));
	backlog_drop(&b, n + 5);
	assert_int_equal(b.count, 0);
	assert_int_equal(b.bytes, 0);
	for (n = 0; !push(&b, &hdr, data, 14);)
		n++;
	assert_int_equal(n, BACKLOG_FRAMES);
	backlog_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(unknown_goes_everywhere_but_back, setup),
		cmocka_unit_test_setup(learns_where_an_address_is, setup),
		cmocka_unit_test_setup(to_itself_goes_nowhere, setup),
		cmocka_unit_test_setup(group_source_is_refused, setup),
		cmocka_unit_test_setup(pinned_address_stays, setup),
		cmocka_unit_test_setup(forgets_by_age, setup),
		cmocka_unit_test_setup(forgets_an_unplugged_port, setup),
		cmocka_unit_test_setup(one_port_cannot_fill_the_table, setup),
		cmocka_unit_test(backlog_keeps_order_and_bytes),
		cmocka_unit_test(backlog_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
