/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The request path of a raw disk: from struct blk_req to operations of the loop and back. On the
 * loop's thread with its lock held; nothing here allocates or blocks, but for reads of a disk that
 * has no loop. It knows neither who asks nor how the file was opened.
 *
 * System calls (without a loop): preadv.
 */
#include "devices/block/raw_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/uio.h>

#include "vmm/container_of.h"
#include "vmm/log.h"

/* Zeroes to write: never written themselves, so all of it is the kernel's one zero page. */
#define ZEROES_LEN (64u << 10)
#define ZEROES_MAX 16u
static uint8_t zeroes[ZEROES_LEN] __attribute__((aligned(4096)));
static const struct iovec zeroes_v[ZEROES_MAX] = {
	[0 ... ZEROES_MAX - 1] = {zeroes, ZEROES_LEN},
};

static void io_finish(struct raw_io *io, int res)
{
	struct raw *raw = io->raw;
	struct blk_req *req = io->req;

	io->next_free = raw->free;
	raw->free = io;
	raw->in_flight--;
	req->done(req, res);
	raw_bounce_alone(raw);
	raw_pump(raw);
}

static void fail_sync(struct raw *raw, int res)
{
	if (raw->sync_failed)
		return;
	raw->sync_failed = 1;
	log_line(LOG_ERROR,
		 "disk: %s: writes could not be made durable: %s: every flush fails from now on; "
		 "check the image and its file system, then start the VM again",
		 raw->path, strerror(-res));
}

static void submit_zeroes(struct raw_io *io)
{
	struct raw *raw = io->raw;
	uint64_t whole = io->left / ZEROES_LEN;

	if (whole > 0) {
		loop_writev(raw->loop, &io->op, raw->fd, zeroes_v,
			    whole < ZEROES_MAX ? (unsigned)whole : ZEROES_MAX, io->off);
		return;
	}
	io->tail = (struct iovec){zeroes, (size_t)io->left};
	loop_writev(raw->loop, &io->op, raw->fd, &io->tail, 1, io->off);
}

