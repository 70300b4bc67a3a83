/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * skiff-netd: the user-mode network of one VM, or the switch of several. Started by skiff, which
 * hands it sockets and not paths; reads its arguments, opens the ports that the user asked for,
 * gives up its privileges, and only then reads what guests send.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "devices/net/net.h"
#include "devices/net/netd/hello.h"
#include "devices/net/netd/hub.h"
#include "vmm/jail.h"
#include "vmm/log.h"

#define FORWARDS_MAX 64
#define FILES_MAX    8192 /* sockets of guests' connections; memory follows it */
#define FILES_SPARE  512  /* of those for ports, and for what libslirp opens */

struct args {
	uint32_t mtu;
	int listen;
	pid_t parent;
	const char *forward[FORWARDS_MAX];
	unsigned n_forwards;
};

static const char usage[] =
	"usage: skiff-netd [--mtu N] [--listen] [--parent PID] [--hostfwd SPEC]...\n"
	"skiff starts it, with a SOCK_SEQPACKET socket as descriptor 3 (and with --listen a\n"
	"listening one as descriptor 4).\n";

static int read_number(const char *text, long min, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno || end == text || *end || *out < min || *out > max ? -EINVAL : 0;
}

static int read_args(int argc, char **argv, struct args *args)
{
	static const struct option options[] = {
		{"mtu", required_argument, NULL, 'm'},
		{"listen", no_argument, NULL, 'l'},
		{"parent", required_argument, NULL, 'p'},
		{"hostfwd", required_argument, NULL, 'f'},
		{NULL, 0, NULL, 0},
	};
	long value;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'm':
			if (read_number(optarg, NET_MTU_MIN, NET_MTU_MAX, &value))
				return -EINVAL;
			args->mtu = (uint32_t)value;
			break;
		case 'l':
			args->listen = 1;
			break;
		case 'p':
			if (read_number(optarg, 1, INT32_MAX, &value))
				return -EINVAL;
			args->parent = (pid_t)value;
			break;
		case 'f':
			if (args->n_forwards == FORWARDS_MAX)
				return -EINVAL;
			args->forward[args->n_forwards++] = optarg;
			break;
		default:
			return -EINVAL;
		}
	}
	return optind == argc ? 0 : -EINVAL;
}

/* Tells whoever waits for our hello why there is none. */
static int refuse(const char *what, const char *why)
{
	char hello[NETD_HELLO_MAX];

	snprintf(hello, sizeof(hello), NETD_HELLO_ERROR "%s: %s", what, why);
	send(NETD_PORT_FD, hello, strlen(hello), MSG_NOSIGNAL);
	return 1;
}

static int start(const struct args *args, const struct jail *jail, struct hub **hub)
{
	struct hub_params params = {
		.mtu = args->mtu,
		.listen_fd = args->listen ? NETD_LISTEN_FD : -1,
	};
	struct net_forward fwd;
	struct rlimit files;
	char why[256];
	int r;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		params.files =
			(unsigned)(files.rlim_cur > 2 * FILES_SPARE ? files.rlim_cur - FILES_SPARE
								    : files.rlim_cur / 2);
	if (getrandom(&params.key, sizeof(params.key), 0) != sizeof(params.key))
		return refuse("network", "the system has no random numbers");
	r = hub_create(hub, &params);
	if (r)
		return refuse("network", strerror(-r));
	for (unsigned i = 0; i < args->n_forwards; i++) {
		r = net_forward_parse(args->forward[i], &fwd, why, sizeof(why));
		if (!r)
			r = hub_forward(*hub, &fwd, why, sizeof(why));
		if (r)
			return refuse(args->forward[i], why);
	}
	r = jail_enter(jail, args->parent);
	if (r)
		return refuse("network", strerror(-r));
	return hub_attach(*hub, NETD_PORT_FD) ? refuse("network", "out of memory") : 0;
}

int main(int argc, char **argv)
{
	struct jail jail = {.who = "netd", .files = FILES_MAX};
	struct args args = {0};
	struct hub *hub = NULL;
	int type = 0, r;
	socklen_t len = sizeof(type);

	if (read_args(argc, argv, &args)) {
		fputs(usage, stderr);
		return 2;
	}
	if (getsockopt(NETD_PORT_FD, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_SEQPACKET) {
		fputs(usage, stderr);
		return 2;
	}
	jail.last_fd = args.listen ? NETD_LISTEN_FD : NETD_PORT_FD;
	if (jail_begin(&jail))
		return refuse("network", "it could not lower its privileges");
	r = start(&args, &jail, &hub);
	if (!r)
		hub_run(hub);
	hub_destroy(hub);
	return r;
}
