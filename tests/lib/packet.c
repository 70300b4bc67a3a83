/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames by hand. Its own checksum loop, so that it can judge the one under test. */
#include "tests/lib/packet.h"

#include <string.h>

const uint8_t packet_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
const uint8_t packet_gateway_mac[6] = {0x52, 0x55, 0x0a, 0x00, 0x02, 0x02};
static const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};

#define ETH 14
#define IP  20

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint32_t sum(const uint8_t *p, size_t len, uint32_t at)
{
	for (size_t i = 0; i < len; i++) {
		at += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		at = (at & 0xffff) + (at >> 16);
	}
	return at;
}

static uint16_t transport_sum(const uint8_t *ip, size_t ip_len)
{
	size_t len = ip_len - IP;
	uint32_t s = sum(ip + 12, 8, ip[9]);

	s = sum((uint8_t[]){(uint8_t)(len >> 8), (uint8_t)len}, 2, s);
	return (uint16_t)~sum(ip + IP, len, s);
}

static void ethernet(uint8_t *out, const uint8_t *to, uint16_t type)
{
	memcpy(out, to, 6);
	memcpy(out + 6, packet_mac, 6);
	put16(out + 12, type);
}

/* The IPv4 header for @len bytes behind it. */
static void ipv4(uint8_t *out, uint8_t proto, uint32_t from, uint32_t to, size_t len)
{
	uint8_t *ip = out + ETH;

	ethernet(out, to == 0xffffffff ? broadcast : packet_gateway_mac, 0x0800);
	memset(ip, 0, IP);
	ip[0] = 0x45;
	put16(ip + 2, (uint32_t)(IP + len));
	ip[8] = 64;
	ip[9] = proto;
	put32(ip + 12, from);
	put32(ip + 16, to);
	put16(ip + 10, (uint16_t)~sum(ip, IP, 0));
}

size_t packet_arp(uint8_t *out, uint16_t op, uint32_t from, uint32_t to)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4};
	uint8_t *arp = out + ETH;

	ethernet(out, broadcast, 0x0806);
	memcpy(arp, head, 6);
	put16(arp + 6, op);
	memcpy(arp + 8, packet_mac, 6);
	put32(arp + 14, from);
	memset(arp + 18, 0, 6);
	put32(arp + 24, to);
	memset(arp + 28, 0, 18);
	return 60;
}

size_t packet_icmp_echo(uint8_t *out, uint32_t from, uint32_t to, uint16_t seq)
{
	uint8_t *icmp = out + ETH + IP;

	ipv4(out, 1, from, to, 8 + 32);
	memset(icmp, 0, 8 + 32);
	icmp[0] = 8;
	put16(icmp + 4, 0x5678);
	put16(icmp + 6, seq);
	put16(icmp + 2, (uint16_t)~sum(icmp, 40, 0));
	return ETH + IP + 40;
}

size_t packet_udp(uint8_t *out, uint32_t from, uint32_t to, uint16_t sport, uint16_t dport,
		  const void *data, size_t len)
{
	uint8_t *udp = out + ETH + IP;
	uint16_t s;

	ipv4(out, 17, from, to, 8 + len);
	put16(udp, sport);
	put16(udp + 2, dport);
	put16(udp + 4, (uint32_t)(8 + len));
	put16(udp + 6, 0);
	memcpy(udp + 8, data, len);
	s = transport_sum(out + ETH, IP + 8 + len);
	put16(udp + 6, s ? s : 0xffff);
	return ETH + IP + 8 + len;
}

size_t packet_dhcp_discover(uint8_t *out, uint32_t xid)
{
	static const uint8_t options[] = {0x63, 0x82, 0x53, 0x63, 53, 1,  1,
					  55,   4,    1,    3,    6,  26, 255};
	uint8_t dhcp[300] = {1, 1, 6};

	put32(dhcp + 4, xid);
	memcpy(dhcp + 28, packet_mac, 6);
	memcpy(dhcp + 236, options, sizeof(options));
	return packet_udp(out, 0, 0xffffffff, 68, 67, dhcp, sizeof(dhcp));
}

