/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both ends of four connections, and the judge of what netd's TCP sends between them: well-formed,
 * within the window and the segment size that the guest told, and what the host wrote at that
 * place; what the host reads is what the guest sent at that place; nothing goes out while it may
 * not; a turn with nothing to do waits. Knows the module's inside, and not the input.
 */
#include "tests/lib/tcp_side.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/fuzz_check.h"

#define FDS_MAX (TCP_CONNECTIONS_MAX + 16u)
#define PERIOD  65521 /* of the pattern: prime, so that no ring's size hides a shift */
#define SETTLE  64u   /* turns in which nothing new comes until the module waits */

struct world world;

static uint8_t pattern[PERIOD + SIDE_DATA_MAX + 1];
static struct pollfd fds[FDS_MAX]; /* of the last tcp_fill() */
static unsigned n_fds;

const uint8_t *side_bytes(const struct side *s, int64_t off)
{
	int64_t at = (off + (int64_t)s->salt * 977) % PERIOD;

	return pattern + (at < 0 ? at + PERIOD : at);
}

struct conn *side_conn(const struct side *s)
{
	for (unsigned i = 0; i < world.tcp->n_conns; i++)
		if (!world.tcp->conn[i]->dead &&
		    !memcmp(&world.tcp->conn[i]->flow, &s->flow, sizeof(s->flow)))
			return world.tcp->conn[i];
	return NULL;
}

/* --- frames from the module --- */

static void got_syn_ack(struct side *s, const uint8_t *t, size_t rest)
{
	CHECK(t[13] == (TCP_SYN | TCP_ACK) && rest == tcp_frame_head(t));
	s->news = 1;
	CHECK(tcp_frame_get32(t + 8) == s->iss + 1);
	CHECK(!s->known || s->irs == tcp_frame_get32(t + 4));
	CHECK(t[20] == 2 && t[21] == 4 &&
	      tcp_frame_get16(t + 22) == world.mtu - (s->flow.family == AF_INET ? 40 : 60));
	CHECK((rest == 28 && t[24] == 1 && t[25] == 3 && t[26] == 3 && t[27] <= 14) ==
	      (s->scale >= 0));
	if (s->known)
		return;
	s->told = s->iss + 1 + tcp_frame_get16(t + 14);
	s->known = 1;
	s->irs = tcp_frame_get32(t + 4);
	s->rcv_nxt = s->edge = s->edge_max = s->una = s->irs + 1;
}

/* Bytes for the guest, and the end of them. */
static void got_data(struct side *s, uint32_t seq, const uint8_t *p, uint32_t n, int fin)
{
	const struct conn *c = side_conn(s);
	uint32_t off = seq - (s->irs + 1), mss = s->mss ? s->mss : 536, take = n;
	uint32_t most = world.mtu - (s->flow.family == AF_INET ? 40 : 60);

	mss = mss < 48 ? 48 : mss;
	CHECK(n <= (mss < most ? mss : most));
	CHECK(!world.held);
	CHECK(c && seq_diff(seq, s->una) >= 0);
	CHECK((uint64_t)off + n <= s->written);
	CHECK(!memcmp(p, side_bytes(s, off), n));
	/* Within the window, but for a byte that asks for a new one. */
	CHECK(seq_diff(seq + n, s->edge_max) <= 0 || (n == 1 && seq == s->una));
	CHECK(seq - c->una + n <= (c->wnd ? c->wnd : 1));
	CHECK(!fin || (s->closed && off + n == s->written));
	if (seq_diff(seq, s->rcv_nxt) > 0 || seq_diff(seq + n, s->rcv_nxt) < 0)
		return;
	/* What is beyond its window a guest does not keep. */
	if (seq_diff(seq + n, s->edge) > 0) {
		take = seq_diff(s->edge, seq) > 0 ? s->edge - seq : 0;
		fin = 0;
	}
	if (seq_diff(seq + take, s->rcv_nxt) >= 0)
		s->rcv_nxt = seq + take + !!fin;
}

