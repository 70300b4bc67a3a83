/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netd's TCP: how connections end, by either side, in halves, by a reset or with the guest's port,
 * what still goes to a guest whose port is full, and which answers a guest gets in any case.
 * tests/lib/tcp_guest.h plays both ends. Nothing waits for a timer: the clock here is the host's,
 * and what a test has skipped.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
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

/* --- ending --- */

static void half_closed_by_the_guest(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s;
	int before = tcp_guest_fds_open();

	(void)state;
	tcp_guest_open(&g);
	/* With data, out of order first. */
	tcp_guest_say(&g, TCP_ACK | TCP_FIN, g.seq + 3, "bye", 3);
	tcp_guest_expect_ack(&g);
	tcp_guest_say(&g, TCP_ACK | TCP_FIN, g.seq, "bye", 3);
	g.seq += 4;
	tcp_guest_expect_ack(&g);
	tcp_guest_host_reads(&g, "bye", 3);
	tcp_guest_host_ends(&g, 0);
	/* Again: acknowledged again. What is behind it does not exist. */
	tcp_guest_say(&g, TCP_ACK | TCP_FIN, g.seq - 4, "bye", 3);
	tcp_guest_expect_ack(&g);
	tcp_guest_say(&g, TCP_ACK, g.seq, "more", 4);
	tcp_guest_expect_ack(&g);

	tcp_guest_host_sends(&g, noise, 3000);
	tcp_guest_expect_data(&g, noise, 1460);
	tcp_guest_expect_data(&g, noise + 1460, 1460);
	tcp_guest_expect_data(&g, noise + 2920, 80);
	tcp_guest_say_ack(&g);
	tcp_guest_host_sends(&g, "end", 3);
	shutdown(g.fd, SHUT_WR);
	tcp_guest_expect_data(&g, "end", 3);
	s = tcp_guest_expect(TCP_ACK | TCP_FIN);
	assert_int_equal(s.seq, g.ack);
	/* Both lost: again, and now in one. */
	tcp_guest_expect_nothing();
	tcp_guest_later(1000);
	s = tcp_guest_expect(TCP_ACK | TCP_FIN);
	assert_int_equal(s.seq, g.ack - 3);
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.data, "end", 3);
	g.ack++;
	tcp_guest_say_ack(&g);
	tcp_guest_expect_nothing();
	assert_int_equal(tcp_guest_say_ack(&g), 0);
	tcp_guest_assert_gone(&g, before);
}

static void half_closed_by_the_host(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s;
	int before = tcp_guest_fds_open();

	(void)state;
	tcp_guest_open(&g);
	shutdown(g.fd, SHUT_WR);
	s = tcp_guest_expect(TCP_ACK | TCP_FIN);
	assert_int_equal(s.seq, g.ack);
	assert_int_equal(s.len, 0);
	/* Lost: it is asked for by nobody, and comes again. */
	tcp_guest_expect_nothing();
	tcp_guest_later(1000);
	s = tcp_guest_expect(TCP_ACK | TCP_FIN);
	assert_int_equal(s.seq, g.ack);
	g.ack++;
	tcp_guest_say_ack(&g);
	tcp_guest_expect_nothing();
	assert_int_equal(tcp_guest_timeout_said, -1);
	for (unsigned i = 0; i < 100; i++) {
		tcp_guest_say_data(&g, noise + i * 1000, 1000);
		tcp_guest_host_reads(&g, noise + i * 1000, 1000);
		tcp_guest_expect_ack(&g);
	}
	tcp_guest_say(&g, TCP_ACK | TCP_FIN, g.seq, NULL, 0);
	g.seq++;
	tcp_guest_expect_ack(&g);
	tcp_guest_host_ends(&g, 0);
	assert_int_equal(tcp_guest_say_ack(&g), 0);
	tcp_guest_assert_gone(&g, before);
}

