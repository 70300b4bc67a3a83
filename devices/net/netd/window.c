/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The window that a guest is offered. libslirp's is 65535 bytes, which are two segments of 32760
 * bytes and 15 more: a guest that fills it sends these 15 in a frame of their own, with an answer
 * of its own, a third of all frames. Pure functions over bytes; knows neither libslirp nor
 * connections.
 */
#include "devices/net/netd/window.h"

#include "devices/net/net.h"
#include "devices/net/netd/be.h"

#define WINDOW_MAX 65535u
#define SPARE_MAX  64u
#define TCP_LEN    20u
#define TCP_WINDOW 14u /* offsets in the TCP header (RFC 9293 §3.1) */
#define TCP_CSUM   16u

/* Length of the IP header if a whole TCP header follows it, else 0. */
static size_t ip_len(const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + NET_ETH_LEN;
	size_t ip_len;

	if (len < NET_ETH_LEN + 20)
		return 0;
	if (get16(frame + 12) == 0x0800) {
		ip_len = (ip[0] & 15) * 4u;
		/* TCP, and no fragment behind the first one */
		if (ip_len < 20 || ip[9] != 6 || (get16(ip + 6) & 0x1fff))
			return 0;
	} else if (get16(frame + 12) == 0x86dd && ip[6] == 6) {
		ip_len = 40;
	} else {
		return 0;
	}
	return len - NET_ETH_LEN >= ip_len + TCP_LEN ? ip_len : 0;
}

void window_trim(uint8_t *frame, size_t len, uint32_t mtu)
{
	size_t head = ip_len(frame, len);
	uint8_t *tcp = frame + NET_ETH_LEN + head;
	uint32_t mss, spare, sum;

	if (!head || get16(tcp + TCP_WINDOW) != WINDOW_MAX || mtu <= head + TCP_LEN)
		return;
	mss = mtu - (uint32_t)head - TCP_LEN;
	spare = WINDOW_MAX % mss;
	if (!spare || spare > SPARE_MAX || mss > WINDOW_MAX)
		return;
	put16(tcp + TCP_WINDOW, WINDOW_MAX - spare);
	/* RFC 1624 §3: HC' = ~(~HC + ~m + m'), and ~65535 is 0. */
	sum = (~get16(tcp + TCP_CSUM) & 0xffff) + WINDOW_MAX - spare;
	sum = (sum & 0xffff) + (sum >> 16);
	put16(tcp + TCP_CSUM, ~sum & 0xffff);
}
