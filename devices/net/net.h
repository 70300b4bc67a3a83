/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NET_H
#define DEVICES_NET_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * What a wire is: something that takes and gives Ethernet frames, many at a time. virtio-net is
 * above it; netd's socket, TAP and the length-prefixed stream are below it.
 *
 * Every frame here starts with a 12-byte virtio-net header, then the Ethernet frame without FCS.
 * A wire whose far end knows no such header strips it, completes the checksum that NET_WIRE_CSUM
 * would have left partial, and puts a zero header before what it receives.
 *
 *   virtio-net:  send (many frames), recv (many buffers), offload
 *      v                                   ^ events->readable, writable, link
 *   socket | tap | stream
 *
 * All calls happen on the wire's loop with its lock held. Nothing blocks.
 */

/* virtio 1.2 §5.1.6, little-endian. */
struct net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;  /* from the first byte of the Ethernet frame */
	uint16_t csum_offset; /* from csum_start */
	uint16_t num_buffers; /* meaningful to a guest only: zero on a wire */
};

#define NET_HDR_NEEDS_CSUM 1
#define NET_HDR_DATA_VALID 2

#define NET_GSO_NONE       0
#define NET_GSO_TCPV4      1
#define NET_GSO_UDP        3
#define NET_GSO_TCPV6      4
#define NET_GSO_ECN        0x80

#define NET_HDR_LEN        12
#define NET_ETH_LEN        14
#define NET_MTU_MIN        68
#define NET_MTU_MAX        65520
/* Header, Ethernet, one VLAN tag, the largest IPv4 packet. */
#define NET_FRAME_MAX      (NET_HDR_LEN + NET_ETH_LEN + 4 + 65535)

/* What may stand in a frame's header. */
#define NET_WIRE_CSUM      1u /* NET_HDR_NEEDS_CSUM */
#define NET_WIRE_TSO       2u /* NET_GSO_TCPV4, NET_GSO_TCPV6; frames up to NET_FRAME_MAX */

struct net;

struct net_frame {
	struct iovec *v;
	unsigned n; /* 1..NET_SEGS_MAX */
	size_t len; /* send: the sum of v; recv: bytes received, header included */
};

#define NET_SEGS_MAX 1000 /* leaves room for a wire's own segments below IOV_MAX */

struct net_ops {
	/*
	 * Sends frames from the front of @frames; bytes are copied before it returns, and a frame
	 * is not changed. The header was judged by the caller. The number taken; fewer than @count
	 * means busy, and events->writable comes later. -errno (such as -EPIPE) once the link is
	 * down: frames are lost then, as on a cable that was pulled.
	 */
	int (*send)(struct net *net, const struct net_frame *frames, unsigned count);
	/*
	 * Receives up to @count frames, one into each; the first segment of each is a whole
	 * struct net_hdr. The number received; fewer than @count means drained, and
	 * events->readable comes when there is more. A frame longer than v is cut, and len is then
	 * the sum of v: who must tell adds a spare byte. The header is the far end's and is not
	 * judged. -errno once the link is down.
	 */
	int (*recv)(struct net *net, struct net_frame *frames, unsigned count);
	/*
	 * Which NET_WIRE_* bits frames given by recv may use; none before. Any thread, lock held.
	 * May be NULL: the receiver takes frames as they come and drops what it cannot use.
	 */
	void (*offload)(struct net *net, unsigned features);
	/* Frees the wire; after the loop's last turn. */
	void (*close)(struct net *net);
};

/* The device's side; set before the first frame, called on the loop. */
struct net_events {
	void (*readable)(void *arg);
	void (*writable)(void *arg);
	void (*link)(void *arg, int up); /* the far end went away, or came */
};

struct net {
	const struct net_ops *ops;
	const struct net_events *events;
	void *events_arg;
	unsigned features; /* NET_WIRE_* that send understands */
	uint32_t mtu;      /* 0: none to offer; else NET_MTU_MIN..NET_MTU_MAX */
	uint8_t up;
};

#endif
