/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_JAIL_H
#define DEVICES_NET_NETD_JAIL_H

#include <sys/types.h>

/*
 * What skiff-netd gives up before it reads its first frame. In two steps, since ports below 1024
 * may have to be opened between them.
 */

/*
 * First: keeps only the descriptors 0 to @last_fd (standard input becomes /dev/null), leaves the
 * terminal's session, and bounds what it can use. 0, or -errno after one sentence.
 */
int jail_begin(int last_fd);

/*
 * Then: no privileges and no way to new ones; if @parent is not 0, the process also ends with that
 * one. 0, or -errno after one sentence.
 */
int jail_enter(pid_t parent);

#endif
