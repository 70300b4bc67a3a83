/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_PREFLIGHT_H
#define VMM_PREFLIGHT_H

#include <stdint.h>

#include "loader/image.h"
#include "vmm/image_boot.h"

/*
 * What would make a guest hang in silence, said before it starts. It knows what the caller knows:
 * with an image that was looked into, its partitions and the kernel's drivers; without one, what
 * the kernel's file, the command line and the memory tell.
 */
struct preflight {
	const struct image_boot *image; /* the first disk, /dev/vda; NULL: not looked into */
	unsigned more_disks;            /* that may have the root, and were not looked into */
	enum image_arch arch;
	uint64_t memory;     /* bytes */
	const char *cmdline; /* as the guest will get it */
	const char *kernel;  /* its name, for messages; so is the initrd's */
	const char *initrd;
	int kernel_fd;
	int initrd_fd; /* -1: none */
};

/*
 * Says all that it finds. 0, also after warnings; -EINVAL if the guest cannot come up as it is
 * (the command's exit status is 2).
 */
int preflight_check(const struct preflight *p);

#endif
