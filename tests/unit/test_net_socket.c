/* SPDX-License-Identifier: BSD-2-Clause */
/* The wire over a SOCK_SEQPACKET socket, with the test at the other end of a socket pair. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/socket.h"
#include "vmm/log.h"

static struct loop *loop;
static struct net *net;
static int far = -1;
static unsigned readable, writable, link_down;
static uint8_t data[70000], got[70000];

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
		data[i] = (uint8_t)(i * 3 + i / 255);
	assert_int_equal(loop_create(&loop, 32), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(net_socket_open(&net, loop, pair[0], 1500), 0);
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

static struct net_frame frame_of(struct iovec *v, unsigned n)
{
	struct net_frame f = {v, n, 0};

	for (unsigned i = 0; i < n; i++)
		f.len += v[i].iov_len;
	return f;
}

static void says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(net->features, NET_WIRE_CSUM);
	assert_int_equal(net->mtu, 1500);
	assert_int_equal(net->up, 1);
}

static void sends_scattered_frames(void **state)
{
	struct iovec v[3][3];
	struct net_frame f[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		v[i][0] = (struct iovec){data + i, 12};
		v[i][1] = (struct iovec){data + 100, 1};
		v[i][2] = (struct iovec){data + 200, 20000 * i + 50};
		f[i] = frame_of(v[i], 3);
	}
	assert_int_equal(net->ops->send(net, f, 3), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(recv(far, got, sizeof(got), 0), f[i].len);
		assert_memory_equal(got, data + i, 12);
		assert_int_equal(got[12], data[100]);
		assert_memory_equal(got + 13, data + 200, 20000 * i + 50);
	}
}

static void receives_many_into_scattered_buffers(void **state)
{
	static struct net_hdr hdr[100];
	static struct iovec v[100][3];
	static struct net_frame f[100];
	static uint8_t room[100][300];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		v[i][0] = (struct iovec){&hdr[i], 12};
		v[i][1] = (struct iovec){room[i], 7};
		v[i][2] = (struct iovec){room[i] + 7, 293};
		f[i] = frame_of(v[i], 3);
	}
	for (unsigned i = 0; i < 90; i++)
		assert_int_equal(send(far, data + i, 60 + i, 0), 60 + i);
	/* More than one batch, and drained at the end. */
	assert_int_equal(net->ops->recv(net, f, 100), 90);
	for (unsigned i = 0; i < 90; i++) {
		assert_int_equal(f[i].len, 60 + i);
		assert_memory_equal(&hdr[i], data + i, 12);
		assert_memory_equal(room[i], data + i + 12, 48 + i);
	}
	/* Drained: the next frame is an event. */
	send(far, data, 60, 0);
	loop_run(loop);
	assert_int_equal(readable, 1);
	assert_int_equal(net->ops->recv(net, f, 100), 1);
}

static void a_frame_too_long_is_cut(void **state)
{
	struct iovec v[2] = {{got, 12}, {got + 12, 88}};
	struct net_frame f[2];

	(void)state;
	f[0] = f[1] = frame_of(v, 2);
	send(far, data, 5000, 0);
	assert_int_equal(net->ops->recv(net, f, 1), 1);
	assert_int_equal(f[0].len, 100);
	/* The rest of it is gone, not the next frame. */
	send(far, data + 50, 70, 0);
	assert_int_equal(net->ops->recv(net, f, 1), 1);
	assert_int_equal(f[0].len, 70);
	assert_memory_equal(got, data + 50, 70);
}

static void busy_and_then_writable(void **state)
{
	struct iovec v = {data, 60000};
	struct net_frame f[64];
	unsigned sent = 0, read_back = 0;
	int r;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		f[i] = frame_of(&v, 1);
	do {
		r = net->ops->send(net, f, 64);
		assert_true(r >= 0);
		sent += (unsigned)r;
		assert_true(sent < 10000);
	} while (r == 64);
	/* Asking again changes nothing. */
	assert_int_equal(net->ops->send(net, f, 1), 0);
	while (read_back < sent) {
		assert_int_equal(recv(far, got, sizeof(got), 0), 60000);
		read_back++;
	}
	loop_run(loop);
	assert_int_equal(writable, 1);
	assert_int_equal(net->ops->send(net, f, 1), 1);
}

static void far_end_goes_away(void **state)
{
	struct iovec v[1] = {{got, sizeof(got)}};
	struct net_frame f = frame_of(v, 1);

	(void)state;
	send(far, data, 60, 0);
	close(far);
	far = -1;
	/* What it sent before is still good. */
	assert_int_equal(net->ops->recv(net, &f, 1), 1);
	assert_int_equal(link_down, 0);
	assert_int_equal(net->ops->recv(net, &f, 1), -EPIPE);
	assert_int_equal(link_down, 1);
	assert_int_equal(net->up, 0);
	assert_int_equal(net->ops->send(net, &f, 1), -EPIPE);
	assert_int_equal(net->ops->recv(net, &f, 1), -EPIPE);
	assert_int_equal(link_down, 1);
}

static void far_end_goes_away_while_we_wait(void **state)
{
	struct iovec v[1] = {{got, sizeof(got)}};
	struct net_frame f = frame_of(v, 1);

	(void)state;
	assert_int_equal(net->ops->recv(net, &f, 1), 0);
	close(far);
	far = -1;
	loop_run(loop);
	assert_int_equal(readable, 1);
	assert_int_equal(net->ops->recv(net, &f, 1), -EPIPE);
	assert_int_equal(link_down, 1);
}

static void far_end_goes_away_while_we_send(void **state)
{
	struct iovec v[1] = {{data, 60}};
	struct net_frame f = frame_of(v, 1);

	(void)state;
	close(far);
	far = -1;
	assert_int_equal(net->ops->send(net, &f, 1), -EPIPE);
	assert_int_equal(link_down, 1);
}

static void refuses_another_kind_of_socket(void **state)
{
	struct net *other = NULL;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(net_socket_open(&other, loop, pair[0], 0), -EINVAL);
	/* It took the descriptor all the same. */
	assert_int_equal(recv(pair[1], got, 1, 0), 0);
	close(pair[1]);
}

static void silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(says_what_it_is),
		T(sends_scattered_frames),
		T(receives_many_into_scattered_buffers),
		T(a_frame_too_long_is_cut),
		T(busy_and_then_writable),
		T(far_end_goes_away),
		T(far_end_goes_away_while_we_wait),
		T(far_end_goes_away_while_we_send),
		T(refuses_another_kind_of_socket),
	};

	log_set_sink(silent, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
