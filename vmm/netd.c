/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting and finding skiff-netd. Runs at start-up, before the guest and before the sandbox: it
 * is the part that still uses paths. Knows nothing of frames.
 */
#include "vmm/netd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/net/net.h"
#include "devices/net/netd/hello.h"
#include "vmm/companion.h"
#include "vmm/log.h"

#define PROGRAM     "skiff-netd"
#define HELLO_MS    10000
#define ARGS_MAX    (8 + 2 * NET_OPTION_FORWARDS_MAX)
#define TRIES       5
/*
 * libslirp's TCP has a window of 65535 bytes and no scaling: two segments of 32760 bytes fit in
 * it, so that one is under way while the other is answered. With the largest MTU a window holds
 * one, and each waits for the last one's answer.
 */
#define DEFAULT_MTU 32800

/* The program with a pair of sockets: our end in out->fd, its process in out->pid. */
static int start_program(const struct net_option *opt, const char *program, int listener,
			 struct netd *out)
{
	char *argv[ARGS_MAX], path[PATH_MAX], mtu[16], parent[16];
	struct companion_fd fds[2];
	unsigned n = 0;
	int pair[2], r;

	if (!program) {
		r = companion_find("--net", PROGRAM, path, sizeof(path));
		if (r)
			return r;
		program = path;
	}
	snprintf(mtu, sizeof(mtu), "%u", opt->mtu ? opt->mtu : DEFAULT_MTU);
	snprintf(parent, sizeof(parent), "%d", (int)getpid());
	argv[n++] = PROGRAM;
	argv[n++] = "--mtu";
	argv[n++] = mtu;
	/* A switch lives as long as anyone is attached, not only as long as we are. */
	argv[n++] = listener >= 0 ? "--listen" : "--parent";
	if (listener < 0)
		argv[n++] = parent;
	for (unsigned i = 0; i < opt->n_forwards; i++) {
		argv[n++] = "--hostfwd";
		argv[n++] = (char *)opt->forward[i];
	}
	argv[n] = NULL;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return log_fail(-errno, "--net: cannot make a socket pair: %s", strerror(errno));
	fds[0] = (struct companion_fd){pair[1], NETD_PORT_FD};
	fds[1] = (struct companion_fd){listener, NETD_LISTEN_FD};
	r = companion_start("--net", program, argv, fds, listener >= 0 ? 2 : 1, &out->pid);
	close(pair[1]);
	if (r)
		close(pair[0]);
	else
		out->fd = pair[0];
	return r;
}

/* 0 with out->mtu, -ECONNRESET if the other end went without a word, -errno after a sentence. */
static int wait_hello(struct netd *out)
{
	struct pollfd pfd = {.fd = out->fd, .events = POLLIN};
	char hello[NETD_HELLO_MAX + 1];
	ssize_t len;
	int r;

	do {
		r = poll(&pfd, 1, HELLO_MS);
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return log_fail(-ETIMEDOUT, "--net: skiff-netd does not answer");
	len = recv(out->fd, hello, sizeof(hello) - 1, MSG_DONTWAIT);
	if (len <= 0)
		return -ECONNRESET;
	hello[len] = '\0';
	if (!strncmp(hello, NETD_HELLO_ERROR, strlen(NETD_HELLO_ERROR)))
		return log_fail(-EADDRINUSE, "--net: %s", hello + strlen(NETD_HELLO_ERROR));
	if (sscanf(hello, NETD_HELLO_OK "%u", &out->mtu) != 1 || out->mtu > NET_MTU_MAX)
		return log_fail(-EPROTO, "--net: what answers is no skiff-netd of this version");
	return 0;
}

static void give_up(struct netd *netd)
{
	close(netd->fd);
	netd->fd = -1;
	netd_reap(netd);
}

static int start_private(const struct net_option *opt, const char *program, struct netd *out)
{
	int r = start_program(opt, program, -1, out);

	if (r)
		return r;
	r = wait_hello(out);
	if (r == -ECONNRESET)
		log_line(LOG_ERROR, "--net: skiff-netd ended at its start");
	if (r)
		give_up(out);
	return r;
}

/* --- the switch ------------------------------------------------------------------------------ */

/* 0 with out->fd, or a silent -errno. */
static int connect_switch(const char *path, struct netd *out)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		r = -errno;
		close(fd);
		return r;
	}
	out->fd = fd;
	return 0;
}

