/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The glue around libslirp: its network, its callbacks, its timers, its poll set. Runs on netd's
 * one thread. libslirp reads what guests write; it is why netd is a process of its own. Knows
 * no switch and no port.
 */
#include "devices/net/netd/nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/net/net.h"
#include "devices/net/netd/window.h"
#include "vmm/clock.h"
#include "vmm/log.h"

struct timer {
	SlirpTimerId id;
	void *arg;
	int64_t at_ms; /* -1: not set */
	int used;
};

struct nat {
	Slirp *slirp;
	struct nat_params params;
	struct timer timer[SLIRP_TIMER_NUM];
	int said; /* a complaint about a guest's frame was logged */
	/* While nat_fill() or nat_poll() runs. */
	struct pollfd *fds;
	unsigned n, max;
	int hold;
};

const uint8_t nat_mac[6] = {0x52, 0x55, 0x0a, 0x00, 0x02, 0x02};

/* --- callbacks ------------------------------------------------------------------------------- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
	struct nat *nat = opaque;

	/* The buffer is libslirp's for this packet alone. */
	window_trim((uint8_t *)(uintptr_t)buf, len, nat->params.mtu);
	nat->params.send(nat->params.arg, buf, len);
	return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
	struct nat *nat = opaque;

	if (!nat->said)
		log_line(LOG_WARN, "netd: a guest's frame was refused: %s: more will not be told",
			 msg);
	nat->said = 1;
}

static int64_t clock_get_ns(void *opaque)
{
	(void)opaque;
	return (int64_t)clock_now_ns();
}

static void *timer_new(SlirpTimerId id, void *arg, void *opaque)
{
	struct nat *nat = opaque;

	for (unsigned i = 0; i < SLIRP_TIMER_NUM; i++) {
		if (nat->timer[i].used)
			continue;
		nat->timer[i] = (struct timer){.id = id, .arg = arg, .at_ms = -1, .used = 1};
		return &nat->timer[i];
	}
	return NULL;
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	if (timer)
		((struct timer *)timer)->used = 0;
}

static void timer_mod(void *timer, int64_t at_ms, void *opaque)
{
	(void)opaque;
	if (timer)
		((struct timer *)timer)->at_ms = at_ms;
}

/* The poll set is made anew each turn, so there is nothing to register, nor anyone to wake. */
static void ignore_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void ignore(void *opaque)
{
	(void)opaque;
}

static void ignore_slirp(Slirp *slirp, void *opaque)
{
	(void)slirp;
	(void)opaque;
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_get_ns,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = ignore_fd,
	.unregister_poll_fd = ignore_fd,
	.notify = ignore,
	.init_completed = ignore_slirp,
	.timer_new_opaque = timer_new,
};

/* --- life ------------------------------------------------------------------------------------ */

int nat_create(struct nat **out, const struct nat_params *params)
{
	struct nat *nat = calloc(1, sizeof(*nat));
	SlirpConfig cfg = {
		.version = 4, /* timer_new_opaque; 4.7.0 and later */
		.in_enabled = true,
		.in6_enabled = true,
		.vprefix_len = 64,
		.if_mtu = params->mtu ? params->mtu : 1500,
		.if_mru = params->mtu ? params->mtu : 1500,
	};

	if (!nat)
		return log_fail(-ENOMEM, "netd: out of memory");
	inet_pton(AF_INET, "10.0.2.0", &cfg.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &cfg.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &cfg.vhost);
	inet_pton(AF_INET, "10.0.2.3", &cfg.vnameserver);
	inet_pton(AF_INET, "10.0.2.15", &cfg.vdhcp_start);
	inet_pton(AF_INET6, "fec0::", &cfg.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &cfg.vhost6);
	inet_pton(AF_INET6, "fec0::3", &cfg.vnameserver6);
	nat->params = *params;
	nat->slirp = slirp_new(&cfg, &callbacks, nat);
	if (!nat->slirp) {
		free(nat);
		return log_fail(-EINVAL,
				"netd: libslirp %s does not start: 4.7.0 or later is "
				"needed",
				slirp_version_string());
	}
	*out = nat;
	return 0;
}

void nat_destroy(struct nat *nat)
{
	if (!nat)
		return;
	slirp_cleanup(nat->slirp);
	free(nat);
}

