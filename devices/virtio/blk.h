/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include <stdint.h>

#include "devices/block/block.h"
#include "devices/virtio/dev.h"

/*
 * A virtio block device (virtio 1.2 §5.2) over any disk.
 *
 *   kick -> virtio_pop -> parse, judge (blk_parse.h) -> slot -> disk->submit
 *                                                                   |
 *   virtio_push <- status byte, used length <- finish <- slot <- req->done
 *
 * Each request under way has a slot. There are as many slots as the queues have entries, so a
 * driver's requests always find one; nothing is allocated after creation. A slot's memory is
 * touched when the slot is first used, and the slot given back last is used next: a guest that
 * keeps one request in flight touches one page.
 *
 * A driver that does not negotiate FLUSH expects writes to be durable when they are answered
 * (§5.2.6.2): each is then followed by a flush.
 */
struct virtio_blk;

struct virtio_blk_params {
	const struct mem *mem;
	struct blk *disk;    /* the caller's; must outlive the device */
	const char *serial;  /* what GET_ID says: up to 20 bytes; NULL: none */
	unsigned queues;     /* 1..VIRTIO_QUEUES_MAX */
	uint16_t queue_size; /* a power of two, 4..VQ_SIZE_MAX */
};

/* 0, -EINVAL for parameters that break the rules above, or -ENOMEM; says why. */
int virtio_blk_create(struct virtio_blk **out, const struct virtio_blk_params *params);

/* Only with nothing in flight: after a reset that is done, or after the disk's last answer. */
void virtio_blk_destroy(struct virtio_blk *vb);

/* The device that a transport drives. */
struct virtio_dev *virtio_blk_dev(struct virtio_blk *vb);

/* Requests that the disk has not answered yet. */
unsigned virtio_blk_in_flight(const struct virtio_blk *vb);

/* Counters for --stats: requests that went to the disk by enum blk_op, their bytes, errors. */
struct virtio_blk_stats {
	uint64_t requests[BLK_WRITE_ZEROES + 1];
	uint64_t read_bytes, written_bytes;
	uint64_t errors; /* answered with IOERR or UNSUPP */
};
void virtio_blk_get_stats(const struct virtio_blk *vb, struct virtio_blk_stats *out);

#endif
