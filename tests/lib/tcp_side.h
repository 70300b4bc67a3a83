/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_TCP_SIDE_H
#define TESTS_LIB_TCP_SIDE_H

#include <stdint.h>

#include "devices/net/netd/tcp_conn.h"
#include "tests/lib/fake_sockets.h"
#include "tests/lib/tcp_frames.h"

/*
 * What a fuzzer of netd's TCP knows: of each connection what guest and host have sent and got, and
 * of the module what it may do now. All that comes from the module is judged by it. Both ends send
 * a pattern, so that a byte says where it belongs. Link it with fake_sockets.o.
 */
#define SIDES         FAKE_PEERS
#define SIDE_DATA_MAX 65480u

/* What the guest and the host know of one connection after the other. */
struct side {
	struct flow flow;
	unsigned from; /* the guest's port */
	uint8_t mac[6];
	struct fake_peer *peer; /* the host */
	int wild;               /* the guest has sent what is far off */
	int known;              /* irs is */
	uint32_t salt;          /* of the pattern */
	uint32_t iss, irs;
	uint16_t mss;
	int8_t scale;
	uint32_t rcv_nxt, edge;  /* the guest's: what it has, what it takes */
	uint32_t edge_max;       /* the furthest it ever told */
	uint32_t una;            /* the most that it acknowledged */
	uint32_t snd_max;        /* the end of what it has sent */
	uint32_t last_ack, told; /* the module's: the last, and the end of its window */
	int acked;               /* it has sent an ACK */
	uint64_t written, read;  /* by the host */
	int closed;              /* the host sends no more */
	int news;                /* something came */
};

/* Further connections, all in one: of their guest's ports from this on. */
#define CROWD_PORT 20000u
#define CROWD_MAX  (TCP_CONNECTIONS_MAX + 8u)

struct world {
	struct tcp *tcp;
	struct side side[SIDES];
	uint32_t crowd_irs[CROWD_MAX];
	uint32_t mtu;
	unsigned came;  /* frames from the module */
	int in_poll;    /* tcp_poll() runs */
	int held;       /* nothing that can wait may be sent */
	int budget;     /* frames until send() says no */
	uint8_t losing; /* bits: which frames get lost */
};

extern struct world world;

/* A module in a world of four connections: two of each family, the first and third to the host. */
void world_start(uint32_t mtu, int small_buffers);
/* Nothing is left open. */
void world_stop(void);

/*
 * Asks what to wait for, as of now; @deaf: bits that make it hear less. Whether the module would be
 * called again at once.
 */
int world_wait(int hold, uint8_t deaf, int *timeout_ms);
/*
 * As the hub's turn, but begun behind poll(2): what has come from the guest came after it, and a
 * descriptor may be another's by now.
 */
int world_turn(int hold, uint8_t deaf, int *timeout_ms);
/* With nothing new the module comes to rest, and does not ask to be called for ever. */
void world_settle(int hold);

struct conn *side_conn(const struct side *s); /* or NULL */
/* SIDE_DATA_MAX bytes at least, which belong at @off. */
const uint8_t *side_bytes(const struct side *s, int64_t off);
/* Gives the module a segment of a side with the bytes of their place: what tcp_input() says. */
int side_give(const struct side *s, const struct tcp_frame *o);
/* What is known once the guest has sent that; before it is given. */
void side_note(struct side *s, const struct tcp_frame *o, int wild);

/* The host's program. side_host_read(): 1 if something was there. */
void side_host_write(struct side *s, uint32_t n);
int side_host_read(struct side *s, uint32_t n);
void side_host_close(struct side *s, int all);

#endif
