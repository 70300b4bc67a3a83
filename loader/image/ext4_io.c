/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The io_manager between libext2fs and a reader. Knows block numbers, and nothing of what is in the
 * blocks.
 */
#include "loader/image/ext4_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ext4_io_name(const struct ext4_io *io, char name[EXT4_IO_NAME])
{
	snprintf(name, EXT4_IO_NAME, "%" PRIxPTR, (uintptr_t)io);
}

static errcode_t io_open(const char *name, int flags, io_channel *out)
{
	const struct ext4_io *from = (const struct ext4_io *)(uintptr_t)strtoull(name, NULL, 16);
	struct struct_io_channel *channel;
	struct ext4_io *io;

	if (flags & IO_FLAG_RW)
		return EROFS;
	channel = calloc(1, sizeof(*channel));
	io = malloc(sizeof(*io));
	if (channel)
		channel->name = strdup(name);
	if (!channel || !io || !channel->name) {
		free(channel ? channel->name : NULL);
		free(channel);
		free(io);
		return EXT2_ET_NO_MEMORY;
	}
	*io = *from;
	channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	channel->manager = &ext4_io_manager;
	channel->block_size = 1024;
	channel->refcount = 1;
	channel->private_data = io;
	*out = channel;
	return 0;
}

static errcode_t io_close(io_channel channel)
{
	if (--channel->refcount > 0)
		return 0;
	free(channel->private_data);
	free(channel->name);
	free(channel);
	return 0;
}

static errcode_t io_set_blksize(io_channel channel, int size)
{
	channel->block_size = size;
	return 0;
}

/* @count below zero is in bytes. */
static errcode_t io_read_blk64(io_channel channel, unsigned long long block, int count, void *to)
{
	const struct ext4_io *io = channel->private_data;
	uint64_t size = (uint64_t)channel->block_size, off;
	uint64_t len = count < 0 ? (uint64_t) - (int64_t)count : (uint64_t)count * size;
	int r;

	if (block > io->len / size)
		return EXT2_ET_SHORT_READ;
	off = block * size;
	if (len > io->len - off)
		return EXT2_ET_SHORT_READ;
	r = reader_read(io->reader, io->start + off, to, len);
	if (r == -ERANGE)
		return EXT2_ET_SHORT_READ;
	return r < 0 ? -r : 0;
}

static errcode_t io_read_blk(io_channel channel, unsigned long block, int count, void *to)
{
	return io_read_blk64(channel, block, count, to);
}

static errcode_t io_write_blk64(io_channel channel, unsigned long long block, int count,
				const void *from)
{
	(void)channel;
	(void)block;
	(void)count;
	(void)from;
	return EROFS;
}

static errcode_t io_write_blk(io_channel channel, unsigned long block, int count, const void *from)
{
	return io_write_blk64(channel, block, count, from);
}

static errcode_t io_flush(io_channel channel)
{
	(void)channel;
	return 0;
}

struct struct_io_manager ext4_io_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "disk",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read_blk,
	.write_blk = io_write_blk,
	.flush = io_flush,
	.read_blk64 = io_read_blk64,
	.write_blk64 = io_write_blk64,
};