/* Nobody answers at @path, and we hold its lock: a listening socket there, or -errno. */
static int listen_at(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, r;

	if (!lstat(path, &st)) {
		if (!S_ISSOCK(st.st_mode))
			return log_fail(-EEXIST,
					"--net: switch %s: that is a file and no socket: "
					"give another path",
					path);
		unlink(path);
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return log_fail(-errno, "--net: switch %s: %s", path, strerror(errno));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	/* Whoever may connect is on the network: the owner alone. */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(fd, 16)) {
		r = log_fail(-errno, "--net: switch %s: cannot listen there: %s", path,
			     strerror(errno));
		close(fd);
		return r;
	}
	return fd;
}

static int lock_path(const char *path)
{
	char lock[NET_OPTION_PATH_BYTES + 8];
	int fd;

	snprintf(lock, sizeof(lock), "%s.lock", path);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return log_fail(-errno, "--net: switch %s: cannot make its lock file: %s", path,
				strerror(errno));
	while (flock(fd, LOCK_EX))
		if (errno != EINTR) {
			close(fd);
			return log_fail(-errno, "--net: switch %s: cannot lock it", path);
		}
	return fd;
}

/* Starts the switch unless someone else has meanwhile: then -EAGAIN, silent. */
static int start_switch(const struct net_option *opt, const char *program, struct netd *out)
{
	int lock = lock_path(opt->path), listener, r;

	if (lock < 0)
		return lock;
	if (!connect_switch(opt->path, out)) {
		close(out->fd);
		close(lock);
		return -EAGAIN;
	}
	listener = listen_at(opt->path);
	r = listener < 0 ? listener : start_program(opt, program, listener, out);
	if (listener >= 0)
		close(listener);
	if (!r) {
		r = wait_hello(out);
		if (r == -ECONNRESET)
			log_line(LOG_ERROR, "--net: skiff-netd ended at its start");
		if (r)
			give_up(out);
		/* It may have to outlive us: nobody waits for it. */
		out->pid = 0;
	}
	close(lock);
	return r;
}

static int attach_switch(const struct net_option *opt, const char *program, struct netd *out)
{
	int r;

	for (unsigned i = 0; i < TRIES; i++) {
		r = connect_switch(opt->path, out);
		if (r == -ENOENT || r == -ECONNREFUSED) {
			r = start_switch(opt, program, out);
			if (r == -EAGAIN)
				continue;
			return r;
		}
		if (r)
			return log_fail(r, "--net: switch %s: cannot connect: %s", opt->path,
					strerror(-r));
		r = wait_hello(out);
		/* It was about to go: the next one is ours to start. */
		if (r == -ECONNRESET) {
			close(out->fd);
			continue;
		}
		if (!r && opt->n_forwards)
			r = log_fail(-EBUSY,
				     "--net: switch %s: it runs already: give hostfwd= to "
				     "the VM that starts it",
				     opt->path);
		if (r)
			close(out->fd);
		return r;
	}
	return log_fail(-EAGAIN, "--net: switch %s: it ends as often as it is started", opt->path);
}

int netd_start(const struct net_option *opt, const char *program, struct netd *out)
{
	*out = (struct netd){.pid = 0, .fd = -1};
	if (opt->kind == NET_OPTION_SWITCH)
		return attach_switch(opt, program, out);
	return start_private(opt, program, out);
}

void netd_reap(struct netd *netd)
{
	if (netd->pid <= 0)
		return;
	companion_wait(netd->pid);
	netd->pid = 0;
}
