/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_EXT4_IO_H
#define LOADER_IMAGE_EXT4_IO_H

#include <ext2fs/ext2fs.h>

#include "loader/image/reader.h"

/* What libext2fs reads its blocks from: a piece of a disk. Writing is refused. */
struct ext4_io {
	struct reader *reader;
	uint64_t start, len;
};

/* The library opens by name alone, so the name says where the piece is to be found in memory. */
#define EXT4_IO_NAME 32
void ext4_io_name(const struct ext4_io *io, char name[EXT4_IO_NAME]);

extern struct struct_io_manager ext4_io_manager;

#endif
