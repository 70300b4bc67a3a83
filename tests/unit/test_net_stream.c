/* SPDX-License-Identifier: BSD-2-Clause */
/* The wire over a stream of length-prefixed frames, with the test at the other end. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/csum.h"
#include "devices/net/stream.h"
#include "vmm/log.h"

#define ETH_MAX (NET_FRAME_MAX - NET_HDR_LEN)

static struct loop *loop;
static struct net *net;
static int far = -1;
static unsigned readable, writable, link_down;
static uint8_t data[70000], got[NET_FRAME_MAX + 1];
static char said[512];

static void on_readable(void *arg)
{
	(void)arg;
	readable++;
	loop_stop(loop);
}

static void on_writable(void *arg)
{
	(void)arg;
	writable++;
	loop_stop(loop);
}

static void on_link(void *arg, int up)
{
	(void)arg;
	assert_int_equal(up, 0);
	link_down++;
}

static const struct net_events events = {on_readable, on_writable, on_link};

static int setup(void **state)
{
	int pair[2];

	(void)state;
	readable = writable = link_down = 0;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 5 + i / 253);
	assert_int_equal(loop_create(&loop, 32), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(net_stream_open_fd(&net, loop, pair[0], 0), 0);
	net->events = &events;
	far = pair[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net->ops->close(net);
	loop_destroy(loop);
	if (far >= 0)
		close(far);
	return 0;
}

static void read_all(void *to, size_t len)
{
	for (size_t n = 0; n < len;) {
		ssize_t r = recv(far, (uint8_t *)to + n, len - n, 0);

		assert_true(r > 0);
		n += (size_t)r;
	}
}

static size_t read_frame(void)
{
	uint32_t len;

	read_all(&len, 4);
	len = ntohl(len);
	assert_true(len <= ETH_MAX);
	read_all(got, len);
	return len;
}

static int send_one(const struct net_hdr *hdr, const void *eth, size_t len)
{
	static const struct net_hdr zero;
	struct iovec v[2] = {{(void *)(hdr ? hdr : &zero), 12}, {(void *)eth, len}};
	struct net_frame f = {v, 2, 12 + len};

	return net->ops->send(net, &f, 1);
}

/* Receives one frame into `got`: its Ethernet length, 0 drained, or -errno. */
static int recv_one(size_t room)
{
	struct iovec v[2] = {{got, 12}, {got + 12, room}};
	struct net_frame f = {v, 2, 0};
	int r = net->ops->recv(net, &f, 1);

	return r == 1 ? (int)f.len - 12 : r;
}

static void give(const void *eth, size_t len)
{
	uint32_t be = htonl((uint32_t)len);

	assert_int_equal(send(far, &be, 4, 0), 4);
	assert_int_equal(send(far, eth, len, 0), len);
}

static void sends_lengths_and_frames(void **state)
{
	struct iovec v[70][2];
	struct net_frame f[70];
	struct net_hdr hdr = {0};

	(void)state;
	for (unsigned i = 0; i < 70; i++) {
		v[i][0] = (struct iovec){&hdr, 12};
		v[i][1] = (struct iovec){data + i, 14 + i};
		f[i] = (struct net_frame){v[i], 2, 26 + i};
	}
	assert_int_equal(net->ops->send(net, f, 70), 70);
	for (unsigned i = 0; i < 70; i++) {
		assert_int_equal(read_frame(), 14 + i);
		assert_memory_equal(got, data + i, 14 + i);
	}
}

/* The driver's buffers are not written to, however the frame is cut. */
static void completes_checksums_beside_the_frame(void **state)
{
	struct net_hdr hdr = {.flags = 1, .csum_start = htole16(34), .csum_offset = htole16(16)};
	uint8_t want[100], eth[100];

	(void)state;
	memcpy(want, data, 100);
	csum_complete(&hdr, want, 100);
	for (size_t cut = 1; cut < 99; cut++) {
		struct iovec v[3] = {{&hdr, 12}, {eth, cut}, {eth + cut, 100 - cut}};
		struct net_frame f = {v, 3, 112};

		memcpy(eth, data, 100);
		assert_int_equal(net->ops->send(net, &f, 1), 1);
		assert_int_equal(read_frame(), 100);
		assert_memory_equal(got, want, 100);
		assert_memory_equal(eth, data, 100);
	}
}

