/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP segments as bytes, and the bytes of connections. Frames are made here by hand, with a
 * checksum loop of the test's own, and are given to the reader in memory of exactly their size.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "devices/net/csum.h"
#include "devices/net/netd/byte_ring.h"
#include "devices/net/netd/nat.h"
#include "devices/net/netd/segment.h"
#include "tests/lib/packet.h"

#define ETH     14
#define TEXT    "eight by"
#define PADDING 6
#define HEAD(v) ((v) == 4 ? 20u : 40u)

static const uint8_t guest4[4] = {10, 0, 2, 15}, remote4[4] = {192, 0, 2, 7};
static const uint8_t guest6[16] = {0xfe, 0xc0, [15] = 0x15}, remote6[16] = {0x20, 1, [15] = 9};

static uint32_t seed;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t sum(const uint8_t *p, size_t len, uint32_t at)
{
	for (size_t i = 0; i < len; i++) {
		at += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		at = (at & 0xffff) + (at >> 16);
	}
	return at;
}

/* Of the segment in @frame and its pseudo-header: 0xffff if it is right. */
static uint32_t tcp_sum(const uint8_t *frame, unsigned v, size_t len)
{
	const uint8_t *ip = frame + ETH;
	uint32_t s = (uint32_t)len + 6;

	s = v == 4 ? sum(ip + 12, 8, s) : sum(ip + 8, 32, s);
	return sum(ip + HEAD(v), len, s);
}

/* Makes both checksums right. */
static void mend(uint8_t *frame, unsigned v, size_t tcp_len)
{
	uint8_t *ip = frame + ETH, *tcp = ip + HEAD(v);

	if (v == 4) {
		put16(ip + 10, 0);
		put16(ip + 10, ~sum(ip, 20, 0));
	}
	put16(tcp + 16, 0);
	put16(tcp + 16, ~tcp_sum(frame, v, tcp_len));
}

/* ACK|PSH from port 4000 to 80 with @n bytes of options and TEXT, padding behind: its length. */
static size_t build(uint8_t *frame, unsigned v, const void *options, size_t n)
{
	static const uint8_t tcp_head[20] = {0x0f, 0xa0, 0,    80,   0x11, 0x22, 0x33, 0x44,
					     0x55, 0x66, 0x77, 0x88, 80,   24,   0x12, 0x34};
	size_t tcp_len = 20 + n + strlen(TEXT);
	uint8_t *ip = frame + ETH, *tcp = ip + HEAD(v);

	memset(frame, 0, ETH + 40);
	memcpy(frame, nat_mac, 6);
	memcpy(frame + 6, packet_mac, 6);
	put16(frame + 12, v == 4 ? 0x0800 : 0x86dd);
	if (v == 4) {
		ip[0] = 0x45;
		put16(ip + 2, (uint32_t)(20 + tcp_len));
		ip[8] = 64;
		ip[9] = 6;
		memcpy(ip + 12, guest4, 4);
		memcpy(ip + 16, remote4, 4);
	} else {
		ip[0] = 0x60;
		put16(ip + 4, (uint32_t)tcp_len);
		ip[6] = 6;
		ip[7] = 64;
		memcpy(ip + 8, guest6, 16);
		memcpy(ip + 24, remote6, 16);
	}
	memcpy(tcp, tcp_head, 20);
	tcp[12] = (uint8_t)((20 + n) << 2);
	memcpy(tcp + 20, options, n);
	memcpy(tcp + 20 + n, TEXT, strlen(TEXT));
	memset(tcp + tcp_len, 0xaa, PADDING);
	mend(frame, v, tcp_len);
	return ETH + HEAD(v) + tcp_len + PADDING;
}

/* Reads a copy of exactly @len bytes; @s->data is only compared with its end. */
static enum segment_kind read_exact(const uint8_t *frame, size_t len, int partial,
				    struct segment *s)
{
	uint8_t *copy = malloc(len ? len : 1);
	enum segment_kind kind;
	volatile uint8_t last = 0;

	assert_non_null(copy);
	memcpy(copy, frame, len);
	/* A frame of no bytes: not even the one that malloc() has to give. */
	kind = segment_read(len ? copy : copy + 1, len, partial, s);
	if (kind == SEGMENT_GOOD) {
		assert_true(s->data >= copy && s->len <= len);
		assert_true(s->data + s->len <= copy + len);
		if (s->len)
			last = s->data[s->len - 1];
		(void)last;
		s->data = frame + (s->data - copy);
	}
	free(copy);
	return kind;
}

