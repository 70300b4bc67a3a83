/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio block device: carries requests from queues to a disk and answers back. It belongs to
 * the disk's loop; its state is touched with the loop's lock held, and a reset may come from a
 * vCPU thread, so it starts no I/O there. It knows neither what is behind the disk nor which
 * transport is in front.
 */
#include "devices/virtio/blk.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/virtio/blk_parse.h"
#include "vmm/container_of.h"
#include "vmm/log.h"

#define INLINE_SEGMENTS 8 /* more than that and the slot's long array is used */

struct slot {
	struct blk_req req; /* one at a time; v points to `few` or to the long array */
	struct virtio_blk *vb;
	struct slot *next_free;
	uint8_t *status;
	uint32_t in_len; /* device-writable bytes before the status */
	uint32_t filled; /* how many of them, from the first on, hold data if all goes well */
	uint16_t head;
	uint8_t q;
	uint8_t flush_next;    /* write-through: a flush is still to come */
	uint8_t range, ranges; /* DISCARD and WRITE_ZEROES: the current one and how many */
	union {
		struct iovec few[INLINE_SEGMENTS];
		struct vblk_range todo[VBLK_SEGMENTS_MAX];
	};
};

struct virtio_blk {
	struct virtio_dev dev;
	struct blk *disk;
	struct vblk_config config;
	struct virtio_blk_stats stats;
	uint8_t id[VBLK_ID_LEN];
	uint8_t write_through;
	uint32_t resetting; /* bit per queue: its requests are being waited for */
	uint32_t starved;   /* bit per queue: waits for a slot */
	uint32_t in_flight[VIRTIO_QUEUES_MAX];
	/* Slots [0, slots_used) have been used at least once; the free ones of them are a stack. */
	struct slot *slots, *free;
	unsigned slots_used, slots_max;
	struct iovec *longs; /* per slot an array of queue_size segments */
	uint16_t queue_size;
	size_t map_len;         /* of the mapping that holds all of this */
	struct iovec scratch[]; /* the segments of the chain that was just popped */
};

static struct virtio_blk *to_blk(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_blk, dev);
}

static int slot_left(const struct virtio_blk *vb)
{
	return vb->free || vb->slots_used < vb->slots_max;
}

static struct slot *slot_take(struct virtio_blk *vb, unsigned q)
{
	struct slot *s = vb->free;

	if (s)
		vb->free = s->next_free;
	else
		s = &vb->slots[vb->slots_used++];
	s->vb = vb;
	s->q = (uint8_t)q;
	s->flush_next = 0;
	s->range = s->ranges = 0;
	s->filled = 0;
	vb->in_flight[q]++;
	return s;
}

/* The queue is being reset: the driver takes its memory back and wants no more answers. */
static int is_dropped(const struct slot *s)
{
	return s->vb->dev.resetting || (s->vb->resetting >> s->q & 1);
}

/* Reports a reset as done once none of its queues has a request in flight. */
static void reset_check(struct virtio_blk *vb)
{
	if (!vb->resetting)
		return;
	for (unsigned q = 0; q < vb->dev.n_queues; q++)
		if ((vb->resetting >> q & 1) && vb->in_flight[q])
			return;
	vb->resetting = 0;
	virtio_reset_done(&vb->dev);
}

static void slot_give(struct slot *s)
{
	struct virtio_blk *vb = s->vb;

	s->next_free = vb->free;
	vb->free = s;
	vb->in_flight[s->q]--;
	if (vb->starved) {
		uint32_t starved = vb->starved;

		vb->starved = 0;
		for (unsigned q = 0; q < vb->dev.n_queues; q++)
			if (starved >> q & 1)
				virtio_kick_later(&vb->dev, q);
	}
	reset_check(vb);
}

/*
 * The last step. The used length counts bytes from the first device-writable one on (§2.7.8.2),
 * so the status byte counts only if everything before it was filled.
 */
static void finish(struct slot *s, uint8_t status)
{
	struct virtio_blk *vb = s->vb;
	uint32_t written = status == VIRTIO_BLK_S_OK ? s->filled : 0;

	if (written == s->in_len)
		written++;
	if (status != VIRTIO_BLK_S_OK)
		vb->stats.errors++;
	if (!is_dropped(s)) {
		*s->status = status;
		virtio_push(&vb->dev, s->q, s->head, written);
	}
	slot_give(s);
}

