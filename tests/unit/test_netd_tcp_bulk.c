/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netd's TCP with many bytes and many connections: slow readers, large segments, loss, more than
 * there is memory for, and one connection more than there may be. tests/lib/tcp_guest.h plays both
 * ends. Nothing waits for a timer: the clock here is the host's, and what a test has skipped.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/netd/segment.h"
#include "devices/net/netd/tcp.h"
#include "tests/lib/tcp_guest.h"

static const uint8_t *const noise = tcp_guest_noise;

/* Before libc's, for what is linked into this program; cmocka has the host's clock. */
__attribute__((visibility("hidden"))) int clock_gettime(clockid_t id, struct timespec *ts)
{
	return tcp_guest_clock_gettime(id, ts);
}

/* --- many bytes --- */

#define DOWN (2u << 20) /* what comes from the host lies there in noise */

/* A segment has come to a guest. */
static void hear(struct tcp_guest *g, const struct segment *s)
{
	uint32_t got = g->ack;

	g->reset |= (s->flags & TCP_RST) != 0;
	assert_true(s->len <= g->mss);
	assert_true((int32_t)(s->seq + s->len - g->told) <= 0 || s->len == 1);
	if ((int32_t)(s->ack - g->una) > 0) {
		g->una = s->ack;
		g->dup_acks = 0;
		if ((int32_t)(g->seq - g->una) < 0)
			g->seq = g->una;
	} else if (!s->len && s->ack == g->una && ++g->dup_acks == 3) {
		g->seq = g->una;
	}
	g->edge = s->ack + tcp_guest_window_of(g, s);
	if (tcp_guest_window_of(g, s) < g->least)
		g->least = tcp_guest_window_of(g, s);
	if (!s->len)
		return;
	g->answer++;
	if (s->seq != got || !g->window) /* no room, for a probe neither */
		return;
	assert_memory_equal(s->data, noise + DOWN + g->got_host, s->len);
	g->got_host += s->len;
	g->ack += s->len;
}

static unsigned loss; /* of a hundred */

static int lost(void)
{
	return loss && tcp_guest_rnd(100) < loss;
}

/* What a guest sends in a turn; 1 if it did. */
static int guest_step(struct tcp_guest *g)
{
	uint32_t end = g->iss + 1 + g->up;
	int did = g->answer > 0;

	while ((int32_t)(g->edge - g->seq) > 0 && g->seq != end) {
		uint32_t n = end - g->seq, room = g->edge - g->seq;

		n = n < room ? n : room;
		n = n < g->mss ? n : g->mss;
		if (!lost())
			assert_int_equal(
				tcp_guest_say(g, TCP_ACK, g->seq, noise + (g->seq - g->iss - 1), n),
				1);
		g->seq += n;
		did = 1;
	}
	/* As many as came, so that three of one kind can be three. */
	for (; g->answer; g->answer--)
		if (!lost())
			tcp_guest_say_ack(g);
	g->told = g->ack + ((uint32_t)g->window << g->scale);
	return did;
}

/* What a program on the host does; @chunk: what it reads at most. */
static int host_step(struct tcp_guest *g, uint32_t sent[2], uint32_t chunk)
{
	uint32_t *in = &sent[0], *out = &sent[1], left = g->put_host - *out;
	ssize_t r = recv(g->fd, tcp_guest_scratch, chunk, 0), w = 0;

	if (r > 0) {
		assert_memory_equal(tcp_guest_scratch, noise + *in, r);
		*in += (uint32_t)r;
	}
	assert_true(r > 0 || errno == EAGAIN);
	if (left)
		w = send(g->fd, noise + DOWN + *out, left < 60000 ? left : 60000, MSG_NOSIGNAL);
	if (w > 0)
		*out += (uint32_t)w;
	return r > 0 || w > 0;
}

static void deliver(struct tcp_guest *guests, unsigned n)
{
	for (const struct segment *s; (s = tcp_guest_next());) {
		unsigned i = ntohs(s->flow.remote_port) - 1000u;

		assert_true(i < n);
		if (!lost())
			hear(&guests[i], s);
	}
}

