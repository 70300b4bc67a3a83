/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_SEGMENT_H
#define DEVICES_NET_NETD_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "devices/net/net.h"

/*
 * TCP segments (RFC 9293 §3.1) in Ethernet frames, over IPv4 and IPv6, as bytes. Pure functions;
 * they know nothing of connections.
 */

/* Who speaks with whom; in network byte order, without holes, so that it can be compared. */
struct flow {
	uint8_t guest[16], remote[16]; /* IPv4 in the first four, zeroes behind */
	uint16_t guest_port, remote_port;
	uint32_t family; /* AF_INET or AF_INET6 */
};

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

struct segment {
	struct flow flow;
	uint8_t mac[6]; /* the guest's */
	uint8_t flags;
	int8_t scale;    /* window scale of a SYN (RFC 7323 §2); -1: none */
	uint16_t mss;    /* of a SYN; 0: none */
	uint16_t window; /* as it stands in the header */
	uint32_t seq, ack;
	const uint8_t *data; /* in the frame */
	uint32_t len;
};

enum segment_kind {
	SEGMENT_OTHER, /* no TCP, or a fragment, or IPv6 with further headers */
	SEGMENT_BAD,   /* TCP that is cut short or damaged */
	SEGMENT_GOOD,
};

/*
 * Reads a frame from a guest, from the Ethernet header on. With @partial its checksum covers the
 * pseudo-header alone (virtio 1.2 §5.1.6.2) and is not looked at.
 */
enum segment_kind segment_read(const uint8_t *frame, size_t len, int partial, struct segment *s);

/*
 * Writes what goes before the data of a segment to the guest, whose checksum @hdr leaves to the
 * receiver. @s->data is not used. Returns the length of the head.
 */
#define SEGMENT_HEAD_MAX (NET_ETH_LEN + 40 + 28)

size_t segment_head(uint8_t head[SEGMENT_HEAD_MAX], const struct segment *s, struct net_hdr *hdr);

#endif
