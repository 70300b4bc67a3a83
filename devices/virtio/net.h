/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include <stdint.h>

#include "devices/net/net.h"
#include "devices/virtio/dev.h"

/*
 * A virtio network device (virtio 1.2 §5.1) over any wire: one receive queue, one transmit queue,
 * no control queue.
 *
 *   kick(1) -> virtio_pop ... -> judge headers -> wire->send, many frames a call -> virtio_push
 *   wire readable, kick(0) -> virtio_pop ... -> wire->recv, many frames a call, straight into the
 *                             driver's buffers -> judge headers -> virtio_push
 *
 * Frame bytes are never copied here. A header is copied once into the device, judged there, and
 * sent from there. Frames with a wrong header, or too long for the driver's buffer, are dropped
 * and counted. A busy wire leaves chains in the transmit queue until it is writable; a driver
 * without buffers leaves frames in the wire.
 */
struct virtio_net;

#define VIRTIO_NET_QUEUE_MAX 256

struct virtio_net_params {
	const struct mem *mem;
	struct net *wire; /* the caller's; must outlive the device */
	uint8_t mac[6];
	uint16_t queue_size; /* a power of two, 2..VIRTIO_NET_QUEUE_MAX; 0: the maximum */
};

/* 0, -EINVAL for parameters that break the rules above, or -ENOMEM; says why. */
int virtio_net_create(struct virtio_net **out, const struct virtio_net_params *params);
void virtio_net_destroy(struct virtio_net *vn);

/* The device that a transport drives. */
struct virtio_dev *virtio_net_dev(struct virtio_net *vn);

/* Counters for --stats. Frames and bytes are Ethernet's, without the header. */
struct virtio_net_stats {
	uint64_t tx_frames, tx_bytes;
	uint64_t tx_calls, rx_calls; /* of the wire */
	uint64_t tx_bad;             /* dropped: header wrong, or no Ethernet frame behind it */
	uint64_t tx_lost;            /* sent while the link was down */
	uint64_t rx_frames, rx_bytes;
	uint64_t rx_bad; /* dropped: the wire's header wrong, or not for this driver */
	uint64_t rx_cut; /* dropped: longer than the driver's buffer */
};
void virtio_net_get_stats(const struct virtio_net *vn, struct virtio_net_stats *out);

#endif