/* @up bytes to the host and @down from it, for each of @n guests with ports from 1000 on. */
static void exchange(struct tcp_guest *guests, unsigned n, uint32_t chunk)
{
	static uint32_t sent[TCP_CONNECTIONS_MAX][2];
	unsigned left = n, idle = 0;

	memset(sent, 0, sizeof(sent));
	for (unsigned turns = 0; left; turns++) {
		int did = 0;

		assert_true(turns < 100000 && idle < 2000);
		tcp_guest_turn(0, idle ? 1 : 0);
		did = tcp_guest_has_next();
		deliver(guests, n);
		left = 0;
		for (unsigned i = 0; i < n; i++) {
			struct tcp_guest *g = &guests[i];

			assert_false(g->reset);
			did |= guest_step(g) | host_step(g, sent[i], chunk);
			left += sent[i][0] != g->up || g->got_host != g->put_host ||
				g->una != g->iss + 1 + g->up;
		}
		idle = did ? 0 : idle + 1;
		/* Nothing moves: the timers of both ends. */
		if (idle > 2) {
			tcp_guest_later(
				tcp_guest_timeout_said > 0 ? (unsigned)tcp_guest_timeout_said : 0);
			for (unsigned i = 0; i < n; i++) {
				guests[i].seq = guests[i].una;
				if ((int32_t)(guests[i].edge - guests[i].seq) <= 0 &&
				    guests[i].una != guests[i].iss + 1 + guests[i].up)
					guests[i].edge = guests[i].seq + 1; /* a probe */
			}
		}
	}
}

static void open_many(struct tcp_guest *guests, unsigned n, uint32_t up, uint32_t down)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t window = guests[i].window, mss = guests[i].mss;

		guests[i] = (struct tcp_guest)TCP_GUEST((uint16_t)(1000 + i));
		guests[i].window = window ? window : 65535;
		guests[i].mss = mss ? mss : 1460;
		guests[i].up = up;
		guests[i].put_host = down;
		tcp_guest_start(&guests[i]);
		struct segment s = tcp_guest_expect(TCP_SYN | TCP_ACK);
		tcp_guest_finish(&guests[i], &s);
	}
}

static void close_many(struct tcp_guest *guests, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(guests[i].fd);
}

