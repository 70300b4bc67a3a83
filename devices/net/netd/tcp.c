/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The connections of netd's TCP: which there are, their sockets, and the turn in which all of them
 * are looked at. On netd's one thread. Knows a port by its number, and no switch.
 *
 * System calls: socket, setsockopt, connect, getsockopt, readv, close.
 */
#include "devices/net/netd/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net/netd/clock.h"
#include "devices/net/netd/nat.h"
#include "devices/net/netd/tcp_conn.h"

#define RINGS_MAX     512u /* 256 MiB at the very most, half of it for one guest */
#define RING_WAIT_MS  20u
#define RING_STALL_MS 60000u
#define DEFAULT_MSS   536u /* RFC 9293 §3.7.1 */
#define DEFAULT_MTU   1500u
#define MSS_MIN       48u
#define KEEPALIVE_S   120

/* --- the table ------------------------------------------------------------------------------- */

static struct conn **bucket_of(struct tcp *tcp, const struct flow *flow)
{
	const uint8_t *p = (const uint8_t *)flow;
	uint64_t h = tcp->key;

	for (size_t i = 0; i < sizeof(*flow); i += sizeof(uint32_t)) {
		uint32_t w;

		memcpy(&w, p + i, sizeof(w));
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return &tcp->bucket[h % TCP_BUCKETS];
}

static struct conn *find(struct tcp *tcp, const struct flow *flow)
{
	struct conn *c = *bucket_of(tcp, flow);

	while (c && (c->dead || memcmp(&c->flow, flow, sizeof(*flow)) != 0))
		c = c->next;
	return c;
}

void conn_end(struct conn *c)
{
	if (c->dead)
		return;
	c->dead = 1;
	close(c->fd);
}

void conn_abort(struct conn *c)
{
	struct linger now = {.l_onoff = 1};

	if (!c->dead)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_end(c);
}

/* Frees what has ended; nobody holds any of it now. */
static void sweep(struct tcp *tcp)
{
	for (unsigned i = tcp->n_conns; i-- > 0;) {
		struct conn *c = tcp->conn[i], **at;

		if (!c->dead)
			continue;
		for (at = bucket_of(tcp, &c->flow); *at != c; at = &(*at)->next)
			;
		*at = c->next;
		tcp->conn[i] = tcp->conn[--tcp->n_conns];
		tcp->port[c->from].n_conns--;
		byte_ring_release(&c->to_guest, conn_rings(tcp, c));
		byte_ring_release(&c->to_host, conn_rings(tcp, c));
		free(c);
	}
}

/* Room for one more of port @from, once a turn at the expense of another. 0 or -ENOMEM. */
static int make_room(struct tcp *tcp, unsigned from)
{
	struct tcp_port *port = &tcp->port[from];
	struct conn *oldest = NULL;
	unsigned payer = from;

	if (port->n_conns + tcp->n_conns < tcp->max)
		return 0;
	if (port->gave_way == tcp->turn)
		return -ENOMEM;
	port->gave_way = tcp->turn;
	for (unsigned i = 0; port->n_conns == 0 && i < TCP_PORTS; i++)
		if (tcp->port[i].n_conns > tcp->port[payer].n_conns)
			payer = i;
	for (unsigned i = 0; i < tcp->n_conns; i++) {
		struct conn *c = tcp->conn[i];

		if (c->from == payer && !c->dead && (!oldest || c->seen_ms < oldest->seen_ms))
			oldest = c;
	}
	if (oldest)
		conn_reset(tcp, oldest); /* its guest may be waiting */
	/* What has ended stays in the table until the end of the turn. */
	return oldest && tcp->n_conns < TCP_TABLE ? 0 : -ENOMEM;
}

/* --- opening --------------------------------------------------------------------------------- */

static int starts_with(const uint8_t *addr, const char *net, size_t n)
{
	uint8_t want[16] = {0};

	inet_pton(strchr(net, ':') ? AF_INET6 : AF_INET, net, want);
	return memcmp(addr, want, n) == 0;
}

/*
 * Where a guest's address leads: the gateway to the host's loopback, the world to itself. 0 if it
 * is not for us: the rest of the guests' network, broadcast and multicast.
 */
static int host_address(const struct flow *flow, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	const uint8_t *to = flow->remote;

	memset(out, 0, sizeof(*out));
	if (flow->family == AF_INET) {
		*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = flow->remote_port};
		memcpy(&in->sin_addr, to, 4);
		*len = sizeof(*in);
		if (starts_with(to, "10.0.2.2", 4))
			in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		else if (starts_with(to, "10.0.2.0", 3) || to[0] == 0 || to[0] == 127 ||
			 to[0] >= 224)
			return 0;
		return 1;
	}
	*in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = flow->remote_port};
	memcpy(&in6->sin6_addr, to, 16);
	*len = sizeof(*in6);
	if (starts_with(to, "fec0::2", 16))
		in6->sin6_addr = in6addr_loopback;
	else if (starts_with(to, "fec0::", 8) || to[0] == 0xff ||
		 (to[0] == 0xfe && to[1] >> 6 == 2) ||
		 starts_with(to, "::", 10)) /* unspecified, loopback, IPv4 in disguise */
		return 0;
	return 1;
}

