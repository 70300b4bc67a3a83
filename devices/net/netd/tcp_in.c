/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a segment from a guest does to its connection (RFC 9293 §3.10.7). Data that comes in order
 * goes straight to the host's socket, and into a ring only if that is full; what comes out of order
 * is not kept: the guest's port keeps the order, so it means a loss. Answers wait for tcp_poll(),
 * so that many segments get one.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "devices/net/netd/tcp_conn.h"

#define DUP_ACKS 3u /* RFC 5681 §3.2 */

/* Sends to the host what it takes now: how much, or -errno. */
static int64_t send_now(const struct conn *c, const uint8_t *p, uint32_t n)
{
	ssize_t r;

	do
		r = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
		return 0;
	return r < 0 ? -errno : r;
}

/*
 * What it had sent before is still to be read, as it would have been by a guest that had the
 * connection to itself.
 */
static void host_takes_nothing(struct conn *c)
{
	byte_ring_drop(&c->to_host, c->to_host.len);
	c->broken = c->eof ? CONN_NO_MORE : CONN_NO_WRITING;
	c->readable = !c->eof;
}

void conn_to_host(struct tcp *tcp, struct conn *c)
{
	while (c->to_host.len > 0) {
		struct iovec v = byte_ring_at(&c->to_host, 0, c->to_host.len);
		int64_t r = send_now(c, v.iov_base, (uint32_t)v.iov_len);

		if (r < 0) {
			host_takes_nothing(c);
			break;
		}
		byte_ring_drop(&c->to_host, (uint32_t)r);
		if (r > 0)
			c->host_ms = tcp->now_ms;
		if ((size_t)r < v.iov_len)
			break;
	}
	if (c->to_host.len == 0) {
		byte_ring_release(&c->to_host, conn_rings(tcp, c));
		if (c->guest_fin && !c->shut) {
			c->shut = 1;
			shutdown(c->fd, SHUT_WR);
		}
	}
	/* A window that was closed, or nearly so, is told when it is worth a segment. */
	if (seq_diff(c->rcv_nxt + conn_window(c), c->rcv_adv) >= (int32_t)conn_window_max(c) / 2)
		c->ack_due = 1;
}

/* In order and within the window: how much is taken. */
static uint32_t take_data(struct tcp *tcp, struct conn *c, const uint8_t *p, uint32_t n)
{
	uint32_t done = 0;

	if (c->broken)
		return n;
	if (c->to_host.len == 0) {
		int64_t r = send_now(c, p, n);

		c->host_ms = tcp->now_ms;
		if (r < 0) {
			host_takes_nothing(c);
			return n;
		}
		done = (uint32_t)r;
	}
	if (done < n)
		done += byte_ring_put(&c->to_host, conn_rings(tcp, c), p + done, n - done);
	return done;
}

/* RFC 9293 §3.10.7.4, "check sequence number" and "process the segment text". */
static void input_data(struct tcp *tcp, struct conn *c, const struct segment *s)
{
	int32_t known = seq_diff(c->rcv_nxt, s->seq); /* bytes in front that came before */
	uint32_t n = s->len, taken;
	int fin = s->flags & TCP_FIN;

	if (n == 0 && !fin) {
		/* A probe, of the window or of whether we are there (RFC 9293 §3.8.4). */
		c->ack_due |= known > 0;
		return;
	}
	c->ack_due = 1;
	if (known < 0 || c->guest_fin || (uint32_t)known > n)
		return;
	n -= (uint32_t)known;
	if (n > BYTE_RING_SIZE - c->to_host.len) {
		n = BYTE_RING_SIZE - c->to_host.len;
		fin = 0;
	}
	taken = n > 0 ? take_data(tcp, c, s->data + known, n) : 0;
	c->rcv_nxt += taken;
	if (fin && taken == n) {
		c->rcv_nxt++;
		c->guest_fin = 1;
		conn_to_host(tcp, c);
	}
}

/* What the guest has got. 0 if the segment cannot be of this connection. */
static int input_ack(struct tcp *tcp, struct conn *c, const struct segment *s)
{
	uint32_t wnd = (uint32_t)s->window << c->scale, acked = s->ack - c->una, bytes;

	if (seq_diff(s->ack, c->una) < 0)
		return 1; /* an old one */
	if (seq_diff(s->ack, c->max) > 0) {
		c->ack_due = 1;
		return 0;
	}
	if (acked == 0) {
		if (wnd == 0)
			c->tries = 0; /* it is there, and has no room (RFC 9293 §3.8.6.1) */
		if (s->len || s->flags & TCP_FIN || wnd != c->wnd || c->max == c->una) {
			/* It had no room for a probe's byte, and now has. */
			if (c->wnd == 0 && wnd > 0)
				c->nxt = c->una;
			c->wnd = wnd;
			return 1;
		}
		if (++c->dup_acks == DUP_ACKS && seq_diff(c->una, c->recover) > 0) {
			c->recover = c->max;
			c->nxt = c->una;
		}
		return 1;
	}
	bytes = acked < c->to_guest.len ? acked : c->to_guest.len;
	byte_ring_drop(&c->to_guest, bytes);
	if (bytes < acked)
		c->fin_acked = 1;
	c->una = s->ack;
	/* It stays near, or would be ahead again 2 GiB later. */
	if (seq_diff(c->una, c->recover) > 0)
		c->recover = c->una - 1;
	c->moved_ms = tcp->now_ms;
	if (seq_diff(c->nxt, c->una) < 0)
		c->nxt = c->una;
	c->wnd = wnd;
	c->dup_acks = 0;
	c->tries = 0;
	conn_set_timer(tcp, c);
	return 1;
}

/* The guest's answer to SYN-ACK. */
static int input_handshake(struct tcp *tcp, struct conn *c, const struct segment *s)
{
	if (s->ack != c->una + 1) {
		tcp_refuse(tcp, s);
		return 0;
	}
	c->state = CONN_OPEN;
	c->una = c->nxt = c->max = s->ack;
	c->recover = s->ack - 1;
	c->wnd = (uint32_t)s->window << c->scale;
	c->tries = 0;
	c->timer_ms = 0;
	c->readable = 1;
	return 1;
}

void conn_input(struct tcp *tcp, struct conn *c, const struct segment *s)
{
	c->seen_ms = tcp->now_ms;
	memcpy(c->mac, s->mac, sizeof(c->mac));
	c->touched = 1;
	if (s->flags & TCP_RST) {
		/* RFC 5961 §3.2: only the very next number ends it. */
		if (s->seq == c->rcv_nxt)
			conn_abort(c);
		else if (c->state == CONN_OPEN)
			c->ack_due = 1;
		return;
	}
	if (c->state == CONN_CONNECTING)
		return;
	if (s->flags & TCP_SYN) {
		/* Again; or of a guest that has started anew, whom our answer makes reset it. */
		if (c->state == CONN_SYN_RECEIVED && s->seq + 1 == c->rcv_nxt)
			conn_send_syn_ack(tcp, c);
		else
			c->ack_due = 1;
		return;
	}
	if (!(s->flags & TCP_ACK))
		return;
	if (c->state == CONN_SYN_RECEIVED && !input_handshake(tcp, c, s))
		return;
	if (input_ack(tcp, c, s))
		input_data(tcp, c, s);
}
