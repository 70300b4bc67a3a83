/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netd's TCP: how a connection opens, is refused or is nobody's, and how data goes each way:
 * order, windows, segment sizes, and what is sent again. tests/lib/tcp_guest.h plays both ends.
 * Nothing waits for a timer: the clock here is the host's, and what a test has skipped.
 */
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
#include "tests/lib/packet.h"
#include "tests/lib/tcp_guest.h"

static const uint8_t *const noise = tcp_guest_noise;

/* Before libc's, for what is linked into this program; cmocka has the host's clock. */
__attribute__((visibility("hidden"))) int clock_gettime(clockid_t id, struct timespec *ts)
{
	return tcp_guest_clock_gettime(id, ts);
}

/* --- opening --- */

static void opens(struct tcp_guest *g, unsigned head)
{
	struct segment s;

	tcp_guest_start(g);
	s = tcp_guest_expect(TCP_SYN | TCP_ACK);
	assert_int_equal(s.mss, 1500 - head);
	assert_true(s.scale > 0);
	assert_true(s.window > 60000);
	assert_int_equal(s.len, 0);
	tcp_guest_finish(g, &s);
	tcp_guest_expect_nothing();
	tcp_guest_say_data(g, "to the host", 11);
	tcp_guest_host_reads(g, "to the host", 11);
	s = tcp_guest_expect_ack(g);
	assert_true(tcp_guest_window_of(g, &s) > 500000);
	tcp_guest_host_sends(g, "and back", 8);
	tcp_guest_expect_data(g, "and back", 8);
	tcp_guest_say_ack(g);
	tcp_guest_expect_nothing();
	close(g->fd);
}

static void handshake(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);

	(void)state;
	opens(&g, 40);
}

static void handshake_over_ipv6(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);

	(void)state;
	if (tcp_guest_v6_fd < 0) {
		print_message("no IPv6 on loopback here\n");
		skip();
	}
	g.v6 = 1;
	opens(&g, 60);
}

static void no_scale_for_a_guest_without(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s;

	(void)state;
	g.scale = -1;
	tcp_guest_start(&g);
	s = tcp_guest_expect(TCP_SYN | TCP_ACK);
	assert_int_equal(s.scale, -1);
	assert_int_equal(s.mss, 1460);
	tcp_guest_finish(&g, &s);
	for (unsigned i = 0; i < 20; i++) {
		tcp_guest_say_data(&g, noise, 1460);
		s = tcp_guest_expect_ack(&g);
		assert_true(s.window > 60000);
		tcp_guest_host_reads(&g, noise, 1460);
	}
	close(g.fd);
}

static void refused(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s;
	int before;

	(void)state;
	close(tcp_guest_listen_fd);
	before = tcp_guest_fds_open();
	tcp_guest_start(&g);
	s = tcp_guest_expect(TCP_RST | TCP_ACK);
	assert_int_equal(s.seq, 0);
	assert_int_equal(s.ack, TCP_GUEST_ISS + 1);
	tcp_guest_expect_nothing();
	assert_int_equal(tcp_guest_fds_open(), before);
	tcp_guest_listen_fd = -1;
}

