/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_NAMESPACES_H
#define VMM_BENCH_NAMESPACES_H

/*
 * A container without a runtime, for hosts that have none: this process goes into namespaces of its
 * own (user if it is not root, mount, pid, ipc, uts) with @root as root directory and serves there
 * as the agent. Returns the exit status, after one sentence if it could not.
 */
int namespaces_serve(const char *root);

#endif
