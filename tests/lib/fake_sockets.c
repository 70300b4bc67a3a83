/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands between a module and the kernel: sockets that lead to the fuzzer, and a clock that goes on
 * when the fuzzer says so, so that a run is fast and comes out the same. On one thread. Knows
 * nothing of what goes through the sockets.
 */
#include "tests/lib/fake_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/fuzz_check.h"

#define FDS_MAX 65536
#define CROWD   255

struct fake_peer fake_peer[FAKE_PEERS];
struct fake_peer *fake_opening;
uint64_t fake_now_ns;

static uint8_t socket_of[FDS_MAX]; /* given out: to which peer, from 1 on, or CROWD */
static int active, small;
static int crowd_fd = -1, crowd_far; /* where the crowd's sockets lead */

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (clock != CLOCK_MONOTONIC || !active)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	*ts = (struct timespec){.tv_sec = (time_t)(fake_now_ns / 1000000000),
				.tv_nsec = (long)(fake_now_ns % 1000000000)};
	return 0;
}

int socket(int family, int type, int protocol)
{
	int pair[2], size = 1;

	if (!active || (family != AF_INET && family != AF_INET6))
		return (int)syscall(SYS_socket, family, type, protocol);
	if (!fake_opening) {
		pair[0] = fcntl(crowd_fd, F_DUPFD_CLOEXEC, 0);
	} else {
		if (socketpair(AF_UNIX, type, 0, pair))
			return -1;
		if (small)
			setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		if (fake_opening->fd >= 0)
			close(fake_opening->fd);
		fake_opening->fd = pair[1];
		fake_opening->opened = 1;
	}
	if (pair[0] >= 0) {
		CHECK(pair[0] < FDS_MAX);
		socket_of[pair[0]] =
			fake_opening ? (uint8_t)(1 + (fake_opening - fake_peer)) : CROWD;
	}
	return pair[0];
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
	unsigned whose = active && fd >= 0 && fd < FDS_MAX ? socket_of[fd] : 0;

	if (!whose)
		return (int)syscall(SYS_connect, fd, to, len);
	CHECK(len >= sizeof(struct sockaddr_in));
	if (to->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)to;

		CHECK(ntohl(in->sin_addr.s_addr) >> 24 != 127 ||
		      (whose != CROWD && fake_peer[whose - 1].loopback));
	}
	errno = EINPROGRESS;
	if (whose == CROWD)
		return -1;
	errno = fake_peer[whose - 1].how == FAKE_NEVER ? ENETUNREACH : EINPROGRESS;
	return fake_peer[whose - 1].how == FAKE_NOW ? 0 : -1;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	unsigned whose = active && fd >= 0 && fd < FDS_MAX ? socket_of[fd] : 0;
	int how = whose && whose != CROWD ? fake_peer[whose - 1].how : FAKE_NOW, err;

	if (level != SOL_SOCKET || name != SO_ERROR || (how != FAKE_REFUSED && how != FAKE_SILENT))
		return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
	err = how == FAKE_REFUSED ? ECONNREFUSED : ETIMEDOUT;
	memcpy(value, &err, sizeof(err));
	return 0;
}

int fake_sockets_gave(int fd)
{
	return fd >= 0 && fd < FDS_MAX && socket_of[fd] && fcntl(fd, F_GETFD) >= 0;
}

void fake_crowd_send(const void *p, size_t len)
{
	send(crowd_far, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void make_crowd(void)
{
	int pair[2], size = 1 << 20;

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair));
	crowd_fd = pair[0];
	crowd_far = pair[1];
	setsockopt(crowd_far, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(crowd_far, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

void fake_sockets_start(int small_buffers)
{
	if (crowd_fd < 0)
		make_crowd();
	memset(socket_of, 0, sizeof(socket_of));
	for (unsigned i = 0; i < FAKE_PEERS; i++)
		fake_peer[i] = (struct fake_peer){.fd = -1};
	fake_opening = NULL;
	fake_now_ns = 1000000000000;
	small = small_buffers;
	active = 1;
}

void fake_sockets_stop(void)
{
	uint8_t none;

	active = 0;
	for (unsigned i = 0; i < FAKE_PEERS; i++)
		if (fake_peer[i].fd >= 0)
			close(fake_peer[i].fd);
	while (recv(crowd_fd, &none, 0, MSG_DONTWAIT) >= 0)
		;
	for (int fd = 0; fd < FDS_MAX; fd++)
		CHECK(!socket_of[fd] || fcntl(fd, F_GETFD) < 0);
}
