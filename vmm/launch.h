/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_LAUNCH_H
#define VMM_LAUNCH_H

#include <stdint.h>

#include "vmm/config.h"

/*
 * From what the user said to what a machine is built from. For a kernel that is little: the ports
 * of -p. For an image it is, in this order,
 *
 *   the image's file (fetched if it is a name that is not here)
 *   the machine's directory, and in it a qcow2 disk over the image, of the size that was asked for
 *   kernel, initrd and command line out of that disk, by skiff-image
 *   the seed that cloud-init finds, in memory
 *
 * and a look at whether that can boot at all (preflight.h). The image itself is never written.
 */
struct launch;

/*
 * 0 with *@out; or -errno after one sentence, with nothing left behind that was not there before.
 * @given stays the caller's and in place; @start_ns is when the process began (CLOCK_MONOTONIC).
 */
int launch_prepare(const struct config *given, uint64_t start_ns, struct launch **out);

/* What machine_create() takes; in place until launch_end(). */
const struct config *launch_config(const struct launch *l);

/* The machine was built: from now on what is on its disk is kept. 0 or -errno, said. */
int launch_started(struct launch *l);

/*
 * After the machine was destroyed: prints the boot's time line if it was asked for, and keeps or
 * removes the machine's directory. NULL is allowed.
 */
void launch_end(struct launch *l);

#endif