/* A socket on its way to there, or -errno. */
static int open_socket(const struct sockaddr_storage *to, socklen_t len)
{
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, r;
	int idle_s = KEEPALIVE_S;

	if (fd < 0)
		return -errno;
	/* The guest has thought about when to send; urgent bytes are bytes. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	/* A guest that asks whether its peer is there is answered by us: so we ask, too. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	r = connect(fd, (const struct sockaddr *)to, len);
	if (r == 0 || errno == EINPROGRESS)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static uint16_t segment_size(const struct tcp *tcp, const struct segment *s)
{
	uint32_t mtu = tcp->params.mtu, mss = s->mss ? s->mss : DEFAULT_MSS;
	uint32_t most = mtu - (s->flow.family == AF_INET ? 40 : 60);

	/* A guest that asks for crumbs costs no more than it is worth. */
	if (mss < MSS_MIN)
		mss = MSS_MIN;
	return (uint16_t)(mss < most ? mss : most);
}

/* SYN: 1 if it was for us. */
static int open_conn(struct tcp *tcp, unsigned from, const struct segment *s)
{
	struct sockaddr_storage to;
	struct conn *c, **bucket;
	socklen_t len;
	int fd;

	if (!host_address(&s->flow, &to, &len))
		return 0;
	if (make_room(tcp, from) < 0)
		return 1; /* it asks again */
	fd = open_socket(&to, len);
	if (fd < 0) {
		/* What is short now may be there when the guest asks again. */
		if (fd != -EMFILE && fd != -ENFILE && fd != -ENOBUFS && fd != -ENOMEM)
			tcp_refuse(tcp, s);
		return 1;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return 1;
	}
	c->flow = s->flow;
	memcpy(c->mac, s->mac, sizeof(c->mac));
	c->fd = fd;
	c->from = from;
	c->seen_ms = tcp->now_ms;
	if (getrandom(&c->una, sizeof(c->una), GRND_NONBLOCK) < 0)
		c->una = (uint32_t)(tcp->now_ms * 250); /* RFC 9293 §3.4.1: the clock */
	c->nxt = c->max = c->recover = c->una;
	c->mss = segment_size(tcp, s);
	c->scaled = s->scale >= 0;
	c->scale = c->scaled ? (uint8_t)s->scale : 0;
	c->rcv_nxt = s->seq + 1;
	bucket = bucket_of(tcp, &c->flow);
	c->next = *bucket;
	*bucket = c;
	tcp->conn[tcp->n_conns++] = c;
	tcp->port[from].n_conns++;
	return 1;
}