static void a_slow_reader_loses_nothing(void **state)
{
	struct tcp_guest g = {0};
	int small = 64 << 10;

	(void)state;
	open_many(&g, 1, 4 << 20, 0);
	/* The module's socket, so that it is soon full. */
	tcp_guest_turn(0, 0);
	assert_int_equal(
		setsockopt(tcp_guest_fds[0].fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	exchange(&g, 1, 7001);
	assert_true(g.least < 65536);
	close(g.fd);
}

static void large_segments(void **state)
{
	struct tcp_guest g[2] = {{.mss = 65480}, {.mss = 32760}};

	(void)state;
	tcp_guest_create(65520);
	open_many(g, 2, 2 << 20, 2 << 20);
	exchange(g, 2, 200000);
	close_many(g, 2);
}

static void loss_both_ways(void **state)
{
	struct tcp_guest g = {0};

	(void)state;
	open_many(&g, 1, 1 << 20, 1 << 20);
	loss = 10;
	exchange(&g, 1, 100000);
	loss = 0;
	close(g.fd);
}

static void many_at_once(void **state)
{
	static struct tcp_guest g[300];

	(void)state;
	memset(g, 0, sizeof(g));
	open_many(g, 300, 20000, 30000);
	exchange(g, 300, 5000);
	/* And all of them end. */
	for (unsigned i = 0; i < 300; i++) {
		shutdown(g[i].fd, SHUT_WR);
		tcp_guest_say(&g[i], TCP_ACK | TCP_FIN, g[i].seq, NULL, 0);
	}
	for (unsigned i = 0; i < 20; i++) {
		tcp_guest_turn(0, 0);
		for (const struct segment *s; (s = tcp_guest_next());)
			if (s->flags & TCP_FIN) {
				struct tcp_guest *to = &g[ntohs(s->flow.remote_port) - 1000];

				to->seq = s->ack;
				to->ack = s->seq + 1;
				tcp_guest_say_ack(to);
			}
	}
	close_many(g, 300);
	assert_int_equal(tcp_guest_fds_open(), tcp_guest_fds_before + 1 + (tcp_guest_v6_fd >= 0));
}

/* More guests that do not read than there is memory for: the others are served all the same. */
static void more_than_the_pool_has(void **state)
{
	static struct tcp_guest g[280];

	(void)state;
	memset(g, 0, sizeof(g));
	open_many(g, 280, 3000, 5000);
	for (unsigned i = 0; i < 280; i++) {
		g[i].window = 0;
		tcp_guest_say_ack(&g[i]);
		g[i].told = g[i].ack;
	}
	tcp_guest_expect_nothing();
	for (unsigned i = 0; i < 280; i++)
		tcp_guest_host_sends(&g[i], noise + DOWN, 5000);
	for (unsigned i = 0; i < 5; i++)
		tcp_guest_turn(0, 0);
	assert_null(tcp_guest_next());
	/* It looks again soon, but does not spin. */
	assert_true(tcp_guest_timeout_said > 0 && tcp_guest_timeout_said <= 20);
	for (unsigned i = 0; i < 280; i++) {
		g[i].window = 65535;
		g[i].answer = 1;
		g[i].put_host = 5000;
		g[i].told = g[i].ack + 65535;
		tcp_guest_say_ack(&g[i]);
	}
	/* host_step() shall not send again what is sent. */
	for (unsigned turns = 0, left = 1; left; turns++) {
		assert_true(turns < TCP_GUEST_TURNS);
		tcp_guest_turn(0, 1);
		deliver(g, 280);
		left = 0;
		for (unsigned i = 0; i < 280; i++) {
			guest_step(&g[i]);
			left += g[i].got_host != 5000;
		}
	}
	close_many(g, 280);
}

static void one_more_than_all(void **state)
{
	static struct tcp_guest g[TCP_CONNECTIONS_MAX + 1];

	(void)state;
	tcp_guest_need_files(TCP_CONNECTIONS_MAX);
	memset(g, 0, sizeof(g));
	open_many(g, TCP_CONNECTIONS_MAX, 0, 0);
	/* All but one say something. */
	tcp_guest_later(1000);
	for (unsigned i = 0; i < TCP_CONNECTIONS_MAX; i++)
		if (i != 1234)
			tcp_guest_say_ack(&g[i]);
	g[TCP_CONNECTIONS_MAX] = (struct tcp_guest)TCP_GUEST(1000 + TCP_CONNECTIONS_MAX);
	tcp_guest_start(&g[TCP_CONNECTIONS_MAX]);
	tcp_guest_expect(TCP_RST | TCP_ACK);
	struct segment s = tcp_guest_expect(TCP_SYN | TCP_ACK);
	tcp_guest_finish(&g[TCP_CONNECTIONS_MAX], &s);
	tcp_guest_expect_nothing();
	tcp_guest_host_ends(&g[1234], -ECONNRESET);
	assert_int_equal(tcp_guest_say_ack(&g[1234]), 0);
	for (unsigned i = 0; i <= TCP_CONNECTIONS_MAX; i += 64)
		if (i != 1234) {
			tcp_guest_say_data(&g[i], "here", 4);
			tcp_guest_expect_ack(&g[i]);
			tcp_guest_host_reads(&g[i], "here", 4);
		}
	close_many(g, TCP_CONNECTIONS_MAX + 1);
}

/* --- one loss --- */

#define STREAM (3u << 20)

/*
 * One segment is lost, and the guest keeps what comes behind it: what it has acknowledges much at
 * once, and is not sent again and again. @at: which one; @takes: segments that the guest looks at
 * in a turn, the others are in its port's queue. How many bytes were sent in all.
 */
static uint64_t send_with_a_loss(struct tcp_guest *g, unsigned at, unsigned takes)
{
	static uint8_t has[STREAM];
	uint32_t first = g->ack, put = 0;
	uint64_t bytes = 0;

	memset(has, 0, sizeof(has));
	for (unsigned turns = 0, n = 0, idle = 0; g->ack - first != STREAM; turns++) {
		const struct segment *s;
		ssize_t w;

		assert_true(turns < 20000);
		w = put < STREAM ? send(g->fd, noise + put, STREAM - put, MSG_NOSIGNAL) : 0;
		put += w > 0 ? (uint32_t)w : 0;
		tcp_guest_turn(0, idle ? 1 : 0);
		idle = tcp_guest_has_next() ? 0 : idle + 1;
		if (idle > 3)
			tcp_guest_later(
				tcp_guest_timeout_said > 0 ? (unsigned)tcp_guest_timeout_said : 0);
		for (unsigned i = 0; i < takes && (s = tcp_guest_next()); i++) {
			uint32_t off = s->seq - first;

			assert_int_equal(s->flags & (TCP_RST | TCP_FIN), 0);
			if (!s->len)
				continue;
			assert_true(off + s->len <= STREAM);
			assert_memory_equal(s->data, noise + off, s->len);
			bytes += s->len;
			if (n++ == at)
				continue;
			memset(has + off, 1, s->len);
			while (g->ack - first < STREAM && has[g->ack - first])
				g->ack++;
			tcp_guest_say_ack(g); /* each segment is acknowledged */
		}
	}
	return bytes;
}

static void one_loss_makes_no_storm(void **state)
{
	static const unsigned at[] = {0, 1, 50, 700, 1500};

	(void)state;
	for (unsigned i = 0; i < 2 * sizeof(at) / sizeof(*at); i++) {
		struct tcp_guest g = TCP_GUEST((uint16_t)(1000 + i));
		uint64_t bytes;

		g.scale = 7;
		tcp_guest_open(&g);
		bytes = send_with_a_loss(&g, at[i / 2], i % 2 ? 30 : UINT32_MAX);
		if (bytes * 5 >= STREAM * 6ull)
			fail_msg("%u: segment %u lost: %lu bytes for %u", i, at[i / 2],
				 (unsigned long)bytes, STREAM);
		assert_true(bytes > STREAM); /* it was lost */
		tcp_guest_drop(&g);
	}
}

/* --- a full port --- */

/* The port is full whenever poll(2) begins, and has room for a few frames when it ends. */
static void full_turn(unsigned takes)
{
	unsigned n;

	tcp_guest_timeout_said = -1;
	n = tcp_fill(tcp_guest_module, tcp_guest_fds, TCP_GUEST_FDS, 1, &tcp_guest_timeout_said);
	assert_true(poll(tcp_guest_fds, n, 0) >= 0);
	tcp_guest_takes = takes;
	tcp_poll(tcp_guest_module, tcp_guest_fds, n, 0);
	tcp_guest_takes = 0;
}

/* Turns of a full port: after how many the quiet one's byte came. */
static unsigned turns_until_heard(struct tcp_guest *bulk, unsigned n_bulk, struct tcp_guest *quiet,
				  unsigned acks_each)
{
	for (unsigned turns = 0; turns < 200; turns++) {
		const struct segment *s;

		if (turns == 20)
			tcp_guest_host_sends(quiet, "!", 1);
		for (unsigned i = 0; i < n_bulk; i++)
			while (send(bulk[i].fd, noise, 60000, MSG_NOSIGNAL) > 0)
				;
		full_turn(3);
		while ((s = tcp_guest_next())) {
			unsigned port = ntohs(s->flow.remote_port);

			assert_int_equal(s->flags & TCP_RST, 0);
			if (port == quiet->port && s->len == 1)
				return turns - 20;
			if (port != quiet->port && s->seq == bulk[port - 1000].ack)
				bulk[port - 1000].ack += s->len;
		}
		for (unsigned i = 0; i < n_bulk; i++)
			if ((turns + i) % acks_each == 0)
				tcp_guest_say_ack(&bulk[i]);
	}
	return UINT32_MAX;
}

/* Whoever of them came first, and however often the guest acknowledges. */
static void heard_beside(unsigned n_bulk)
{
	for (unsigned i = 0; i < 8; i++) {
		struct tcp_guest bulk[4], quiet = TCP_GUEST(999);
		unsigned turns;

		if (i & 1)
			tcp_guest_open(&quiet);
		for (unsigned b = 0; b < n_bulk; b++) {
			bulk[b] = (struct tcp_guest)TCP_GUEST((uint16_t)(1000 + b));
			bulk[b].scale = 7;
			tcp_guest_open(&bulk[b]);
		}
		if (!(i & 1))
			tcp_guest_open(&quiet);
		turns = turns_until_heard(bulk, n_bulk, &quiet, 1 + i / 2);
		if (turns > 100)
			fail_msg("%u bulk, %u: not heard in %d turns", n_bulk, i, (int)turns);
		for (unsigned b = 0; b < n_bulk; b++)
			tcp_guest_drop(&bulk[b]);
		tcp_guest_drop(&quiet);
	}
}

static void a_quiet_one_is_heard_beside_bulk(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 4; n++)
		heard_beside(n);
}

/* --- memory --- */

#define RINGS 256u

/*
 * The guests have all the memory and take nothing, and one more has something to get. After a
 * minute the one that has taken nothing for longest loses its connection, and no other.
 */
static void a_stalled_one_gives_its_memory(void **state)
{
	static struct tcp_guest g[RINGS + 1];
	struct tcp_guest *next = &g[RINGS], *first = &g[77];
	unsigned lost_ones = 0;

	(void)state;
	memset(g, 0, sizeof(g));
	open_many(g, RINGS + 1, 0, 5000);
	for (unsigned i = 0; i < RINGS; i++) {
		g[i].window = 0;
		tcp_guest_say_ack(&g[i]);
		g[i].told = g[i].ack;
	}
	tcp_guest_host_sends(first, noise + DOWN, 5000);
	tcp_guest_expect_nothing();
	tcp_guest_later(5000);
	for (unsigned i = 0; i <= RINGS; i++) {
		/* The last finds nothing left. */
		if (i == RINGS)
			for (unsigned turns = 0; turns < 5; turns++)
				tcp_guest_turn(0, 0);
		if (&g[i] != first)
			tcp_guest_host_sends(&g[i], noise + DOWN, 5000);
	}
	for (unsigned passed = 5; passed < 80 && next->got_host < 5000; passed += 5) {
		for (unsigned turns = 0; turns < 5; turns++) {
			tcp_guest_turn(0, 0);
			deliver(g, RINGS + 1);
			for (unsigned i = 0; i <= RINGS; i++)
				guest_step(&g[i]); /* what is a probe is answered */
		}
		assert_true(passed >= 60 || (!next->got_host && !first->reset));
		tcp_guest_later(5000);
	}
	assert_int_equal(next->got_host, 5000);
	for (unsigned i = 0; i <= RINGS; i++)
		lost_ones += g[i].reset;
	assert_int_equal(lost_ones, 1);
	assert_true(first->reset);
	tcp_guest_host_ends(first, -ECONNRESET);
	/* The others have lost nothing. */
	for (unsigned i = 0; i < RINGS; i++) {
		g[i].window = 65535;
		g[i].told = g[i].ack + 65535;
		if (&g[i] != first)
			tcp_guest_say_ack(&g[i]);
	}
	for (unsigned turns = 0; turns < 50; turns++) {
		tcp_guest_turn(0, 0);
		deliver(g, RINGS + 1);
		for (unsigned i = 0; i <= RINGS; i++)
			guest_step(&g[i]);
	}
	for (unsigned i = 0; i <= RINGS; i++)
		assert_int_equal(g[i].got_host, &g[i] == first ? 0 : 5000);
	close_many(g, RINGS + 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, tcp_guest_setup, tcp_guest_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_slow_reader_loses_nothing),
		CASE(large_segments),
		CASE(loss_both_ways),
		CASE(many_at_once),
		CASE(more_than_the_pool_has),
		CASE(one_more_than_all),
		CASE(one_loss_makes_no_storm),
		CASE(a_quiet_one_is_heard_beside_bulk),
		CASE(a_stalled_one_gives_its_memory),
	};

	return cmocka_run_group_tests(tests, tcp_guest_make_noise, NULL);
}
