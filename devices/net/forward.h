/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_FORWARD_H
#define DEVICES_NET_FORWARD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * A port of the host that leads to a port of the guest, in the words of `hostfwd=`:
 *
 *	tcp|udp:[HOSTADDR]:PORT-[GUESTADDR]:PORT
 *
 * Addresses are IPv4 or, in brackets, IPv6; both of one family. No host address means 127.0.0.1,
 * so that a guest is open to the network only where someone asked for it (0.0.0.0, [::]). No guest
 * address means the first that DHCP gives out; IPv6 has none such.
 */
struct net_forward {
	uint8_t udp;
	struct sockaddr_storage host, guest; /* AF_INET or AF_INET6; guest may be 0.0.0.0 */
};

/*
 * Parses @text. 0, or -EINVAL and in @why a clause that says what is wrong, such as "port 0 is
 * not between 1 and 65535". Says nothing itself.
 */
int net_forward_parse(const char *text, struct net_forward *fwd, char *why, size_t why_size);

/* The bytes of an address that are in use. */
socklen_t net_forward_addr_len(const struct sockaddr_storage *addr);

#endif