/* Reads all that is there and holds it against the stream that it should be. */
static void check_stream(size_t *frame, size_t *off)
{
	static uint8_t part[3000];
	ssize_t r;

	while ((r = recv(far, part, sizeof(part), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < r; i++) {
			size_t len = 5000 + *frame % 3000;
			uint32_t be = htonl((uint32_t)len);
			uint8_t want =
				*off < 4 ? ((uint8_t *)&be)[*off] : data[*frame % 100 + *off - 4];

			if (part[i] != want)
				fail_msg("frame %zu, byte %zu", *frame, *off);
			if (++*off == len + 4) {
				*off = 0;
				++*frame;
			}
		}
	}
}

static void partial_writes_lose_nothing(void **state)
{
	size_t frame = 0, off = 0;

	(void)state;
	for (unsigned sent = 0; sent < 1500;) {
		if (send_one(NULL, data + sent % 100, 5000 + sent % 3000) == 1) {
			sent++;
			continue;
		}
		check_stream(&frame, &off);
		loop_run(loop);
	}
	/* What is left of the last frame goes out by itself. */
	for (check_stream(&frame, &off); frame < 1500; check_stream(&frame, &off))
		loop_run(loop);
	assert_true(writable > 0);
	assert_int_equal(off, 0);
	assert_int_equal(link_down, 0);
}

static void receives_frames_cut_at_every_byte(void **state)
{
	uint8_t stream[4 + 14 + 4 + 40];
	uint32_t be = htonl(14);

	(void)state;
	memcpy(stream, &be, 4);
	memcpy(stream + 4, data, 14);
	be = htonl(40);
	memcpy(stream + 18, &be, 4);
	memcpy(stream + 22, data + 14, 40);
	for (size_t cut = 1; cut < sizeof(stream); cut++) {
		int first, second;

		send(far, stream, cut, 0);
		first = recv_one(1000);
		assert_int_equal(first, cut >= 18 ? 14 : 0);
		if (first)
			assert_int_equal(recv_one(1000), 0);
		send(far, stream + cut, sizeof(stream) - cut, 0);
		if (!first)
			assert_int_equal(recv_one(1000), 14);
		memset(got, 0xee, 12);
		second = recv_one(1000);
		assert_int_equal(second, 40);
		assert_memory_equal(got, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
		assert_memory_equal(got + 12, data + 14, 40);
		assert_int_equal(recv_one(1000), 0);
	}
}

static void receives_the_longest_frames(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		give(data, ETH_MAX);
		assert_int_equal(recv_one(ETH_MAX), ETH_MAX);
		assert_memory_equal(got + 12, data, ETH_MAX);
	}
}

static void a_frame_too_long_for_the_buffer_is_cut(void **state)
{
	(void)state;
	give(data, 5000);
	give(data + 7, 60);
	assert_int_equal(recv_one(100), 100);
	assert_int_equal(recv_one(100), 60);
	assert_memory_equal(got + 12, data + 7, 60);
}

static void drained_and_then_readable(void **state)
{
	(void)state;
	assert_int_equal(recv_one(100), 0);
	give(data, 60);
	loop_run(loop);
	assert_int_equal(readable, 1);
	assert_int_equal(recv_one(100), 60);
}

static void lengths_that_no_frame_has(void **state)
{
	static const uint32_t wrong[] = {0, ETH_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff};

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint32_t be = htonl(wrong[i]);

		give(data, 60);
		send(far, &be, 4, 0);
		send(far, data, 100, 0);
		/* What came before is good; then the link goes down, once. */
		assert_int_equal(recv_one(1000), 60);
		assert_int_equal(recv_one(1000), -EPIPE);
		assert_int_equal(recv_one(1000), -EPIPE);
		assert_int_equal(send_one(NULL, data, 60), -EPIPE);
		assert_int_equal(link_down, 1);
		assert_non_null(strstr(said, "the guest's link is down"));
		teardown(state);
		setup(state);
	}
}

static void far_end_goes_away(void **state)
{
	(void)state;
	give(data, 60);
	close(far);
	far = -1;
	assert_int_equal(recv_one(1000), 60);
	assert_int_equal(recv_one(1000), -EPIPE);
	assert_int_equal(link_down, 1);
}

static void far_end_goes_away_in_a_frame(void **state)
{
	uint32_t be = htonl(60);

	(void)state;
	send(far, &be, 4, 0);
	send(far, data, 59, 0);
	assert_int_equal(recv_one(1000), 0);
	close(far);
	far = -1;
	loop_run(loop);
	assert_int_equal(recv_one(1000), -EPIPE);
	assert_int_equal(link_down, 1);
}

static void far_end_goes_away_while_we_send(void **state)
{
	(void)state;
	close(far);
	far = -1;
	assert_int_equal(send_one(NULL, data, 60), -EPIPE);
	assert_int_equal(link_down, 1);
}

static void nobody_listens(void **state)
{
	struct net *other = NULL;
	char path[200];

	(void)state;
	assert_int_equal(net_stream_open(&other, loop, "/nonexistent/socket", 0), -ENOENT);
	assert_non_null(strstr(said, "/nonexistent/socket: nobody listens there"));
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(net_stream_open(&other, loop, path, 0), -ENAMETOOLONG);
	assert_null(other);
}

static void hear(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(said, sizeof(said), "%s", line);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sends_lengths_and_frames),
		T(completes_checksums_beside_the_frame),
		T(partial_writes_lose_nothing),
		T(receives_frames_cut_at_every_byte),
		T(receives_the_longest_frames),
		T(a_frame_too_long_for_the_buffer_is_cut),
		T(drained_and_then_readable),
		T(lengths_that_no_frame_has),
		T(far_end_goes_away),
		T(far_end_goes_away_in_a_frame),
		T(far_end_goes_away_while_we_send),
		T(nobody_listens),
	};

	log_set_sink(hear, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