int tcp_input(struct tcp *tcp, unsigned from, const uint8_t *frame, size_t len, int partial)
{
	struct segment s;
	struct conn *c;

	if (len < NET_ETH_LEN || memcmp(frame, nat_mac, sizeof(nat_mac)) != 0)
		return 0;
	switch (segment_read(frame, len, partial, &s)) {
	case SEGMENT_OTHER:
		return 0;
	case SEGMENT_BAD:
		return 1;
	case SEGMENT_GOOD:
		break;
	}
	tcp->now_ms = clock_ms();
	c = find(tcp, &s.flow);
	if (c) {
		if (c->from == from)
			conn_input(tcp, c, &s);
		return 1;
	}
	return (s.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN &&
	       open_conn(tcp, from, &s);
}

/* --- the turn -------------------------------------------------------------------------------- */

static short wanted(const struct conn *c)
{
	short events = 0;

	if (c->state == CONN_CONNECTING)
		return POLLOUT;
	/* Also while the port is full: whoever has something is then known when it has room. */
	if (c->state == CONN_OPEN && !c->eof && !c->broken && !c->readable &&
	    c->to_guest.len < BYTE_RING_SIZE)
		events |= POLLIN;
	if (c->to_host.len > 0)
		events |= POLLOUT;
	return events;
}

unsigned tcp_fill(struct tcp *tcp, struct pollfd *fds, unsigned max, int hold, int *timeout_ms)
{
	uint64_t first = UINT64_MAX;
	unsigned n = 0;

	tcp->hold = hold != 0;
	tcp->now_ms = clock_ms();
	for (unsigned i = 0; i < tcp->n_conns; i++) {
		struct conn *c = tcp->conn[i];
		short events = wanted(c);

		if (!hold && c->timer_ms && c->timer_ms < first)
			first = c->timer_ms;
		/* There was no ring to read it into. */
		if (!hold && c->readable && !c->eof && c->to_guest.len < BYTE_RING_SIZE &&
		    tcp->now_ms + RING_WAIT_MS < first)
			first = tcp->now_ms + RING_WAIT_MS;
		if (!events || c->dead || n == max)
			continue;
		fds[n] = (struct pollfd){.fd = c->fd, .events = events};
		tcp->polled[n++] = c;
	}
	if (first != UINT64_MAX) {
		uint64_t left = first > tcp->now_ms ? first - tcp->now_ms : 0;

		if (*timeout_ms < 0 || left < (uint64_t)*timeout_ms)
			*timeout_ms = (int)left;
	}
	return n;
}

/* The host's side is open, or will not be. */
static void connected(struct tcp *tcp, struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err == ETIMEDOUT) {
		conn_end(c); /* nobody answers: nor do we */
	} else if (err) {
		conn_reset(tcp, c);
	} else {
		c->state = CONN_SYN_RECEIVED;
		conn_send_syn_ack(tcp, c);
	}
}

/* Since when nobody has taken anything out of a ring that it holds. */
static uint64_t stalled_since(const struct conn *c)
{
	uint64_t since = UINT64_MAX;

	if (c->to_guest.len > 0)
		since = c->moved_ms;
	if (c->to_host.len > 0 && c->host_ms < since)
		since = c->host_ms;
	return since;
}

/* Ends @from, and its ring, which had one, is that of @to. */
static void inherit(struct tcp *tcp, struct conn *from, struct conn *to)
{
	struct byte_ring *ring = from->to_guest.mem ? &from->to_guest : &from->to_host;

	conn_reset(tcp, from);
	if (from != to)
		byte_ring_hand_over(ring, conn_rings(tcp, from), &to->to_guest,
				    conn_rings(tcp, to));
}

/*
 * There is no ring left for the guest of @heir. Of its connections that hold one and move nothing,
 * the one that has done so longest ends: they would have the rings for ever. A guest that has no
 * ring at all does not wait for so long, and gets one of the guest that has most.
 */
static void reclaim(struct tcp *tcp, struct conn *heir)
{
	struct tcp_port *port = &tcp->port[heir->from];
	unsigned payer = heir->from;
	struct conn *oldest = NULL;
	uint64_t since = UINT64_MAX;

	for (unsigned i = 0; port->rings.n_out == 0 && i < TCP_PORTS; i++)
		if (tcp->port[i].rings.n_out > tcp->port[payer].rings.n_out)
			payer = i;
	if (payer == heir->from && tcp->now_ms < port->reclaim_ms)
		return;
	for (unsigned i = 0; i < tcp->n_conns; i++) {
		struct conn *c = tcp->conn[i];

		if (c->from == payer && !c->dead && stalled_since(c) < since) {
			since = stalled_since(c);
			oldest = c;
		}
	}
	if (oldest && (payer != heir->from || tcp->now_ms - since > RING_STALL_MS))
		inherit(tcp, oldest, heir);
	else
		port->reclaim_ms = oldest ? since + RING_STALL_MS + 1 : tcp->now_ms + RING_WAIT_MS;
}

/* Reads what there is room for. */
static void pull(struct tcp *tcp, struct conn *c)
{
	struct iovec v[2];
	unsigned n = byte_ring_room(&c->to_guest, conn_rings(tcp, c), v);
	ssize_t r;

	if (n == 0 && !c->to_guest.mem) {
		reclaim(tcp, c);
		if (!c->dead && c->to_guest.mem)
			n = byte_ring_room(&c->to_guest, conn_rings(tcp, c), v);
	}
	if (n == 0)
		return;
	if (c->to_guest.len == 0)
		c->moved_ms = tcp->now_ms;
	r = readv(c->fd, v, (int)n);
	if (r > 0) {
		byte_ring_add(&c->to_guest, (uint32_t)r);
		c->readable = (size_t)r == v[0].iov_len + (n == 2 ? v[1].iov_len : 0) || c->broken;
	} else if (r == 0 && !c->broken) {
		c->eof = 1;
	} else if (r < 0 && (errno == EINTR || (errno == EAGAIN && !c->broken))) {
		c->readable = errno == EINTR;
	} else {
		c->broken = CONN_NO_MORE;
		c->readable = 0;
	}
}

