/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_HELLO_H
#define DEVICES_NET_NETD_HELLO_H

/*
 * The first message that skiff-netd sends on each port, before any frame; plain text, no NUL:
 *
 *	ok mtu=65520		the port is plugged in; offer this MTU to the guest (0: none)
 *	error SENTENCE		it is not, and why, in words for the user
 *
 * Whoever attaches waits for it: a connection that ends without one came too late, to a switch
 * that was about to go.
 */
#define NETD_HELLO_MAX   512
#define NETD_HELLO_OK    "ok mtu="
#define NETD_HELLO_ERROR "error "

/* The descriptors that skiff-netd is started with. */
#define NETD_PORT_FD     3 /* a connected SOCK_SEQPACKET socket: the first port */
#define NETD_LISTEN_FD   4 /* with --listen: a listening one, where further ports attach */

#endif