static void submit(struct slot *s, enum blk_op op)
{
	struct virtio_blk *vb = s->vb;

	s->req.op = op;
	vb->stats.requests[op]++;
	vb->disk->ops->submit(vb->disk, &s->req);
}

static void submit_range(struct slot *s)
{
	const struct vblk_range *r = &s->todo[s->range++];

	s->req.off = r->off;
	s->req.len = r->len;
	s->req.flags = r->unmap ? BLK_UNMAP : 0;
	submit(s, s->req.op);
}

static void submit_flush(struct slot *s)
{
	s->flush_next = 0;
	s->req.off = s->req.len = 0;
	s->req.n = 0;
	submit(s, BLK_FLUSH);
}

/* The disk answered: what is left of the request goes on, or the driver gets its answer. */
static void answered(struct blk_req *req, int res)
{
	struct slot *s = container_of(req, struct slot, req);
	int dropped = is_dropped(s);

	if (res == -EOPNOTSUPP)
		finish(s, VIRTIO_BLK_S_UNSUPP);
	else if (res < 0)
		finish(s, VIRTIO_BLK_S_IOERR);
	else if (s->range < s->ranges && !dropped)
		submit_range(s);
	else if (s->flush_next && !dropped)
		submit_flush(s);
	else
		finish(s, VIRTIO_BLK_S_OK);
}

/* Moves the data segments from the scratch array to one that lasts as long as the request. */
static void keep_segments(struct slot *s, struct iov *data)
{
	struct virtio_blk *vb = s->vb;
	struct iovec *v = s->few;
	int n = iov_take(data, data->left, v, INLINE_SEGMENTS);

	if (n < 0) {
		v = vb->longs + (size_t)(s - vb->slots) * vb->queue_size;
		n = iov_take(data, data->left, v, vb->queue_size);
	}
	/* A chain has no more segments than the queue has entries. */
	assert(n >= 0);
	s->req.v = v;
	s->req.n = (unsigned)n;
}

static void get_id(struct slot *s, struct vblk_cmd *cmd)
{
	size_t len = cmd->in.left < VBLK_ID_LEN ? cmd->in.left : VBLK_ID_LEN;

	/* Cannot fail: the bytes are there. */
	if (!iov_put(&cmd->in, s->vb->id, len))
		s->filled = (uint32_t)len;
	finish(s, VIRTIO_BLK_S_OK);
}

static void transfer(struct slot *s, struct vblk_cmd *cmd, const struct vblk_range *range)
{
	struct virtio_blk *vb = s->vb;
	int in = cmd->type == VIRTIO_BLK_T_IN;

	s->req.off = range->off;
	s->req.len = range->len;
	keep_segments(s, in ? &cmd->in : &cmd->out);
	if (in) {
		s->filled = s->in_len;
		vb->stats.read_bytes += range->len;
	} else {
		s->flush_next = vb->write_through;
		vb->stats.written_bytes += range->len;
	}
	submit(s, in ? BLK_READ : BLK_WRITE);
}

static void erase(struct slot *s, const struct vblk_cmd *cmd, const struct vblk_range *range,
		  unsigned n)
{
	memcpy(s->todo, range, n * sizeof(*range));
	s->ranges = (uint8_t)n;
	s->req.n = 0;
	s->flush_next = s->vb->write_through;
	s->req.op = cmd->type == VIRTIO_BLK_T_DISCARD ? BLK_DISCARD : BLK_WRITE_ZEROES;
	submit_range(s);
}

/* The second step: what was asked is judged, and done or refused. */
static void process(struct slot *s, struct vblk_cmd *cmd)
{
	const struct virtio_blk *vb = s->vb;
	struct vblk_limits limits = {
		.sectors = vb->disk->size / VBLK_SECTOR,
		.read_only = vb->disk->read_only,
		.discard = (uint8_t)virtio_has(&vb->dev, VIRTIO_BLK_F_DISCARD),
		.write_zeroes = (uint8_t)virtio_has(&vb->dev, VIRTIO_BLK_F_WRITE_ZEROES),
	};
	struct vblk_range range[VBLK_SEGMENTS_MAX];
	unsigned n;
	uint8_t status = vblk_judge(cmd, &limits, range, &n);

	if (status != VIRTIO_BLK_S_OK)
		finish(s, status);
	else if (cmd->type == VIRTIO_BLK_T_GET_ID)
		get_id(s, cmd);
	else if (cmd->type == VIRTIO_BLK_T_FLUSH)
		submit_flush(s);
	else if (n == 0)
		finish(s, VIRTIO_BLK_S_OK);
	else if (cmd->type == VIRTIO_BLK_T_IN || cmd->type == VIRTIO_BLK_T_OUT)
		transfer(s, cmd, range);
	else
		erase(s, cmd, range, n);
}

