/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_TCP_CONN_H
#define DEVICES_NET_NETD_TCP_CONN_H

#include <stdint.h>

#include "devices/net/netd/byte_ring.h"
#include "devices/net/netd/segment.h"
#include "devices/net/netd/tcp.h"

/*
 * For the files of netd's TCP:
 *
 *	tcp.c      the table of connections, their sockets, their poll set
 *	tcp_in.c   what a segment from a guest does to its connection
 *	tcp_out.c  what is sent to a guest, and when again
 *
 * Sequence numbers to the guest (RFC 9293 §3.3.1); the ring begins at una:
 *
 *	     una              nxt        max         una + to_guest.len
 *	------|----------------|----------|---------------|---- [FIN]
 *	      sent, not acked    to be sent (again)
 */
#define TCP_SCALE   3u /* of our windows; 8 divides eight segments of the largest size */
#define TCP_RTO_MS  1000u
#define TCP_RTO_MAX 64000u
#define TCP_TRIES   12u

enum conn_state {
	CONN_CONNECTING,   /* the host's side is being opened */
	CONN_SYN_RECEIVED, /* it is: SYN-ACK was sent */
	CONN_OPEN,
};

/* The host's socket has failed. */
enum conn_broken {
	CONN_WHOLE,
	CONN_NO_WRITING, /* it takes nothing, and may still have what came before */
	CONN_NO_MORE,    /* nor has it anything */
};

struct conn {
	struct conn *next; /* in its chain */
	struct flow flow;
	uint8_t mac[6];
	enum conn_state state;
	int fd;
	unsigned from;     /* the guest's port */
	uint64_t seen_ms;  /* when the guest last said something */
	uint64_t moved_ms; /* when it last took something, or there was nothing to take */
	uint64_t host_ms;  /* the same of the host */

	uint32_t una, nxt, max;
	uint32_t wnd; /* what the guest takes from una on */
	uint16_t mss;
	uint8_t scale; /* of the guest's windows; ours have one if the guest's have */
	uint8_t scaled;
	uint8_t dup_acks;
	uint32_t recover; /* no second fast retransmit before una is here (RFC 6582) */
	uint64_t timer_ms;
	unsigned tries;

	uint32_t rcv_nxt, rcv_adv; /* what comes next; the end of the window as last told */

	uint8_t touched;   /* tcp_poll() has to look at it */
	uint8_t dead;      /* its memory goes at the end of the turn */
	uint8_t readable;  /* the socket may have something */
	uint8_t eof;       /* the host has sent all: FIN follows the ring */
	uint8_t broken;    /* enum conn_broken: a reset follows the ring */
	uint8_t fin_acked; /* and the guest knows */
	uint8_t guest_fin; /* the guest has sent all */
	uint8_t shut;      /* and the host knows */
	uint8_t ack_due;

	struct byte_ring to_guest, to_host;
};

#define TCP_BUCKETS 1024u
#define TCP_TABLE   (2u * TCP_CONNECTIONS_MAX)

/* What the guest at one port has of what all share. */
struct tcp_port {
	struct byte_share rings;
	unsigned n_conns;
	uint64_t gave_way;   /* the turn in which a connection ended for a new one of its */
	uint64_t reclaim_ms; /* before it none of its connections has been stalled for long */
};

struct tcp {
	struct tcp_params params;
	struct byte_pool pool;
	uint64_t now_ms;
	uint64_t turn;
	uint64_t key;
	unsigned max; /* connections, but for those that gave way in this turn */
	uint8_t hold;
	unsigned n_conns;
	unsigned first; /* whose turn it is when a port has room again */
	struct tcp_port port[TCP_PORTS];
	struct conn *bucket[TCP_BUCKETS];
	struct conn *conn[TCP_TABLE];
	struct conn *polled[TCP_TABLE];
};

/* tcp.c */
/* Closes the socket; the memory goes at the end of the turn. */
void conn_end(struct conn *c);
/* The same, and the host's peer sees a reset. */
void conn_abort(struct conn *c);

/* tcp_in.c: the segment is of this connection. */
void conn_input(struct tcp *tcp, struct conn *c, const struct segment *s);
/* Passes what waits for the host on, and the end. A host that takes nothing is noted. */
void conn_to_host(struct tcp *tcp, struct conn *c);

/* tcp_out.c */
uint32_t conn_window_max(const struct conn *c);
uint32_t conn_window(const struct conn *c); /* now */
void conn_send_syn_ack(struct tcp *tcp, struct conn *c);
void conn_send_ack(struct tcp *tcp, struct conn *c);
/* Tells the guest that the connection is gone, and ends it. */
void conn_reset(struct tcp *tcp, struct conn *c);
/* RST for a segment that belongs to nothing (RFC 9293 §3.10.7.1). */
void tcp_refuse(struct tcp *tcp, const struct segment *s);
/* Sends what the guest's window allows. */
void conn_push(struct tcp *tcp, struct conn *c);
void conn_set_timer(struct tcp *tcp, struct conn *c);
void conn_timer(struct tcp *tcp, struct conn *c);

/* Where the memory of its rings comes from. */
static inline struct byte_share *conn_rings(struct tcp *tcp, const struct conn *c)
{
	return &tcp->port[c->from].rings;
}

/* a - b of sequence numbers (RFC 9293 §3.4). */
static inline int32_t seq_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

#endif
