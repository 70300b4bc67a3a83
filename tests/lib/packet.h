/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_PACKET_H
#define TESTS_LIB_PACKET_H

#include <stddef.h>
#include <stdint.h>

/*
 * Ethernet frames as a guest on 10.0.2.0/24 makes and reads them: enough of ARP, IPv4, ICMP, UDP
 * and TCP to talk to a network from a test. Addresses and ports are numbers in host order; all
 * checksums are made complete.
 */
#define PACKET_MAX     66000

#define PACKET_GATEWAY 0x0a000202u /* 10.0.2.2 */
#define PACKET_DNS     0x0a000203u
#define PACKET_GUEST   0x0a00020fu /* 10.0.2.15 */

extern const uint8_t packet_mac[6];         /* the guest's */
extern const uint8_t packet_gateway_mac[6]; /* 52:55:0a:00:02:02 */

/* Each writes a frame to @out (PACKET_MAX bytes) and returns its length. */
size_t packet_arp(uint8_t *out, uint16_t op, uint32_t from, uint32_t to);
size_t packet_icmp_echo(uint8_t *out, uint32_t from, uint32_t to, uint16_t seq);
size_t packet_udp(uint8_t *out, uint32_t from, uint32_t to, uint16_t sport, uint16_t dport,
		  const void *data, size_t len);
size_t packet_dhcp_discover(uint8_t *out, uint32_t xid);
size_t packet_router_solicitation(uint8_t *out);

struct packet_tcp {
	uint32_t from, to;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t mss; /* an option, if not 0 */
	uint8_t flags;
};
#define PACKET_FIN 1
#define PACKET_SYN 2
#define PACKET_RST 4
#define PACKET_PSH 8
#define PACKET_ACK 16

size_t packet_tcp(uint8_t *out, const struct packet_tcp *tcp, const void *data, size_t len);

/* What a frame says; 0 where it is something else. Payload behind the transport header. */
struct packet_view {
	uint16_t ethertype;
	uint8_t proto;
	uint32_t from, to;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags, icmp_type;
	const uint8_t *data;
	size_t len;
	int checksums_good;
};
void packet_read(const uint8_t *frame, size_t len, struct packet_view *view);
/* The same for a message of @n bytes that begins with its virtio-net header, of which a device does
 * what it asks for: a checksum that was left partial is completed. */
void packet_receive(uint8_t *message, size_t n, struct packet_view *view);

#endif
