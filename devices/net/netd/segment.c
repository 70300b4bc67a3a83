/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes the headers of TCP segments. What it reads is a guest's: every length is checked
 * before it is used. Knows no connection and no socket.
 *
 *	Ethernet 14 | IPv4 20.. or IPv6 40 | TCP 20.. | data
 */
#include "devices/net/netd/segment.h"

#include <endian.h>
#include <string.h>
#include <sys/socket.h>

#include "devices/net/csum.h"
#include "devices/net/netd/be.h"
#include "devices/net/netd/nat.h"

#define ETH_IPV4  0x0800u
#define ETH_IPV6  0x86ddu
#define IPV4_LEN  20u
#define IPV6_LEN  40u
#define TCP_PROTO 6u
#define TCP_LEN   20u
#define HOPS      64u

enum { OPTION_END, OPTION_NOP, OPTION_MSS, OPTION_SCALE };

/* The running sum of what TCP's checksum covers besides the segment (RFC 9293 §3.1). */
static uint64_t pseudo_header(const struct flow *flow, uint32_t len)
{
	size_t n = flow->family == AF_INET ? 4 : 16;
	uint8_t rest[8] = {0};

	put32(rest, len);
	rest[7] = TCP_PROTO;
	return csum_add(csum_add(csum_add(0, flow->guest, n), flow->remote, n), rest, sizeof(rest));
}

static void read_options(const uint8_t *p, size_t len, struct segment *s)
{
	s->scale = -1;
	s->mss = 0;
	while (len > 0 && p[0] != OPTION_END) {
		size_t n = p[0] == OPTION_NOP ? 1 : len >= 2 ? p[1] : 0;

		if (n == 0 || n > len || (n == 1 && p[0] != OPTION_NOP))
			return;
		if (p[0] == OPTION_MSS && n == 4)
			s->mss = (uint16_t)get16(p + 2);
		if (p[0] == OPTION_SCALE && n == 3)
			s->scale = (int8_t)(p[2] > 14 ? 14 : p[2]); /* RFC 7323 §2.3 */
		p += n;
		len -= n;
	}
}

/* @p[0..len) is the TCP segment, and no more. */
static enum segment_kind read_tcp(const uint8_t *p, size_t len, int partial, struct segment *s)
{
	size_t head;

	if (len < TCP_LEN)
		return SEGMENT_BAD;
	head = (p[12] >> 4) * 4u;
	if (head < TCP_LEN || head > len)
		return SEGMENT_BAD;
	memcpy(&s->flow.guest_port, p, 2);
	memcpy(&s->flow.remote_port, p + 2, 2);
	s->seq = get32(p + 4);
	s->ack = get32(p + 8);
	s->flags = p[13];
	s->window = (uint16_t)get16(p + 14);
	s->data = p + head;
	s->len = (uint32_t)(len - head);
	read_options(p + TCP_LEN, head - TCP_LEN, s);
	if (partial)
		return SEGMENT_GOOD;
	if (csum_fold(csum_add(pseudo_header(&s->flow, (uint32_t)len), p, len)) != 0xffff)
		return SEGMENT_BAD;
	return SEGMENT_GOOD;
}

static enum segment_kind read_ipv4(const uint8_t *ip, size_t len, int partial, struct segment *s)
{
	size_t head, all;

	if (len < IPV4_LEN || ip[0] >> 4 != 4 || ip[9] != TCP_PROTO)
		return SEGMENT_OTHER;
	head = (ip[0] & 15) * 4u;
	all = get16(ip + 2);
	if (get16(ip + 6) & 0x3fff) /* more fragments, or an offset */
		return SEGMENT_OTHER;
	if (head < IPV4_LEN || all < head || all > len ||
	    csum_fold(csum_add(0, ip, head)) != 0xffff)
		return SEGMENT_BAD;
	s->flow.family = AF_INET;
	memcpy(s->flow.guest, ip + 12, 4);
	memcpy(s->flow.remote, ip + 16, 4);
	return read_tcp(ip + head, all - head, partial, s);
}

static enum segment_kind read_ipv6(const uint8_t *ip, size_t len, int partial, struct segment *s)
{
	size_t payload;

