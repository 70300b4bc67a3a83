/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netd's TCP with several guests on a switch: one that takes all it can get of memory and of
 * connections leaves the others theirs. tests/lib/tcp_guest.h plays both ends.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/net/netd/segment.h"
#include "devices/net/netd/tcp.h"
#include "tests/lib/tcp_guest.h"

#define STALLED 600u /* more than there are rings */
#define PORT(i) (uint16_t)(1000 + (i))

/* Before libc's, for what is linked into this program; cmocka has the host's clock. */
__attribute__((visibility("hidden"))) int clock_gettime(clockid_t id, struct timespec *ts)
{
	return tcp_guest_clock_gettime(id, ts);
}

static struct tcp_guest greedy[TCP_CONNECTIONS_MAX + 1];

static void open_greedy(unsigned i)
{
	greedy[i] = (struct tcp_guest)TCP_GUEST(PORT(i));
	tcp_guest_open(&greedy[i]);
}

static void close_greedy(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(greedy[i].fd);
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
	other.from = 2;
	for (unsigned i = 0; i < STALLED; i++) {
		open_greedy(i);
		greedy[i].window = 0;
		tcp_guest_say_ack(&greedy[i]);
	}
	for (unsigned i = 0; i < STALLED; i++)
		tcp_guest_host_sends(&greedy[i], "x", 1);
	for (unsigned i = 0; i < 5; i++)
		tcp_guest_turn(0, 0);
	tcp_guest_expect_nothing();
	tcp_guest_open(&other);
	exchange(&other);
	tcp_guest_expect_nothing();
	close(other.fd);
	close_greedy(STALLED);
}

/* One guest has as many connections as it may, and wants more. */
static void connections(void **state)
{
	struct tcp_guest first = TCP_GUEST(900), last = TCP_GUEST(901);
	struct rlimit files;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < 2 * TCP_CONNECTIONS_MAX + 64) {
		print_message("RLIMIT_NOFILE is %lu\n", (unsigned long)files.rlim_cur);
		skip();
	}
	first.from = last.from = 2;
	tcp_guest_open(&first);
	tcp_guest_later(1000); /* nobody was silent longer */
	for (unsigned i = 0; i < TCP_CONNECTIONS_MAX; i++) {
		open_greedy(i);
		if (i == 0)
			tcp_guest_later(1000);
	}
	/* It is at its own expense. */
	greedy[TCP_CONNECTIONS_MAX] = (struct tcp_guest)TCP_GUEST(PORT(TCP_CONNECTIONS_MAX));
	tcp_guest_start(&greedy[TCP_CONNECTIONS_MAX]);
	assert_int_equal(tcp_guest_expect(TCP_RST | TCP_ACK).flow.remote_port,
			 htons(greedy[0].port));
	tcp_guest_expect_nothing();
	/* It asks again. */
	tcp_guest_open(&greedy[TCP_CONNECTIONS_MAX]);
	tcp_guest_open(&last);
	tcp_guest_expect_nothing();
	exchange(&first);
	exchange(&last);
	exchange(&greedy[1]);
	close(first.fd);
	close(last.fd);
	close_greedy(TCP_CONNECTIONS_MAX + 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, tcp_guest_setup, tcp_guest_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(memory),
		CASE(connections),
	};

	return cmocka_run_group_tests(tests, tcp_guest_make_noise, NULL);
}
