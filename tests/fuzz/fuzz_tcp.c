/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest of the input's making before netd's TCP: mostly what a guest would send, with sequence
 * numbers, windows and flags that are off by a little or by much; two guests at two ports, one of
 * which goes at times. The host's sockets and the clock are those of tests/lib/fake_sockets.h.
 *
 * Oracles: those of tests/lib/tcp_side.h for each frame and turn; what comes from another port, or
 * when a port has gone, changes what it should and no more; who waits for memory gets it; once
 * guest and host behave, all that was written arrives and all connections end; no descriptor stays
 * open.
 */
#include <endian.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/net/netd/tcp_conn.h"
#include "tests/lib/fake_sockets.h"
#include "tests/lib/fuzz_check.h"
#include "tests/lib/tcp_side.h"

#define OPS_MAX    120u
#define FINISH     4000u /* turns until all has arrived */
#define CROWD_FROM 3u    /* the crowd's port; those of the sides are 1 and 2 */

static uint32_t salts;
static int flooded, honest;

/* --- the input --- */

static const uint8_t *in_p;
static size_t in_left;

static uint8_t u8(void)
{
	if (!in_left)
		return 0;
	in_left--;
	return *in_p++;
}

static uint16_t u16(void)
{
	uint16_t v = u8();

	return (uint16_t)(v << 8 | u8());
}

static uint32_t u32(void)
{
	uint32_t v = u16();

	return v << 16 | u16();
}

/* --- frames from the guest --- */

static void send_syn(struct side *s)
{
	uint8_t c = u8(), how = u8();
	struct tcp_frame o = {.flags = TCP_SYN, .window = 65535, .syn_options = 1};

	if (side_conn(s)) {
		o.mss = s->mss;
		o.scale = s->scale;
		/* Once more, or from a guest that has started anew. */
		o.seq = c & 1 ? s->iss : u32();
		side_give(s, &o);
		return;
	}
	if (s->peer->fd >= 0)
		close(s->peer->fd);
	*s->peer = (struct fake_peer){.fd = -1, .loopback = s->peer->loopback};
	*s = (struct side){.flow = s->flow, .from = s->from, .peer = s->peer, .salt = salts++};
	memcpy(s->mac, (uint8_t[]){2, 0, 0, 0, 0, c >> 7}, 6);
	s->peer->how = how < 128 ? FAKE_NOW : how < 200 ? FAKE_SOON : how % 5;
	s->mss = (c & 7) == 7 ? u16() : (uint16_t[]){1460, 65480, 0, 536, 1, 8960, 32741}[c & 7];
	s->scale = (int8_t[]){7, -1, 0, 3, 14, 2, 9, 7}[c >> 3 & 7];
	s->iss = c & 64 ? u32() : 0xfffffff0u;
	s->snd_max = s->last_ack = s->iss + 1;
	s->known = 0;
	o.seq = s->iss;
	o.mss = s->mss;
	o.scale = s->scale;
	fake_opening = s->peer;
	CHECK(side_give(s, &o) == 1);
	fake_opening = NULL;
}

static uint32_t off_by(uint8_t c, int *wild)
{
	switch (c & 15) {
	default:
		return 0;
	case 11:
		return (uint32_t)-1;
	case 12:
		return u8();
	case 13:
		return (uint32_t) - (int)u8();
	case 14:
		*wild = 1;
		return (uint32_t)u16() << 4;
	case 15:
		*wild = 1;
		return u32();
	}
}

static uint32_t length(void)
{
	uint8_t c = u8();
	uint32_t n = c < 128   ? c
		     : c < 160 ? 1460
		     : c < 200 ? u16()
		     : c < 240 ? 8192
			       : SIDE_DATA_MAX;

	return n > SIDE_DATA_MAX ? SIDE_DATA_MAX : n;
}

/* What is done to a frame on the way. */
enum harm { HARM_NONE, HARM_CUT, HARM_DAMAGED, HARM_COPIED };

static void give_harmed(const struct side *s, const struct tcp_frame *o, int harm)
{
	size_t len, ip_len = s->flow.family == AF_INET ? 20 : 40;
	uint8_t *f = tcp_frame_make(&s->flow, s->mac, o, NULL, &len), *copy;
	uint8_t *t = f + 14 + ip_len, *at;

	if (harm == HARM_CUT) {
		len -= u8() % len;
	} else if (harm == HARM_DAMAGED) {
		at = f + 14 + u8() % (len - 14);
		/* But for what makes it another connection's, or opens one. */
		if (at >= t + 4 && at != t + 13)
			*at ^= (uint8_t)(1 + u8() % 255);
	}
	/* Of exactly its size. */
	copy = malloc(len);
	CHECK(copy);
	memcpy(copy, f, len);
	free(f);
	tcp_input(world.tcp, s->from, copy, len, o->partial);
	free(copy);
}