/* --- reading --- */

static void reads_what_is_there(void **state)
{
	uint8_t frame[256];

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct segment s;
		size_t len = build(frame, v, "", 0);

		assert_int_equal(read_exact(frame, len, 0, &s), SEGMENT_GOOD);
		assert_int_equal(s.flow.family, v == 4 ? AF_INET : AF_INET6);
		if (v == 4) {
			static const uint8_t zero[12];

			assert_memory_equal(s.flow.guest, guest4, 4);
			assert_memory_equal(s.flow.guest + 4, zero, 12);
			assert_memory_equal(s.flow.remote, remote4, 4);
			assert_memory_equal(s.flow.remote + 4, zero, 12);
		} else {
			assert_memory_equal(s.flow.guest, guest6, 16);
			assert_memory_equal(s.flow.remote, remote6, 16);
		}
		assert_int_equal(ntohs(s.flow.guest_port), 4000);
		assert_int_equal(ntohs(s.flow.remote_port), 80);
		assert_memory_equal(s.mac, packet_mac, 6);
		assert_int_equal(s.flags, TCP_ACK | TCP_PSH);
		assert_int_equal(s.seq, 0x11223344);
		assert_int_equal(s.ack, 0x55667788);
		assert_int_equal(s.window, 0x1234);
		assert_int_equal(s.mss, 0);
		assert_int_equal(s.scale, -1);
		/* Without the padding. */
		assert_int_equal(s.len, strlen(TEXT));
		assert_memory_equal(s.data, TEXT, strlen(TEXT));
	}
}

static void options(void **state)
{
	static const struct {
		const char *what;
		uint8_t bytes[12], n;
		uint16_t mss;
		int8_t scale;
	} cases[] = {
		{"MSS", {2, 4, 0x05, 0xb4}, 4, 1460, -1},
		{"scale", {3, 3, 7, 0}, 4, 0, 7},
		{"scale 0", {3, 3, 0, 0}, 4, 0, 0},
		{"scale above 14", {3, 3, 15, 0}, 4, 0, 14},
		{"scale 255", {3, 3, 255, 0}, 4, 0, 14},
		{"MSS, NOP, scale", {2, 4, 0xff, 0xd8, 1, 3, 3, 14}, 8, 65496, 14},
		{"NOP, NOP, MSS", {1, 1, 2, 4, 2, 0, 1, 1}, 8, 512, -1},
		{"END before MSS", {0, 2, 4, 5, 0xb4, 0, 0, 0}, 8, 0, -1},
		{"MSS, END, scale", {2, 4, 5, 0xb4, 0, 3, 3, 7}, 8, 1460, -1},
		{"unknown, then scale", {4, 2, 254, 6, 1, 2, 3, 4, 1, 3, 3, 5}, 12, 0, 5},
		{"timestamps", {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8}, 12, 0, -1},
		{"length 0", {254, 0, 2, 4, 5, 0xb4, 0, 0}, 8, 0, -1},
		{"length 1", {254, 1, 2, 4, 5, 0xb4, 0, 0}, 8, 0, -1},
		{"MSS of length 1", {2, 1, 2, 4, 5, 0xb4, 0, 0}, 8, 0, -1},
		{"MSS of length 3", {2, 3, 5, 1, 3, 3, 6, 1}, 8, 0, 6},
		{"scale of length 4", {3, 4, 7, 7}, 4, 0, -1},
		{"MSS cut short", {1, 2, 4, 5}, 4, 0, -1},
		{"scale cut short", {1, 1, 3, 3}, 4, 0, -1},
		{"no length", {1, 1, 1, 3}, 4, 0, -1},
		{"only NOP", {1, 1, 1, 1}, 4, 0, -1},
		{"longer than all", {2, 255, 5, 0xb4}, 4, 0, -1},
	};
	uint8_t frame[256];

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2)
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			struct segment s;
			size_t len = build(frame, v, cases[i].bytes, cases[i].n);

			if (read_exact(frame, len, 0, &s) != SEGMENT_GOOD ||
			    s.mss != cases[i].mss || s.scale != cases[i].scale)
				fail_msg("IPv%u, %s: MSS %u, scale %d", v, cases[i].what, s.mss,
					 s.scale);
			assert_memory_equal(s.data, TEXT, strlen(TEXT));
			/* At the very end of the frame there is nothing to read beyond. */
			len -= strlen(TEXT) + PADDING;
			if (v == 4)
				put16(frame + ETH + 2, (uint32_t)(len - ETH));
			else
				put16(frame + ETH + 4, (uint32_t)(len - ETH - 40));
			mend(frame, v, len - ETH - HEAD(v));
			assert_int_equal(read_exact(frame, len, 0, &s), SEGMENT_GOOD);
			assert_int_equal(s.len, 0);
			assert_int_equal(s.mss, cases[i].mss);
			assert_int_equal(s.scale, cases[i].scale);
		}
}