static void not_ours(void **state)
{
	static const char *const to[] = {
		"10.0.2.3", "10.0.2.77",       "10.0.2.255", "224.0.0.1", "240.0.0.1", "127.0.0.1",
		"0.0.0.0",  "255.255.255.255", "fec0::3",    "fe80::1",   "ff02::1",   "::1",
		"::",       "::ffff:127.0.0.1"};
	static const uint8_t flags[] = {
		TCP_ACK,           TCP_RST,           TCP_FIN | TCP_ACK, TCP_SYN | TCP_ACK,
		TCP_SYN | TCP_FIN, TCP_SYN | TCP_RST, TCP_PSH,           0};
	struct tcp_guest g = TCP_GUEST(1000);
	struct packet_tcp syn = {.from = PACKET_GUEST,
				 .to = PACKET_GATEWAY,
				 .sport = 1,
				 .dport = 1,
				 .flags = PACKET_SYN};
	static uint8_t frame[PACKET_MAX];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(to) / sizeof(*to); i++) {
		g.to = to[i];
		g.v6 = strchr(to[i], ':') != NULL;
		if (tcp_guest_say(&g, TCP_SYN, 1, NULL, 0) != 0)
			fail_msg("%s was taken", to[i]);
	}
	g.to = NULL;
	g.v6 = 0;
	for (size_t i = 0; i < sizeof(flags); i++)
		assert_int_equal(tcp_guest_say(&g, flags[i], 1, NULL, 0), 0);
	len = packet_tcp(frame, &syn, NULL, 0);
	frame[0] ^= 4;
	assert_int_equal(tcp_input(tcp_guest_module, 1, frame, len, 0), 0);
	frame[0] ^= 4;
	for (size_t n = 0; n < len; n++)
		tcp_input(tcp_guest_module, 1, frame, n, 0);
	frame[40] ^= 1; /* damaged: nobody's */
	assert_int_equal(tcp_input(tcp_guest_module, 1, frame, len, 0), 1);
	len = packet_udp(frame, PACKET_GUEST, PACKET_GATEWAY, 1, 1, "x", 1);
	assert_int_equal(tcp_input(tcp_guest_module, 1, frame, len, 0), 0);
	len = packet_arp(frame, 1, PACKET_GUEST, PACKET_GATEWAY);
	assert_int_equal(tcp_input(tcp_guest_module, 1, frame, len, 0), 0);
	memcpy(frame, packet_gateway_mac, 6);
	assert_int_equal(tcp_input(tcp_guest_module, 1, frame, len, 0), 0);
	tcp_guest_expect_nothing();
}

static void syn_again(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s, again;

	(void)state;
	tcp_guest_start(&g);
	/* While the host's side is being opened. */
	tcp_guest_say(&g, TCP_SYN, TCP_GUEST_ISS, NULL, 0);
	s = tcp_guest_expect(TCP_SYN | TCP_ACK);
	tcp_guest_expect_nothing();
	tcp_guest_say(&g, TCP_SYN, TCP_GUEST_ISS, NULL, 0);
	again = tcp_guest_expect(TCP_SYN | TCP_ACK);
	assert_int_equal(again.seq, s.seq);
	assert_int_equal(again.ack, s.ack);
	/* An answer to something else. */
	g.ack = s.seq + 77;
	tcp_guest_say_ack(&g);
	again = tcp_guest_expect(TCP_RST);
	assert_int_equal(again.seq, g.ack);
	tcp_guest_finish(&g, &s);
	/* RFC 5961 §4: a SYN in an open connection is answered, and changes nothing. */
	for (uint32_t seq = TCP_GUEST_ISS; seq != TCP_GUEST_ISS + 10000; seq += 5000) {
		tcp_guest_say(&g, TCP_SYN, seq, NULL, 0);
		again = tcp_guest_expect_ack(&g);
		assert_int_equal(again.seq, g.ack);
	}
	tcp_guest_say_data(&g, "still", 5);
	tcp_guest_host_reads(&g, "still", 5);
	tcp_guest_expect_ack(&g);
	close(g.fd);
}

static void syn_ack_comes_again(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s, again;
	unsigned tries = 0;

	(void)state;
	tcp_guest_start(&g);
	s = tcp_guest_expect(TCP_SYN | TCP_ACK);
	tcp_guest_expect_nothing();
	assert_true(tcp_guest_timeout_said > 500 && tcp_guest_timeout_said <= 1000);
	tcp_guest_later(1000);
	again = tcp_guest_expect(TCP_SYN | TCP_ACK);
	assert_int_equal(again.seq, s.seq);
	tcp_guest_finish(&g, &s);
	tcp_guest_expect_nothing();
	assert_int_equal(tcp_guest_timeout_said, -1);
	tcp_guest_drop(&g);

	/* Each time later, and in the end no more. */
	g.port++;
	tcp_guest_start(&g);
	for (s = tcp_guest_expect(TCP_SYN | TCP_ACK); !(s.flags & TCP_RST); tries++) {
		tcp_guest_expect_nothing();
		assert_true(tcp_guest_timeout_said >= 900 && tcp_guest_timeout_said <= 64000);
		tcp_guest_later((unsigned)tcp_guest_timeout_said + 1);
		tcp_guest_turn(0, 0);
		s = *tcp_guest_next();
	}
	assert_true(tries > 5 && tries < 20);
	close(accept(tcp_guest_listen_fd, NULL, NULL));
}

