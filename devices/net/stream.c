/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire to passt and its kin. It belongs to its loop and runs on the loop's thread. Frames to
 * the stream go out of guest memory by one writev for many; if the stream takes only a part of a
 * frame, the rest of that frame is kept here. Frames from the stream are read many at a time into
 * a buffer and copied from there, since where they end is known only after their length was read.
 * Knows no virtqueue.
 */
#include "devices/net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/net/csum.h"
#include "vmm/container_of.h"
#include "vmm/iov.h"
#include "vmm/log.h"

#define LEN_BYTES 4
#define ETH_MAX   (NET_FRAME_MAX - NET_HDR_LEN)
#define IN_SIZE   (4 * (LEN_BYTES + ETH_MAX))
#define BATCH     64
#define SEGS      1024 /* IOV_MAX */

struct stream_wire {
	struct net net;
	struct loop *loop;
	int fd;
	struct op in_op, out_op;
	uint8_t in_armed, out_armed;
	/* What is left of the frame that the stream took a part of. */
	size_t rest_off, rest_len;
	uint8_t rest[LEN_BYTES + ETH_MAX];
	/* Bytes that were read and not given on: [in_off, in_end). */
	size_t in_off, in_end;
	uint8_t in[IN_SIZE];
	/* One writev. */
	struct iovec v[SEGS];
	uint32_t len[BATCH];
	uint16_t csum[BATCH];
};

static struct stream_wire *to_stream(struct net *net)
{
	return container_of(net, struct stream_wire, net);
}

static void lose_link(struct stream_wire *w, const char *why)
{
	if (!w->net.up)
		return;
	w->net.up = 0;
	log_line(LOG_WARN, "net: stream: %s: the guest's link is down", why);
	if (w->net.events)
		w->net.events->link(w->net.events_arg, 0);
}

static void watch_out(struct stream_wire *w)
{
	if (w->out_armed)
		return;
	w->out_armed = 1;
	loop_watch(w->loop, &w->out_op, w->fd, POLLOUT);
}

