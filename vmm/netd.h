/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_NETD_H
#define VMM_NETD_H

#include <stdint.h>
#include <sys/types.h>

#include "vmm/net_option.h"

/*
 * The VM's way to skiff-netd: finds the program beside the running executable, starts it with its
 * sockets, and waits for its hello. When that has come, every port is open that the user asked
 * for; a port that is in use is an error here, before the guest starts.
 */
struct netd {
	pid_t pid;    /* the process that was started; 0: a switch that ran already */
	int fd;       /* a connected SOCK_SEQPACKET socket, for net_socket_open(); the caller's */
	uint32_t mtu; /* to offer to the guest */
};

/*
 * For `user`: a process for this VM alone, which ends with it. For `switch`: attaches to the one
 * that listens at opt->path, or starts it there. @program is NULL but in tests. Called from a
 * thread that lives as long as the process. 0, or -errno after one sentence.
 */
int netd_start(const struct net_option *opt, const char *program, struct netd *out);

/* After the socket was closed: waits for a process that serves this VM alone. */
void netd_reap(struct netd *netd);

#endif