/* --- from the guest --- */

static void data_in_and_out_of_order(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	uint32_t seq;

	(void)state;
	tcp_guest_open(&g);
	seq = g.seq;
	tcp_guest_say_data(&g, noise, 1000);
	tcp_guest_host_reads(&g, noise, 1000);
	tcp_guest_expect_ack(&g);
	/* Again; the second half again and more; all again and more. */
	tcp_guest_say(&g, TCP_ACK, seq, noise, 1000);
	tcp_guest_expect_ack(&g);
	tcp_guest_say(&g, TCP_ACK, seq + 500, noise + 500, 1000);
	g.seq += 500;
	tcp_guest_expect_ack(&g);
	tcp_guest_host_reads(&g, noise + 1000, 500);
	tcp_guest_say(&g, TCP_ACK, seq, noise, 1501);
	g.seq++;
	tcp_guest_expect_ack(&g);
	tcp_guest_host_reads(&g, noise + 1500, 1);
	/* What is missing is asked for; what came behind it has to come again. */
	for (uint32_t gap = 1; gap; gap *= 16) {
		tcp_guest_say(&g, TCP_ACK, g.seq + gap, noise, 100);
		tcp_guest_expect_ack(&g);
		tcp_guest_say(&g, TCP_ACK | TCP_FIN, g.seq + gap, noise, 100);
		tcp_guest_expect_ack(&g);
	}
	tcp_guest_say(&g, TCP_ACK | TCP_FIN, g.seq - 20, noise, 10);
	tcp_guest_expect_ack(&g);
	tcp_guest_expect_nothing();
	/* Without ACK, or with one of what was never sent, nothing counts. */
	tcp_guest_say(&g, TCP_PSH, g.seq, noise, 100);
	tcp_guest_expect_nothing();
	g.ack += 1;
	tcp_guest_say(&g, TCP_ACK, g.seq, noise, 100);
	g.ack -= 1;
	tcp_guest_expect_ack(&g);
	/* An old one brings data all the same. */
	g.ack -= 1;
	tcp_guest_say_data(&g, noise + 1501, 100);
	g.ack += 1;
	tcp_guest_expect_ack(&g);
	tcp_guest_host_reads(&g, noise + 1501, 100);
	/* Many get one answer. */
	for (unsigned i = 0; i < 10; i++)
		tcp_guest_say_data(&g, noise + i * 1460, 1460);
	tcp_guest_expect_ack(&g);
	tcp_guest_expect_nothing();
	tcp_guest_host_reads(&g, noise, 14600);
	close(g.fd);
}

/* The host reads on, and the guest is told without asking. */
static void window_opens_again(int8_t scale)
{
	struct tcp_guest g = TCP_GUEST(1000);
	uint32_t n, more;
	struct segment s;

	g.scale = scale;
	tcp_guest_open(&g);
	n = tcp_guest_fill_window(&g);
	assert_true(n > (scale < 0 ? 65000u : 520000u));
	tcp_guest_expect_nothing();
	/* Beyond the window: not taken for granted, and no harm. */
	tcp_guest_say(&g, TCP_ACK, g.seq, noise + n, 1460);
	s = tcp_guest_expect(TCP_ACK);
	more = s.ack - g.seq;
	assert_true(more <= 1460);
	g.seq += more;
	assert_true(tcp_guest_window_of(&g, &s) == 0);

	tcp_guest_host_reads(&g, noise, n + more);
	s = tcp_guest_expect(TCP_ACK);
	assert_int_equal(s.ack, g.seq);
	assert_true(tcp_guest_window_of(&g, &s) >= 32768);
	tcp_guest_say_data(&g, "on", 2);
	tcp_guest_host_reads(&g, "on", 2);
	close(g.fd);
}

