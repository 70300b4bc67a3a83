/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_BLOCK_BLOCK_H
#define DEVICES_BLOCK_BLOCK_H

#include <stdint.h>
#include <sys/uio.h>

/*
 * What a disk is: a numbered row of bytes that takes requests and answers each of them once, in
 * any order. virtio-blk is above it, raw files and image formats are below it. All calls and all
 * answers happen on the disk's loop, with its lock held; an answer may come before submit returns.
 */
enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,        /* every write answered before is durable when this is answered */
	BLK_DISCARD,      /* the bytes may read as anything from now on; space is given back */
	BLK_WRITE_ZEROES, /* the bytes read as zero from now on */
};

#define BLK_UNMAP 1u /* WRITE_ZEROES may give the space back */

struct blk;

struct blk_req {
	enum blk_op op;
	unsigned flags;
	uint64_t off;    /* bytes */
	uint64_t len;    /* bytes; for reads and writes the sum of the segments */
	struct iovec *v; /* reads and writes: the data, in place until done; may be changed by
			    the disk while it owns the request (short transfers move it on) */
	unsigned n;
	void (*done)(struct blk_req *req, int res); /* 0, or -errno (-EIO, -ENOSPC, -EROFS ...) */
	struct blk_req *next;                       /* the disk's while it owns the request */
};

struct blk_ops {
	/* The range lies inside the disk: the caller has checked it against blk->size. */
	void (*submit)(struct blk *blk, struct blk_req *req);
	/* After the last answer. Gives up the lock on the image. */
	void (*close)(struct blk *blk);
};

struct blk {
	const struct blk_ops *ops;
	uint64_t size;            /* bytes, a multiple of 512 */
	uint32_t block_size;      /* bytes of one logical block: 512 or 4096 */
	uint32_t phys_block_size; /* bytes; smaller writes work and are slower; >= block_size */
	uint8_t read_only;
	uint8_t can_discard;
	uint8_t can_write_zeroes;
};

#endif
