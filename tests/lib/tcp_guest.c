/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both ends of netd's TCP: a guest, frame by frame, and listeners on the host's loopback. One
 * thread. Frames are made and read with segment.h, which has a test of its own.
 */
#include "tests/lib/tcp_guest.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/csum.h"
#include "devices/net/netd/nat.h"
#include "tests/lib/packet.h"

#define QUEUE 16384
#define FULL  (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)

struct tcp *tcp_guest_module;
int tcp_guest_listen_fd, tcp_guest_v6_fd, tcp_guest_fds_before, tcp_guest_timeout_said;
struct pollfd tcp_guest_fds[TCP_GUEST_FDS];
uint8_t tcp_guest_noise[TCP_GUEST_NOISE], tcp_guest_scratch[1 << 20];
unsigned tcp_guest_takes;

static uint16_t port4, port6;
static uint64_t skipped_ms;
static uint32_t seed;
static struct arrival {
	uint8_t *frame;
	struct segment s;
} queue[QUEUE];
static unsigned q_in, q_out;

int tcp_guest_clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, id, ts);

	ts->tv_sec += (time_t)(skipped_ms / 1000);
	ts->tv_nsec += (long)(skipped_ms % 1000) * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_nsec -= 1000000000;
		ts->tv_sec++;
	}
	return r;
}

uint32_t tcp_guest_rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

void tcp_guest_need_files(unsigned n)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur >= 2 * n + 64)
		return;
	print_message("RLIMIT_NOFILE is %lu\n", (unsigned long)files.rlim_cur);
	skip();
}

int tcp_guest_fds_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* --- the module's surroundings --- */

static int from_tcp(void *arg, const struct net_hdr *hdr, const struct iovec *v, unsigned n)
{
	struct arrival *a = &queue[q_in % QUEUE];
	size_t len = 0;

	(void)arg;
	assert_true(q_in - q_out < QUEUE);
	for (unsigned i = 0; i < n; i++)
		len += v[i].iov_len;
	a->frame = malloc(len);
	assert_non_null(a->frame);
	len = 0;
	for (unsigned i = 0; i < n; len += v[i++].iov_len)
		memcpy(a->frame + len, v[i].iov_base, v[i].iov_len);
	assert_true(csum_fits(hdr, len));
	csum_complete(hdr, a->frame, len);
	assert_memory_equal(a->frame, packet_mac, 6);
	assert_int_equal(segment_read(a->frame, len, 0, &a->s), SEGMENT_GOOD);
	q_in++;
	return tcp_guest_takes ? --tcp_guest_takes > 0 : 1;
}

void tcp_guest_turn(int hold, int wait_ms)
{
	unsigned n;

	tcp_guest_timeout_said = -1;
	n = tcp_fill(tcp_guest_module, tcp_guest_fds, TCP_GUEST_FDS, hold, &tcp_guest_timeout_said);
	if (tcp_guest_timeout_said >= 0 && tcp_guest_timeout_said < wait_ms)
		wait_ms = tcp_guest_timeout_said;
	assert_true(poll(tcp_guest_fds, n, wait_ms) >= 0);
	tcp_poll(tcp_guest_module, tcp_guest_fds, n, hold);
}

const struct segment *tcp_guest_next(void)
{
	static uint8_t *last;

	free(last);
	last = NULL;
	if (q_out == q_in)
		return NULL;
	last = queue[q_out % QUEUE].frame;
	return &queue[q_out++ % QUEUE].s;
}

int tcp_guest_has_next(void)
{
	return q_in != q_out;
}

struct segment tcp_guest_expect(uint8_t flags)
{
	const struct segment *s = tcp_guest_next();

	for (unsigned i = 0; !s && i < TCP_GUEST_TURNS; i++) {
		tcp_guest_turn(0, i > 0);
		s = tcp_guest_next();
	}
	if (!s)
		fail_msg("no segment came");
	assert_int_equal(s->flags & FULL, flags);
	return *s;
}

void tcp_guest_expect_nothing(void)
{
	for (unsigned i = 0; i < 3; i++)
		tcp_guest_turn(0, 0);
	assert_null(tcp_guest_next());
}

void tcp_guest_later(unsigned ms)
{
	skipped_ms += ms;
}