/* sendmsg, since writev has no MSG_NOSIGNAL. Bytes taken (0: busy), or -EPIPE. */
static ssize_t put(struct stream_wire *w, struct iovec *v, unsigned n)
{
	struct msghdr msg = {.msg_iov = v, .msg_iovlen = n};
	ssize_t r;

	do {
		r = sendmsg(w->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	if (r >= 0)
		return r;
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
		return 0;
	lose_link(w, strerror(errno));
	return -EPIPE;
}

/* 1 when nothing is left over from earlier, 0 busy, -EPIPE. */
static int flush_rest(struct stream_wire *w)
{
	while (w->rest_off < w->rest_len) {
		struct iovec v = {w->rest + w->rest_off, w->rest_len - w->rest_off};
		ssize_t r = put(w, &v, 1);

		if (r < 0)
			return (int)r;
		if (!r)
			return 0;
		w->rest_off += (size_t)r;
	}
	w->rest_off = w->rest_len = 0;
	return 1;
}

/*
 * Lays frame @i as it goes over the stream: its length, the bytes behind the header, and in them
 * the finished checksum, without writing to the frame. The number of segments; 0 if @max are too
 * few.
 */
static unsigned lay_frame(struct stream_wire *w, const struct net_frame *frame, unsigned i,
			  struct iovec *v, unsigned max)
{
	size_t eth = frame->len - NET_HDR_LEN, field;
	struct net_hdr hdr;
	struct iov at, all;
	unsigned n = 1;

	/* The length, and two more for the checksum that cuts a segment in two. */
	if (max < frame->n + 3)
		return 0;
	if (iov_init(&at, frame->v, frame->n) || iov_get(&at, &hdr, sizeof(hdr)))
		return 0;
	w->len[i] = htonl((uint32_t)eth);
	v[0] = (struct iovec){&w->len[i], LEN_BYTES};
	all = at;
	if ((hdr.flags & NET_HDR_NEEDS_CSUM) && csum_fits(&hdr, eth)) {
		field = le16toh(hdr.csum_start) + (size_t)le16toh(hdr.csum_offset);
		w->csum[i] =
			csum_finish(&hdr, v + 1, (unsigned)iov_take(&all, eth, v + 1, max - 1));
		n += (unsigned)iov_take(&at, field, v + n, max - n);
		v[n++] = (struct iovec){&w->csum[i], sizeof(w->csum[i])};
		iov_skip(&at, sizeof(w->csum[i]));
	}
	return n + (unsigned)iov_take(&at, at.left, v + n, max - n);
}

/*
 * The stream took @sent bytes of the @n frames laid in w->v. How many frames that is, counting
 * one of which it took a part: what is left of that is kept in w->rest.
 */
static unsigned keep_rest(struct stream_wire *w, const struct net_frame *frames, unsigned n,
			  size_t sent)
{
	unsigned seg = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t whole = LEN_BYTES + frames[i].len - NET_HDR_LEN, left = whole;
		struct iov at;

		if (!sent)
			return i;
		if (sent >= whole) {
			sent -= whole;
			for (; left; seg++)
				left -= w->v[seg].iov_len;
			continue;
		}
		iov_init(&at, w->v + seg, SEGS - seg);
		iov_skip(&at, sent);
		iov_get(&at, w->rest, whole - sent);
		w->rest_off = 0;
		w->rest_len = whole - sent;
		return i + 1;
	}
	return n;
}

static int stream_send(struct net *net, const struct net_frame *frames, unsigned count)
{
	struct stream_wire *w = to_stream(net);
	unsigned done = 0;

	if (!net->up)
		return -EPIPE;
	while (done < count) {
		unsigned n = 0, segs = 0, taken, more;
		ssize_t sent = flush_rest(w);

		if (sent < 0)
			return -EPIPE;
		if (!sent)
			break;
		for (; n < BATCH && done + n < count; n++, segs += more) {
			more = lay_frame(w, &frames[done + n], n, w->v + segs, SEGS - segs);
			if (!more)
				break;
		}
		sent = put(w, w->v, segs);
		if (sent < 0)
			return -EPIPE;
		taken = keep_rest(w, frames + done, n, (size_t)sent);
		done += taken;
		if (taken < n)
			break;
	}
	/* Also for a rest: without a watch nothing would push it out. */
	if (done < count || w->rest_len)
		watch_out(w);
	return (int)done;
}

/* Reads once: 1 if bytes came, 0 if there are none, -EPIPE. */
static int fill_in(struct stream_wire *w)
{
	ssize_t r;

	memmove(w->in, w->in + w->in_off, w->in_end - w->in_off);
	w->in_end -= w->in_off;
	w->in_off = 0;
	do {
		r = recv(w->fd, w->in + w->in_end, IN_SIZE - w->in_end, MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	if (r > 0) {
		w->in_end += (size_t)r;
		return 1;
	}
	if (r < 0 && errno == EAGAIN)
		return 0;
	lose_link(w, r ? strerror(errno) : "the other end has closed it");
	return -EPIPE;
}

/* The length of the frame at in_off if all of it is there, 0 if not yet, -EPROTO. */
static int32_t next_len(const struct stream_wire *w)
{
	size_t have = w->in_end - w->in_off;
	uint32_t len;

	if (have < LEN_BYTES)
		return 0;
	memcpy(&len, w->in + w->in_off, LEN_BYTES);
	len = ntohl(len);
	if (!len || len > ETH_MAX)
		return -EPROTO;
	return have - LEN_BYTES >= len ? (int32_t)len : 0;
}

static void take_frame(struct stream_wire *w, struct net_frame *frame, size_t len)
{
	const uint8_t *eth = w->in + w->in_off + LEN_BYTES;
	struct net_hdr hdr = {0};
	struct iov to;
	size_t fits;

	iov_init(&to, frame->v, frame->n);
	iov_put(&to, &hdr, sizeof(hdr));
	fits = len < to.left ? len : to.left;
	iov_put(&to, eth, fits);
	frame->len = sizeof(hdr) + fits;
	w->in_off += LEN_BYTES + len;
}

static int stream_recv(struct net *net, struct net_frame *frames, unsigned count)
{
	struct stream_wire *w = to_stream(net);
	unsigned done = 0;

	if (!net->up)
		return -EPIPE;
	while (done < count) {
		int32_t len = next_len(w);
		int r;

		if (len < 0) {
			lose_link(w, "a frame length that no frame has came from the other end");
			return done ? (int)done : -EPIPE;
		}
		if (len) {
			take_frame(w, &frames[done++], (size_t)len);
			continue;
		}
		r = fill_in(w);
		if (r < 0)
			return done ? (int)done : -EPIPE;
		if (!r) {
			if (!w->in_armed) {
				w->in_armed = 1;
				loop_watch(w->loop, &w->in_op, w->fd, POLLIN);
			}
			break;
		}
	}
	loop_found(w->loop, done);
	return (int)done;
}

static void in_ready(struct op *op, int res)
{
	struct stream_wire *w = container_of(op, struct stream_wire, in_op);

	(void)res;
	w->in_armed = 0;
	if (w->net.up && w->net.events)
		w->net.events->readable(w->net.events_arg);
}

static void out_ready(struct op *op, int res)
{
	struct stream_wire *w = container_of(op, struct stream_wire, out_op);
	int r;

	(void)res;
	w->out_armed = 0;
	if (!w->net.up)
		return;
	r = flush_rest(w);
	if (!r)
		watch_out(w);
	if (r > 0 && w->net.events)
		w->net.events->writable(w->net.events_arg);
}

static void stream_close(struct net *net)
{
	struct stream_wire *w = to_stream(net);

	shutdown(w->fd, SHUT_RDWR);
	close(w->fd);
	free(w);
}

static const struct net_ops stream_ops = {
	.send = stream_send,
	.recv = stream_recv,
	.close = stream_close,
};

int net_stream_open_fd(struct net **out, struct loop *loop, int fd, uint32_t mtu)
{
	struct stream_wire *w = calloc(1, sizeof(*w));
	int size = 1 << 20;

	if (!w) {
		close(fd);
		return log_fail(-ENOMEM, "net: out of memory");
	}
	/* As much as the system gives without asking for privileges. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	w->net.ops = &stream_ops;
	w->net.features = NET_WIRE_CSUM;
	w->net.mtu = mtu;
	w->net.up = 1;
	w->loop = loop;
	w->fd = fd;
	w->in_op.fn = in_ready;
	w->out_op.fn = out_ready;
	*out = &w->net;
	return 0;
}

int net_stream_open(struct net **out, struct loop *loop, const char *path, uint32_t mtu)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return log_fail(-ENAMETOOLONG,
				"net: stream %s: the path of a socket has at most "
				"%zu bytes",
				path, sizeof(addr.sun_path) - 1);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return log_fail(-errno, "net: stream %s: %s", path, strerror(errno));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		r = -errno;
		close(fd);
		if (r == -ENOENT || r == -ECONNREFUSED)
			return log_fail(r,
					"net: stream %s: nobody listens there: start passt (or "
					"what it is) first",
					path);
		return log_fail(r, "net: stream %s: cannot connect: %s", path, strerror(-r));
	}
	return net_stream_open_fd(out, loop, fd, mtu);
}