/* One byte of a good frame is another. */
static void spoiled(void **state)
{
	enum { KEEP, MEND }; /* the checksums */
	static const struct {
		const char *what;
		unsigned v, at;
		uint8_t value;
		int sums;
		enum segment_kind kind, partial;
	} cases[] = {
		{"VLAN", 4, 12, 0x81, MEND, SEGMENT_OTHER, SEGMENT_OTHER},
		{"ARP", 4, 13, 0x06, MEND, SEGMENT_OTHER, SEGMENT_OTHER},
		{"IPv6 in IPv4's place", 4, 14, 0x65, MEND, SEGMENT_OTHER, SEGMENT_OTHER},
		{"IPv4 header of 16", 4, 14, 0x44, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"IPv4 header beyond its packet", 4, 14, 0x4f, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"total length 0", 4, 17, 0, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"total length below the header", 4, 17, 19, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"total length without TCP", 4, 17, 20, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"total length within TCP", 4, 17, 39, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"total length into the padding", 4, 17, 49, MEND, SEGMENT_BAD, SEGMENT_GOOD},
		{"total length beyond the frame", 4, 17, 55, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"total length far beyond", 4, 16, 0xff, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"more fragments", 4, 20, 0x20, MEND, SEGMENT_OTHER, SEGMENT_OTHER},
		{"fragment offset", 4, 21, 1, MEND, SEGMENT_OTHER, SEGMENT_OTHER},
		{"high fragment offset", 4, 20, 0x10, MEND, SEGMENT_OTHER, SEGMENT_OTHER},
		{"do not fragment", 4, 20, 0x40, MEND, SEGMENT_GOOD, SEGMENT_GOOD},
		{"hops, IPv4's checksum", 4, 22, 63, KEEP, SEGMENT_BAD, SEGMENT_BAD},
		{"hops", 4, 22, 63, MEND, SEGMENT_GOOD, SEGMENT_GOOD},
		{"UDP", 4, 23, 17, MEND, SEGMENT_OTHER, SEGMENT_OTHER},
		{"sequence", 4, 40, 9, KEEP, SEGMENT_BAD, SEGMENT_GOOD},
		{"data offset 0", 4, 46, 0, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"data offset 4", 4, 46, 0x40, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"data offset at the end", 4, 46, 0x70, MEND, SEGMENT_GOOD, SEGMENT_GOOD},
		{"data offset beyond", 4, 46, 0x80, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"data", 4, 61, 'Y', KEEP, SEGMENT_BAD, SEGMENT_GOOD},
		{"IPv4 in IPv6's place", 6, 14, 0x45, MEND, SEGMENT_OTHER, SEGMENT_OTHER},
		{"payload 0", 6, 19, 0, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"payload within TCP", 6, 19, 19, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"payload beyond the frame", 6, 19, 35, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"payload far beyond", 6, 18, 0xff, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"hop-by-hop options", 6, 20, 0, MEND, SEGMENT_OTHER, SEGMENT_OTHER},
		{"fragment header", 6, 20, 44, MEND, SEGMENT_OTHER, SEGMENT_OTHER},
		{"hop limit is in no checksum", 6, 21, 1, KEEP, SEGMENT_GOOD, SEGMENT_GOOD},
		{"source address", 6, 37, 0x16, KEEP, SEGMENT_BAD, SEGMENT_GOOD},
		{"data offset 4", 6, 66, 0x40, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"data offset beyond", 6, 66, 0xf0, MEND, SEGMENT_BAD, SEGMENT_BAD},
		{"data", 6, 81, 'Y', KEEP, SEGMENT_BAD, SEGMENT_GOOD},
	};
	uint8_t frame[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned v = cases[i].v;
		struct segment s;
		size_t len = build(frame, v, "", 0);

		frame[cases[i].at] = cases[i].value;
		if (cases[i].sums == MEND)
			mend(frame, v, len - ETH - HEAD(v) - PADDING);
		if (read_exact(frame, len, 0, &s) != cases[i].kind)
			fail_msg("IPv%u, %s", v, cases[i].what);
		if (read_exact(frame, len, 1, &s) != cases[i].partial)
			fail_msg("IPv%u, %s, with a partial checksum", v, cases[i].what);
	}
}

