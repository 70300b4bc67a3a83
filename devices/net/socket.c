/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire to skiff-netd. It belongs to its loop and runs on the loop's thread: frames go straight
 * between guest memory and the socket by sendmmsg and recvmmsg; the loop only says when it is
 * worth trying again. Knows no virtqueue, and judges no header.
 */
#include "devices/net/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/container_of.h"
#include "vmm/log.h"

#define BATCH 64

struct socket_wire {
	struct net net;
	struct loop *loop;
	int fd;
	struct op in, out;
	uint8_t in_armed, out_armed;
	struct mmsghdr msg[BATCH];
};

static struct socket_wire *to_socket(struct net *net)
{
	return container_of(net, struct socket_wire, net);
}

static void lose_link(struct socket_wire *w)
{
	if (!w->net.up)
		return;
	w->net.up = 0;
	log_line(LOG_WARN, "net: the network process is gone: the guest's link is down");
	if (w->net.events)
		w->net.events->link(w->net.events_arg, 0);
}

static void fill_messages(struct socket_wire *w, const struct net_frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		w->msg[i] = (struct mmsghdr){
			.msg_hdr = {.msg_iov = frames[i].v, .msg_iovlen = frames[i].n},
		};
	}
}

static int socket_send(struct net *net, const struct net_frame *frames, unsigned count)
{
	struct socket_wire *w = to_socket(net);
	unsigned done = 0;

	if (!net->up)
		return -EPIPE;
	while (done < count) {
		unsigned n = count - done < BATCH ? count - done : BATCH;
		int r;

		fill_messages(w, frames + done, n);
		r = sendmmsg(w->fd, w->msg, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r > 0) {
			done += (unsigned)r;
		} else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
			if (!w->out_armed) {
				w->out_armed = 1;
				loop_watch(w->loop, &w->out, w->fd, POLLOUT);
			}
			return (int)done;
		} else if (errno == EMSGSIZE) {
			/* Longer than the socket's whole buffer: lost, or it would block for ever.
			 */
			done++;
		} else if (errno != EINTR) {
			lose_link(w);
			return -EPIPE;
		}
	}
	return (int)done;
}

static int socket_recv(struct net *net, struct net_frame *frames, unsigned count)
{
	struct socket_wire *w = to_socket(net);
	unsigned done = 0;

	if (!net->up)
		return -EPIPE;
	while (done < count) {
		unsigned n = count - done < BATCH ? count - done : BATCH;
		int r, i;

		fill_messages(w, frames + done, n);
		r = recvmmsg(w->fd, w->msg, n, MSG_DONTWAIT, NULL);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno != EAGAIN) {
			lose_link(w);
			return done ? (int)done : -EPIPE;
		}
		for (i = 0; i < r && w->msg[i].msg_len; i++)
			frames[done++].len = w->msg[i].msg_len;
		/* A message of no bytes: the other end has closed. */
		if (i < r) {
			lose_link(w);
			return done ? (int)done : -EPIPE;
		}
		if (r < (int)n)
			break;
	}
	loop_found(w->loop, done);
	if (done < count && !w->in_armed) {
		w->in_armed = 1;
		loop_watch(w->loop, &w->in, w->fd, POLLIN);
	}
	return (int)done;
}

static void in_ready(struct op *op, int res)
{
	struct socket_wire *w = container_of(op, struct socket_wire, in);

	(void)res;
	w->in_armed = 0;
	if (w->net.up && w->net.events)
		w->net.events->readable(w->net.events_arg);
}

static void out_ready(struct op *op, int res)
{
	struct socket_wire *w = container_of(op, struct socket_wire, out);

	(void)res;
	w->out_armed = 0;
	if (w->net.up && w->net.events)
		w->net.events->writable(w->net.events_arg);
}

static void socket_close(struct net *net)
{
	struct socket_wire *w = to_socket(net);

	/* The ring may still hold the socket for a poll: the other end is told now. */
	shutdown(w->fd, SHUT_RDWR);
	close(w->fd);
	free(w);
}

static const struct net_ops socket_ops = {
	.send = socket_send,
	.recv = socket_recv,
	.close = socket_close,
};

int net_socket_open(struct net **out, struct loop *loop, int fd, uint32_t mtu)
{
	/* As much as the system gives without asking for privileges: a burst of the largest frames.
	 */
	int size = 4 << 20, type = 0;
	socklen_t len = sizeof(type);
	struct socket_wire *w;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_SEQPACKET) {
		close(fd);
		return log_fail(-EINVAL, "net: descriptor %d is not a SOCK_SEQPACKET socket", fd);
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		close(fd);
		return log_fail(-ENOMEM, "net: out of memory");
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	w->net.ops = &socket_ops;
	w->net.features = NET_WIRE_CSUM;
	w->net.mtu = mtu;
	w->net.up = 1;
	w->loop = loop;
	w->fd = fd;
	w->in.fn = in_ready;
	w->out.fn = out_ready;
	*out = &w->net;
	return 0;
}