	if (len < IPV6_LEN || ip[0] >> 4 != 6 || ip[6] != TCP_PROTO)
		return SEGMENT_OTHER;
	payload = get16(ip + 4);
	if (payload > len - IPV6_LEN)
		return SEGMENT_BAD;
	s->flow.family = AF_INET6;
	memcpy(s->flow.guest, ip + 8, 16);
	memcpy(s->flow.remote, ip + 24, 16);
	return read_tcp(ip + IPV6_LEN, payload, partial, s);
}

enum segment_kind segment_read(const uint8_t *frame, size_t len, int partial, struct segment *s)
{
	memset(s, 0, sizeof(*s));
	if (len < NET_ETH_LEN)
		return SEGMENT_OTHER;
	memcpy(s->mac, frame + 6, sizeof(s->mac));
	switch (get16(frame + 12)) {
	case ETH_IPV4:
		return read_ipv4(frame + NET_ETH_LEN, len - NET_ETH_LEN, partial, s);
	case ETH_IPV6:
		return read_ipv6(frame + NET_ETH_LEN, len - NET_ETH_LEN, partial, s);
	}
	return SEGMENT_OTHER;
}

/* RFC 791 §3.1: never a fragment, so it needs no identification (RFC 6864 §4.1). */
static size_t put_ipv4(uint8_t *ip, const struct flow *flow, uint32_t len)
{
	uint16_t sum;

	memset(ip, 0, IPV4_LEN);
	ip[0] = 0x45;
	put16(ip + 2, IPV4_LEN + len);
	put16(ip + 6, 0x4000);
	ip[8] = HOPS;
	ip[9] = TCP_PROTO;
	memcpy(ip + 12, flow->remote, 4);
	memcpy(ip + 16, flow->guest, 4);
	sum = (uint16_t)~csum_fold(csum_add(0, ip, IPV4_LEN));
	memcpy(ip + 10, &sum, sizeof(sum));
	return IPV4_LEN;
}

/* RFC 8200 §3 */
static size_t put_ipv6(uint8_t *ip, const struct flow *flow, uint32_t len)
{
	memset(ip, 0, IPV6_LEN);
	ip[0] = 0x60;
	put16(ip + 4, len);
	ip[6] = TCP_PROTO;
	ip[7] = HOPS;
	memcpy(ip + 8, flow->remote, 16);
	memcpy(ip + 24, flow->guest, 16);
	return IPV6_LEN;
}

static size_t put_options(uint8_t *p, const struct segment *s)
{
	if (!s->mss)
		return 0;
	p[0] = OPTION_MSS;
	p[1] = 4;
	put16(p + 2, s->mss);
	if (s->scale < 0)
		return 4;
	p[4] = OPTION_NOP;
	p[5] = OPTION_SCALE;
	p[6] = 3;
	p[7] = (uint8_t)s->scale;
	return 8;
}

size_t segment_head(uint8_t head[SEGMENT_HEAD_MAX], const struct segment *s, struct net_hdr *hdr)
{
	int v4 = s->flow.family == AF_INET;
	size_t ip_len = v4 ? IPV4_LEN : IPV6_LEN, tcp_len;
	uint8_t *ip = head + NET_ETH_LEN, *tcp = ip + ip_len;
	uint16_t sum;

	memcpy(head, s->mac, 6);
	memcpy(head + 6, nat_mac, 6);
	put16(head + 12, v4 ? ETH_IPV4 : ETH_IPV6);
	tcp_len = TCP_LEN + put_options(tcp + TCP_LEN, s);
	if (v4)
		put_ipv4(ip, &s->flow, (uint32_t)tcp_len + s->len);
	else
		put_ipv6(ip, &s->flow, (uint32_t)tcp_len + s->len);
	memcpy(tcp, &s->flow.remote_port, 2);
	memcpy(tcp + 2, &s->flow.guest_port, 2);
	put32(tcp + 4, s->seq);
	put32(tcp + 8, s->ack);
	tcp[12] = (uint8_t)(tcp_len << 2);
	tcp[13] = s->flags;
	put16(tcp + 14, s->window);
	sum = csum_fold(pseudo_header(&s->flow, (uint32_t)tcp_len + s->len));
	memcpy(tcp + 16, &sum, sizeof(sum));
	put16(tcp + 18, 0);
	*hdr = (struct net_hdr){
		.flags = NET_HDR_NEEDS_CSUM,
		.csum_start = htole16((uint16_t)(NET_ETH_LEN + ip_len)),
		.csum_offset = htole16(16),
	};
	return NET_ETH_LEN + ip_len + tcp_len;
}
