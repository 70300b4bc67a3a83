/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports and the loop of skiff-netd. One thread. What comes from a port is a guest's: its length
 * and header are judged here, and where it goes is the switch's word. Knows nothing of NAT but
 * that frames go in and come out.
 */
#include "devices/net/netd/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net/csum.h"
#include "devices/net/netd/backlog.h"
#include "devices/net/netd/clock.h"
#include "devices/net/netd/hello.h"
#include "devices/net/netd/nat.h"
#include "devices/net/netd/switch.h"
#include "devices/net/netd/tcp.h"
#include "vmm/log.h"
#include "vmm/patience.h"

#define NAT_PORT    0
#define BATCH       32   /* frames a recvmmsg */
#define PORT_ROUNDS 4    /* batches from a port in a turn */
#define SEND_BATCH  128  /* frames a sendmmsg */
#define GATHER      64   /* frames that wait at most before they are sent */
#define DIRECT      4096 /* from this length on a frame is sent from where it lies */
#define POLL_MAX    8192
#define PIECES      2    /* of a frame, at most */
#define DEAF_MS     1000 /* until the next look at who wants to attach, without descriptors */

_Static_assert(SWITCH_PORTS <= TCP_PORTS, "tcp.h: a port's number");

struct port {
	int fd;              /* -1: free */
	uint8_t blocked;     /* the socket is full: wait for POLLOUT */
	uint64_t blocked_ms; /* since when nothing was taken */
	struct backlog out;
};

struct hub {
	struct hub_params params;
	struct nat *nat;
	struct tcp *tcp;
	struct switching sw;
	struct port *port[SWITCH_PORTS]; /* [NAT_PORT] is NULL */
	unsigned n_ports;
	uint64_t now_ms;  /* of this turn */
	uint64_t deaf_ms; /* the listener is not looked at before this */
	unsigned frames;  /* in this turn */
	struct patience patience;
	struct pollfd fds[POLL_MAX];
	struct mmsghdr msg[SEND_BATCH];
	struct iovec v[SEND_BATCH];
	uint8_t in[BATCH][NET_FRAME_MAX];
};

/* --- ports ----------------------------------------------------------------------------------- */

static void unplug(struct hub *hub, unsigned p)
{
	switch_unplug(&hub->sw, p);
	tcp_forget(hub->tcp, p);
	close(hub->port[p]->fd);
	backlog_free(&hub->port[p]->out);
	free(hub->port[p]);
	hub->port[p] = NULL;
	hub->n_ports--;
}

