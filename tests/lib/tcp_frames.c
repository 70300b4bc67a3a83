/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of TCP frames, as RFC 791, RFC 8200 and RFC 9293 §3.1 have them, the slow and plain
 * way. What is wrong with a frame of netd's ends the program.
 */
#include "tests/lib/tcp_frames.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "devices/net/csum.h"
#include "devices/net/netd/nat.h"
#include "tests/lib/fuzz_check.h"

uint32_t tcp_frame_get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

uint32_t tcp_frame_get32(const uint8_t *p)
{
	return tcp_frame_get16(p) << 16 | tcp_frame_get16(p + 2);
}

uint32_t tcp_frame_head(const uint8_t *t)
{
	return (t[12] >> 4) * 4u;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* As RFC 1071 says it, a word at a time. */
static uint32_t plain_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		sum += tcp_frame_get16(p);
	if (len)
		sum += (uint32_t)p[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

const uint8_t *tcp_frame_check(const struct net_hdr *hdr, uint8_t *f, size_t len, uint32_t mtu,
			       size_t *rest, struct flow *flow)
{
	uint8_t *ip = f + 14, *t;
	uint32_t sum;

	CHECK(len >= 14 + 20 + 20 && len <= NET_FRAME_MAX - NET_HDR_LEN);
	CHECK(!memcmp(f + 6, nat_mac, 6));
	CHECK(hdr->flags == NET_HDR_NEEDS_CSUM && hdr->gso_type == NET_GSO_NONE);
	CHECK(csum_fits(hdr, len));
	csum_complete(hdr, f, len);
	memset(flow, 0, sizeof(*flow));
	if (tcp_frame_get16(f + 12) == 0x0800) {
		CHECK(ip[0] == 0x45 && ip[9] == 6 && tcp_frame_get16(ip + 2) == len - 14 && ip[8]);
		CHECK(len - 14 <= mtu);
		CHECK(plain_sum(0, ip, 20) == 0xffff);
		t = ip + 20;
		sum = plain_sum(0, ip + 12, 8);
		memcpy(flow->remote, ip + 12, 4);
		memcpy(flow->guest, ip + 16, 4);
		flow->family = AF_INET;
	} else {
		CHECK(tcp_frame_get16(f + 12) == 0x86dd && len >= 14 + 40 + 20);
		CHECK(ip[0] == 0x60 && ip[6] == 6 && tcp_frame_get16(ip + 4) == len - 54 && ip[7]);
		CHECK(len - 14 <= mtu);
		t = ip + 40;
		sum = plain_sum(0, ip + 8, 32);
		memcpy(flow->remote, ip + 8, 16);
		memcpy(flow->guest, ip + 24, 16);
		flow->family = AF_INET6;
	}
	*rest = (size_t)(f + len - t);
	CHECK(plain_sum(sum + 6 + (uint32_t)*rest, t, *rest) == 0xffff);
	CHECK(tcp_frame_head(t) >= 20 && tcp_frame_head(t) <= *rest);
	memcpy(&flow->remote_port, t, 2);
	memcpy(&flow->guest_port, t + 2, 2);
	return t;
}

uint8_t *tcp_frame_make(const struct flow *flow, const uint8_t mac[6], const struct tcp_frame *o,
			const uint8_t *data, size_t *size)
{
	int v4 = flow->family == AF_INET;
	size_t ip_len = v4 ? 20 : 40, head = 20, len;
	uint8_t *f, *ip, *t;
	uint32_t sum;

	if (o->syn_options)
		head += 8;
	len = 14 + ip_len + head + o->len;
	f = calloc(1, len);
	CHECK(f);
	ip = f + 14;
	t = ip + ip_len;
	memcpy(f, nat_mac, 6);
	memcpy(f + 6, mac, 6);
	put16(f + 12, v4 ? 0x0800 : 0x86dd);
	if (v4) {
		ip[0] = 0x45;
		put16(ip + 2, (uint32_t)(len - 14));
		ip[8] = 64;
		ip[9] = 6;
		memcpy(ip + 12, flow->guest, 4);
		memcpy(ip + 16, flow->remote, 4);
		put16(ip + 10, ~plain_sum(0, ip, 20));
		sum = plain_sum(0, ip + 12, 8);
	} else {
		ip[0] = 0x60;
		put16(ip + 4, (uint32_t)(len - 54));
		ip[6] = 6;
		ip[7] = 64;
		memcpy(ip + 8, flow->guest, 16);
		memcpy(ip + 24, flow->remote, 16);
		sum = plain_sum(0, ip + 8, 32);
	}
	memcpy(t, &flow->guest_port, 2);
	memcpy(t + 2, &flow->remote_port, 2);
	put32(t + 4, o->seq);
	put32(t + 8, o->ack);
	t[12] = (uint8_t)(head << 2);
	t[13] = o->flags;
	put16(t + 14, o->window);
	if (o->syn_options) {
		t[20] = o->mss ? 2 : 1;
		t[21] = o->mss ? 4 : 1;
		put16(t + 22, o->mss ? o->mss : 0x0101);
		t[24] = o->scale >= 0 ? 3 : 1;
		t[25] = o->scale >= 0 ? 3 : 1;
		t[26] = o->scale >= 0 ? (uint8_t)o->scale : 1;
	}
	if (o->len)
		memcpy(t + head, data, o->len);
	sum = plain_sum(sum + 6 + (uint32_t)(head + o->len), NULL, 0);
	if (!o->partial)
		sum = (uint16_t)~plain_sum(sum, t, head + o->len);
	put16(t + 16, sum);
	*size = len;
	return f;
}
