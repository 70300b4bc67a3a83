/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast skiff-netd is without a VM: this kernel's own TCP plays the guest. Two network
 * namespaces, both made here:
 *
 *	"guest": client -- TCP -- tap 10.0.2.15      "host": skiff-netd -- loopback -- server
 *	                           |                              |
 *	                       tap wire <---- pump thread ----> socket wire
 *
 * usage: netd_throughput [SECONDS [MTU]]      (SKIFF_NETD names the program)
 * Prints for both directions MB/s, frames/s and frames per call of the socket wire, and, where
 * strace is installed, system calls of skiff-netd per frame.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "devices/net/socket.h"
#include "devices/net/tap.h"
#include "vmm/container_of.h"
#include "vmm/loop.h"
#include "vmm/netd.h"

#define BATCH 32

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- the pump ------------------------------------------------------------------------------- */

struct way {
	struct net *from, *to;
	struct net_frame frame[BATCH];
	struct iovec v[BATCH][2];
	unsigned first, count; /* received and not sent yet */
	unsigned long frames, calls;
	uint8_t bytes[BATCH][NET_FRAME_MAX];
};

static struct way to_netd, to_guest;

static void pump(struct way *w)
{
	for (;;) {
		int r;

		if (!w->count) {
			for (unsigned i = 0; i < BATCH; i++) {
				w->v[i][0] = (struct iovec){w->bytes[i], NET_HDR_LEN};
				w->v[i][1] = (struct iovec){w->bytes[i] + NET_HDR_LEN,
							    NET_FRAME_MAX - NET_HDR_LEN};
				w->frame[i] = (struct net_frame){w->v[i], 2, 0};
			}
			r = w->from->ops->recv(w->from, w->frame, BATCH);
			if (r <= 0)
				return;
			w->calls++;
			w->first = 0;
			w->count = (unsigned)r;
			w->frames += (unsigned)r;
			for (int i = 0; i < r; i++)
				w->v[i][1].iov_len = w->frame[i].len - NET_HDR_LEN;
		}
		r = w->to->ops->send(w->to, w->frame + w->first, w->count);
		if (r < 0)
			return;
		w->first += (unsigned)r;
		w->count -= (unsigned)r;
		if (w->count)
			return;
	}
}

static void pump_arg(void *arg)
{
	pump(arg);
}

static void tap_writable(void *arg)
{
	(void)arg;
	pump(&to_guest);
}

static void netd_writable(void *arg)
{
	(void)arg;
	pump(&to_netd);
}

static void link_changed(void *arg, int up)
{
	(void)arg;
	fprintf(stderr, "link %s\n", up ? "up" : "down");
}

static const struct net_events tap_events = {pump_arg, tap_writable, link_changed};
static const struct net_events netd_events = {pump_arg, netd_writable, link_changed};

struct setting {
	int tap_fd;
	struct netd netd;
};

static void first_turn(struct op *op, int res)
{
	(void)op;
	(void)res;
	pump(&to_netd);
	pump(&to_guest);
}

static void *run_pump(void *arg)
{
	static struct op op = {.fn = first_turn};
	struct setting *s = arg;
	struct loop *loop;
	struct net *tap, *sock;

	if (loop_create(&loop, 64) || net_tap_open_fd(&tap, loop, s->tap_fd) ||
	    net_socket_open(&sock, loop, s->netd.fd, s->netd.mtu))
		exit(1);
	/* Partial checksums cross, as with a guest; segments do not. */
	tap->ops->offload(tap, NET_WIRE_CSUM);
	to_netd.from = to_guest.to = tap;
	to_netd.to = to_guest.from = sock;
	tap->events = &tap_events;
	tap->events_arg = &to_netd;
	sock->events = &netd_events;
	sock->events_arg = &to_guest;
	loop_lock(loop);
	loop_soon(loop, &op);
	loop_unlock(loop);
	loop_run(loop);
	return NULL;
}

/* --- the ends ------------------------------------------------------------------------------- */

struct run {
	int fd;
	int sends;
	double seconds;
	unsigned long bytes;
};

static void *run_end(void *arg)
{
	static char junk[2][256 << 10];
	struct run *run = arg;
	double end = now() + run->seconds;

	while (now() < end) {
		ssize_t r = run->sends ? send(run->fd, junk[1], sizeof(junk[1]), MSG_NOSIGNAL)
				       : recv(run->fd, junk[0], sizeof(junk[0]), 0);

		if (r <= 0)
			break;
		run->bytes += (unsigned long)r;
	}
	shutdown(run->fd, SHUT_RDWR);
	return NULL;
}

