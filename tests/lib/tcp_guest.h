/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_TCP_GUEST_H
#define TESTS_LIB_TCP_GUEST_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "devices/net/netd/segment.h"
#include "devices/net/netd/tcp.h"

/*
 * A guest in front of netd's TCP, and the programs on the host's loopback behind it: what tests of
 * tcp.h share. All of it asserts; what comes from the module is checked as it comes.
 */
#define TCP_GUEST_TURNS 2000        /* of 1 ms at most, until a test gives up */
#define TCP_GUEST_ISS   0xfffff000u /* wraps soon */
#define TCP_GUEST_NOISE (5u << 20)
#define TCP_GUEST_FDS   (2 * TCP_CONNECTIONS_MAX) /* that the module may poll */

/* A guest's end of one connection; its numbers are those of RFC 9293. */
struct tcp_guest {
	int v6, fd; /* the host's end, once accepted */
	uint16_t port, window, mss;
	int8_t scale;     /* of our windows; -1: none */
	int8_t its_scale; /* the same of the module's */
	const char *to;   /* NULL: the gateway */
	unsigned from;    /* the number of its port; 0: 1 */
	uint32_t seq, ack;
	uint32_t edge, least; /* where the module's window ends; the smallest it was */
	/* For exchange() in test_netd_tcp_bulk.c: */
	uint32_t iss, una, told; /* told: where ours ends */
	uint32_t up, got_host, put_host;
	unsigned dup_acks;
	uint8_t answer, reset;
};

#define TCP_GUEST(p)                                                            \
	{                                                                       \
		.port = (p), .window = 65535, .mss = 1460, .scale = 0, .fd = -1 \
	}

extern struct tcp *tcp_guest_module;               /* what is tested */
extern int tcp_guest_listen_fd, tcp_guest_v6_fd;   /* the host's listeners; v6: -1 where not */
extern int tcp_guest_fds_before;                   /* descriptors before the test */
extern int tcp_guest_timeout_said;                 /* by the module in the last turn, in ms */
extern struct pollfd tcp_guest_fds[TCP_GUEST_FDS]; /* of the last turn */
extern uint8_t tcp_guest_noise[TCP_GUEST_NOISE], tcp_guest_scratch[1 << 20];
extern unsigned tcp_guest_takes; /* frames until the module hears that its port is full; 0: never */

int tcp_guest_make_noise(void **state); /* of the group: cmocka's setup */
int tcp_guest_setup(void **state);      /* of each test, and its end */
int tcp_guest_teardown(void **state);   /* fails where a descriptor is left */

/*
 * The host's clock and what tcp_guest_later() has skipped. A test program that skips defines
 * clock_gettime() to call this; here it would be every program's.
 */
int tcp_guest_clock_gettime(clockid_t id, struct timespec *ts);
void tcp_guest_later(unsigned ms);

uint32_t tcp_guest_rnd(uint32_t below);
/* Descriptors for @n connections, of which both ends are here; else the test is skipped. */
void tcp_guest_need_files(unsigned n);
int tcp_guest_fds_open(void);

/* The module again, in a network of that MTU. */
void tcp_guest_create(uint32_t mtu);
void tcp_guest_turn(int hold, int wait_ms);

/* The next segment that came, or NULL; it is there until the next call. */
const struct segment *tcp_guest_next(void);
int tcp_guest_has_next(void);
/* Takes turns until a segment comes, which has these flags and PSH or not. */
struct segment tcp_guest_expect(uint8_t flags);
struct segment tcp_guest_expect_ack(const struct tcp_guest *g);
struct segment tcp_guest_expect_data(struct tcp_guest *g, const void *want, size_t len);
void tcp_guest_expect_nothing(void);

/* A segment with the guest's acknowledgement and window: what tcp_input() says. */
int tcp_guest_say(const struct tcp_guest *g, uint8_t flags, uint32_t seq, const void *data,
		  size_t len);
int tcp_guest_say_ack(const struct tcp_guest *g);
void tcp_guest_say_data(struct tcp_guest *g, const void *data, size_t len);
uint32_t tcp_guest_window_of(const struct tcp_guest *g, const struct segment *s);
/* Sends noise until the window is closed: how much went out. */
uint32_t tcp_guest_fill_window(struct tcp_guest *g);

/* Opens a connection: the SYN; what a SYN-ACK says, and the host accepts; both. */
void tcp_guest_start(struct tcp_guest *g);
void tcp_guest_finish(struct tcp_guest *g, const struct segment *s);
void tcp_guest_open(struct tcp_guest *g);
/* Ends a connection, and what came of it. */
void tcp_guest_drop(struct tcp_guest *g);
/* The module has no socket of the connection any more; nor have we. */
void tcp_guest_assert_gone(struct tcp_guest *g, int before);

/* The host's end has exactly these bytes, and the next may be the end of all. */
void tcp_guest_host_reads(const struct tcp_guest *g, const void *want, size_t len);
/* The host's end sees the end (0), or a reset (-ECONNRESET). */
void tcp_guest_host_ends(const struct tcp_guest *g, int how);
void tcp_guest_host_sends(const struct tcp_guest *g, const void *p, size_t len);

#endif