static void cut_anywhere(void **state)
{
	uint8_t frame[256];

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct segment s;
		size_t len = build(frame, v, "\x02\x04\x05\xb4\x01\x03\x03\x07", 8) - PADDING;

		for (int partial = 0; partial <= 1; partial++) {
			for (size_t n = 0; n < len; n++)
				assert_int_not_equal(read_exact(frame, n, partial, &s),
						     SEGMENT_GOOD);
			assert_int_equal(read_exact(frame, len, partial, &s), SEGMENT_GOOD);
		}
	}
}

/* Any bytes at all; read_exact() and the sanitizer judge. */
static void reads_inside_the_frame_only(void **state)
{
	uint8_t frame[256];
	unsigned good = 0;

	(void)state;
	seed = 1;
	for (unsigned i = 0; i < 50000; i++) {
		unsigned v = rnd(2) ? 4 : 6;
		struct segment s;
		size_t len = build(frame, v, "\x02\x04\x05\xb4\x01\x03\x03\x07", 8);

		for (uint32_t n = 1 + rnd(3); n > 0; n--)
			frame[12 + rnd((uint32_t)len - 12)] = (uint8_t)rnd(256);
		if (v == 4 && rnd(4)) {
			put16(frame + ETH + 10, 0);
			put16(frame + ETH + 10, ~sum(frame + ETH, (frame[ETH] & 15) * 4u, 0));
		}
		if (rnd(4) == 0)
			len = rnd((uint32_t)len + 1);
		good += read_exact(frame, len, 1, &s) == SEGMENT_GOOD;
	}
	assert_true(good > 1000);
}

/* --- writing --- */

static void round_trip(void **state)
{
	static const struct {
		uint8_t flags;
		uint16_t mss;
		int8_t scale;
		const char *data;
	} cases[] = {
		{TCP_SYN | TCP_ACK, 1460, 3, ""},
		{TCP_SYN | TCP_ACK, 65480, 0, ""},
		{TCP_SYN | TCP_ACK, 1220, -1, ""},
		{TCP_RST, 0, -1, ""},
		{TCP_ACK | TCP_PSH | TCP_FIN, 0, -1, "even"},
		{TCP_ACK, 0, -1, "an odd one."},
	};

	(void)state;
	for (unsigned i = 0; i < 2 * sizeof(cases) / sizeof(*cases); i++) {
		unsigned v = i & 1 ? 6 : 4, k = i / 2;
		size_t len = strlen(cases[k].data), head_len;
		struct segment out = {
			.flow = {.family = v == 4 ? AF_INET : AF_INET6,
				 .guest_port = htons(4000),
				 .remote_port = htons(443)},
			.flags = cases[k].flags,
			.scale = cases[k].scale,
			.mss = cases[k].mss,
			.window = 0xfedc,
			.seq = 0xfffffffe,
			.ack = 0x80000001,
			.len = (uint32_t)len,
		};
		uint8_t head[SEGMENT_HEAD_MAX], frame[256];
		struct net_hdr hdr;
		struct segment in;

		memcpy(out.mac, packet_mac, 6);
		memcpy(out.flow.guest, v == 4 ? guest4 : guest6, v == 4 ? 4 : 16);
		memcpy(out.flow.remote, v == 4 ? remote4 : remote6, v == 4 ? 4 : 16);
		head_len = segment_head(head, &out, &hdr);
		assert_true(head_len <= SEGMENT_HEAD_MAX);
		memcpy(frame, head, head_len);
		memcpy(frame + head_len, cases[k].data, len);

		/* As it is, only a reader that was told so takes it. */
		assert_int_equal(hdr.flags, NET_HDR_NEEDS_CSUM);
		assert_int_equal(hdr.gso_type, NET_GSO_NONE);
		assert_int_equal(read_exact(frame, head_len + len, 1, &in), SEGMENT_GOOD);
		assert_int_equal(read_exact(frame, head_len + len, 0, &in), SEGMENT_BAD);
		assert_true(csum_fits(&hdr, head_len + len));
		csum_complete(&hdr, frame, head_len + len);
		assert_int_equal(tcp_sum(frame, v, head_len + len - ETH - HEAD(v)), 0xffff);

		assert_int_equal(read_exact(frame, head_len + len, 0, &in), SEGMENT_GOOD);
		assert_memory_equal(frame, packet_mac, 6);
		assert_memory_equal(in.mac, nat_mac, 6);
		assert_memory_equal(in.flow.guest, out.flow.remote, 16);
		assert_memory_equal(in.flow.remote, out.flow.guest, 16);
		assert_int_equal(in.flow.guest_port, out.flow.remote_port);
		assert_int_equal(in.flow.remote_port, out.flow.guest_port);
		assert_int_equal(in.flow.family, out.flow.family);
		assert_int_equal(in.flags, out.flags);
		assert_int_equal(in.scale, out.scale);
		assert_int_equal(in.mss, out.mss);
		assert_int_equal(in.window, out.window);
		assert_int_equal(in.seq, out.seq);
		assert_int_equal(in.ack, out.ack);
		assert_int_equal(in.len, len);
		assert_memory_equal(in.data, cases[k].data, len);
	}
}

