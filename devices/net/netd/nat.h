/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_NAT_H
#define DEVICES_NET_NETD_NAT_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/net/forward.h"

/*
 * The way from the guests' network to the host's, by libslirp: connections of guests become
 * sockets of this process. The only file that knows libslirp is nat.c.
 *
 *	10.0.2.0/24, fec0::/64		the network; DHCP from 10.0.2.15 on
 *	10.0.2.2, fec0::2		the gateway; connections to it reach the host's loopback
 *	10.0.2.3, fec0::3		the host's name server
 *
 * Frames that come out are given to @send one by one while nat_input() and nat_poll() run; their
 * bytes are gone after it returns. Their checksums are complete.
 */
struct nat;

struct nat_params {
	uint32_t mtu; /* NET_MTU_MIN..NET_MTU_MAX; 0: 1500 */
	void (*send)(void *arg, const uint8_t *frame, size_t len);
	void *arg;
};

/* 0, or -errno after one sentence. */
int nat_create(struct nat **out, const struct nat_params *params);
void nat_destroy(struct nat *nat);

/* Opens a port of the host: 0, or -errno with the reason in @why, a clause for the user. */
int nat_forward(struct nat *nat, const struct net_forward *fwd, char *why, size_t why_size);

/* The gateway's MAC address. */
extern const uint8_t nat_mac[6];

/* A frame from the network, from the Ethernet header on; its checksums have to be complete. */
void nat_input(struct nat *nat, const uint8_t *frame, size_t len);

/*
 * Around poll(2): nat_fill() writes what to wait for to @fds[0..max) and lowers @timeout_ms (-1:
 * for ever); how many. With @hold nothing is read from the host's sockets, so that frames which
 * nobody takes are not made. nat_poll() then looks at the same @fds; @error: poll failed.
 */
unsigned nat_fill(struct nat *nat, struct pollfd *fds, unsigned max, int hold, int *timeout_ms);
void nat_poll(struct nat *nat, const struct pollfd *fds, unsigned n, int error);

#endif