int nat_forward(struct nat *nat, const struct net_forward *fwd, char *why, size_t why_size)
{
	const struct sockaddr *host = (const struct sockaddr *)&fwd->host;
	const struct sockaddr *guest = (const struct sockaddr *)&fwd->guest;
	char addr[INET6_ADDRSTRLEN] = "?";
	unsigned port;
	int err;

	errno = 0;
	if (!slirp_add_hostxfwd(nat->slirp, host, net_forward_addr_len(&fwd->host), guest,
				net_forward_addr_len(&fwd->guest),
				(fwd->udp ? SLIRP_HOSTFWD_UDP : 0) | SLIRP_HOSTFWD_V6ONLY))
		return 0;
	err = errno ? errno : EINVAL;
	if (host->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sa = (const struct sockaddr_in6 *)host;

		inet_ntop(AF_INET6, &sa->sin6_addr, addr, sizeof(addr));
		port = ntohs(sa->sin6_port);
	} else {
		const struct sockaddr_in *sa = (const struct sockaddr_in *)host;

		inet_ntop(AF_INET, &sa->sin_addr, addr, sizeof(addr));
		port = ntohs(sa->sin_port);
	}
	switch (err) {
	case EADDRINUSE:
		snprintf(why, why_size, "port %u of %s is in use: choose another", port, addr);
		break;
	case EACCES:
		snprintf(why, why_size, "port %u is for root: choose one from 1024 on", port);
		break;
	case EADDRNOTAVAIL:
		snprintf(why, why_size, "%s is not an address of this host", addr);
		break;
	default:
		snprintf(why, why_size, "port %u of %s: %s", port, addr, strerror(err));
	}
	return -err;
}

void nat_input(struct nat *nat, const uint8_t *frame, size_t len)
{
	if (len >= NET_ETH_LEN && len <= NET_FRAME_MAX)
		slirp_input(nat->slirp, frame, (int)len);
}

/* --- poll ------------------------------------------------------------------------------------ */

#define FOR_READING (SLIRP_POLL_IN | SLIRP_POLL_PRI | SLIRP_POLL_ERR | SLIRP_POLL_HUP)

static int add_poll(int fd, int events, void *opaque)
{
	struct nat *nat = opaque;
	short want = 0;

	if (nat->hold)
		events &= ~FOR_READING;
	if (!events || nat->n == nat->max)
		return -1;
	if (events & SLIRP_POLL_IN)
		want |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		want |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		want |= POLLPRI;
	nat->fds[nat->n] = (struct pollfd){.fd = fd, .events = want};
	return (int)nat->n++;
}

static int get_revents(int idx, void *opaque)
{
	const struct nat *nat = opaque;
	int events = 0;
	short came;

	if (idx < 0 || (unsigned)idx >= nat->n)
		return 0;
	came = nat->fds[idx].revents;
	if (came & POLLIN)
		events |= SLIRP_POLL_IN;
	if (came & POLLOUT)
		events |= SLIRP_POLL_OUT;
	if (came & POLLPRI)
		events |= SLIRP_POLL_PRI;
	if (came & POLLERR)
		events |= SLIRP_POLL_ERR;
	if (came & POLLHUP)
		events |= SLIRP_POLL_HUP;
	return events;
}

unsigned nat_fill(struct nat *nat, struct pollfd *fds, unsigned max, int hold, int *timeout_ms)
{
	uint32_t wait = *timeout_ms < 0 ? UINT32_MAX : (uint32_t)*timeout_ms;
	int64_t now = clock_get_ns(NULL) / 1000000;

	nat->fds = fds;
	nat->n = 0;
	nat->max = max;
	nat->hold = hold;
	slirp_pollfds_fill(nat->slirp, &wait, add_poll, nat);
	for (unsigned i = 0; i < SLIRP_TIMER_NUM; i++) {
		const struct timer *t = &nat->timer[i];

		if (!t->used || t->at_ms < 0)
			continue;
		if (t->at_ms <= now)
			wait = 0;
		else if (t->at_ms - now < wait)
			wait = (uint32_t)(t->at_ms - now);
	}
	*timeout_ms = wait > INT32_MAX ? -1 : (int)wait;
	return nat->n;
}

void nat_poll(struct nat *nat, const struct pollfd *fds, unsigned n, int error)
{
	int64_t now = clock_get_ns(NULL) / 1000000;

	nat->fds = (struct pollfd *)fds;
	nat->n = n;
	slirp_pollfds_poll(nat->slirp, error, get_revents, nat);
	nat->n = 0;
	for (unsigned i = 0; i < SLIRP_TIMER_NUM; i++) {
		struct timer *t = &nat->timer[i];

		if (!t->used || t->at_ms < 0 || t->at_ms > now)
			continue;
		t->at_ms = -1;
		slirp_handle_timer(nat->slirp, t->id, t->arg);
	}
}