static void a_window_opens_again(void **state)
{
	(void)state;
	window_opens_again(0);
}

static void an_unscaled_window_opens_again(void **state)
{
	(void)state;
	window_opens_again(-1);
}

/* --- to the guest --- */

static void honours_window_and_mss(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s;

	(void)state;
	g.window = 3000;
	tcp_guest_open(&g);
	tcp_guest_host_sends(&g, noise, 10000);
	s = tcp_guest_expect_data(&g, noise, 1460);
	assert_int_equal(s.flags & TCP_PSH, 0);
	tcp_guest_expect_data(&g, noise + 1460, 1460);
	tcp_guest_expect_nothing(); /* 80 more would fit, but are not worth a segment */
	tcp_guest_say_ack(&g);
	tcp_guest_expect_data(&g, noise + 2920, 1460);
	tcp_guest_expect_data(&g, noise + 4380, 1460);
	tcp_guest_expect_nothing();
	/* A larger one, by a segment that acknowledges nothing new. */
	g.window = 65535;
	g.ack -= 2920;
	tcp_guest_say_ack(&g);
	g.ack += 2920;
	tcp_guest_expect_data(&g, noise + 5840, 1460);
	tcp_guest_expect_data(&g, noise + 7300, 1460);
	s = tcp_guest_expect_data(&g, noise + 8760, 1240);
	assert_int_equal(s.flags & TCP_PSH, TCP_PSH);
	tcp_guest_say_ack(&g);
	tcp_guest_expect_nothing();
	assert_int_equal(tcp_guest_timeout_said, -1);
	/* A window below one segment. */
	g.window = 100;
	tcp_guest_say_ack(&g);
	tcp_guest_host_sends(&g, noise, 250);
	tcp_guest_expect_data(&g, noise, 100);
	tcp_guest_say_ack(&g);
	tcp_guest_expect_data(&g, noise + 100, 100);
	tcp_guest_say_ack(&g);
	tcp_guest_expect_data(&g, noise + 200, 50);
	close(g.fd);
}

static void window_scale_and_small_mss(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	uint32_t n = 0;

	(void)state;
	g.scale = 4;
	g.window = 1000;
	g.mss = 536;
	tcp_guest_open(&g);
	tcp_guest_host_sends(&g, noise, 20000);
	while (n + 536 <= 16000) {
		tcp_guest_expect_data(&g, noise + n, 536);
		n += 536;
	}
	tcp_guest_expect_nothing();
	tcp_guest_drop(&g);

	/* No MSS option: RFC 9293 §3.7.1. Then crumbs; then more than the network has. */
	for (unsigned i = 0; i < 3; i++) {
		struct tcp_guest h = TCP_GUEST((uint16_t)(2000 + i));

		h.mss = (uint16_t[]){0, 1, 9000}[i];
		tcp_guest_open(&h);
		tcp_guest_host_sends(&h, noise, 2000);
		tcp_guest_expect_data(&h, noise, (size_t[]){536, 48, 1460}[i]);
		tcp_guest_drop(&h);
	}
}

static void probes_a_closed_window(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s;

	(void)state;
	g.window = 0;
	tcp_guest_open(&g);
	tcp_guest_host_sends(&g, noise, 1000);
	for (unsigned i = 0; i < 20; i++) {
		tcp_guest_expect_nothing();
		assert_true(tcp_guest_timeout_said > 0 && tcp_guest_timeout_said <= 64000);
		tcp_guest_later((unsigned)tcp_guest_timeout_said);
		s = tcp_guest_expect(TCP_ACK);
		assert_int_equal(s.seq, g.ack);
		assert_int_equal(s.len, 1);
		assert_int_equal(s.data[0], noise[0]);
		tcp_guest_say_ack(&g); /* still closed */
	}
	/* The probe is taken, as a guest may. */
	g.ack++;
	g.window = 500;
	tcp_guest_say_ack(&g);
	tcp_guest_expect_data(&g, noise + 1, 500);
	close(g.fd);
}