static void send_some(struct side *s, uint8_t flags, uint32_t len)
{
	uint8_t c = u8(), w = u8();
	int wild = 0;
	struct tcp_frame o = {
		.seq = s->last_ack + off_by(c, &wild),
		.ack = s->rcv_nxt + off_by(c >> 4, &wild),
		.len = len,
		.flags = flags,
		.window = w < 180   ? 65535
			  : w < 200 ? 0
			  : w < 220 ? w
				    : u16(),
		.partial = w & 1,
	};
	int harm = w >= 250 ? w & 3 : HARM_NONE;

	if (harm) {
		/* Whatever it is now: a guest may send it, but what it means is not followed. */
		for (unsigned i = 0; i < SIDES; i++)
			world.side[i].wild = 1;
		o.len = 0;
		o.flags &= (uint8_t)~TCP_ACK;
	}
	if ((o.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN && !side_conn(s)) {
		send_syn(s);
		return;
	}
	side_note(s, &o, wild || harm);
	if (harm)
		give_harmed(s, &o, harm);
	else
		side_give(s, &o);
}

/* --- guest and host behave --- */

/* The guest answers with what it has, and sends what the module takes. Its window is open. */
static void send_honest(struct side *s, uint8_t flags, uint32_t left)
{
	struct tcp_frame o = {
		.seq = s->last_ack, .ack = s->rcv_nxt, .flags = TCP_ACK, .window = 65535};
	uint32_t room = seq_diff(s->told, s->last_ack) > 0 ? s->told - s->last_ack : 0;

	o.len = left < room ? left : room;
	if (o.len > SIDE_DATA_MAX)
		o.len = SIDE_DATA_MAX;
	if (o.len == left)
		o.flags |= flags;
	side_note(s, &o, 0);
	side_give(s, &o);
}

/* All has come to where it goes. */
static int is_done(const struct side *s, uint32_t goal)
{
	const struct conn *c = side_conn(s);

	return !c || (c->state == CONN_OPEN && !c->to_host.len &&
		      (c->guest_fin || seq_diff(c->rcv_nxt, goal) >= 0) &&
		      s->rcv_nxt - (s->irs + 1) >= (uint32_t)s->written);
}

/* Guest and host do what they should, and the guest sends no probes: nobody has lost anything. */
static void behave(uint32_t more, int ending)
{
	uint32_t goal[SIDES];

	world.budget = 1 << 30;
	world.losing = 0;
	for (unsigned i = 0; i < SIDES; i++)
		goal[i] = world.side[i].last_ack + more;
	for (unsigned n = 0;; n++) {
		int done = 1, ms;

		CHECK(n < FINISH);
		for (unsigned i = 0; i < SIDES; i++) {
			struct side *s = &world.side[i];
			int32_t left = seq_diff(goal[i], s->last_ack);
			const struct conn *c;

			while (side_host_read(s, SIDE_DATA_MAX))
				;
			c = side_conn(s);
			if (!c || c->state == CONN_CONNECTING || !s->known)
				continue;
			if (s->news || n == 0)
				send_honest(s, ending && !c->guest_fin ? TCP_FIN : 0,
					    left > 0 && !c->guest_fin ? (uint32_t)left : 0);
			s->news = 0;
		}
		if (!world_turn(0, 0, &ms) && ms > 0)
			fake_now_ns += (uint64_t)ms * 1000000;
		for (unsigned i = 0; i < SIDES; i++)
			done &= ending ? !side_conn(&world.side[i])
				       : is_done(&world.side[i], goal[i]);
		if (done)
			return;
	}
}

/* A guest that is silent is given up: no timer runs for ever. */
static void leave_alone(void)
{
	unsigned n = 0;
	int ms;

	world.budget = 1 << 30;
	do {
		/* Whoever waits for a ring asks often. */
		if (!world_turn(0, 0, &ms) && ms > 0)
			fake_now_ns += (ms < 500 ? 500 : (uint64_t)ms) * 1000000;
		CHECK(++n < FINISH);
	} while (ms >= 0);
}

/* --- all at once --- */

/*
 * More wait for memory than there is, and those that have it are stalled for so long that they lose
 * it: nobody waits any more.
 */
static void reclaimed(void)
{
	fake_now_ns += 61000000000;
	for (unsigned i = 0; i < 3; i++)
		world_turn(0, 0, NULL);
	for (unsigned i = 0; i < world.tcp->n_conns; i++) {
		const struct conn *c = world.tcp->conn[i];

		CHECK(c->state != CONN_OPEN || !c->readable || c->eof || c->to_guest.mem);
	}
}

/* More connections than there may be, or more with something in them than there are rings. */
static void flood(int with_data)
{
	struct side many = {.flow = world.side[1].flow, .from = CROWD_FROM, .mac = {2}};
	struct tcp_frame o = {.flags = TCP_SYN,
			      .window = 65535,
			      .syn_options = 1,
			      .mss = 1460,
			      .scale = 7,
			      .partial = 1};
	unsigned n = with_data ? 300 : TCP_CONNECTIONS_MAX + 3;

	flooded = 1;
	for (unsigned i = 0; i < n; i++) {
		many.flow.guest_port = htobe16((uint16_t)(CROWD_PORT + i));
		CHECK(side_give(&many, &o) == 1);
	}
	if (!with_data)
		return;
	world.budget = 1 << 30;
	world_turn(0, 0, NULL);
	world_turn(0, 0, NULL);
	o = (struct tcp_frame){.seq = 1, .flags = TCP_ACK, .window = 65535};
	for (unsigned i = 0; i < n; i++) {
		many.flow.guest_port = htobe16((uint16_t)(CROWD_PORT + i));
		o.ack = world.crowd_irs[i] + 1;
		side_give(&many, &o);
		/* Each takes one, and is to have it acknowledged in vain. */
		fake_crowd_send("x", 1);
	}
	world_turn(0, 0, NULL);
	world_turn(0, 0, NULL);
	if (with_data == 3)
		reclaimed();
}

/* --- what else a guest does --- */

/* A probe of a window or of a life (RFC 9293 §3.8.4, §3.8.6.1): it is answered. */
static void keep_alive(struct side *s)
{
	struct conn *c = side_conn(s);
	struct tcp_frame o = {.ack = s->rcv_nxt, .flags = TCP_ACK, .window = 65535};

	if (!c || c->state != CONN_OPEN || !s->known)
		return;
	o.seq = c->rcv_nxt - 1;
	side_note(s, &o, 0);
	s->news = 0;
	side_give(s, &o);
	world_turn(1, 0, NULL);
	CHECK(s->news || !side_conn(s));
}

/* Somebody at another port speaks in this one's name: nobody listens. */
static void impersonate(const struct side *s)
{
	struct conn *c = side_conn(s), before;
	struct side other = *s;
	unsigned came = world.came;
	uint8_t by = u8();
	int wild;
	struct tcp_frame o = {.flags = u8(), .window = u16(), .len = length()};

	if (!c)
		return;
	memcpy(&before, c, sizeof(before));
	other.from = s->from % 2 + 1;
	other.mac[5] ^= 1;
	o.seq = c->rcv_nxt + off_by(by, &wild);
	o.ack = c->max + off_by(by >> 4, &wild);
	CHECK(side_give(&other, &o) == 1);
	CHECK(world.came == came && !memcmp(&before, c, sizeof(before)));
}

/* The guest at a port goes, and with it just what was its own. */
static void forget(unsigned from)
{
	static int was[TCP_TABLE];
	unsigned n = world.tcp->n_conns, came = world.came;

	for (unsigned i = 0; i < n; i++)
		was[i] = world.tcp->conn[i]->dead ? -1 : world.tcp->conn[i]->fd;
	tcp_forget(world.tcp, from);
	CHECK(world.tcp->n_conns == n && world.came == came);
	for (unsigned i = 0; i < n; i++) {
		const struct conn *c = world.tcp->conn[i];

		if (was[i] >= 0)
			CHECK(c->dead == (c->from == from) &&
			      fake_sockets_gave(was[i]) == !c->dead);
	}
}

/* The guest has lost something of what is under way. */
static void ask_again(struct side *s)
{
	const struct conn *c = side_conn(s);
	struct tcp_frame o = {.seq = s->last_ack, .ack = s->una, .flags = TCP_ACK, .window = 65535};

	side_host_write(s, 5000);
	world.budget = 1 << 30;
	world_turn(0, 0, NULL);
	if (!c || !s->known || side_conn(s) != c || c->state != CONN_OPEN)
		return;
	/* The first may still change the window. */
	for (unsigned i = 0; i < 4; i++) {
		side_note(s, &o, 0);
		side_give(s, &o);
	}
	world_turn(0, 0, NULL);
}

/* The guest has no room for some time, though the host has something for it. */
static void fill_up(struct side *s)
{
	const struct conn *c = side_conn(s);
	struct tcp_frame o = {.seq = s->last_ack, .ack = s->rcv_nxt, .flags = TCP_ACK};

	if (!c || c->state != CONN_OPEN || !s->known)
		return;
	side_note(s, &o, 0);
	side_give(s, &o);
	side_host_write(s, 1 + u8());
	for (unsigned i = 0; i < 3; i++) {
		world_turn(0, 0, NULL);
		fake_now_ns += i ? 1000000000 : 0;
	}
	if (!side_conn(s))
		return;
	o.seq = s->last_ack;
	o.ack = s->rcv_nxt;
	o.len = length();
	side_note(s, &o, 0);
	side_give(s, &o);
	world_turn(0, 0, NULL);
}

/* --- the whole --- */

static void step(void)
{
	static const uint16_t waits[] = {1, 19, 20, 500, 999, 1000, 2000, 64000};
	uint8_t op = u8();
	struct side *s = &world.side[op >> 6];

	switch (op & 31) {
	case 0:
	case 1:
		send_syn(s);
		break;
	case 2:
	case 3:
		/* All of it at once. */
		if (!side_conn(s))
			send_syn(s);
		world.budget = 1 << 30;
		world.losing = 0;
		world_turn(0, 0, NULL);
		world_turn(0, 0, NULL);
		if (s->known)
			send_honest(s, 0, 0);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		send_some(s, TCP_ACK | TCP_PSH, length());
		break;
	case 8:
	case 9:
		send_some(s, TCP_ACK, 0);
		break;
	case 10:
		send_honest(s, 0, 0);
		break;
	case 11:
		send_some(s, TCP_ACK | TCP_FIN, length() & 63);
		break;
	case 12:
		send_some(s, TCP_RST | (u8() & TCP_ACK), 0);
		break;
	case 13:
		send_some(s, u8() & 63, length());
		break;
	case 14:
		keep_alive(s);
		break;
	case 15:
	case 16:
	case 17:
	case 18:
		side_host_write(s, 1 + length());
		break;
	case 19:
	case 20:
		side_host_read(s, 1 + u16());
		break;
	case 21:
		side_host_close(s, u8() & 1);
		break;
	case 22:
		fake_now_ns += waits[u8() & 7] * 1000000ull;
		break;
	case 23:
		world.losing = u8();
		break;
	case 24:
		/* Many bytes each way. */
		for (unsigned i = 0; i < 6; i++) {
			side_host_write(s, SIDE_DATA_MAX);
			send_some(s, TCP_ACK, SIDE_DATA_MAX);
			world.budget = 64;
			world_turn(0, 0, NULL);
		}
		break;
	case 25:
		if (op >> 5 == 7 && !flooded)
			flood(u8() & 3);
		else
			ask_again(s);
		break;
	case 26:
		fill_up(s);
		break;
	case 27:
		if (op & 32)
			forget(1 + u8() % CROWD_FROM);
		else
			impersonate(s);
		break;
	default:
		world.budget = u8();
		world.budget = world.budget < 128 ? 1 << 20 : world.budget & 7;
		world_turn(op & 1, u8(), NULL);
	}
}

static void start(void)
{
	static const uint32_t mtus[] = {1500, 65520, 0, 576, 68, 9000, 65520, 1500};
	uint8_t c = u8();

	honest = !(c >> 4 & 1);
	flooded = 0;
	salts = 0;
	world_start(mtus[c & 7], c >> 3 & 1);
}

static void finish(void)
{
	world.losing = 0;
	/* The port takes nothing, for long. */
	world_settle(1);
	fake_now_ns += 2000000000;
	world_settle(1);
	/* What the guest has said of its window holds; then time passes. */
	if (honest && !flooded) {
		world_settle(0);
		behave(600000, 0);
		for (unsigned i = 0; i < SIDES; i++)
			side_host_close(&world.side[i], 0);
		behave(1000, 1);
	} else {
		leave_alone();
	}
	world_stop();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	in_p = bytes;
	in_left = size;
	start();
	for (unsigned op = 0; op < OPS_MAX && in_left; op++)
		step();
	finish();
	return 0;
}
