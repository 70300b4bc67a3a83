/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_BLOCK_RAW_IO_H
#define DEVICES_BLOCK_RAW_IO_H

#include <stdint.h>

#include "devices/block/block.h"
#include "vmm/iov.h"
#include "vmm/loop.h"

/*
 * The inside of a raw disk, for the three files that make it: raw.c opens, raw_io.c carries
 * requests to the loop, raw_bounce.c serves those that direct I/O cannot take as they are.
 *
 *   submit -> aligned? --yes--> io (one of RAW_DEPTH) -> loop
 *                      --no---> bounce (one at a time) -> loop
 *   All ios taken, or the bounce buffer wants the disk for itself: `waiting`.
 */
#define RAW_DEPTH      256          /* requests at the loop at a time */
#define RAW_BOUNCE_LEN (256u << 10) /* a multiple of every alignment */

struct raw;

/* How WRITE_ZEROES is tried, in this order. */
enum raw_zero { RAW_PUNCH, RAW_ZERO_RANGE, RAW_WRITE_ZEROES };

struct raw_io {
	struct op op;
	struct raw *raw;
	struct blk_req *req;
	struct raw_io *next_free;
	uint64_t off, left; /* what is still to be moved */
	enum raw_zero zero;
	struct iovec tail; /* a last, shorter piece of zeroes */
};

struct raw_bounce {
	struct op op;
	struct blk_req *req;          /* being served; NULL: idle */
	struct blk_req *head, **tail; /* to be served */
	struct iov data;
	uint8_t *buf;         /* RAW_BOUNCE_LEN bytes, page-aligned; NULL without direct I/O */
	uint64_t pos;         /* bytes of the request that are done */
	uint64_t at;          /* where the window in buf begins on the disk */
	size_t window, moved; /* its bytes, and how many the current transfer has moved */
	size_t skip, chunk;   /* the request's bytes within the window */
	uint8_t writing;
	uint8_t waits; /* req may begin when nothing else is in flight */
	struct iovec v;
};

struct raw {
	struct blk blk;
	struct loop *loop; /* NULL: reads are made at once */
	int fd;
	char *path;     /* for messages */
	uint32_t align; /* of places and lengths; 1 without direct I/O */
	uint32_t mem_align;
	uint8_t is_block_device;
	uint8_t sync_failed;
	uint8_t no_punch, no_zero_range; /* learnt from the file system */
	uint8_t exclusive;               /* the bounce buffer wants, or has, the disk for itself */
	unsigned in_flight;              /* ios at the loop */
	struct blk_req *waiting, **waiting_tail;
	struct raw_io *free; /* of io[0..used) */
	unsigned used;
	struct raw_bounce bounce;
	struct raw_io io[RAW_DEPTH];
};

/* raw_io.c */
void raw_submit(struct blk *blk, struct blk_req *req);
/* Starts what waits, as far as there is room. */
void raw_pump(struct raw *raw);

/* raw_bounce.c */
void raw_bounce_submit(struct raw *raw, struct blk_req *req);
/* raw->in_flight has become less. */
void raw_bounce_alone(struct raw *raw);

#endif
