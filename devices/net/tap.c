/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire to a TAP interface. It belongs to its loop and runs on the loop's thread, but for
 * offload(), which is one ioctl. Knows the tun driver; knows no virtqueue, and judges no header:
 * the kernel judges those that it is sent.
 */
#include "devices/net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/container_of.h"
#include "vmm/log.h"

struct tap_wire {
	struct net net;
	struct loop *loop;
	int fd;
	struct op in, out;
	uint8_t in_armed, out_armed;
	char name[IFNAMSIZ];
};

static struct tap_wire *to_tap(struct net *net)
{
	return container_of(net, struct tap_wire, net);
}

static void lose_link(struct tap_wire *w)
{
	if (!w->net.up)
		return;
	w->net.up = 0;
	log_line(LOG_WARN, "net: tap %s: the interface is gone: the guest's link is down", w->name);
	if (w->net.events)
		w->net.events->link(w->net.events_arg, 0);
}

static int tap_send(struct net *net, const struct net_frame *frames, unsigned count)
{
	struct tap_wire *w = to_tap(net);

	if (!net->up)
		return -EPIPE;
	for (unsigned i = 0; i < count; i++) {
		ssize_t r = writev(w->fd, frames[i].v, (int)frames[i].n);

		if (r >= 0)
			continue;
		if (errno == EAGAIN) {
			if (!w->out_armed) {
				w->out_armed = 1;
				loop_watch(w->loop, &w->out, w->fd, POLLOUT);
			}
			return (int)i;
		}
		if (errno == EBADFD) {
			lose_link(w);
			return -EPIPE;
		}
		/* EIO: the interface is not up; EINVAL: the kernel refused the frame. Lost. */
	}
	return (int)count;
}

static int tap_recv(struct net *net, struct net_frame *frames, unsigned count)
{
	struct tap_wire *w = to_tap(net);
	unsigned done = 0;

	if (!net->up)
		return -EPIPE;
	while (done < count) {
		ssize_t r = readv(w->fd, frames[done].v, (int)frames[done].n);

		if (r > 0) {
			frames[done++].len = (size_t)r;
			continue;
		}
		if (r < 0 && errno == EINTR)
			continue;
		if (r == 0 || errno != EAGAIN) {
			lose_link(w);
			return done ? (int)done : -EPIPE;
		}
		if (!w->in_armed) {
			w->in_armed = 1;
			loop_watch(w->loop, &w->in, w->fd, POLLIN);
		}
		break;
	}
	loop_found(w->loop, done);
	return (int)done;
}

static void tap_offload(struct net *net, unsigned features)
{
	unsigned long flags = 0;

	if (features & NET_WIRE_CSUM)
		flags |= TUN_F_CSUM;
	if (features & NET_WIRE_TSO)
		flags |= TUN_F_TSO4 | TUN_F_TSO6;
	/* It was accepted with all of them set when the wire was opened. */
	ioctl(to_tap(net)->fd, TUNSETOFFLOAD, flags);
}

static void in_ready(struct op *op, int res)
{
	struct tap_wire *w = container_of(op, struct tap_wire, in);

	(void)res;
	w->in_armed = 0;
	if (w->net.up && w->net.events)
		w->net.events->readable(w->net.events_arg);
}

static void out_ready(struct op *op, int res)
{
	struct tap_wire *w = container_of(op, struct tap_wire, out);

	(void)res;
	w->out_armed = 0;
	if (w->net.up && w->net.events)
		w->net.events->writable(w->net.events_arg);
}

static void tap_close(struct net *net)
{
	close(to_tap(net)->fd);
	free(to_tap(net));
}

static const struct net_ops tap_ops = {
	.send = tap_send,
	.recv = tap_recv,
	.offload = tap_offload,
	.close = tap_close,
};