/* FIN behind a ring that the host does not read. */
static void the_end_waits_for_the_bytes(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	uint32_t n;

	(void)state;
	tcp_guest_open(&g);
	n = tcp_guest_fill_window(&g);
	tcp_guest_say(&g, TCP_ACK | TCP_FIN, g.seq, NULL, 0);
	g.seq++;
	tcp_guest_expect_ack(&g);
	tcp_guest_host_reads(&g, noise, n);
	for (unsigned i = 0; i < 3; i++)
		tcp_guest_turn(0, 0);
	tcp_guest_host_ends(&g, 0);
	close(g.fd);
}

static void reset_by_the_guest(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	int before = tcp_guest_fds_open();
	unsigned n;

	(void)state;
	tcp_guest_open(&g);
	/* RFC 5961 §3.2: any other number is asked about. */
	tcp_guest_say(&g, TCP_RST, g.seq + 1, NULL, 0);
	tcp_guest_expect_ack(&g);
	tcp_guest_say(&g, TCP_RST, g.seq - 1, NULL, 0);
	tcp_guest_expect_ack(&g);
	tcp_guest_say_data(&g, "x", 1);
	tcp_guest_host_reads(&g, "x", 1);
	tcp_guest_expect_ack(&g);
	/* Between the two halves of a turn, with something to do for it. */
	tcp_guest_host_sends(&g, "y", 1);
	n = tcp_fill(tcp_guest_module, tcp_guest_fds, TCP_GUEST_FDS, 0, &tcp_guest_timeout_said);
	assert_int_equal(n, 1);
	assert_int_equal(poll(tcp_guest_fds, n, TCP_GUEST_TURNS), 1);
	tcp_guest_say(&g, TCP_RST, g.seq, NULL, 0);
	tcp_poll(tcp_guest_module, tcp_guest_fds, n, 0);
	tcp_guest_expect_nothing();
	tcp_guest_host_ends(&g, -ECONNRESET);
	assert_int_equal(tcp_guest_say_ack(&g), 0);
	tcp_guest_assert_gone(&g, before);
	/* The same ports again. */
	tcp_guest_open(&g);
	tcp_guest_say(&g, TCP_RST, g.seq, NULL, 0);
	close(g.fd);
	tcp_guest_open(&g);
	tcp_guest_assert_gone(&g, before + 1);
	/* Before there was a connection. */
	g.port++;
	tcp_guest_start(&g);
	tcp_guest_say(&g, TCP_RST, g.seq, NULL, 0);
	tcp_guest_expect(TCP_ACK | TCP_FIN);
	tcp_guest_expect_nothing();
}

static void reset_by_the_host(void **state)
{
	struct linger now = {.l_onoff = 1};
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s;
	int before = tcp_guest_fds_open();

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		tcp_guest_open(&g);
		setsockopt(g.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		if (i == 1)
			tcp_guest_fill_window(&g);
		close(g.fd);
		s = tcp_guest_expect(TCP_RST | TCP_ACK);
		assert_int_equal(s.seq, g.ack);
		assert_int_equal(s.ack, g.seq);
		tcp_guest_expect_nothing();
		assert_int_equal(tcp_guest_say_ack(&g), 0);
		assert_int_equal(tcp_guest_fds_open(), before);
	}
	/* It has closed, and the guest goes on sending. */
	tcp_guest_open(&g);
	close(g.fd);
	tcp_guest_expect(TCP_ACK | TCP_FIN);
	g.ack++;
	tcp_guest_say_data(&g, "a", 1);
	tcp_guest_expect_ack(&g);
	tcp_guest_say_data(&g, "b", 1);
	tcp_guest_expect(TCP_RST | TCP_ACK);
	assert_int_equal(tcp_guest_fds_open(), before);
}

/*
 * The host answers, closes with something unread, and so resets: the guest gets the answer first,
 * whatever it sends meanwhile.
 */
static void last_words_before_a_reset(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	int before = tcp_guest_fds_open();

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		tcp_guest_open(&g);
		tcp_guest_say_data(&g, noise, 1000);
		tcp_guest_expect_ack(&g);
		if (i == 1)
			tcp_guest_fill_window(&g); /* some of it waits in the module */
		tcp_guest_host_sends(&g, "too large", 9);
		close(g.fd);
		if (i == 0)
			tcp_guest_say_data(&g, noise, 1000); /* to a socket that is reset */
		tcp_guest_expect_data(&g, "too large", 9);
		tcp_guest_expect_nothing();
		tcp_guest_say_ack(&g);
		tcp_guest_expect(TCP_RST | TCP_ACK);
		assert_int_equal(tcp_guest_say_ack(&g), 0);
		assert_int_equal(tcp_guest_fds_open(), before);
	}
}

