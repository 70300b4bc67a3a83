/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads virtio-blk requests out of chains and judges them. Pure computation on any thread: no
 * ring, no disk, no memory of earlier requests. Every guest byte is copied once and the copy is
 * judged.
 */
#include "devices/virtio/blk_parse.h"

#include <endian.h>
#include <errno.h>

#include "devices/virtio/spec.h"

/* §5.2.6: struct virtio_blk_req */
struct header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

/* §5.2.6: struct virtio_blk_discard_write_zeroes */
struct segment {
	uint64_t sector;
	uint32_t num_sectors;
	uint32_t flags;
};

_Static_assert(sizeof(struct header) == VBLK_HEADER_LEN, "as on the wire");
_Static_assert(sizeof(struct segment) == VBLK_SEGMENT_LEN, "as on the wire");
_Static_assert(sizeof(struct vblk_config) == 60, "as on the wire");

int vblk_parse(struct vblk_cmd *cmd, const struct vq_chain *chain)
{
	struct header h;

	/* A chain's lengths add up in 32 bits, so neither cursor can overflow. */
	if (iov_init(&cmd->out, chain->v, chain->out) ||
	    iov_init(&cmd->in, chain->v + chain->out, chain->in))
		return -EPROTO;
	if (iov_get(&cmd->out, &h, sizeof(h)))
		return -EPROTO;
	cmd->status = iov_cut_last(&cmd->in);
	if (!cmd->status)
		return -EPROTO;
	cmd->type = le32toh(h.type);
	cmd->sector = le64toh(h.sector);
	return 0;
}

static uint8_t judge_range(const struct vblk_limits *limits, uint64_t sector, uint64_t n)
{
	if (sector > limits->sectors || n > limits->sectors - sector)
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static uint8_t judge_transfer(const struct vblk_cmd *cmd, const struct vblk_limits *limits,
			      struct vblk_range *range, unsigned *n)
{
	uint64_t len = cmd->type == VIRTIO_BLK_T_IN ? cmd->in.left : cmd->out.left;
	uint8_t status;

	if (cmd->type == VIRTIO_BLK_T_OUT && limits->read_only)
		return VIRTIO_BLK_S_IOERR;
	if (len % VBLK_SECTOR)
		return VIRTIO_BLK_S_IOERR;
	status = judge_range(limits, cmd->sector, len / VBLK_SECTOR);
	if (status != VIRTIO_BLK_S_OK || len == 0)
		return status;
	range[0] = (struct vblk_range){cmd->sector * VBLK_SECTOR, len, 0};
	*n = 1;
	return status;
}

/* One segment of a DISCARD or WRITE_ZEROES; what the flags may be is §5.2.6.2. */
static uint8_t judge_segment(const struct vblk_limits *limits, int discard, const struct segment *s,
			     struct vblk_range *range)
{
	uint64_t sector = le64toh(s->sector);
	uint32_t flags = le32toh(s->flags), sectors = le32toh(s->num_sectors);

	if (flags & ~(discard ? 0u : VBLK_SEGMENT_UNMAP))
		return VIRTIO_BLK_S_UNSUPP;
	if (sectors > (discard ? VBLK_DISCARD_SECTORS_MAX : VBLK_ZEROES_SECTORS_MAX))
		return VIRTIO_BLK_S_IOERR;
	*range = (struct vblk_range){sector * VBLK_SECTOR, (uint64_t)sectors * VBLK_SECTOR,
				     (flags & VBLK_SEGMENT_UNMAP) != 0};
	return judge_range(limits, sector, sectors);
}

/* All segments are good or nothing is done. */
static uint8_t judge_segments(struct vblk_cmd *cmd, const struct vblk_limits *limits,
			      struct vblk_range *range, unsigned *n)
{
	int discard = cmd->type == VIRTIO_BLK_T_DISCARD;
	size_t count = cmd->out.left / VBLK_SEGMENT_LEN;

	if (!(discard ? limits->discard : limits->write_zeroes))
		return VIRTIO_BLK_S_UNSUPP;
	if (limits->read_only || cmd->out.left % VBLK_SEGMENT_LEN || count > VBLK_SEGMENTS_MAX)
		return VIRTIO_BLK_S_IOERR;
	for (size_t i = 0; i < count; i++) {
		struct segment s;
		uint8_t status;

		if (iov_get(&cmd->out, &s, sizeof(s)))
			return VIRTIO_BLK_S_IOERR;
		status = judge_segment(limits, discard, &s, &range[*n]);
		if (status != VIRTIO_BLK_S_OK)
			return status;
		if (range[*n].len > 0)
			(*n)++;
	}
	return VIRTIO_BLK_S_OK;
}

uint8_t vblk_judge(struct vblk_cmd *cmd, const struct vblk_limits *limits, struct vblk_range *range,
		   unsigned *n)
{
	*n = 0;
	switch (cmd->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return judge_transfer(cmd, limits, range, n);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return judge_segments(cmd, limits, range, n);
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_GET_ID:
		return VIRTIO_BLK_S_OK;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}