/* --- the bytes of connections --- */

static uint8_t at(uint64_t pos)
{
	return (uint8_t)(pos ^ pos >> 8 ^ pos >> 17);
}

static void room_is_what_is_free(struct byte_ring *ring, struct byte_share *share)
{
	struct iovec v[2];
	unsigned n = byte_ring_room(ring, share, v);
	size_t all = 0;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = v[i].iov_base;

		assert_true(v[i].iov_len > 0);
		assert_true(p >= ring->mem && p + v[i].iov_len <= ring->mem + BYTE_RING_SIZE);
		all += v[i].iov_len;
	}
	assert_int_equal(all, BYTE_RING_SIZE - ring->len);
}

static void ring_keeps_order(void **state)
{
	static uint8_t piece[BYTE_RING_SIZE + 10];
	struct byte_pool pool;
	struct byte_share share = {.pool = &pool};
	struct byte_ring ring = {0};
	uint64_t in = 0, out = 0;

	(void)state;
	seed = 2;
	byte_pool_init(&pool, 1);
	while (in < 40ull * BYTE_RING_SIZE) {
		uint32_t n = rnd(3) ? rnd(5000) : rnd(sizeof(piece)), fits, done = 0;
		struct iovec v[2];

		fits = n < BYTE_RING_SIZE - ring.len ? n : BYTE_RING_SIZE - ring.len;
		if (rnd(2)) {
			for (uint32_t i = 0; i < n; i++)
				piece[i] = at(in + i);
			assert_int_equal(byte_ring_put(&ring, &share, piece, n), fits);
		} else {
			unsigned pieces = byte_ring_room(&ring, &share, v);

			for (unsigned i = 0; i < pieces; i++)
				for (size_t j = 0; j < v[i].iov_len && done < fits; j++)
					((uint8_t *)v[i].iov_base)[j] = at(in + done++);
			byte_ring_add(&ring, fits);
		}
		in += fits;
		assert_int_equal(ring.len, in - out);
		room_is_what_is_free(&ring, &share);

		/* From anywhere, in as many pieces as it takes. */
		for (uint32_t off = ring.len ? rnd(ring.len) : 0; off < ring.len;) {
			struct iovec p = byte_ring_at(&ring, off, 1 + rnd(BYTE_RING_SIZE));

			assert_true(p.iov_len > 0 && p.iov_len <= ring.len - off);
			for (size_t i = 0; i < p.iov_len; i += 1 + i % 61)
				assert_int_equal(((uint8_t *)p.iov_base)[i], at(out + off + i));
			off += (uint32_t)p.iov_len;
		}
		assert_true(!ring.len || byte_ring_at(&ring, 0, 7).iov_len <= 7);
		n = rnd(8) ? rnd(ring.len + 1) : ring.len;
		byte_ring_drop(&ring, n);
		out += n;
	}
	byte_ring_release(&ring, &share);
	assert_null(ring.mem);
	assert_int_equal(ring.len, 0);
	assert_int_equal(pool.n_out + share.n_out, 0);
	byte_pool_free(&pool);
	assert_int_equal(pool.n_spare, 0);
}