/* The guest has no room for a probe's byte, and then has: it comes at once, before the others. */
static void a_refused_probe_comes_again(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	struct segment s;

	(void)state;
	g.window = 0;
	tcp_guest_open(&g);
	tcp_guest_host_sends(&g, noise, 1000);
	tcp_guest_expect_nothing();
	tcp_guest_later(1000);
	s = tcp_guest_expect(TCP_ACK);
	assert_int_equal(s.len, 1);
	tcp_guest_say_ack(&g);
	tcp_guest_expect_nothing();
	g.window = 65535;
	tcp_guest_say_ack(&g);
	tcp_guest_expect_data(&g, noise, 1000);
	close(g.fd);
}

static void sends_again_after_three_acks(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);

	(void)state;
	tcp_guest_open(&g);
	tcp_guest_host_sends(&g, noise, 14600);
	tcp_guest_expect_data(&g, noise, 1460);
	tcp_guest_say_ack(&g);
	for (unsigned i = 1; i < 10; i++)
		assert_int_equal(tcp_guest_expect(TCP_ACK).len, 1460);
	tcp_guest_say_ack(&g);
	tcp_guest_say_ack(&g);
	tcp_guest_expect_nothing();
	tcp_guest_say_ack(&g);
	for (unsigned i = 1; i < 10; i++)
		tcp_guest_expect_data(&g, noise + i * 1460, 1460);
	tcp_guest_expect_nothing();
	tcp_guest_say_ack(&g);
	tcp_guest_expect_nothing();
	assert_int_equal(tcp_guest_timeout_said, -1);

	/* All that was sent is lost: the timer. Its end is acknowledged by halves. */
	tcp_guest_host_sends(&g, noise, 2000);
	tcp_guest_expect(TCP_ACK);
	tcp_guest_expect(TCP_ACK);
	tcp_guest_expect_nothing();
	tcp_guest_later(1000);
	tcp_guest_expect_data(&g, noise, 1460);
	tcp_guest_expect_data(&g, noise + 1460, 540);
	tcp_guest_expect_nothing();
	g.ack -= 1000;
	tcp_guest_say_ack(&g);
	tcp_guest_expect_nothing();
	assert_true(tcp_guest_timeout_said > 0);
	tcp_guest_later((unsigned)tcp_guest_timeout_said);
	tcp_guest_expect_data(&g, noise + 1000, 1000);
	tcp_guest_say_ack(&g);
	tcp_guest_expect_nothing();
	close(g.fd);
}

static void gives_up_on_a_silent_guest(void **state)
{
	struct tcp_guest g = TCP_GUEST(1000);
	unsigned tries = 0;
	int before = tcp_guest_fds_open();

	(void)state;
	tcp_guest_open(&g);
	tcp_guest_host_sends(&g, noise, 100);
	while (!(tcp_guest_expect(TCP_ACK | (tries == 13 ? TCP_RST : 0)).flags & TCP_RST)) {
		tcp_guest_expect_nothing();
		tcp_guest_later((unsigned)tcp_guest_timeout_said);
		tries++;
	}
	tcp_guest_host_ends(&g, -ECONNRESET);
	tcp_guest_assert_gone(&g, before);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, tcp_guest_setup, tcp_guest_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(handshake),
		CASE(handshake_over_ipv6),
		CASE(no_scale_for_a_guest_without),
		CASE(refused),
		CASE(not_ours),
		CASE(syn_again),
		CASE(syn_ack_comes_again),
		CASE(data_in_and_out_of_order),
		CASE(a_window_opens_again),
		CASE(an_unscaled_window_opens_again),
		CASE(honours_window_and_mss),
		CASE(window_scale_and_small_mss),
		CASE(probes_a_closed_window),
		CASE(a_refused_probe_comes_again),
		CASE(sends_again_after_three_acks),
		CASE(gives_up_on_a_silent_guest),
	};

	return cmocka_run_group_tests(tests, tcp_guest_make_noise, NULL);
}