size_t packet_router_solicitation(uint8_t *out)
{
	/* fe80::1 -> ff02::2, hop limit 255, type 133 with our link-layer address. */
	uint8_t *ip = out + ETH, *icmp = ip + 40;
	uint32_t s;

	ethernet(out, (const uint8_t[]){0x33, 0x33, 0, 0, 0, 2}, 0x86dd);
	memset(ip, 0, 40 + 16);
	ip[0] = 0x60;
	put16(ip + 4, 16);
	ip[6] = 58;
	ip[7] = 255;
	put16(ip + 8, 0xfe80);
	ip[23] = 1;
	put16(ip + 24, 0xff02);
	ip[39] = 2;
	icmp[0] = 133;
	icmp[8] = 1;
	icmp[9] = 1;
	memcpy(icmp + 10, packet_mac, 6);
	s = sum(ip + 8, 32, 16 + 58);
	put16(icmp + 2, (uint16_t)~sum(icmp, 16, s));
	return ETH + 40 + 16;
}

size_t packet_tcp(uint8_t *out, const struct packet_tcp *tcp, const void *data, size_t len)
{
	size_t head = tcp->mss ? 24 : 20;
	uint8_t *p = out + ETH + IP;

	ipv4(out, 6, tcp->from, tcp->to, head + len);
	memset(p, 0, head);
	put16(p, tcp->sport);
	put16(p + 2, tcp->dport);
	put32(p + 4, tcp->seq);
	put32(p + 8, tcp->ack);
	p[12] = (uint8_t)(head / 4 << 4);
	p[13] = tcp->flags;
	put16(p + 14, 65535);
	if (tcp->mss) {
		p[20] = 2;
		p[21] = 4;
		put16(p + 22, tcp->mss);
	}
	if (len)
		memcpy(p + head, data, len);
	put16(p + 16, transport_sum(out + ETH, IP + head + len));
	return ETH + IP + head + len;
}

static void read_ipv4(const uint8_t *ip, size_t len, struct packet_view *view)
{
	const uint8_t *p = ip + IP;
	size_t total, head = 8;

	if (len < IP + 8 || ip[0] != 0x45)
		return;
	total = get16(ip + 2);
	if (total < IP + 8 || total > len)
		return;
	view->proto = ip[9];
	view->from = get32(ip + 12);
	view->to = get32(ip + 16);
	view->checksums_good = sum(ip, IP, 0) == 0xffff;
	if (view->proto == 1) {
		view->icmp_type = p[0];
		view->checksums_good &= sum(p, total - IP, 0) == 0xffff;
	} else {
		view->sport = get16(p);
		view->dport = get16(p + 2);
	}
	if (view->proto == 6 && total >= IP + 20) {
		view->seq = get32(p + 4);
		view->ack = get32(p + 8);
		view->flags = p[13];
		head = (p[12] >> 4) * 4u;
	}
	if (view->proto == 6 || (view->proto == 17 && get16(p + 6)))
		view->checksums_good &= transport_sum(ip, total) == 0;
	if (head > total - IP)
		return;
	view->data = p + head;
	view->len = total - IP - head;
}

void packet_read(const uint8_t *frame, size_t len, struct packet_view *view)
{
	memset(view, 0, sizeof(*view));
	if (len < ETH)
		return;
	view->ethertype = get16(frame + 12);
	view->data = frame + ETH;
	view->len = len - ETH;
	if (view->ethertype == 0x0800)
		read_ipv4(frame + ETH, len - ETH, view);
}

void packet_receive(uint8_t *message, size_t n, struct packet_view *view)
{
	uint8_t *frame = message + 12;
	size_t start = message[6] | message[7] << 8, at = start + (message[8] | message[9] << 8);

	n -= 12;
	/* NEEDS_CSUM; the field holds the sum of the pseudo-header. */
	if ((message[0] & 1) && start <= n && at + 2 <= n)
		put16(frame + at, (uint16_t)~sum(frame + start, n - start, 0));
	packet_read(frame, n, view);
}
