/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serves the requests of a raw disk that direct I/O cannot take: memory, place or length are not
 * aligned. One request at a time goes through one buffer, window by window; a window is made of
 * whole blocks. A write that covers a block only in part reads it first, and has the disk for
 * itself meanwhile, so that no other write to that block is lost. On the loop's thread.
 *
 *   disk      |-------|-------|-------|-------|      blocks of raw->align
 *   request        |=============|
 *   window    [ skip | chunk .... |   ]
 */
#include <errno.h>
#include <string.h>

#include "devices/block/raw_io.h"
#include "vmm/container_of.h"

static void bounce_came(struct op *op, int res);
static void next_request(struct raw *raw);

static void bounce_io(struct raw *raw)
{
	struct raw_bounce *b = &raw->bounce;

	b->op.fn = bounce_came;
	b->v = (struct iovec){b->buf + b->moved, b->window - b->moved};
	if (b->writing)
		loop_writev(raw->loop, &b->op, raw->fd, &b->v, 1, b->at + b->moved);
	else
		loop_readv(raw->loop, &b->op, raw->fd, &b->v, 1, b->at + b->moved);
}

static void bounce_finish(struct raw *raw, int res)
{
	struct raw_bounce *b = &raw->bounce;
	struct blk_req *req = b->req;

	b->req = NULL;
	raw->exclusive = 0;
	req->done(req, res);
	next_request(raw);
	raw_pump(raw);
}

static void fill_from_request(struct raw_bounce *b)
{
	if (b->req->op == BLK_WRITE_ZEROES)
		memset(b->buf + b->skip, 0, b->chunk);
	else
		iov_get(&b->data, b->buf + b->skip, b->chunk);
	b->writing = 1;
	b->moved = 0;
}

/* Lays the window over the next part of the request and starts its transfer. */
static void next_window(struct raw *raw)
{
	struct raw_bounce *b = &raw->bounce;
	uint64_t off = b->req->off + b->pos, left = b->req->len - b->pos;

	if (left == 0) {
		bounce_finish(raw, 0);
		return;
	}
	b->skip = (size_t)(off & (raw->align - 1));
	b->chunk = RAW_BOUNCE_LEN - b->skip;
	if (b->chunk > left)
		b->chunk = (size_t)left;
	b->at = off - b->skip;
	b->window = (b->skip + b->chunk + raw->align - 1) & ~(size_t)(raw->align - 1);
	b->moved = 0;
	b->writing = 0;
	if (b->req->op != BLK_READ && b->window == b->chunk)
		fill_from_request(b);
	bounce_io(raw);
}

/* The window has been read or written as a whole. */
static void window_done(struct raw *raw)
{
	struct raw_bounce *b = &raw->bounce;

	if (b->req->op == BLK_READ) {
		iov_put(&b->data, b->buf + b->skip, b->chunk);
	} else if (!b->writing) {
		fill_from_request(b);
		bounce_io(raw);
		return;
	}
	b->pos += b->chunk;
	next_window(raw);
}

static void bounce_came(struct op *op, int res)
{
	struct raw_bounce *b = container_of(op, struct raw_bounce, op);
	struct raw *raw = container_of(b, struct raw, bounce);

	if (res == -EINTR || res == -EAGAIN) {
		bounce_io(raw);
		return;
	}
	/* Go on at a place that direct I/O can take. */
	if (res > 0 && (size_t)res < b->window - b->moved)
		res &= ~(int)(raw->align - 1);
	if (res <= 0) {
		bounce_finish(raw, res < 0 ? res : -EIO);
		return;
	}
	b->moved += (size_t)res;
	if (b->moved < b->window)
		bounce_io(raw);
	else
		window_done(raw);
}

static void next_request(struct raw *raw)
{
	struct raw_bounce *b = &raw->bounce;
	struct blk_req *req = b->head;

	/* The done() before this call may have begun the next one already. */
	if (b->req || !req)
		return;
	b->head = req->next;
	if (!b->head)
		b->tail = &b->head;
	b->req = req;
	b->pos = 0;
	if (iov_init(&b->data, req->v, req->op == BLK_WRITE_ZEROES ? 0 : req->n)) {
		bounce_finish(raw, -EIO);
		return;
	}
	raw->exclusive = req->op != BLK_READ && ((req->off | req->len) & (raw->align - 1));
	b->waits = raw->exclusive && raw->in_flight > 0;
	if (!b->waits)
		next_window(raw);
}

void raw_bounce_alone(struct raw *raw)
{
	if (!raw->bounce.waits || raw->in_flight > 0)
		return;
	raw->bounce.waits = 0;
	next_window(raw);
}

void raw_bounce_submit(struct raw *raw, struct blk_req *req)
{
	struct raw_bounce *b = &raw->bounce;

	req->next = NULL;
	*b->tail = req;
	b->tail = &req->next;
	next_request(raw);
}