/* The interface's MTU; 0 where it cannot be read or a guest could not use it. */
static uint32_t read_mtu(const char *name)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t mtu = 0;

	if (fd < 0)
		return 0;
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (!ioctl(fd, SIOCGIFMTU, &ifr) && ifr.ifr_mtu >= NET_MTU_MIN &&
	    ifr.ifr_mtu <= NET_MTU_MAX)
		mtu = (uint32_t)ifr.ifr_mtu;
	close(fd);
	return mtu;
}

/* Sets the header up on a descriptor that has its interface. Takes @fd. */
static int open_wire(struct net **out, struct loop *loop, int fd, const char *name)
{
	int hdr_len = NET_HDR_LEN, flags, r;
	struct tap_wire *w;

	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr_len) ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) ||
	    ioctl(fd, TUNSETOFFLOAD, 0)) {
		r = log_fail(-errno, "net: tap %s: cannot set up its header and offloads: %s", name,
			     strerror(errno));
		goto out_close;
	}
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC)) {
		r = log_fail(-errno, "net: tap %s: %s", name, strerror(errno));
		goto out_close;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		r = log_fail(-ENOMEM, "net: out of memory");
		goto out_close;
	}
	w->net.ops = &tap_ops;
	w->net.features = NET_WIRE_CSUM | NET_WIRE_TSO;
	w->net.mtu = read_mtu(name);
	w->net.up = 1;
	w->loop = loop;
	w->fd = fd;
	w->in.fn = in_ready;
	w->out.fn = out_ready;
	strncpy(w->name, name, IFNAMSIZ - 1);
	*out = &w->net;
	return 0;

out_close:
	close(fd);
	return r;
}

static int say_attach_failed(int err, const char *name)
{
	switch (err) {
	case EPERM:
		return log_fail(-EPERM,
				"net: tap %s: it belongs to another user: make it with `ip tuntap "
				"add dev %s mode tap user USER`, with your user name",
				name, name);
	case EBUSY:
		return log_fail(-EBUSY,
				"net: tap %s: another program has it open: stop that, or "
				"make a second interface",
				name);
	case EINVAL:
		return log_fail(-EINVAL,
				"net: tap %s: it is no single-queue TAP interface: make one with "
				"`ip tuntap add dev NAME mode tap`",
				name);
	default:
		return log_fail(-err, "net: tap %s: cannot attach: %s", name, strerror(err));
	}
}

int net_tap_open_name(struct net **out, struct loop *loop, const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd, r;

	if (!name[0] || strlen(name) >= IFNAMSIZ)
		return log_fail(-EINVAL, "net: tap: `%s` is not the name of an interface", name);
	/* TUNSETIFF would make the interface for root, and it would lead nowhere. */
	if (!if_nametoindex(name))
		return log_fail(-ENODEV,
				"net: tap %s: there is no such interface: make it with `ip tuntap "
				"add dev %s mode tap user USER` and bring it up",
				name, name);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
			return log_fail(-errno, "net: tap: /dev/net/tun is missing: load the "
						"kernel module `tun`");
		return log_fail(-errno, "net: tap: cannot open /dev/net/tun: %s", strerror(errno));
	}
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		r = say_attach_failed(errno, name);
		close(fd);
		return r;
	}
	return open_wire(out, loop, fd, name);
}

int net_tap_open_fd(struct net **out, struct loop *loop, int fd)
{
	const short want = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	struct ifreq ifr = {0};
	int r;

	if (ioctl(fd, TUNGETIFF, &ifr)) {
		r = log_fail(-EINVAL, "net: tap: descriptor %d is not an open TAP interface: %s",
			     fd, strerror(errno));
		goto out_close;
	}
	ifr.ifr_name[IFNAMSIZ - 1] = '\0';
	if ((ifr.ifr_flags & want) != want) {
		r = log_fail(-EINVAL,
			     "net: tap %s: descriptor %d was opened without IFF_TAP, IFF_NO_PI or "
			     "IFF_VNET_HDR: open it with all three",
			     ifr.ifr_name, fd);
		goto out_close;
	}
	return open_wire(out, loop, fd, ifr.ifr_name);

out_close:
	if (fd >= 0)
		close(fd);
	return r;
}
