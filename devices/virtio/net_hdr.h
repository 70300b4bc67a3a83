/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_NET_HDR_H
#define DEVICES_VIRTIO_NET_HDR_H

#include <stddef.h>
#include <stdint.h>

#include "devices/net/net.h"

/*
 * What may stand in the header before a frame (virtio 1.2 §5.1.6). Pure functions over a header
 * that the caller has copied out of guest memory or off a wire: judged and rewritten there, so
 * nothing that was judged can change. @frame_len is the Ethernet frame's, without the header.
 */

/* §5.1.3 feature bits */
#define VIRTIO_NET_F_CSUM       0
#define VIRTIO_NET_F_GUEST_CSUM 1
#define VIRTIO_NET_F_MTU        3
#define VIRTIO_NET_F_MAC        5
#define VIRTIO_NET_F_GUEST_TSO4 7
#define VIRTIO_NET_F_GUEST_TSO6 8
#define VIRTIO_NET_F_HOST_TSO4  11
#define VIRTIO_NET_F_HOST_TSO6  12
#define VIRTIO_NET_F_MRG_RXBUF  15
#define VIRTIO_NET_F_STATUS     16

/*
 * A driver's header, with the features that it negotiated: 0 and @hdr fit for a wire (unknown
 * flags and hints that mean nothing cleared, num_buffers 0), or -EINVAL: drop the frame.
 */
int net_hdr_judge_tx(struct net_hdr *hdr, uint64_t features, size_t frame_len);

/*
 * A wire's header, for a driver with @features: 0 and @hdr as the driver may see it (num_buffers
 * is the caller's), 1 if besides the checksum has to be completed first, as @hdr says, because
 * the driver cannot (then clear @hdr), or -EINVAL: drop the frame.
 */
int net_hdr_judge_rx(struct net_hdr *hdr, uint64_t features, size_t frame_len);

#endif