static int listen_at(int family, uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr *sa = family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6;
	socklen_t len = family == AF_INET ? sizeof(in) : sizeof(in6);
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), small = 128 << 10;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(fd, sa, len) || listen(fd, 512)) {
		close(fd);
		return -1;
	}
	getsockname(fd, sa, &len);
	*port = family == AF_INET ? in.sin_port : in6.sin6_port;
	return fd;
}

void tcp_guest_create(uint32_t mtu)
{
	struct tcp_params params = {.mtu = mtu, .send = from_tcp};

	tcp_destroy(tcp_guest_module);
	assert_int_equal(tcp_create(&tcp_guest_module, &params), 0);
}

int tcp_guest_setup(void **state)
{
	(void)state;
	tcp_guest_fds_before = tcp_guest_fds_open();
	seed = 7;
	tcp_guest_takes = 0;
	tcp_guest_listen_fd = listen_at(AF_INET, &port4);
	tcp_guest_v6_fd = listen_at(AF_INET6, &port6);
	assert_true(tcp_guest_listen_fd >= 0);
	tcp_guest_create(0);
	return 0;
}

int tcp_guest_teardown(void **state)
{
	(void)state;
	tcp_destroy(tcp_guest_module);
	tcp_guest_module = NULL;
	while (tcp_guest_next())
		;
	if (tcp_guest_listen_fd >= 0)
		close(tcp_guest_listen_fd);
	if (tcp_guest_v6_fd >= 0)
		close(tcp_guest_v6_fd);
	if (tcp_guest_fds_open() != tcp_guest_fds_before)
		print_error("descriptors: %d, before the test %d\n", tcp_guest_fds_open(),
			    tcp_guest_fds_before);
	return tcp_guest_fds_open() != tcp_guest_fds_before;
}

int tcp_guest_make_noise(void **state)
{
	(void)state;
	seed = 3;
	for (size_t i = 0; i < sizeof(tcp_guest_noise); i++)
		tcp_guest_noise[i] = (uint8_t)tcp_guest_rnd(256);
	return 0;
}

/* --- the guest --- */

/* Gives a segment of @s's numbers and flags to the module: what tcp_input() says. */
static int give(const struct tcp_guest *g, struct segment s, const void *data)
{
	static unsigned count;
	uint8_t head[SEGMENT_HEAD_MAX], *frame;
	struct net_hdr hdr;
	size_t len;
	int partial = count++ & 1, r;

	s.flow = (struct flow){.family = g->v6 ? AF_INET6 : AF_INET,
			       .guest_port = g->v6 ? port6 : port4,
			       .remote_port = htons(g->port)};
	inet_pton((int)s.flow.family, g->to ? g->to : g->v6 ? "fec0::2" : "10.0.2.2", s.flow.guest);
	inet_pton((int)s.flow.family, g->v6 ? "fec0::15" : "10.0.2.15", s.flow.remote);
	memcpy(s.mac, nat_mac, 6);
	len = segment_head(head, &s, &hdr);
	/* Of exactly its size, and gone afterwards. */
	frame = malloc(len + s.len);
	assert_non_null(frame);
	memcpy(frame, head, len);
	memcpy(frame + 6, packet_mac, 6);
	if (s.len)
		memcpy(frame + len, data, s.len);
	len += s.len;
	if (!partial)
		csum_complete(&hdr, frame, len);
	r = tcp_input(tcp_guest_module, g->from ? g->from : 1, frame, len, partial);
	free(frame);
	return r;
}

int tcp_guest_say(const struct tcp_guest *g, uint8_t flags, uint32_t seq, const void *data,
		  size_t len)
{
	struct segment s = {.flags = flags,
			    .seq = seq,
			    .ack = flags & TCP_ACK ? g->ack : 0,
			    .window = g->window,
			    .len = (uint32_t)len};

	if (flags & TCP_SYN) {
		s.mss = g->mss;
		s.scale = g->scale;
	}
	return give(g, s, data);
}

int tcp_guest_say_ack(const struct tcp_guest *g)
{
	return tcp_guest_say(g, TCP_ACK, g->seq, NULL, 0);
}

void tcp_guest_say_data(struct tcp_guest *g, const void *data, size_t len)
{
	assert_int_equal(tcp_guest_say(g, TCP_ACK | TCP_PSH, g->seq, data, len), 1);
	g->seq += (uint32_t)len;
}

uint32_t tcp_guest_window_of(const struct tcp_guest *g, const struct segment *s)
{
	return (uint32_t)s->window << (g->its_scale > 0 ? g->its_scale : 0);
}