static int hear(void *arg, const struct net_hdr *hdr, const struct iovec *v, unsigned n)
{
	static uint8_t f[NET_FRAME_MAX];
	size_t len = 0, rest, head;
	struct flow flow;
	struct side *s = NULL;
	const struct conn *c;
	const uint8_t *t;
	int lost = world.losing & 1;
	uint32_t edge;

	(void)arg;
	world.came++;
	world.losing = (uint8_t)(world.losing >> 1 | world.losing << 7);
	CHECK(n >= 1 && n <= 2);
	for (unsigned i = 0; i < n; len += v[i++].iov_len) {
		CHECK(len + v[i].iov_len <= sizeof(f) && v[i].iov_len);
		memcpy(f + len, v[i].iov_base, v[i].iov_len);
	}
	t = tcp_frame_check(hdr, f, len, world.mtu, &rest, &flow);
	head = tcp_frame_head(t);
	for (unsigned i = 0; i < SIDES; i++)
		if (!memcmp(&flow, &world.side[i].flow, sizeof(flow)))
			s = &world.side[i];
	if (!s) {
		uint32_t i = be16toh(flow.guest_port) - CROWD_PORT;

		CHECK(i < CROWD_MAX);
		if (t[13] & TCP_SYN)
			world.crowd_irs[i] = tcp_frame_get32(t + 4);
		return world.budget-- > 0;
	}
	if (t[13] & TCP_RST) {
		CHECK(rest == head);
		return world.budget-- > 0;
	}
	c = side_conn(s);
	CHECK(s->peer->opened && t[13] & TCP_ACK && c);
	if (t[13] & TCP_SYN) {
		if (!lost)
			got_syn_ack(s, t, rest);
		return world.budget-- > 0;
	}
	/* The module's state goes back never, and not further than the guest went. */
	edge = tcp_frame_get32(t + 8) +
	       (tcp_frame_get16(t + 14) << (s->scale >= 0 ? TCP_SCALE : 0));
	if (s->acked) {
		CHECK(seq_diff(tcp_frame_get32(t + 8), s->last_ack) >= 0);
		CHECK(seq_diff(edge, s->told) > -8);
	}
	if (!s->wild)
		CHECK(seq_diff(tcp_frame_get32(t + 8), s->snd_max) <= 0);
	/* Else the guest would not look at what it acknowledges. */
	if (rest == head && !(t[13] & TCP_FIN) && c->state == CONN_OPEN)
		CHECK(seq_diff(tcp_frame_get32(t + 4), c->una + c->wnd) <= 0);
	s->acked = 1;
	s->told = edge;
	s->last_ack = tcp_frame_get32(t + 8);
	s->news = 1;
	if ((rest > head || t[13] & TCP_FIN) && !lost && s->known)
		got_data(s, tcp_frame_get32(t + 4), t + head, (uint32_t)(rest - head),
			 t[13] & TCP_FIN);
	if (world.budget-- > 0)
		return 1;
	world.held = world.in_poll ? 1 : world.held;
	return 0;
}

/* --- frames from the guest --- */

int side_give(const struct side *s, const struct tcp_frame *o)
{
	size_t len;
	uint8_t *f = tcp_frame_make(&s->flow, s->mac, o,
				    side_bytes(s, seq_diff(o->seq, s->iss + 1)), &len);
	int taken = tcp_input(world.tcp, s->from, f, len, o->partial);

	free(f);
	return taken;
}

void side_note(struct side *s, const struct tcp_frame *o, int wild)
{
	uint32_t end = o->seq + o->len + !!(o->flags & TCP_FIN);
	const struct conn *c = side_conn(s);

	s->wild |= wild;
	if (seq_diff(end, s->snd_max) > 0)
		s->snd_max = end;
	if (!(o->flags & TCP_ACK) || !s->known || !c)
		return;
	/* An acknowledgement that is none for the module changes nothing, or is a lie of the
	 * guest's. */
	if (seq_diff(o->ack, c->max) > 0 || seq_diff(o->ack, s->una) < 0 ||
	    (c->state != CONN_OPEN && o->ack != s->irs + 1))
		return;
	s->una = o->ack;
	if (seq_diff(o->ack, s->rcv_nxt) > 0)
		s->rcv_nxt = o->ack;
	s->edge = o->ack + ((uint32_t)o->window << (s->scale >= 0 ? s->scale : 0));
	if (seq_diff(s->edge, s->edge_max) > 0)
		s->edge_max = s->edge;
}

/* --- the host --- */

void side_host_write(struct side *s, uint32_t n)
{
	ssize_t r;

	if (s->peer->fd < 0 || s->closed)
		return;
	r = send(s->peer->fd, side_bytes(s, (int64_t)s->written), n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r > 0)
		s->written += (uint64_t)r;
}

int side_host_read(struct side *s, uint32_t n)
{
	static uint8_t buf[SIDE_DATA_MAX];
	const struct conn *c = side_conn(s);
	ssize_t r;

	if (s->peer->fd < 0)
		return 0;
	r = recv(s->peer->fd, buf, n < sizeof(buf) ? n : sizeof(buf), MSG_DONTWAIT);
	if (r > 0) {
		CHECK(!memcmp(buf, side_bytes(s, (int64_t)s->read), (size_t)r));
		s->read += (uint64_t)r;
		CHECK(!c || (uint32_t)s->read <= c->rcv_nxt - (s->iss + 1));
	} else if (r == 0 && n && c) {
		/* The end, and before it all. */
		CHECK(c->guest_fin && (uint32_t)s->read + 1 == c->rcv_nxt - (s->iss + 1));
	}
	return r > 0;
}

void side_host_close(struct side *s, int all)
{
	if (s->peer->fd < 0)
		return;
	s->closed = 1;
	shutdown(s->peer->fd, SHUT_WR);
	if (!all)
		return;
	close(s->peer->fd);
	s->peer->fd = -1;
}