/* --- a port that is full --- */

static void held(unsigned turns)
{
	for (unsigned i = 0; i < turns; i++)
		tcp_guest_turn(1, 0);
}

static void hold_lets_only_answers_through(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s;

	(void)state;
	tcp_guest_open(&g);
	tcp_guest_host_sends(&g, noise, 4000);
	held(3);
	assert_null(tcp_guest_next());
	tcp_guest_say_data(&g, "x", 1);
	held(1);
	s = *tcp_guest_next();
	assert_int_equal(s.ack, g.seq);
	assert_int_equal(s.len, 0);
	held(3);
	assert_null(tcp_guest_next());
	tcp_guest_host_reads(&g, "x", 1);
	tcp_guest_expect_data(&g, noise, 1460);
	tcp_guest_expect_data(&g, noise + 1460, 1460);
	tcp_guest_expect_data(&g, noise + 2920, 1080);
	tcp_guest_expect_nothing();
	/* The end is such a thing too. */
	tcp_guest_say_ack(&g);
	shutdown(g.fd, SHUT_WR);
	held(3);
	assert_null(tcp_guest_next());
	tcp_guest_expect(TCP_ACK | TCP_FIN);
	close(g.fd);
}

/* What must wait anyway is no reason to wake up. */
static void hold_does_not_spin(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);

	(void)state;
	tcp_guest_open(&g);
	tcp_guest_host_sends(&g, noise, 1000);
	tcp_guest_expect_data(&g, noise, 1000);
	tcp_guest_later(5000);
	held(3);
	assert_null(tcp_guest_next());
	assert_int_not_equal(tcp_guest_timeout_said, 0);
	g.ack -= 1000;
	tcp_guest_turn(0, 0);
	tcp_guest_expect_data(&g, noise, 1000);
	close(g.fd);
}

static void a_full_port_stops_the_burst(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000), h = TCP_GUEST(1001);
	unsigned n = 0;

	(void)state;
	tcp_guest_open(&g);
	tcp_guest_open(&h);
	tcp_guest_host_sends(&g, noise, 14600);
	tcp_guest_host_sends(&h, noise, 14600);
	while (n < 20) {
		unsigned came = 0;

		tcp_guest_takes = 3; /* the third says that it was the last */
		tcp_guest_turn(0, 1);
		tcp_guest_takes = 0;
		for (const struct segment *s; (s = tcp_guest_next()); came++) {
			struct tcp_guest *to = ntohs(s->flow.remote_port) == 1000 ? &g : &h;

			assert_int_equal(s->seq, to->ack);
			to->ack += s->len;
		}
		assert_true(came <= 3);
		n += came;
	}
	assert_int_equal(n, 20);
	tcp_guest_expect_nothing();
	close(g.fd);
	close(h.fd);
}

/* --- ports --- */