/* All that can be done for one now. */
static void serve(struct tcp *tcp, struct conn *c)
{
	if (!c->dead && c->state == CONN_OPEN && c->readable && !c->eof && !tcp->hold)
		pull(tcp, c);
	if (!c->dead)
		conn_push(tcp, c);
	if (!c->dead && c->broken == CONN_NO_MORE && c->to_guest.len == 0)
		conn_reset(tcp, c);
	if (c->dead)
		return;
	if (c->to_guest.len == 0)
		byte_ring_release(&c->to_guest, conn_rings(tcp, c));
	if (c->ack_due)
		conn_send_ack(tcp, c);
	if (c->guest_fin && c->shut && c->fin_acked)
		conn_end(c);
}

static void came(struct tcp *tcp, struct conn *c, short events)
{
	if (!events || c->dead)
		return;
	c->touched = 1;
	if (c->state == CONN_CONNECTING) {
		connected(tcp, c);
		return;
	}
	if (events & (POLLIN | POLLHUP | POLLERR))
		c->readable = 1;
	if (events & (POLLOUT | POLLERR))
		conn_to_host(tcp, c);
}

/* Whoever comes behind the one that fills a port is the first next time. */
static void serve_all(struct tcp *tcp)
{
	for (unsigned i = 0, at = tcp->first; i < tcp->n_conns; i++, at++) {
		struct conn *c = tcp->conn[at % tcp->n_conns];
		int had_room = !tcp->hold;

		if (!c->touched)
			continue;
		c->touched = 0;
		serve(tcp, c);
		if (had_room && tcp->hold)
			tcp->first = at % tcp->n_conns + 1;
	}
}

void tcp_poll(struct tcp *tcp, const struct pollfd *fds, unsigned n, int hold)
{
	int held = hold || tcp->hold;

	tcp->now_ms = clock_ms();
	tcp->turn++;
	tcp->hold = hold != 0;
	for (unsigned i = 0; i < n; i++)
		came(tcp, tcp->polled[i], fds[i].revents);
	for (unsigned i = 0; i < tcp->n_conns; i++) {
		struct conn *c = tcp->conn[i];

		if (!c->dead && c->timer_ms && c->timer_ms <= tcp->now_ms) {
			if (held || tcp->hold)
				conn_set_timer(tcp, c); /* its answer had no way */
			else
				conn_timer(tcp, c);
		}
		/* What waited for room on the guest's side. */
		if (!hold && (c->readable || c->to_guest.len > c->nxt - c->una))
			c->touched = 1;
	}
	serve_all(tcp);
	sweep(tcp);
}

/*
 * Its guest is gone. What the guest has sent and ended, and the kernel has of us, still goes its
 * way.
 */
static void leave(struct conn *c)
{
	if (c->shut)
		conn_end(c);
	else
		conn_abort(c);
}

void tcp_forget(struct tcp *tcp, unsigned from)
{
	for (unsigned i = 0; i < tcp->n_conns; i++)
		if (tcp->conn[i]->from == from)
			leave(tcp->conn[i]);
}

int tcp_create(struct tcp **out, const struct tcp_params *params)
{
	struct tcp *tcp = calloc(1, sizeof(*tcp));

	if (!tcp)
		return -ENOMEM;
	tcp->params = *params;
	if (!tcp->params.mtu)
		tcp->params.mtu = DEFAULT_MTU;
	tcp->now_ms = clock_ms();
	if (getrandom(&tcp->key, sizeof(tcp->key), GRND_NONBLOCK) < 0)
		tcp->key = tcp->now_ms;
	tcp->turn = 1;
	tcp->max = params->files && params->files < TCP_TABLE ? params->files : TCP_TABLE;
	byte_pool_init(&tcp->pool, RINGS_MAX);
	for (unsigned i = 0; i < TCP_PORTS; i++)
		tcp->port[i].rings.pool = &tcp->pool;
	*out = tcp;
	return 0;
}

void tcp_destroy(struct tcp *tcp)
{
	if (!tcp)
		return;
	for (unsigned i = 0; i < tcp->n_conns; i++)
		leave(tcp->conn[i]);
	sweep(tcp);
	byte_pool_free(&tcp->pool);
	free(tcp);
}