/* --- turns --- */

static void world_check(void)
{
	unsigned rings = 0, rings_of[TCP_PORTS] = {0}, conns_of[TCP_PORTS] = {0};

	CHECK(world.tcp->n_conns <= TCP_TABLE);
	for (unsigned i = 0; i < world.tcp->n_conns; i++) {
		const struct conn *c = world.tcp->conn[i];

		CHECK(!c->dead && c->to_host.len <= BYTE_RING_SIZE);
		CHECK(c->to_guest.len <= BYTE_RING_SIZE);
		CHECK(c->nxt - c->una <= c->max - c->una);
		CHECK(c->state != CONN_OPEN || c->max - c->una <= c->to_guest.len + c->eof);
		rings += !!c->to_guest.mem + !!c->to_host.mem;
		rings_of[c->from] += !!c->to_guest.mem + !!c->to_host.mem;
		conns_of[c->from]++;
	}
	for (unsigned i = 0; i < TCP_PORTS; i++) {
		CHECK(rings_of[i] == world.tcp->port[i].rings.n_out);
		CHECK(rings_of[i] <= world.tcp->pool.max / 2);
		CHECK(conns_of[i] == world.tcp->port[i].n_conns);
		CHECK(conns_of[i] <= TCP_CONNECTIONS_MAX);
	}
	CHECK(rings == world.tcp->pool.n_out && rings <= world.tcp->pool.max);
}

int world_wait(int hold, uint8_t deaf, int *timeout_ms)
{
	unsigned max = deaf & 64 ? deaf & 3 : FDS_MAX;
	int ready = 0;

	*timeout_ms = -1;
	n_fds = tcp_fill(world.tcp, fds, max, hold, timeout_ms);
	CHECK(n_fds <= max && *timeout_ms >= -1);
	while (poll(fds, n_fds, 0) < 0)
		CHECK(errno == EINTR);
	for (unsigned i = 0; i < n_fds; i++) {
		CHECK(!(fds[i].revents & POLLNVAL));
		/* A connection may take its time. */
		if (deaf & 128 && deaf >> (i & 3) & 1)
			fds[i].revents = 0;
		ready |= fds[i].revents;
	}
	return ready || *timeout_ms == 0;
}

int world_turn(int hold, uint8_t deaf, int *timeout_ms)
{
	int ms;

	world.in_poll = 1;
	world.held = hold;
	tcp_poll(world.tcp, fds, n_fds, hold);
	world.in_poll = world.held = 0;
	world_check();
	return world_wait(hold, deaf, timeout_ms ? timeout_ms : &ms);
}

void world_settle(int hold)
{
	unsigned turns = 0;

	world.budget = 1 << 30;
	while (world_turn(hold, 0, NULL))
		CHECK(++turns < SETTLE + world.tcp->n_conns);
}

/* --- the whole --- */

static void make_pattern(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(pattern); i++) {
		x = x * 1664525 + 1013904223;
		pattern[i] = i < PERIOD ? (uint8_t)(x >> 24) : pattern[i - PERIOD];
	}
}

static void set_up(unsigned i)
{
	struct side *s = &world.side[i];
	struct flow *f = &s->flow;

	/* Two guests, of two connections each. */
	*s = (struct side){.peer = &fake_peer[i], .from = 1 + i % 2};
	fake_peer[i].loopback = i % 2 == 0;
	f->family = i < 2 ? AF_INET : AF_INET6;
	f->guest_port = htobe16((uint16_t)(1000 + i));
	f->remote_port = htobe16(80);
	if (i < 2) {
		memcpy(f->guest, (uint8_t[]){10, 0, 2, 15}, 4);
		memcpy(f->remote, i ? (uint8_t[]){192, 0, 2, 1} : (uint8_t[]){10, 0, 2, 2}, 4);
		return;
	}
	memcpy(f->guest, (uint8_t[]){0xfe, 0xc0}, 2);
	f->guest[15] = 15;
	memcpy(f->remote, i == 2 ? (uint8_t[]){0xfe, 0xc0} : (uint8_t[]){0x20, 1}, 2);
	f->remote[15] = 2;
}

void world_start(uint32_t mtu, int small_buffers)
{
	struct tcp_params params = {.mtu = mtu, .send = hear};
	int ms;

	if (!pattern[0])
		make_pattern();
	world = (struct world){.mtu = mtu ? mtu : 1500, .budget = 1 << 30};
	fake_sockets_start(small_buffers);
	for (unsigned i = 0; i < SIDES; i++)
		set_up(i);
	CHECK(!tcp_create(&world.tcp, &params));
	world_wait(0, 0, &ms);
}

void world_stop(void)
{
	tcp_destroy(world.tcp);
	world.tcp = NULL;
	fake_sockets_stop();
}
