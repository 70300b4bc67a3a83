/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_SOCKET_H
#define DEVICES_NET_SOCKET_H

#include "devices/net/net.h"
#include "vmm/loop.h"

/*
 * A wire over a connected SOCK_SEQPACKET socket: one message a frame, header included; many frames
 * a system call. skiff-netd is at the other end. When the other end goes away the link goes down
 * for good.
 *
 * Takes @fd (closed by net->ops->close, and on failure). @mtu as in struct net. 0, or -errno after
 * one sentence.
 */
int net_socket_open(struct net **out, struct loop *loop, int fd, uint32_t mtu);

#endif
