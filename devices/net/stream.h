/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_STREAM_H
#define DEVICES_NET_STREAM_H

#include "devices/net/net.h"
#include "vmm/loop.h"

/*
 * A wire over a byte stream on which each Ethernet frame follows its length, four bytes big-endian:
 * what passt speaks, and QEMU's `-netdev stream`. There is no virtio-net header on it, so partial
 * checksums are completed here. A length that no frame has, or the end of the stream, takes the
 * link down for good.
 */

/* Connects to the UNIX socket at @path. 0, or -errno after one sentence. */
int net_stream_open(struct net **out, struct loop *loop, const char *path, uint32_t mtu);

/* The same over a connected stream socket, which is taken over. */
int net_stream_open_fd(struct net **out, struct loop *loop, int fd, uint32_t mtu);

#endif
