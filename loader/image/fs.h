/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_FS_H
#define LOADER_IMAGE_FS_H

#include "loader/image/reader.h"

/*
 * What lies in a partition, by the marks that file systems and others leave: enough to name it, and
 * to find the one that a root= means. Only ext4 is read further (ext4.h).
 */
struct fs_mark {
	const char *type; /* as blkid names it: "ext4", "vfat", "swap" ...; "" if unknown */
	uint8_t is_ext;   /* ext2, ext3 or ext4 */
	uint64_t bytes;   /* ext: how long it says it is; 0: it says nothing that can be */
	char label[65];   /* no control characters; "" if there is none */
	char uuid[37];    /* as root=UUID= has it */
};

/* Looks at the @len bytes from @start. 0, or -errno when the disk cannot be read. */
int fs_identify(struct reader *r, uint64_t start, uint64_t len, struct fs_mark *mark);

#endif
