/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of the input's making into libslirp, through nat.c: mostly whole packets with good
 * checksums, so that they get past the first look. In a network namespace with nothing in it, or
 * not at all. Oracle: what comes out is an Ethernet frame from the NAT, and not much more of it
 * than went in.
 */
#include <endian.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/net/net.h"
#include "devices/net/netd/nat.h"
#include "tests/lib/packet.h"
#include "vmm/log.h"

#define CHECK(cond)                                                        \
	do {                                                               \
		if (!(cond)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #cond); \
			abort();                                           \
		}                                                          \
	} while (0)

static uint8_t frame[PACKET_MAX];
static size_t bytes_out, bytes_in;

static void came(void *arg, const uint8_t *bytes, size_t len)
{
	(void)arg;
	CHECK(len >= NET_ETH_LEN && len <= NET_FRAME_MAX - NET_HDR_LEN);
	CHECK(bytes[6] == 0x52 && (bytes[7] == 0x55 || bytes[7] == 0x56));
	bytes_out += len;
}

static void silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

/* A frame from up to @size bytes of input; how many it took. */
static size_t make(const uint8_t *in, size_t size, size_t *len)
{
	static const uint32_t to[] = {PACKET_GATEWAY, PACKET_DNS, 0x7f000001, 0xffffffff,
				      PACKET_GUEST};
	struct packet_tcp tcp = {.from = PACKET_GUEST, .flags = in[2], .mss = in[3]};
	size_t n = in[1] < size - 4 ? in[1] : size - 4;
	uint16_t port = in[3] & 1 ? 69 : (uint16_t)(in[3] * 3);

	switch (in[0] % 8) {
	case 0:
		*len = packet_arp(frame, in[2], PACKET_GUEST, to[in[3] % 5]);
		break;
	case 1:
		*len = packet_icmp_echo(frame, PACKET_GUEST, to[in[2] % 5], in[3]);
		break;
	case 2:
	case 3:
		*len = packet_udp(frame, PACKET_GUEST, to[in[2] % 5], 68, in[2] & 8 ? 67 : port,
				  in + 4, n);
		break;
	case 4:
	case 5:
		tcp.to = to[in[2] >> 6];
		tcp.sport = in[3];
		tcp.dport = port;
		tcp.seq = in[1] * 1000u;
		*len = packet_tcp(frame, &tcp, in + 4, n);
		break;
	case 6:
		*len = packet_router_solicitation(frame);
		if (n <= 16)
			break;
		/* Another ICMPv6 or UDP packet in its place; the sum may be wrong. */
		memcpy(frame + 14 + 40, in + 4, n);
		frame[14 + 4] = 0;
		frame[14 + 5] = (uint8_t)n;
		frame[14 + 6] = in[2] & 1 ? 17 : in[2] & 2 ? 6 : 58;
		*len = 14 + 40 + n;
		break;
	default:
		memcpy(frame, packet_gateway_mac, 6);
		memcpy(frame + 6, packet_mac, 6);
		frame[12] = 8;
		frame[13] = in[2] & 1 ? 6 : 0;
		memcpy(frame + 14, in + 4, n);
		*len = 14 + n;
	}
	/* One byte in some frames is changed behind the checksum's back; or they are cut. */
	if ((in[0] & 0xc0) == 0xc0 && *len > 14)
		frame[14 + in[3] % (*len - 14)] ^= in[2];
	if ((in[0] & 0xc0) == 0x80 && *len > 20)
		*len -= in[3] % 20;
	return 4 + n;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		fprintf(stderr, "skipped: no network namespace to be had\n");
		exit(77);
	}
	log_set_sink(silent, NULL);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
	struct nat_params params = {.mtu = 65520, .send = came};
	struct pollfd fds[256];
	struct nat *nat;
	unsigned n;
	int ms = 0;

	bytes_in = bytes_out = 0;
	CHECK(!nat_create(&nat, &params));
	while (size > 4) {
		size_t len = 0, took = make(in, size, &len);

		/* As it arrives: on the heap, so that a step over its end is seen. */
		uint8_t *copy = malloc(len);

		memcpy(copy, frame, len);
		nat_input(nat, copy, len);
		free(copy);
		bytes_in += len;
		in += took;
		size -= took;
	}
	n = nat_fill(nat, fds, 256, 0, &ms);
	if (poll(fds, n, 0) >= 0)
		nat_poll(nat, fds, n, 0);
	CHECK(bytes_out <= 16 * bytes_in + 4096);
	nat_destroy(nat);
	return 0;
}