/* Takes one chain from queue @q: 0 if there was none or the device is broken. */
static int take_one(struct virtio_blk *vb, unsigned q)
{
	struct vq_chain chain = {.v = vb->scratch, .max = vb->queue_size};
	struct vblk_cmd cmd;
	struct slot *s;

	if (!slot_left(vb)) {
		vb->starved |= 1u << q;
		return 0;
	}
	if (!virtio_pop(&vb->dev, q, &chain))
		return 0;
	if (vblk_parse(&cmd, &chain)) {
		virtio_broken(&vb->dev, "queue %u: request without a header or a status byte", q);
		return 0;
	}
	s = slot_take(vb, q);
	s->head = chain.head;
	s->status = cmd.status;
	s->in_len = (uint32_t)cmd.in.left;
	s->req.done = answered;
	s->req.flags = 0;
	process(s, &cmd);
	return 1;
}

static void vblk_start(struct virtio_dev *dev)
{
	to_blk(dev)->write_through = !virtio_has(dev, VIRTIO_BLK_F_FLUSH);
}

static void vblk_kick(struct virtio_dev *dev, unsigned q)
{
	struct virtio_blk *vb = to_blk(dev);

	for (unsigned n = 0; n < VIRTIO_BUDGET; n++)
		if (!take_one(vb, q))
			return;
	virtio_kick_later(dev, q);
}

static void vblk_reset(struct virtio_dev *dev, int q)
{
	struct virtio_blk *vb = to_blk(dev);
	uint32_t all = (1u << dev->n_queues) - 1;

	vb->resetting |= q < 0 ? all : 1u << q;
	vb->starved &= ~vb->resetting;
	reset_check(vb);
}

static const struct virtio_dev_ops vblk_ops = {
	.name = "blk",
	.type = VIRTIO_ID_BLOCK,
	.start = vblk_start,
	.kick = vblk_kick,
	.reset = vblk_reset,
};

static uint8_t log2_of(uint32_t power)
{
	return (uint8_t)__builtin_ctz(power);
}

/* §5.2.4; the legacy geometry is the customary 16 heads of 63 sectors. */
static void fill_config(struct virtio_blk *vb, unsigned queues)
{
	const struct blk *disk = vb->disk;
	uint64_t sectors = disk->size / VBLK_SECTOR, cylinders = sectors / (16 * 63);
	uint32_t phys = disk->phys_block_size;

	if (phys < disk->block_size)
		phys = disk->block_size;
	vb->config = (struct vblk_config){
		.capacity = htole64(sectors),
		.seg_max = htole32(vb->queue_size - 2u),
		.cylinders = htole16(cylinders > UINT16_MAX ? UINT16_MAX : (uint16_t)cylinders),
		.heads = 16,
		.sectors = 63,
		.blk_size = htole32(disk->block_size),
		.physical_block_exp = log2_of(phys / disk->block_size),
		.min_io_size = htole16((uint16_t)(phys / disk->block_size)),
		.writeback = 1,
		.num_queues = htole16((uint16_t)queues),
	};
	if (disk->can_discard) {
		vb->config.max_discard_sectors = htole32(VBLK_DISCARD_SECTORS_MAX);
		vb->config.max_discard_seg = htole32(VBLK_SEGMENTS_MAX);
		vb->config.discard_sector_alignment = htole32(phys / VBLK_SECTOR);
	}
	if (disk->can_write_zeroes) {
		vb->config.max_write_zeroes_sectors = htole32(VBLK_ZEROES_SECTORS_MAX);
		vb->config.max_write_zeroes_seg = htole32(VBLK_SEGMENTS_MAX);
		vb->config.write_zeroes_may_unmap = disk->can_discard;
	}
	vb->dev.config = (uint8_t *)&vb->config;
	vb->dev.config_len = sizeof(vb->config);
}

