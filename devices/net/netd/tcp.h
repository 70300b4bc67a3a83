/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_TCP_H
#define DEVICES_NET_NETD_TCP_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/net/net.h"

/*
 * TCP connections that guests open to the world: one end of each is here (RFC 9293), the other is
 * the kernel's, and bytes are passed on between them.
 *
 *	guest -- segments --> [to_host] -- send --> socket of the host
 *	guest <-- segments -- [to_guest] <-- recv -- socket of the host
 *
 * It is here beside libslirp, which can do the same, for its windows: libslirp's are 64 KiB, one
 * segment of a guest with a large MTU, so that each segment waits for the other side. These are
 * eight times that (RFC 7323), checksums are left to the device, and nothing is copied between
 * buffers. All else is libslirp's: connections that the host's ports bring in, the name server's,
 * UDP, ICMP.
 *
 * What a guest is told: a connection is accepted when the host's is; refused by RST, also where
 * there is no way; what is lost is sent again from the first byte that was not acknowledged.
 * Nothing is ever read that a guest has no room for, beyond one ring.
 */
struct tcp;

struct tcp_params {
	uint32_t mtu;   /* of the guests' network: 0: 1500 */
	unsigned files; /* sockets that it may have; 0: as many as it has connections */
	/*
	 * A frame for a guest, from the Ethernet header on; its bytes are gone after it returns.
	 * 0: send no more until tcp_poll() is called without @hold. The frame itself was taken.
	 */
	int (*send)(void *arg, const struct net_hdr *hdr, const struct iovec *v, unsigned n);
	void *arg;
};

#define TCP_PORTS           64

/*
 * Of one guest, of twice as many for all. Of connections, as of memory for their bytes, a guest
 * gets more only while that leaves at least as much for the others; beyond it each new connection
 * ends that of its own that was silent longest. Who has none, and finds nothing left, gets one of
 * the guest that has most.
 */
#define TCP_CONNECTIONS_MAX 2048

/* 0 or -ENOMEM. */
int tcp_create(struct tcp **out, const struct tcp_params *params);
void tcp_destroy(struct tcp *tcp);

/*
 * A frame from the guest at port @from, a number of the caller's below TCP_PORTS; with @partial its
 * checksum is (virtio 1.2 §5.1.6.2). 1 if it was for one of these connections, or opens one; else
 * it is somebody else's, whole as before. No other port has a say in a connection.
 */
int tcp_input(struct tcp *tcp, unsigned from, const uint8_t *frame, size_t len, int partial);
/* The guest at this port is gone, and its connections with it. */
void tcp_forget(struct tcp *tcp, unsigned from);

/*
 * Around poll(2), as nat_fill() and nat_poll() are: tcp_poll() also answers what tcp_input() has
 * taken since. With @hold nothing is made for the guests that can wait.
 */
unsigned tcp_fill(struct tcp *tcp, struct pollfd *fds, unsigned max, int hold, int *timeout_ms);
void tcp_poll(struct tcp *tcp, const struct pollfd *fds, unsigned n, int hold);

#endif