/* Another guest speaks in this one's name. */
static void another_port_has_no_say(void **state)
{
	static const uint8_t flags[] = {
		TCP_ACK,           TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN, TCP_RST,
		TCP_RST | TCP_ACK, TCP_SYN,           TCP_SYN | TCP_ACK, 0};
	struct tcp_guest g = TCP_GUEST(1000), other;

	(void)state;
	tcp_guest_start(&g);
	other = g;
	other.from = 2;
	/* Before there is a connection, and when there is. */
	assert_int_equal(tcp_guest_say(&other, TCP_RST, g.seq, NULL, 0), 1);
	struct segment s = tcp_guest_expect(TCP_SYN | TCP_ACK);
	tcp_guest_finish(&g, &s);
	tcp_guest_host_sends(&g, noise, 1000);
	tcp_guest_expect_data(&g, noise, 1000);
	other = g; /* what it says of the window and of what came would be right */
	other.from = 2;
	other.window = 0;
	for (size_t i = 0; i < sizeof(flags); i++)
		for (unsigned len = 0; len < 9; len += 4)
			for (uint32_t seq = g.seq - 1; seq != g.seq + 2; seq++)
				assert_int_equal(
					tcp_guest_say(&other, flags[i], seq, "lies", len & 4), 1);
	tcp_guest_expect_nothing();
	/* Nobody has acknowledged anything. */
	tcp_guest_later(1000);
	g.ack -= 1000;
	tcp_guest_expect_data(&g, noise, 1000);
	tcp_guest_say_ack(&g);
	tcp_guest_say_data(&g, "true", 4);
	tcp_guest_expect_ack(&g);
	tcp_guest_host_reads(&g, "true", 4);
	tcp_guest_host_sends(&g, noise, 1460);
	tcp_guest_expect_data(&g, noise, 1460);
	close(g.fd);
}

/* A guest sends, ends, and is turned off: its peer gets all of it, and the end. */
static void what_was_ended_goes_its_way(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	int before = tcp_guest_fds_open();

	(void)state;
	tcp_guest_open(&g);
	tcp_guest_say(&g, TCP_ACK | TCP_FIN, g.seq, "report", 6);
	g.seq += 7;
	tcp_guest_expect_ack(&g);
	tcp_forget(tcp_guest_module, 1);
	tcp_guest_turn(0, 0);
	tcp_guest_host_reads(&g, "report", 6);
	tcp_guest_host_ends(&g, 0);
	tcp_guest_assert_gone(&g, before);
}

static void a_port_goes_with_its_connections(void **state)
{
	struct tcp_guest g[3] = {TCP_GUEST(1000), TCP_GUEST(1001), TCP_GUEST(1002)};
	struct tcp_guest other = TCP_GUEST(1003), late = TCP_GUEST(1004);
	int before = tcp_guest_fds_open(), mine;
	unsigned n;

	(void)state;
	other.from = 2;
	for (unsigned i = 0; i < 2; i++)
		tcp_guest_open(&g[i]);
	tcp_guest_open(&other);
	tcp_guest_open(&g[2]);
	tcp_guest_start(&late); /* it is not open yet */
	mine = tcp_guest_fds_open();
	/* With something to do for all, between the halves of a turn. */
	for (unsigned i = 0; i < 3; i++)
		tcp_guest_host_sends(&g[i], noise, 1000);
	tcp_guest_host_sends(&other, noise, 1000);
	tcp_guest_say_data(&g[1], "x", 1);
	n = tcp_fill(tcp_guest_module, tcp_guest_fds, TCP_GUEST_FDS, 0, &tcp_guest_timeout_said);
	assert_true(poll(tcp_guest_fds, n, TCP_GUEST_TURNS) > 0);
	tcp_forget(tcp_guest_module, 1);
	assert_int_equal(tcp_guest_fds_open(), mine - 4);
	tcp_poll(tcp_guest_module, tcp_guest_fds, n, 0);
	tcp_guest_expect_data(&other, noise, 1000);
	tcp_guest_say_ack(&other);
	tcp_guest_expect_nothing();
	for (unsigned i = 0; i < 3; i++) {
		if (i != 1)
			tcp_guest_host_ends(&g[i], -ECONNRESET);
		assert_int_equal(tcp_guest_say_ack(&g[i]), 0);
		close(g[i].fd);
	}
	close(accept(tcp_guest_listen_fd, NULL, NULL));
	/* The next guest there begins anew; one that has nothing is forgotten as well. */
	tcp_forget(tcp_guest_module, 7);
	tcp_guest_open(&g[0]);
	tcp_guest_say_data(&other, "here", 4);
	tcp_guest_expect_ack(&other);
	tcp_guest_host_reads(&other, "here", 4);
	tcp_forget(tcp_guest_module, 2);
	tcp_forget(tcp_guest_module, 2);
	tcp_guest_host_ends(&other, -ECONNRESET);
	close(other.fd);
	tcp_guest_say_data(&g[0], "here", 4);
	tcp_guest_expect_ack(&g[0]);
	tcp_guest_host_reads(&g[0], "here", 4);
	assert_int_equal(tcp_guest_fds_open(), before + 2);
	close(g[0].fd);
}