static uint64_t features_of(const struct blk *disk, unsigned queues)
{
	uint64_t f = 1u << VIRTIO_BLK_F_SEG_MAX | 1u << VIRTIO_BLK_F_GEOMETRY |
		     1u << VIRTIO_BLK_F_BLK_SIZE | 1u << VIRTIO_BLK_F_FLUSH |
		     1u << VIRTIO_BLK_F_TOPOLOGY;

	if (queues > 1)
		f |= 1u << VIRTIO_BLK_F_MQ;
	if (disk->read_only)
		return f | 1u << VIRTIO_BLK_F_RO;
	if (disk->can_discard)
		f |= 1u << VIRTIO_BLK_F_DISCARD;
	if (disk->can_write_zeroes)
		f |= 1u << VIRTIO_BLK_F_WRITE_ZEROES;
	return f;
}

static int check_params(const struct virtio_blk_params *p)
{
	if (!p->queues || p->queues > VIRTIO_QUEUES_MAX)
		return log_fail(-EINVAL, "disk: %u queues: choose 1 to %d", p->queues,
				VIRTIO_QUEUES_MAX);
	if (p->queue_size < 4 || p->queue_size > VQ_SIZE_MAX ||
	    (p->queue_size & (p->queue_size - 1)))
		return log_fail(-EINVAL, "disk: queue size %u: choose a power of two from 4 to %d",
				p->queue_size, VQ_SIZE_MAX);
	if (p->serial && strlen(p->serial) > VBLK_ID_LEN)
		return log_fail(-EINVAL, "disk: serial '%s' is longer than %u bytes: shorten it",
				p->serial, VBLK_ID_LEN);
	return 0;
}

int virtio_blk_create(struct virtio_blk **out, const struct virtio_blk_params *p)
{
	struct virtio_blk *vb;
	size_t slots_at, longs_at, len, n;
	uint8_t *map;
	int r = check_params(p);

	if (r < 0)
		return r;
	/* One mapping: the device and its scratch array, the slots, the slots' long arrays. */
	n = (size_t)p->queues * p->queue_size;
	slots_at = (sizeof(*vb) + p->queue_size * sizeof(struct iovec) + 63) & ~(size_t)63;
	longs_at = (slots_at + n * sizeof(struct slot) + 4095) & ~(size_t)4095;
	len = longs_at + n * p->queue_size * sizeof(struct iovec);
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (map == MAP_FAILED)
		return log_fail(-ENOMEM, "disk: out of memory for %zu requests", n);
	/* Mostly untouched, and to stay so; without effect where the kernel has no huge pages. */
	madvise(map, len, MADV_NOHUGEPAGE);
	vb = (struct virtio_blk *)map;
	vb->map_len = len;
	vb->slots = (struct slot *)(map + slots_at);
	vb->slots_max = (unsigned)n;
	vb->longs = (struct iovec *)(map + longs_at);
	vb->queue_size = p->queue_size;
	vb->disk = p->disk;
	if (p->serial)
		memcpy(vb->id, p->serial, strlen(p->serial));
	virtio_dev_init(&vb->dev, &vblk_ops, p->mem, p->queues, p->queue_size);
	vb->dev.offered |= 1ull << VIRTIO_F_RING_RESET | features_of(p->disk, p->queues);
	fill_config(vb, p->queues);
	*out = vb;
	return 0;
}

void virtio_blk_destroy(struct virtio_blk *vb)
{
	if (!vb)
		return;
	assert(virtio_blk_in_flight(vb) == 0);
	munmap(vb, vb->map_len);
}

struct virtio_dev *virtio_blk_dev(struct virtio_blk *vb)
{
	return &vb->dev;
}

unsigned virtio_blk_in_flight(const struct virtio_blk *vb)
{
	unsigned n = 0;

	for (unsigned q = 0; q < vb->dev.n_queues; q++)
		n += vb->in_flight[q];
	return n;
}

void virtio_blk_get_stats(const struct virtio_blk *vb, struct virtio_blk_stats *out)
{
	*out = vb->stats;
}