static void pool_is_bounded(void **state)
{
	struct byte_ring ring[9] = {0};
	struct byte_pool pool;
	struct byte_share share = {.pool = &pool};
	struct iovec v[2];
	uint8_t *mem;

	(void)state;
	byte_pool_init(&pool, 16);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(byte_ring_put(&ring[i], &share, "x", 1), 1);
	assert_int_equal(pool.n_out, 8);
	/* A share that has half of all is as a full ring. */
	assert_int_equal(byte_ring_room(&ring[8], &share, v), 0);
	assert_int_equal(byte_ring_put(&ring[8], &share, "x", 1), 0);
	assert_null(ring[8].mem);
	/* Those that have memory go on. */
	assert_int_equal(byte_ring_put(&ring[0], &share, "y", 1), 1);

	mem = ring[3].mem;
	byte_ring_release(&ring[3], &share);
	assert_int_equal(pool.n_spare, 1);
	assert_int_equal(byte_ring_put(&ring[8], &share, "z", 1), 1);
	assert_ptr_equal(ring[8].mem, mem);
	assert_int_equal(pool.n_spare, 0);
	assert_memory_equal(byte_ring_at(&ring[8], 0, 9).iov_base, "z", 1);

	/* Twice is once; few are kept. */
	for (unsigned i = 0; i < 9; i++)
		byte_ring_release(&ring[i], &share);
	byte_ring_release(&ring[0], &share);
	assert_int_equal(pool.n_out, 0);
	assert_int_equal(pool.n_spare, 4);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(byte_ring_put(&ring[i], &share, "x", 1), 1);
	assert_int_equal(pool.n_spare, 0);
	for (unsigned i = 0; i < 8; i++)
		byte_ring_release(&ring[i], &share);
	byte_pool_free(&pool);
	assert_null(pool.spare);
}

static void an_empty_ring_starts_anew(void **state)
{
	static uint8_t bytes[BYTE_RING_SIZE];
	struct byte_ring ring = {0};
	struct byte_pool pool;
	struct byte_share share = {.pool = &pool};

	(void)state;
	byte_pool_init(&pool, 1);
	assert_int_equal(byte_ring_put(&ring, &share, bytes, 1000), 1000);
	byte_ring_drop(&ring, 1000);
	assert_int_equal(byte_ring_put(&ring, &share, bytes, sizeof(bytes)), BYTE_RING_SIZE);
	/* In one piece. */
	assert_int_equal(byte_ring_at(&ring, 0, BYTE_RING_SIZE).iov_len, BYTE_RING_SIZE);
	assert_int_equal(byte_ring_put(&ring, &share, bytes, 1), 0);
	byte_ring_release(&ring, &share);
	byte_pool_free(&pool);
}

/* Whoever takes all that there is to have leaves something to the next. */
static void shares_leave_something(void **state)
{
	static const unsigned has[] = {8, 4, 2, 1, 1, 0};
	struct byte_ring ring[6][9] = {0};
	struct byte_pool pool;
	struct byte_share share[6];

	(void)state;
	byte_pool_init(&pool, 16);
	for (unsigned i = 0; i < 6; i++) {
		share[i] = (struct byte_share){.pool = &pool};
		for (unsigned j = 0; j < 9; j++)
			byte_ring_put(&ring[i][j], &share[i], "x", 1);
		assert_int_equal(share[i].n_out, has[i]);
	}
	assert_int_equal(pool.n_out, 16);
	/* What one gives back is for those that have less than that. */
	byte_ring_release(&ring[0][0], &share[0]);
	byte_ring_release(&ring[0][1], &share[0]);
	assert_int_equal(byte_ring_put(&ring[0][0], &share[0], "x", 1), 0);
	assert_int_equal(byte_ring_put(&ring[1][8], &share[1], "x", 1), 0);
	assert_int_equal(byte_ring_put(&ring[5][0], &share[5], "x", 1), 1);
	for (unsigned i = 0; i < 6; i++)
		for (unsigned j = 0; j < 9; j++)
			byte_ring_release(&ring[i][j], &share[i]);
	assert_int_equal(pool.n_out, 0);
	byte_pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_is_there),
		cmocka_unit_test(options),
		cmocka_unit_test(spoiled),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(reads_inside_the_frame_only),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(ring_keeps_order),
		cmocka_unit_test(pool_is_bounded),
		cmocka_unit_test(shares_leave_something),
		cmocka_unit_test(an_empty_ring_starts_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
