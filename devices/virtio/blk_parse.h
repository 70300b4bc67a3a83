/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_BLK_PARSE_H
#define DEVICES_VIRTIO_BLK_PARSE_H

#include <stdint.h>

#include "devices/virtio/queue.h"
#include "vmm/iov.h"

/*
 * What a driver says to a virtio block device and what it may ask (virtio 1.2 §5.2), as pure
 * functions over a chain. blk.c does what was asked.
 *
 *   chain -> vblk_parse -> struct vblk_cmd -> vblk_judge -> a status, or ranges for the disk
 */

/* §5.2.3 feature bits */
#define VIRTIO_BLK_F_SEG_MAX      2
#define VIRTIO_BLK_F_GEOMETRY     4
#define VIRTIO_BLK_F_RO           5
#define VIRTIO_BLK_F_BLK_SIZE     6
#define VIRTIO_BLK_F_FLUSH        9
#define VIRTIO_BLK_F_TOPOLOGY     10
#define VIRTIO_BLK_F_MQ           12
#define VIRTIO_BLK_F_DISCARD      13
#define VIRTIO_BLK_F_WRITE_ZEROES 14

/* §5.2.4: up to and with the fields of WRITE_ZEROES; little-endian. */
struct vblk_config {
	uint64_t capacity; /* sectors */
	uint32_t size_max;
	uint32_t seg_max;
	uint16_t cylinders;
	uint8_t heads;
	uint8_t sectors;
	uint32_t blk_size;
	uint8_t physical_block_exp;
	uint8_t alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback;
	uint8_t unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors;
	uint32_t max_discard_seg;
	uint32_t discard_sector_alignment;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
} __attribute__((packed));

/* §5.2.6 */
#define VIRTIO_BLK_T_IN           0
#define VIRTIO_BLK_T_OUT          1
#define VIRTIO_BLK_T_FLUSH        4
#define VIRTIO_BLK_T_GET_ID       8
#define VIRTIO_BLK_T_DISCARD      11
#define VIRTIO_BLK_T_WRITE_ZEROES 13

#define VIRTIO_BLK_S_OK           0
#define VIRTIO_BLK_S_IOERR        1
#define VIRTIO_BLK_S_UNSUPP       2

#define VBLK_SECTOR               512u /* the unit of the protocol, whatever the block size (§5.2.4) */
#define VBLK_HEADER_LEN           16u
#define VBLK_ID_LEN               20u
#define VBLK_SEGMENT_LEN          16u
#define VBLK_SEGMENT_UNMAP        1u

/* The segments that one DISCARD or WRITE_ZEROES may carry, and the sectors of each. */
#define VBLK_SEGMENTS_MAX         8u
#define VBLK_DISCARD_SECTORS_MAX  (1u << 22) /* 2 GiB */
#define VBLK_ZEROES_SECTORS_MAX   (1u << 17) /* 64 MiB: they may have to be written */

/* One request in the driver's words. */
struct vblk_cmd {
	uint32_t type;   /* VIRTIO_BLK_T_* or anything else */
	uint64_t sector; /* as the driver wrote it */
	struct iov out;  /* device-readable bytes behind the header */
	struct iov in;   /* device-writable bytes before the status */
	uint8_t *status; /* the last device-writable byte */
};

/*
 * Takes a chain apart, whatever its framing (§2.7.4.1): the first 16 device-readable bytes are
 * the header, the last device-writable byte is the status. The cursors point into chain->v, which
 * is shortened by the status byte. 0, or -EPROTO if there is no whole header or no status byte.
 */
int vblk_parse(struct vblk_cmd *cmd, const struct vq_chain *chain);

/* A stretch of the disk, in bytes, known to lie inside it. */
struct vblk_range {
	uint64_t off, len;
	uint8_t unmap;
};

/* What the disk and the negotiated features allow. */
struct vblk_limits {
	uint64_t sectors;
	uint8_t read_only;
	uint8_t discard, write_zeroes; /* negotiated */
};

/*
 * Judges a request. VIRTIO_BLK_S_OK: the disk may be asked; @range[0..*n) holds the range of IN
 * and OUT, the segments of DISCARD and WRITE_ZEROES (copied out of guest memory once), and is
 * empty for FLUSH, GET_ID and where there is nothing to do. Otherwise the status that answers it
 * (§5.2.6.2). @range has room for VBLK_SEGMENTS_MAX.
 */
uint8_t vblk_judge(struct vblk_cmd *cmd, const struct vblk_limits *limits, struct vblk_range *range,
		   unsigned *n);

#endif
