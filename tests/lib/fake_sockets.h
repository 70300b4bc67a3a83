/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_FAKE_SOCKETS_H
#define TESTS_LIB_FAKE_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The host's sockets and clock for a fuzzer of what connects to the world: link it by name, and
 * socket(), connect(), getsockopt() and clock_gettime() are these. A socket of an internet family
 * is one end of a socketpair, the other is the fuzzer's. What else calls them gets the kernel's.
 */
#define FAKE_PEERS 4u

/* What becomes of connect(). */
enum fake_how { FAKE_NOW, FAKE_SOON, FAKE_NEVER, FAKE_REFUSED, FAKE_SILENT };

/* Who is connected to. */
struct fake_peer {
	int fd;       /* its end, or -1 */
	int opened;   /* a socket was made for it */
	int how;      /* FAKE_* */
	int loopback; /* it may be there; nobody else may */
};

extern struct fake_peer fake_peer[FAKE_PEERS];
/* Whom the next socket is for. NULL: one of the crowd, who all share one socket for records. */
extern struct fake_peer *fake_opening;
extern uint64_t fake_now_ns; /* CLOCK_MONOTONIC */

/* From here on it is so; @small_buffers: sockets take little. */
void fake_sockets_start(int small_buffers);
/* As before; what was given out is closed by now. */
void fake_sockets_stop(void);

/* A descriptor that is in use now was given out. */
int fake_sockets_gave(int fd);
/* One record for whoever of the crowd reads first. */
void fake_crowd_send(const void *p, size_t len);

#endif