void tcp_guest_start(struct tcp_guest *g)
{
	g->iss = g->seq = TCP_GUEST_ISS;
	assert_int_equal(tcp_guest_say(g, TCP_SYN, g->seq++, NULL, 0), 1);
}

void tcp_guest_finish(struct tcp_guest *g, const struct segment *s)
{
	assert_int_equal(s->ack, g->seq);
	g->ack = s->seq + 1;
	g->its_scale = s->scale;
	g->edge = s->ack + s->window;
	g->una = g->seq;
	g->least = UINT32_MAX;
	g->told = g->ack + ((uint32_t)g->window << (g->scale > 0 ? g->scale : 0));
	g->fd = accept4(g->v6 ? tcp_guest_v6_fd : tcp_guest_listen_fd, NULL, NULL,
			SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(g->fd >= 0);
	assert_int_equal(tcp_guest_say_ack(g), 1);
	tcp_guest_turn(0, 0);
}

void tcp_guest_open(struct tcp_guest *g)
{
	struct segment s;

	tcp_guest_start(g);
	s = tcp_guest_expect(TCP_SYN | TCP_ACK);
	tcp_guest_finish(g, &s);
	tcp_guest_expect_nothing();
}

void tcp_guest_host_reads(const struct tcp_guest *g, const void *want, size_t len)
{
	struct pollfd pfd = {g->fd, POLLIN, 0};
	size_t n = 0;

	while (n < len) {
		ssize_t r = recv(g->fd, tcp_guest_scratch, len - n, 0);

		if (r < 0 && errno == EAGAIN) {
			tcp_guest_turn(0, 0);
			assert_int_equal(poll(&pfd, 1, TCP_GUEST_TURNS), 1);
			continue;
		}
		assert_true(r > 0);
		assert_memory_equal(tcp_guest_scratch, (const uint8_t *)want + n, r);
		n += (size_t)r;
	}
	assert_true(recv(g->fd, tcp_guest_scratch, 1, 0) <= 0);
}

void tcp_guest_host_ends(const struct tcp_guest *g, int how)
{
	struct pollfd pfd = {g->fd, POLLIN, 0};

	assert_int_equal(poll(&pfd, 1, TCP_GUEST_TURNS), 1);
	assert_int_equal(recv(g->fd, tcp_guest_scratch, 1, 0) < 0 ? -errno : 0, how);
}

void tcp_guest_host_sends(const struct tcp_guest *g, const void *p, size_t len)
{
	assert_int_equal(send(g->fd, p, len, MSG_NOSIGNAL), len);
}

struct segment tcp_guest_expect_data(struct tcp_guest *g, const void *want, size_t len)
{
	struct segment s = tcp_guest_expect(TCP_ACK);

	assert_int_equal(s.seq, g->ack);
	assert_int_equal(s.len, len);
	assert_memory_equal(s.data, want, len);
	g->ack += (uint32_t)len;
	return s;
}

struct segment tcp_guest_expect_ack(const struct tcp_guest *g)
{
	struct segment s = tcp_guest_expect(TCP_ACK);

	assert_int_equal(s.ack, g->seq);
	assert_int_equal(s.len, 0);
	return s;
}

void tcp_guest_drop(struct tcp_guest *g)
{
	tcp_guest_say(g, TCP_RST, g->seq, NULL, 0);
	close(g->fd);
	tcp_guest_turn(0, 0);
	while (tcp_guest_next())
		;
}

void tcp_guest_assert_gone(struct tcp_guest *g, int before)
{
	close(g->fd);
	tcp_guest_turn(0, 0);
	assert_int_equal(tcp_guest_fds_open(), before);
}

uint32_t tcp_guest_fill_window(struct tcp_guest *g)
{
	uint32_t from = g->seq;
	struct segment s;

	g->edge = g->seq + 1;
	do {
		uint32_t n = g->edge - g->seq < 1460 ? g->edge - g->seq : 1460;

		tcp_guest_say_data(g, tcp_guest_noise + (g->seq - from), n);
		s = tcp_guest_expect_ack(g);
		assert_true((int32_t)(s.ack + tcp_guest_window_of(g, &s) - g->edge) > -8);
		g->edge = s.ack + tcp_guest_window_of(g, &s);
		assert_true(g->seq - from < sizeof(tcp_guest_noise) - 1460);
	} while (g->edge != g->seq);
	return g->seq - from;
}