static void say_hello(int fd, const char *text)
{
	/* The socket is new and empty; if the other end is gone already, the first read tells. */
	if (send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

int hub_attach(struct hub *hub, int fd)
{
	int size = 4 << 20, r;
	char hello[NETD_HELLO_MAX];
	unsigned p;

	for (p = NAT_PORT + 1; p < SWITCH_PORTS && hub->port[p]; p++)
		;
	if (p == SWITCH_PORTS) {
		say_hello(fd, NETD_HELLO_ERROR "the switch has no free port");
		close(fd);
		return -ENOSPC;
	}
	hub->port[p] = calloc(1, sizeof(*hub->port[p]));
	r = hub->port[p] ? backlog_init(&hub->port[p]->out) : -ENOMEM;
	if (r) {
		free(hub->port[p]);
		hub->port[p] = NULL;
		close(fd);
		return r;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	hub->port[p]->fd = fd;
	hub->n_ports++;
	switch_plug(&hub->sw, p);
	snprintf(hello, sizeof(hello), NETD_HELLO_OK "%u", hub->params.mtu);
	say_hello(fd, hello);
	return 0;
}

/*
 * Sends what waits for the port and then, if given, one frame from where it lies. What the socket
 * does not take stays in the backlog; what that does not take is dropped.
 */
static void port_flush(struct hub *hub, struct port *port, const struct net_hdr *hdr,
		       const struct iovec *frame, unsigned pieces)
{
	struct iovec extra[1 + PIECES] = {{(void *)(uintptr_t)hdr, sizeof(*hdr)}};

	for (unsigned i = 0; i < pieces; i++)
		extra[1 + i] = frame[i];
	while (!port->blocked && (port->out.count || frame)) {
		unsigned queued = backlog_peek(&port->out, hub->v, SEND_BATCH - 1), n = queued;
		int r;

		for (unsigned i = 0; i < n; i++)
			hub->msg[i] = (struct mmsghdr){
				.msg_hdr = {.msg_iov = &hub->v[i], .msg_iovlen = 1}};
		if (frame && queued == port->out.count)
			hub->msg[n++] = (struct mmsghdr){
				.msg_hdr = {.msg_iov = extra, .msg_iovlen = 1 + pieces}};
		r = sendmmsg(port->fd, hub->msg, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r > 0) {
			backlog_drop(&port->out, (unsigned)r < queued ? (unsigned)r : queued);
			port->blocked_ms = hub->now_ms;
			if ((unsigned)r > queued)
				frame = NULL;
		} else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
			port->blocked = 1;
		} else if (errno == EMSGSIZE) {
			/* Longer than the socket's whole buffer: it would stay for ever. */
			if (queued)
				backlog_drop(&port->out, 1);
			else
				frame = NULL;
		} else if (errno != EINTR) {
			/* The VM is gone; the next read of its socket says so. */
			backlog_drop(&port->out, port->out.count);
			return;
		}
	}
	if (frame)
		backlog_push(&port->out, hdr, frame, pieces);
}

static void port_send(struct hub *hub, struct port *port, const struct net_hdr *hdr,
		      const struct iovec *frame, unsigned pieces)
{
	if (frame[pieces - 1].iov_len >= DIRECT) {
		port_flush(hub, port, hdr, frame, pieces);
		return;
	}
	backlog_push(&port->out, hdr, frame, pieces);
	if (port->out.count >= GATHER)
		port_flush(hub, port, NULL, NULL, 0);
}

/* --- frames ---------------------------------------------------------------------------------- */

/* A frame with a judged header from port @from goes where the switch says. */
static void forward(struct hub *hub, unsigned from, struct net_hdr *hdr, uint8_t *frame, size_t len)
{
	struct iovec v = {frame, len};
	uint64_t to;

	hub->frames++;
	to = switch_forward(&hub->sw, from, frame, (uint32_t)(hub->now_ms / 1000));

	/* The NAT comes last: a checksum is completed in place for it. */
	for (uint64_t bits = to & ~(1ull << NAT_PORT); bits; bits &= bits - 1)
		port_send(hub, hub->port[__builtin_ctzll(bits)], hdr, &v, 1);
	if (!(to >> NAT_PORT & 1))
		return;
	if (tcp_input(hub->tcp, from, frame, len, hdr->flags & NET_HDR_NEEDS_CSUM))
		return;
	if (hdr->flags & NET_HDR_NEEDS_CSUM)
		csum_complete(hdr, frame, len);
	nat_input(hub->nat, frame, len);
}

/* A message as a VM sent it; the VM's own checks count for nothing here. */
static void take_frame(struct hub *hub, unsigned from, uint8_t *message, size_t size)
{
	uint8_t *frame = message + NET_HDR_LEN;
	size_t len = size - NET_HDR_LEN;
	struct net_hdr hdr;

	if (size < NET_HDR_LEN + NET_ETH_LEN)
		return;
	memcpy(&hdr, message, sizeof(hdr));
	/* No segmentation was offered, so what asks for it is no frame of ours. */
	if (hdr.gso_type != NET_GSO_NONE)
		return;
	if ((hdr.flags & NET_HDR_NEEDS_CSUM) && !csum_fits(&hdr, len))
		return;
	hdr.flags &= NET_HDR_NEEDS_CSUM;
	hdr.hdr_len = hdr.gso_size = hdr.num_buffers = 0;
	forward(hub, from, &hdr, frame, len);
}

/* Full, and not for so long that the others need not care any more. */
static int holds(const struct hub *hub, const struct port *port)
{
	return port->blocked &&
	       (hub->n_ports == 1 || hub->now_ms - port->blocked_ms < HUB_STALL_MS);
}

/* A frame from the world: 0 if a guest that it is for has no room for more. */
static int from_world(void *arg, const struct net_hdr *hdr, const struct iovec *v, unsigned n)
{
	struct hub *hub = arg;
	uint64_t to;
	int more = 1;

	hub->frames++;
	to = switch_forward(&hub->sw, NAT_PORT, v[0].iov_base, (uint32_t)(hub->now_ms / 1000));
	for (; to; to &= to - 1) {
		struct port *port = hub->port[__builtin_ctzll(to)];

		port_send(hub, port, hdr, v, n);
		more &= !holds(hub, port);
	}
	return more;
}

/* From the NAT: checksums are complete, and libslirp has made them itself. */
static void from_nat(void *arg, const uint8_t *frame, size_t len)
{
	struct net_hdr hdr = {.flags = NET_HDR_DATA_VALID};
	struct iovec v = {(uint8_t *)(uintptr_t)frame, len};

	if (len >= NET_ETH_LEN && len <= NET_FRAME_MAX - NET_HDR_LEN)
		from_world(arg, &hdr, &v, 1);
}

/* Reads what a VM has sent. */
static void port_read(struct hub *hub, unsigned p)
{
	unsigned len[BATCH];

	for (unsigned round = 0; round < PORT_ROUNDS; round++) {
		int r;

		for (unsigned i = 0; i < BATCH; i++) {
			hub->v[i] = (struct iovec){hub->in[i], sizeof(hub->in[i])};
			hub->msg[i] = (struct mmsghdr){
				.msg_hdr = {.msg_iov = &hub->v[i], .msg_iovlen = 1}};
		}
		r = recvmmsg(hub->port[p]->fd, hub->msg, BATCH, MSG_DONTWAIT, NULL);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (r <= 0) {
			unplug(hub, p);
			return;
		}
		/* The lengths first: sending on uses the same messages. */
		for (int i = 0; i < r; i++)
			len[i] =
				hub->msg[i].msg_hdr.msg_flags & MSG_TRUNC ? 1 : hub->msg[i].msg_len;
		for (int i = 0; i < r; i++) {
			if (!len[i]) {
				unplug(hub, p);
				return;
			}
			take_frame(hub, p, hub->in[i], len[i]);
		}
		if (r < BATCH)
			return;
	}
}

/* --- the loop -------------------------------------------------------------------------------- */

/* Where there are no descriptors, who waits there would be found again and again. */
static void accept_all(struct hub *hub)
{
	int fd;

	while ((fd = accept4(hub->params.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		hub_attach(hub, fd);
	if (errno == EMFILE || errno == ENFILE)
		hub->deaf_ms = hub->now_ms + DEAF_MS;
}

/* True while frames for a port that is full should not be made. */
static int must_hold(const struct hub *hub)
{
	for (unsigned p = 1; p < SWITCH_PORTS; p++) {
		const struct port *port = hub->port[p];

		if (port && holds(hub, port))
			return 1;
	}
	return 0;
}

/* Fills fds with the listener and the ports; their numbers go to @at. How many. */
static unsigned fill_ports(struct hub *hub, unsigned *at)
{
	unsigned n = 0;

	if (hub->params.listen_fd >= 0 && hub->now_ms >= hub->deaf_ms) {
		at[n] = NAT_PORT;
		hub->fds[n++] = (struct pollfd){.fd = hub->params.listen_fd, .events = POLLIN};
	}
	for (unsigned p = 1; p < SWITCH_PORTS; p++) {
		if (!hub->port[p])
			continue;
		at[n] = p;
		hub->fds[n++] = (struct pollfd){
			.fd = hub->port[p]->fd,
			.events = (short)(POLLIN | (hub->port[p]->blocked ? POLLOUT : 0)),
		};
	}
	return n;
}

static void turn(struct hub *hub)
{
	unsigned at[SWITCH_PORTS], n, n_nat, n_tcp;
	int hold = must_hold(hub), r;
	int timeout_ms = hold ? HUB_STALL_MS : hub->now_ms < hub->deaf_ms ? DEAF_MS : -1;

	n = fill_ports(hub, at);
	n_nat = nat_fill(hub->nat, hub->fds + n, POLL_MAX - n, hold, &timeout_ms);
	n_tcp = tcp_fill(hub->tcp, hub->fds + n + n_nat, POLL_MAX - n - n_nat, hold, &timeout_ms);
	r = poll(hub->fds, n + n_nat + n_tcp, timeout_ms);
	hub->now_ms = clock_ms();
	hub->frames = 0;
	for (unsigned i = 0; r > 0 && i < n; i++) {
		short came = hub->fds[i].revents;

		if (!came)
			continue;
		if (at[i] == NAT_PORT) {
			accept_all(hub);
			continue;
		}
		if (came & POLLOUT)
			hub->port[at[i]]->blocked = 0;
		if (came & (POLLIN | POLLHUP | POLLERR))
			port_read(hub, at[i]);
	}
	nat_poll(hub->nat, hub->fds + n, n_nat, r < 0);
	tcp_poll(hub->tcp, hub->fds + n + n_nat, r < 0 ? 0 : n_tcp, must_hold(hub));
	for (unsigned p = 1; p < SWITCH_PORTS; p++)
		if (hub->port[p])
			port_flush(hub, hub->port[p], NULL, NULL, 0);
	patience_found(&hub->patience, hub->frames);
}

void hub_run(struct hub *hub)
{
	while (hub->n_ports) {
		turn(hub);
		/* Whoever has connected meanwhile may stay. */
		if (!hub->n_ports && hub->params.listen_fd >= 0)
			accept_all(hub);
	}
}

int hub_forward(struct hub *hub, const struct net_forward *fwd, char *why, size_t why_size)
{
	return nat_forward(hub->nat, fwd, why, why_size);
}

int hub_create(struct hub **out, const struct hub_params *params)
{
	struct hub *hub = calloc(1, sizeof(*hub));
	struct nat_params nat = {.mtu = params->mtu, .send = from_nat, .arg = hub};
	struct tcp_params tcp = {
		.mtu = params->mtu, .files = params->files, .send = from_world, .arg = hub};
	int r;

	if (!hub)
		return log_fail(-ENOMEM, "netd: out of memory");
	hub->params = *params;
	patience_init(&hub->patience);
	hub->now_ms = clock_ms();
	r = nat_create(&hub->nat, &nat);
	if (r)
		goto out_hub;
	r = tcp_create(&hub->tcp, &tcp);
	if (r)
		goto out_nat;
	if (params->listen_fd >= 0)
		fcntl(params->listen_fd, F_SETFL, O_NONBLOCK);
	switch_init(&hub->sw, params->key);
	switch_plug(&hub->sw, NAT_PORT);
	switch_pin(&hub->sw, nat_mac, NAT_PORT);
	*out = hub;
	return 0;

out_nat:
	nat_destroy(hub->nat);
out_hub:
	free(hub);
	return r;
}

void hub_destroy(struct hub *hub)
{
	if (!hub)
		return;
	/* Cleaning up may still send frames: the ports are there until then. */
	nat_destroy(hub->nat);
	for (unsigned p = 1; p < SWITCH_PORTS; p++)
		if (hub->port[p])
			unplug(hub, p);
	tcp_destroy(hub->tcp);
	if (hub->params.listen_fd >= 0)
		close(hub->params.listen_fd);
	free(hub);
}
