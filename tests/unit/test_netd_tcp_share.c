/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netd's TCP with several guests on a switch: one that takes all it can get of memory and of
 * connections leaves the others theirs. tests/lib/tcp_guest.h plays both ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/netd/segment.h"
#include "devices/net/netd/tcp.h"
#include "tests/lib/tcp_guest.h"

#define STALLED 600u /* more than there are rings */
#define MOST    TCP_CONNECTIONS_MAX
#define GUESTS  14u /* each takes all it gets: that many leave nothing */

/* Before libc's, for what is linked into this program; cmocka has the host's clock. */
__attribute__((visibility("hidden"))) int clock_gettime(clockid_t id, struct timespec *ts)
{
	return tcp_guest_clock_gettime(id, ts);
}

static struct tcp_guest greedy[2 * MOST + GUESTS];

/* The @i-th of all, of the guest at port @from. */
static void open_greedy(unsigned i, unsigned from)
{
	greedy[i] = (struct tcp_guest)TCP_GUEST((uint16_t)(1000 + i));
	greedy[i].from = from;
	tcp_guest_open(&greedy[i]);
}

/* It takes nothing of what comes. */
static void open_stalled(unsigned i, unsigned from)
{
	open_greedy(i, from);
	greedy[i].window = 0;
	tcp_guest_say_ack(&greedy[i]);
}

static void send_to_greedy(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		tcp_guest_host_sends(&greedy[i], "x", 1);
}

static void close_greedy(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(greedy[i].fd);
}

/* One more, at the expense of @payer, whose host sees a reset. */
static void open_instead(struct tcp_guest *g, const struct tcp_guest *payer)
{
	struct segment s;

	tcp_guest_start(g);
	s = tcp_guest_expect(TCP_RST | TCP_ACK);
	assert_int_equal(ntohs(s.flow.remote_port), payer->port);
	s = tcp_guest_expect(TCP_SYN | TCP_ACK);
	tcp_guest_finish(g, &s);
	tcp_guest_expect_nothing();
	tcp_guest_host_ends(payer, -ECONNRESET);
}

/* Bytes to it and back. */
static void exchange(struct tcp_guest *g)
{
	tcp_guest_host_sends(g, "there", 5);
	tcp_guest_expect_data(g, "there", 5);
	tcp_guest_say_data(g, "here", 4);
	tcp_guest_expect_ack(g);
	tcp_guest_host_reads(g, "here", 4);
}

/* One guest takes nothing of what comes to it, on more connections than there are rings. */
static void memory(void **state)
{
	struct tcp_guest other = TCP_GUEST(900);

	(void)state;
	tcp_guest_need_files(STALLED + 1);
	other.from = 2;
	for (unsigned i = 0; i < STALLED; i++)
		open_stalled(i, 1);
	tcp_guest_open(&other);
	send_to_greedy(STALLED);
	tcp_guest_expect_nothing();
	exchange(&other);
	tcp_guest_expect_nothing();
	close(other.fd);
	close_greedy(STALLED);
}

/* Guests that take nothing have all there is, and one that has nothing gets something. */
static void memory_for_the_last(void **state)
{
	struct tcp_guest last = TCP_GUEST(900);
	unsigned n = 0;

	(void)state;
	tcp_guest_need_files(1000);
	for (unsigned from = 1, has = 256; from <= 10; from++, has = has > 1 ? has / 2 : 1)
		for (unsigned i = 0; i < has; i++, n++)
			open_stalled(n, from);
	assert_int_equal(n, 512);
	last.from = 11;
	tcp_guest_open(&last);
	send_to_greedy(n);
	tcp_guest_expect_nothing();
	tcp_guest_host_sends(&last, "there", 5);
	assert_int_equal(ntohs(tcp_guest_expect(TCP_RST | TCP_ACK).flow.remote_port),
			 greedy[0].port);
	tcp_guest_expect_data(&last, "there", 5);
	tcp_guest_say_ack(&last);
	tcp_guest_expect_nothing();
	close(last.fd);
	close_greedy(n);
}

/* One guest has as many connections as it may, and wants more. */
static void connections(void **state)
{
	struct tcp_guest first = TCP_GUEST(900), last = TCP_GUEST(901);

	(void)state;
	tcp_guest_need_files(MOST + 3);
	first.from = last.from = 2;
	tcp_guest_open(&first);
	tcp_guest_later(1000); /* nobody was silent longer */
	for (unsigned i = 0; i < MOST; i++) {
		open_greedy(i, 1);
		if (i == 0)
			tcp_guest_later(1000);
	}
	greedy[MOST] = (struct tcp_guest)TCP_GUEST(1000 + MOST);
	open_instead(&greedy[MOST], &greedy[0]);
	tcp_guest_open(&last);
	tcp_guest_expect_nothing();
	exchange(&first);
	exchange(&last);
	exchange(&greedy[1]);
	close(first.fd);
	close(last.fd);
	close_greedy(MOST + 1);
}

/*
 * A guest has many when another takes as many: it is over its share then, and still pays for a new
 * one by one.
 */
static void over_its_share(void **state)
{
	struct tcp_guest more = TCP_GUEST(900);
	unsigned n = 0;

	(void)state;
	tcp_guest_need_files(2 * MOST);
	for (; n < 1500; n++) {
		open_greedy(n, 1);
		if (n == 0)
			tcp_guest_later(1000);
	}
	/* What is left is 4096 less those and its own. */
	for (; n < 1500 + 1298; n++)
		open_greedy(n, 2);
	tcp_guest_expect_nothing();
	open_instead(&more, &greedy[0]);
	exchange(&more);
	exchange(&greedy[1]);
	exchange(&greedy[n - 1]);
	close(more.fd);
	close_greedy(n);
}

/* Greedy guests have all there is, and one that has nothing gets one of the greediest. */
static void connections_for_the_last(void **state)
{
	struct tcp_guest last = TCP_GUEST(900);
	unsigned n = 0;

	(void)state;
	tcp_guest_need_files(2 * MOST + 1);
	for (unsigned from = 1, has = MOST; from<GUESTS; from++, has = has> 1 ? has / 2 : 1)
		for (unsigned i = 0; i < has; i++, n++) {
			open_greedy(n, from);
			if (n == 0)
				tcp_guest_later(1000);
		}
	assert_int_equal(n, 2 * MOST);
	tcp_guest_expect_nothing();
	last.from = GUESTS;
	tcp_guest_start(&last);
	assert_int_equal(ntohs(tcp_guest_expect(TCP_RST | TCP_ACK).flow.remote_port),
			 greedy[0].port);
	tcp_guest_expect_nothing();
	/* It asks again. */
	tcp_guest_open(&last);
	exchange(&last);
	close(last.fd);
	close_greedy(n);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, tcp_guest_setup, tcp_guest_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(memory),         CASE(memory_for_the_last),      CASE(connections),
		CASE(over_its_share), CASE(connections_for_the_last),
	};

	return cmocka_run_group_tests(tests, tcp_guest_make_noise, NULL);
}
