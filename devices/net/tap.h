/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_TAP_H
#define DEVICES_NET_TAP_H

#include "devices/net/net.h"
#include "vmm/loop.h"

/*
 * A wire over a TAP interface of the host, with the kernel's own virtio-net header, so that
 * checksums and large segments cross it unfinished. One read or write a frame: TAP has no more.
 *
 * By the name of an interface that exists, or by a descriptor that was opened for one
 * (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) and is taken over. 0, or -errno after one sentence that
 * says what is missing.
 */
int net_tap_open_name(struct net **out, struct loop *loop, const char *name);
int net_tap_open_fd(struct net **out, struct loop *loop, int fd);

#endif
