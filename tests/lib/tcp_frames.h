/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_TCP_FRAMES_H
#define TESTS_LIB_TCP_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "devices/net/net.h"
#include "devices/net/netd/segment.h"

/*
 * TCP frames of a fuzzer, made and judged byte by byte: with nothing of segment.c, which is under
 * test. Pure functions, which know of no connection.
 */
struct tcp_frame {
	uint32_t seq, ack, len;
	uint8_t flags;
	uint16_t window;
	int syn_options; /* with those two: */
	uint16_t mss;    /* 0: none */
	int8_t scale;    /* -1: none */
	int partial;     /* its checksum is of the pseudo-header alone */
};

/* From the guest to the gateway; on the heap, so that a step over its end is seen. */
uint8_t *tcp_frame_make(const struct flow *flow, const uint8_t mac[6], const struct tcp_frame *o,
			const uint8_t *data, size_t *size);

/*
 * The TCP header of a frame to a guest, whose lengths and checksums are right, or it is no more;
 * @rest: its length with data. The checksum is completed in place.
 */
const uint8_t *tcp_frame_check(const struct net_hdr *hdr, uint8_t *f, size_t len, uint32_t mtu,
			       size_t *rest, struct flow *flow);

uint32_t tcp_frame_get16(const uint8_t *p);
uint32_t tcp_frame_get32(const uint8_t *p);
/* The length of the header that is at @t. */
uint32_t tcp_frame_head(const uint8_t *t);

#endif