/* --- answers --- */

/* Empty, and one before what comes next: whether we are there (RFC 9293 §3.8.4). */
static void a_keepalive_is_answered(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);

	(void)state;
	tcp_guest_open(&g);
	for (unsigned i = 0; i < 4; i++) {
		tcp_guest_later(7200000);
		tcp_guest_say(&g, TCP_ACK, g.seq - 1, "?", i & 1); /* old guests send a byte */
		assert_int_equal(tcp_guest_expect_ack(&g).seq, g.ack);
		tcp_guest_expect_nothing();
		if (i == 1) {
			tcp_guest_say_data(&g, "x", 1);
			tcp_guest_expect_ack(&g);
			tcp_guest_host_reads(&g, "x", 1);
		}
	}
	/* Its port is full: this cannot wait. */
	tcp_guest_say(&g, TCP_ACK, g.seq - 1, NULL, 0);
	held(1);
	tcp_guest_expect_ack(&g);
	/* One that asks nothing has no answer. */
	tcp_guest_say_ack(&g);
	tcp_guest_expect_nothing();
	/* The host has sent all; the guest may live long yet. */
	shutdown(g.fd, SHUT_WR);
	tcp_guest_expect(TCP_ACK | TCP_FIN);
	g.ack++;
	tcp_guest_say_ack(&g);
	tcp_guest_expect_nothing();
	tcp_guest_later(7200000);
	tcp_guest_say(&g, TCP_ACK, g.seq - 1, NULL, 0);
	assert_int_equal(tcp_guest_expect_ack(&g).seq, g.ack);
	close(g.fd);
}

/* A guest looks at an answer only if its number is within the window, be that closed. */
static void answers_are_within_the_window(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000), h = TCP_GUEST(1001);
	struct segment s;

	(void)state;
	g.window = 0;
	tcp_guest_open(&g);
	tcp_guest_host_sends(&g, noise, 1000);
	for (unsigned i = 0; i < 3; i++) {
		tcp_guest_expect_nothing();
		tcp_guest_later((unsigned)tcp_guest_timeout_said);
		s = tcp_guest_expect(TCP_ACK);
		assert_int_equal(s.len, 1);
		tcp_guest_say_ack(&g); /* it was not taken */
		tcp_guest_say_data(&g, noise + i * 2000, 2000);
		s = tcp_guest_expect_ack(&g);
		assert_int_equal(s.seq, g.ack);
		tcp_guest_host_reads(&g, noise + i * 2000, 2000);
	}
	g.window = 65535;
	tcp_guest_say_ack(&g);
	tcp_guest_expect_data(&g, noise, 1000);

	/* It has become smaller than what is under way. */
	h.window = 3000;
	tcp_guest_open(&h);
	tcp_guest_host_sends(&h, noise, 2920);
	tcp_guest_expect(TCP_ACK);
	tcp_guest_expect(TCP_ACK);
	h.window = 500;
	tcp_guest_say_data(&h, "up", 2);
	s = tcp_guest_expect_ack(&h);
	assert_true(s.seq - h.ack <= 500);
	tcp_guest_host_reads(&h, "up", 2);
	close(g.fd);
	close(h.fd);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, tcp_guest_setup, tcp_guest_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(half_closed_by_the_guest),    CASE(half_closed_by_the_host),
		CASE(the_end_waits_for_the_bytes), CASE(reset_by_the_guest),
		CASE(reset_by_the_host),           CASE(hold_lets_only_answers_through),
		CASE(hold_does_not_spin),          CASE(a_full_port_stops_the_burst),
		CASE(last_words_before_a_reset),   CASE(what_was_ended_goes_its_way),
		CASE(another_port_has_no_say),     CASE(a_port_goes_with_its_connections),
		CASE(a_keepalive_is_answered),     CASE(answers_are_within_the_window),
	};

	return cmocka_run_group_tests(tests, tcp_guest_make_noise, NULL);
}
