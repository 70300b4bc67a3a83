/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What netd's TCP sends to a guest. A segment goes from the ring to the guest's port as it lies;
 * until it is acknowledged it stays in the ring. There is no congestion between here and a guest,
 * and so no window for it; a loss is a guest that did not take what was in its port's queue.
 */
#include "devices/net/netd/tcp_conn.h"

#include <string.h>
#include <sys/socket.h>

_Static_assert((65535u << TCP_SCALE) <= BYTE_RING_SIZE, "what is offered has a place");

/*
 * As many whole segments as the field and the ring have room for: a remainder would come in a frame
 * of its own.
 */
uint32_t conn_window_max(const struct conn *c)
{
	uint32_t all = c->scaled ? 65535u << TCP_SCALE : 65535u;

	return all - all % c->mss;
}

uint32_t conn_window(const struct conn *c)
{
	uint32_t all = conn_window_max(c), free = all > c->to_host.len ? all - c->to_host.len : 0;

	return c->scaled ? free >> TCP_SCALE << TCP_SCALE : free;
}

/* When the port has no room for more, nothing else goes out in this turn but what cannot wait. */
static void transmit(struct tcp *tcp, struct segment *s, struct iovec data)
{
	uint8_t head[SEGMENT_HEAD_MAX];
	struct iovec v[2] = {{head, 0}, data};
	struct net_hdr hdr;

	s->len = (uint32_t)data.iov_len;
	v[0].iov_len = segment_head(head, s, &hdr);
	if (!tcp->params.send(tcp->params.arg, &hdr, v, data.iov_len ? 2 : 1))
		tcp->hold = 1;
}

static void send_segment(struct tcp *tcp, struct conn *c, struct segment *s, struct iovec data)
{
	uint32_t window = conn_window(c);

	s->flow = c->flow;
	memcpy(s->mac, c->mac, sizeof(s->mac));
	s->flags |= TCP_ACK;
	s->ack = c->rcv_nxt;
	/* Never scaled in a SYN (RFC 7323 §2.2). */
	if (s->flags & TCP_SYN)
		window = window > 65535 ? 65535 : window;
	c->rcv_adv = c->rcv_nxt + window;
	s->window = (uint16_t)(c->scaled && !(s->flags & TCP_SYN) ? window >> TCP_SCALE : window);
	c->ack_due = 0;
	transmit(tcp, s, data);
}

/* For a segment without data: one from beyond its window a guest does not look at. */
static uint32_t bare_seq(const struct conn *c)
{
	uint32_t end = c->una + c->wnd;

	return c->state == CONN_OPEN && seq_diff(c->max, end) > 0 ? end : c->max;
}

void conn_send_ack(struct tcp *tcp, struct conn *c)
{
	struct segment s = {.seq = bare_seq(c)};

	send_segment(tcp, c, &s, (struct iovec){0});
}

void conn_send_syn_ack(struct tcp *tcp, struct conn *c)
{
	struct segment s = {
		.seq = c->una,
		.flags = TCP_SYN,
		.mss = (uint16_t)(tcp->params.mtu - (c->flow.family == AF_INET ? 40 : 60)),
		.scale = (int8_t)(c->scaled ? (int)TCP_SCALE : -1),
	};

	send_segment(tcp, c, &s, (struct iovec){0});
	c->nxt = c->max = c->una + 1;
	conn_set_timer(tcp, c);
}

void conn_reset(struct tcp *tcp, struct conn *c)
{
	struct segment s = {.seq = c->state == CONN_CONNECTING ? 0 : bare_seq(c), .flags = TCP_RST};

	send_segment(tcp, c, &s, (struct iovec){0});
	conn_abort(c);
}

void tcp_refuse(struct tcp *tcp, const struct segment *s)
{
	struct segment rst = {.flow = s->flow, .flags = TCP_RST};

	memcpy(rst.mac, s->mac, sizeof(rst.mac));
	if (s->flags & TCP_ACK) {
		rst.seq = s->ack;
	} else {
		rst.flags |= TCP_ACK;
		rst.ack = s->seq + s->len + !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN);
	}
	transmit(tcp, &rst, (struct iovec){0});
}

/* Runs while something is sent and not acknowledged, or waits for a window (RFC 9293 §3.8.6.1). */
void conn_set_timer(struct tcp *tcp, struct conn *c)
{
	uint64_t after = (uint64_t)TCP_RTO_MS << (c->tries < 8 ? c->tries : 8);
	int waiting = c->to_guest.len > 0 || (c->eof && !c->fin_acked);

	if (after > TCP_RTO_MAX)
		after = TCP_RTO_MAX;
	c->timer_ms = c->state == CONN_SYN_RECEIVED || waiting ? tcp->now_ms + after : 0;
}

/*
 * One segment of what was not sent: 0 if there is nothing to send now. A part of a segment waits as
 * long as an acknowledgement is to come: it brings a larger window, or more has come by then
 * (RFC 9293 §3.8.6.2.1).
 */
static int next_segment(const struct conn *c, uint32_t *off, uint32_t *n, int *fin)
{
	uint32_t sent = c->nxt - c->una, left, room;

	if (c->fin_acked || sent > c->to_guest.len)
		return 0; /* FIN has been sent */
	left = c->to_guest.len - sent;
	room = c->wnd > sent ? c->wnd - sent : 0;
	*off = sent;
	*n = left < room ? left : room;
	if (*n > c->mss)
		*n = c->mss;
	if (*n < left && *n < c->mss && sent)
		return 0;
	*fin = c->eof && *n == left;
	return *n > 0 || *fin;
}

/* Sends @n bytes from @off of the ring on. */
static void send_data(struct tcp *tcp, struct conn *c, uint32_t off, uint32_t n, int fin)
{
	struct segment s = {.seq = c->una + off};
	struct iovec data = {0};

	if (n > 0)
		data = byte_ring_at(&c->to_guest, off, n);
	if (data.iov_len < n)
		fin = 0; /* the ring's end cuts it */
	if (fin)
		s.flags = TCP_FIN;
	if (off + data.iov_len == c->to_guest.len)
		s.flags |= TCP_PSH;
	c->nxt = s.seq + (uint32_t)data.iov_len + (uint32_t)fin;
	if (seq_diff(c->nxt, c->max) > 0)
		c->max = c->nxt;
	send_segment(tcp, c, &s, data);
}

void conn_push(struct tcp *tcp, struct conn *c)
{
	uint32_t off, n;
	int fin;

	if (c->state != CONN_OPEN)
		return;
	while (!tcp->hold && next_segment(c, &off, &n, &fin))
		send_data(tcp, c, off, n, fin);
	if (!c->timer_ms)
		conn_set_timer(tcp, c);
}

void conn_timer(struct tcp *tcp, struct conn *c)
{
	c->tries++;
	if (c->tries > TCP_TRIES) {
		conn_reset(tcp, c);
		return;
	}
	if (c->state == CONN_SYN_RECEIVED) {
		conn_send_syn_ack(tcp, c);
		return;
	}
	c->nxt = c->una;
	c->recover = c->max;
	/* A byte beyond a closed window makes the guest tell its window again. */
	if (c->wnd == 0)
		send_data(tcp, c, 0, c->to_guest.len > 0, c->to_guest.len == 0 && c->eof);
	conn_set_timer(tcp, c);
	conn_push(tcp, c);
}