static void submit_zero(struct raw_io *io)
{
	static const int mode[] = {
		[RAW_PUNCH] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		[RAW_ZERO_RANGE] = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	struct raw *raw = io->raw;

	if (io->zero == RAW_PUNCH && raw->no_punch)
		io->zero = RAW_ZERO_RANGE;
	if (io->zero == RAW_ZERO_RANGE && raw->no_zero_range)
		io->zero = RAW_WRITE_ZEROES;
	if (io->zero == RAW_WRITE_ZEROES)
		submit_zeroes(io);
	else
		loop_fallocate(raw->loop, &io->op, raw->fd, mode[io->zero], io->off, io->left);
}

static void io_submit(struct raw_io *io)
{
	struct raw *raw = io->raw;
	struct blk_req *req = io->req;
	unsigned n = req->n < IOV_MAX ? req->n : IOV_MAX;

	switch (req->op) {
	case BLK_READ:
		loop_readv(raw->loop, &io->op, raw->fd, req->v, n, io->off);
		break;
	case BLK_WRITE:
		loop_writev(raw->loop, &io->op, raw->fd, req->v, n, io->off);
		break;
	case BLK_FLUSH:
		loop_fdatasync(raw->loop, &io->op, raw->fd);
		break;
	case BLK_DISCARD:
		loop_fallocate(raw->loop, &io->op, raw->fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, io->off, io->left);
		break;
	case BLK_WRITE_ZEROES:
		submit_zero(io);
		break;
	}
}

/* Passes @len bytes of the request's segments. */
static void pass(struct blk_req *req, size_t len)
{
	while (req->n > 0 && len >= req->v->iov_len) {
		len -= req->v->iov_len;
		req->v++;
		req->n--;
	}
	if (len > 0) {
		req->v->iov_base = (uint8_t *)req->v->iov_base + len;
		req->v->iov_len -= len;
	}
}

/* A transfer moved @res bytes: the request ends, goes on behind them, or gets nowhere. */
static void moved(struct raw_io *io, int res)
{
	/* Direct I/O goes on at a place that it can take. */
	uint64_t len = (uint64_t)res & ~(uint64_t)(io->raw->align - 1);

	if (len >= io->left) {
		io_finish(io, 0);
		return;
	}
	/* Nothing moved before the end: the file was cut short under us. */
	if (len == 0) {
		io_finish(io, -EIO);
		return;
	}
	io->off += len;
	io->left -= len;
	if (io->req->op != BLK_WRITE_ZEROES)
		pass(io->req, (size_t)len);
	io_submit(io);
}

static int is_unsupported(const struct raw *raw, int res)
{
	/* A block device says EINVAL to a range that is not made of its blocks. */
	return res == -EOPNOTSUPP || res == -ENOSYS || (res == -EINVAL && raw->is_block_device);
}

/* The way that was tried is not to be had: on with the next one. */
static void zero_otherwise(struct raw_io *io, int res)
{
	struct raw *raw = io->raw;
	struct blk_req *req = io->req;

	if (res != -EINVAL) {
		raw->no_punch |= io->zero == RAW_PUNCH;
		raw->no_zero_range |= io->zero == RAW_ZERO_RANGE;
	}
	io->zero++;
	if (io->zero == RAW_ZERO_RANGE && raw->no_zero_range)
		io->zero = RAW_WRITE_ZEROES;
	if (io->zero == RAW_WRITE_ZEROES && raw->align > 1) {
		/* Direct I/O wants whole blocks, which the bounce buffer knows how to make. */
		raw_bounce_submit(raw, req);
		io->next_free = raw->free;
		raw->free = io;
		raw->in_flight--;
		raw_bounce_alone(raw);
		raw_pump(raw);
		return;
	}
	submit_zero(io);
}

static void flushed(struct raw_io *io, int res)
{
	struct raw *raw = io->raw;

	if (res < 0)
		fail_sync(raw, res);
	/* Also one that succeeds after another has failed: the kernel has reported already. */
	io_finish(io, raw->sync_failed ? -EIO : 0);
}

static void transferred(struct raw_io *io, int res)
{
	if (res < 0)
		io_finish(io, res);
	else
		moved(io, res);
}

static void discarded(struct raw_io *io, int res)
{
	const struct raw *raw = io->raw;

	/* Advice: a block device keeps what is not made of its blocks. */
	if (res == -EINVAL && raw->is_block_device)
		res = 0;
	io_finish(io, is_unsupported(raw, res) ? -EOPNOTSUPP : res);
}

static void zeroed(struct raw_io *io, int res)
{
	if (io->zero == RAW_WRITE_ZEROES)
		transferred(io, res);
	else if (is_unsupported(io->raw, res))
		zero_otherwise(io, res);
	else
		io_finish(io, res);
}

static void io_came(struct op *op, int res)
{
	struct raw_io *io = container_of(op, struct raw_io, op);

	if (res == -EINTR || res == -EAGAIN) {
		io_submit(io);
		return;
	}
	switch (io->req->op) {
	case BLK_READ:
	case BLK_WRITE:
		transferred(io, res);
		break;
	case BLK_FLUSH:
		flushed(io, res);
		break;
	case BLK_DISCARD:
		discarded(io, res);
		break;
	case BLK_WRITE_ZEROES:
		zeroed(io, res);
		break;
	}
}

static int read_now(const struct raw *raw, struct blk_req *req)
{
	uint64_t off = req->off, left = req->len;

	while (left > 0) {
		int n = req->n < IOV_MAX ? (int)req->n : IOV_MAX;
		ssize_t r = preadv(raw->fd, req->v, n, (off_t)off);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		pass(req, (size_t)r);
		off += (uint64_t)r;
		left -= (uint64_t)r < left ? (uint64_t)r : left;
	}
	return 0;
}

static void io_start(struct raw *raw, struct blk_req *req)
{
	struct raw_io *io = raw->free;

	if (io)
		raw->free = io->next_free;
	else
		io = &raw->io[raw->used++];
	raw->in_flight++;
	io->op.fn = io_came;
	io->raw = raw;
	io->req = req;
	io->off = req->off;
	io->left = req->len;
	io->zero = req->flags & BLK_UNMAP ? RAW_PUNCH : RAW_ZERO_RANGE;
	io_submit(io);
}

static int is_aligned(const struct raw *raw, const struct blk_req *req)
{
	uint64_t odd = req->off | req->len;

	if (raw->align == 1 || (req->op != BLK_READ && req->op != BLK_WRITE))
		return 1;
	for (unsigned i = 0; i < req->n; i++) {
		odd |= req->v[i].iov_len;
		if ((uintptr_t)req->v[i].iov_base & (raw->mem_align - 1))
			return 0;
	}
	return !(odd & (raw->align - 1));
}

static void start(struct raw *raw, struct blk_req *req)
{
	int zero_by_hand = req->op == BLK_WRITE_ZEROES && raw->no_zero_range && raw->align > 1 &&
			   (raw->no_punch || !(req->flags & BLK_UNMAP));

	if (zero_by_hand || !is_aligned(raw, req))
		raw_bounce_submit(raw, req);
	else
		io_start(raw, req);
}

void raw_pump(struct raw *raw)
{
	while (raw->waiting && !raw->exclusive && raw->in_flight < RAW_DEPTH) {
		struct blk_req *req = raw->waiting;

		raw->waiting = req->next;
		if (!raw->waiting)
			raw->waiting_tail = &raw->waiting;
		start(raw, req);
	}
}

void raw_submit(struct blk *blk, struct blk_req *req)
{
	struct raw *raw = container_of(blk, struct raw, blk);

	if (blk->read_only && req->op != BLK_READ) {
		/* Nothing was written, so everything written is durable. */
		req->done(req, req->op == BLK_FLUSH ? 0 : -EROFS);
		return;
	}
	if (!raw->loop) {
		assert(req->op == BLK_READ);
		req->done(req, read_now(raw, req));
		return;
	}
	if (req->op == BLK_FLUSH && raw->sync_failed) {
		req->done(req, -EIO);
		return;
	}
	if (req->op == BLK_DISCARD && !blk->can_discard) {
		req->done(req, -EOPNOTSUPP);
		return;
	}
	if (!raw->waiting && !raw->exclusive && raw->in_flight < RAW_DEPTH) {
		start(raw, req);
		return;
	}
	req->next = NULL;
	*raw->waiting_tail = req;
	raw->waiting_tail = &req->next;
}
