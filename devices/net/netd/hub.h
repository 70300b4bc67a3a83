/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_HUB_H
#define DEVICES_NET_NETD_HUB_H

#include <stdint.h>

#include "devices/net/forward.h"

/*
 * The heart of skiff-netd: ports (sockets to VMs), the switch between them and the NAT behind it,
 * and the one loop that moves frames.
 *
 *	VM -- port --+            +-- TCP that guests open --+
 *	VM -- port --+-- switch --+    (both are port 0)     +-- sockets of the host
 *	                          +-- NAT (libslirp) --------+
 *
 * A turn: poll, then up to PORT_ROUNDS batches from each port, then the host's sockets, then
 * what has gathered for each port is sent, many frames a system call.
 *
 * Back-pressure: when a VM does not read, its socket fills, then its backlog; meanwhile the
 * host's sockets are not read, so TCP waits instead of losing. When a backlog is full, frames for
 * that port are dropped, as a cable would. Among several VMs one that takes nothing for
 * HUB_STALL_MS no longer holds the others back.
 */
#define HUB_STALL_MS 200

struct hub;

struct hub_params {
	uint32_t mtu;   /* for the NAT, and for hellos; 0: 1500 and none */
	int listen_fd;  /* where further VMs attach; -1: none */
	uint64_t key;   /* random */
	unsigned files; /* sockets for guests' TCP; 0: as many as there are connections */
};

/* 0, or -errno after one sentence. Takes listen_fd. */
int hub_create(struct hub **out, const struct hub_params *params);
void hub_destroy(struct hub *hub);

/* Opens a port of the host: 0, or -errno with a clause for the user in @why. */
int hub_forward(struct hub *hub, const struct net_forward *fwd, char *why, size_t why_size);

/* Plugs in a connected SOCK_SEQPACKET socket, which it takes, and says hello: 0 or -errno. */
int hub_attach(struct hub *hub, int fd);

/* Moves frames until the last port is gone. */
void hub_run(struct hub *hub);

#endif