static void lo_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		die("lo");
	close(fd);
}

static int make_tap(uint32_t mtu)
{
	struct ifreq ifr = {.ifr_name = "guest0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	char command[200];

	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		die("/dev/net/tun");
	snprintf(command, sizeof(command),
		 "ip link set guest0 mtu %u address 52:54:00:12:34:56 txqueuelen 1000 up && "
		 "ip addr add 10.0.2.15/24 dev guest0",
		 mtu);
	if (system(command))
		exit(1);
	return fd;
}

/* Counts netd's system calls for a while: the number, or 0. */
static unsigned long count_calls(pid_t pid, double seconds)
{
	char command[200], line[256];
	unsigned long calls = 0;
	FILE *f;

	snprintf(command, sizeof(command),
		 "timeout -s INT %.1f strace -f -c -p %d 2>&1 | grep total", seconds, (int)pid);
	f = popen(command, "r");
	if (!f)
		return 0;
	if (fgets(line, sizeof(line), f))
		sscanf(line, "%*s %*s %*s %lu", &calls);
	pclose(f);
	return calls;
}

static void measure(const char *name, int listen_fd, uint16_t port, const struct setting *s,
		    int guest_sends, double seconds, int trace)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct run guest = {.sends = guest_sends, .seconds = seconds},
		   host = {.sends = !guest_sends, .seconds = seconds + 1};
	unsigned long in = to_netd.frames, out = to_guest.frames, in_c = to_netd.calls,
		      out_c = to_guest.calls, calls = 0;
	pthread_t thread[2];
	double begin, took;

	inet_pton(AF_INET, "10.0.2.2", &sa.sin_addr);
	guest.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(guest.fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("connect");
	host.fd = accept(listen_fd, NULL, NULL);
	begin = now();
	pthread_create(&thread[0], NULL, run_end, &host);
	pthread_create(&thread[1], NULL, run_end, &guest);
	if (trace)
		calls = count_calls(s->netd.pid, seconds - 0.5);
	pthread_join(thread[1], NULL);
	took = now() - begin;
	in = to_netd.frames - in;
	out = to_guest.frames - out;
	pthread_join(thread[0], NULL);
	if (trace)
		printf("%-16s %6.2f system calls of netd a frame (traced, so slower)\n", name,
		       in + out ? (double)calls * took / (seconds - 0.5) / (double)(in + out) : 0);
	else
		printf("%-16s %8.1f MB/s  %8.0f frames/s to netd (%.1f a call)  %8.0f from it "
		       "(%.1f a call)\n",
		       name, (double)(guest_sends ? host.bytes : guest.bytes) / 1e6 / took,
		       (double)in / took, (double)in / (double)(to_netd.calls - in_c + 1),
		       (double)out / took, (double)out / (double)(to_guest.calls - out_c + 1));
	fflush(stdout);
	close(guest.fd);
	close(host.fd);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const char *program = getenv("SKIFF_NETD");
	struct setting s = {0};
	socklen_t len = sizeof(sa);
	pthread_t thread;
	char words[64];
	int fd;

	if (unshare(CLONE_NEWNET | (geteuid() ? CLONE_NEWUSER : 0)))
		die("a network namespace");
	lo_up();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 8))
		die("listen");
	getsockname(fd, (struct sockaddr *)&sa, &len);
	snprintf(words, sizeof(words), "user,mtu=%s", argc > 2 ? argv[2] : "65520");
	{
		struct net_option opt;

		if (net_option_parse(words, &opt) ||
		    netd_start(&opt, program ? program : "./skiff-netd", &s.netd))
			return 1;
	}
	if (unshare(CLONE_NEWNET))
		die("a network namespace");
	lo_up();
	s.tap_fd = make_tap(s.netd.mtu);
	pthread_create(&thread, NULL, run_pump, &s);
	measure("guest to host", fd, ntohs(sa.sin_port), &s, 1, seconds, 0);
	measure("host to guest", fd, ntohs(sa.sin_port), &s, 0, seconds, 0);
	if (!system("command -v strace >/dev/null")) {
		measure("guest to host", fd, ntohs(sa.sin_port), &s, 1, 2.5, 1);
		measure("host to guest", fd, ntohs(sa.sin_port), &s, 0, 2.5, 1);
	}
	return 0;
}
