/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The length-prefixed stream, cut into pieces as the input says. Oracle: a parser of the whole
 * stream at once gives the same frames, and the link goes down exactly where a length is wrong.
 * The loop is played here: nothing has to wait.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net/stream.h"
#include "vmm/log.h"

#define CHECK(cond)                                                        \
	do {                                                               \
		if (!(cond)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #cond); \
			abort();                                           \
		}                                                          \
	} while (0)

#define ETH_MAX    (NET_FRAME_MAX - NET_HDR_LEN)
#define STREAM_MAX 200000

static uint8_t stream[STREAM_MAX], got[NET_FRAME_MAX];

void loop_found(struct loop *l, unsigned n)
{
	(void)l;
	(void)n;
}

void loop_watch(struct loop *loop, struct op *op, int fd, unsigned events)
{
	(void)loop;
	(void)op;
	(void)fd;
	(void)events;
}

static void silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

/* Two bytes of input make a frame; one in sixteen a length of its own. The stream's bytes. */
static size_t make_stream(const uint8_t *in, size_t size)
{
	size_t end = 0;

	for (size_t i = 0; i + 6 <= size && end + 70000 < STREAM_MAX; i += 6) {
		uint32_t len = in[i] < 240 ? 1 + (uint32_t)in[i] * 7 : (uint32_t)in[i + 1] << 9;
		uint32_t be;

		if (in[i] == 255)
			memcpy(&len, in + i + 2, 4);
		be = htonl(len);
		memcpy(stream + end, &be, 4);
		end += 4;
		if (len > 66000)
			len = 64;
		memset(stream + end, in[i + 2], len);
		end += len;
	}
	return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
	size_t end, fed = 0, at = 0, turn = 0;
	struct net *net;
	int pair[2], down = 0;

	log_set_sink(silent, NULL);
	if (size < 8)
		return 0;
	end = make_stream(in, size);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	CHECK(!net_stream_open_fd(&net, NULL, pair[0], 0));
	while (!down && (fed < end || at < end)) {
		size_t piece = 1 + (size_t)in[turn++ % size] * 37;
		struct iovec v[2] = {{got, 12}, {got + 12, ETH_MAX}};
		struct net_frame f = {v, 2, 0};
		size_t before = at;
		int r;

		if (piece > end - fed)
			piece = end - fed;
		CHECK(send(pair[1], stream + fed, piece, 0) == (ssize_t)piece || !piece);
		fed += piece;
		while ((r = net->ops->recv(net, &f, 1)) == 1) {
			uint32_t be;

			memcpy(&be, stream + at, 4);
			CHECK(f.len == 12 + ntohl(be));
			CHECK(at + 4 + ntohl(be) <= fed);
			CHECK(!memcmp(got + 12, stream + at + 4, ntohl(be)));
			at += 4 + ntohl(be);
		}
		if (r < 0) {
			uint32_t be;

			CHECK(fed - at >= 4);
			memcpy(&be, stream + at, 4);
			CHECK(ntohl(be) == 0 || ntohl(be) > ETH_MAX);
			down = 1;
		} else if (fed == end && at == before) {
			/* Nothing more comes: what is left is less than a frame. */
			uint32_t be = 0;

			if (end - at >= 4) {
				memcpy(&be, stream + at, 4);
				CHECK(ntohl(be) && ntohl(be) <= ETH_MAX);
				CHECK(end - at - 4 < ntohl(be));
			}
			break;
		}
	}
	net->ops->close(net);
	close(pair[1]);
	return 0;
}
