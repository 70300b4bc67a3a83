/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_CSUM_H
#define DEVICES_NET_CSUM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/net/net.h"

/*
 * The Internet checksum (RFC 1071) and the completion of checksums that a driver left partial
 * (virtio 1.2 §5.1.6.2: the field holds the sum of the pseudo-header; the checksum covers
 * everything from csum_start on). Pure functions, for any thread.
 */

/* Adds @len bytes to a running sum, 0 at the start. Only the last piece may have an odd length. */
uint64_t csum_add(uint64_t sum, const void *data, size_t len);

/* The 16-bit one's complement sum of a running sum: in the byte order of the data, as memory is. */
uint16_t csum_fold(uint64_t sum);

/*
 * True if the header's partial checksum lies wholly inside a frame of @frame_len bytes (Ethernet
 * header included, net_hdr not) and behind its Ethernet header.
 */
int csum_fits(const struct net_hdr *hdr, size_t frame_len);

/*
 * The finished checksum of the frame in @v[0..n), which starts at the Ethernet header: bytes as
 * they go into the field at csum_start + csum_offset. Never 0 (RFC 768: 0 means none in UDP).
 * The caller has asked csum_fits().
 */
uint16_t csum_finish(const struct net_hdr *hdr, const struct iovec *v, unsigned n);

/* The same for a frame in one piece, written into its place. */
void csum_complete(const struct net_hdr *hdr, uint8_t *frame, size_t len);

#endif
