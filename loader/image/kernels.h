/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_KERNELS_H
#define LOADER_IMAGE_KERNELS_H

#include "loader/image/find.h"

/* What the search finds by the names of files alone: steps of find_boot(), for it only. */

/* Takes PRETTY_NAME of /etc/os-release, where there is one. */
void kernels_read_os(struct found *f);

/*
 * The links vmlinuz and initrd.img, else the kernel file with the highest version and the initrd
 * that belongs to it; the command line names the root file system. 0, -ENOENT or -errno.
 */
int kernels_without_configuration(struct found *f);

/* Looks the drivers up in the configuration that lies beside the kernel, if one does. */
void kernels_read_drivers(struct found *f);

#endif
