/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steps of a read from a qcow2 disk: from the mapping to the place that has the bytes, which is the
 * file, the backing file, a compressed cluster, or nowhere (zeroes). On the loop's thread.
 */
#include <errno.h>

#include "devices/block/qcow2_image.h"
#include "vmm/container_of.h"

static void below_done(struct blk_req *req, int res)
{
	struct qreq *r = container_of(req, struct qreq, below);

	qreq_wake(r, res);
	qcow2_drain(r->q);
}

int qreq_read_below(struct qreq *r, uint64_t off, uint64_t len)
{
	struct blk *backing = r->q->backing;

	r->below = (struct blk_req){
		.op = BLK_READ,
		.off = off,
		.len = len,
		.v = r->io.v,
		.n = r->io.n,
		.done = below_done,
	};
	backing->ops->submit(backing, &r->below);
	return STEP_WAIT;
}

static int read_zeroes(struct qreq *r)
{
	if (iov_zero(&r->data, (size_t)r->len))
		return -EIO;
	r->step = qreq_advance;
	return STEP_GO;
}

static int read_unallocated(struct qreq *r)
{
	const struct blk *backing = r->q->backing;

	if (!backing || r->pos >= backing->size)
		return read_zeroes(r);
	if (r->len > backing->size - r->pos)
		r->len = backing->size - r->pos;
	r->len = qreq_fits(r, r->len);
	if (!r->len)
		return -EIO;
	qreq_take(r, r->len);
	r->step = qreq_advance;
	return qreq_read_below(r, r->pos, r->len);
}

static int read_compressed(struct qreq *r)
{
	struct qcow2_inflated *inflated;
	int res = inflate_cluster(r, &inflated);

	if (res != STEP_GO)
		return res;
	if (iov_put(&r->data, inflated->data + (r->pos & (r->q->cluster - 1)), (size_t)r->len))
		return -EIO;
	r->step = qreq_advance;
	return STEP_GO;
}

int read_lookup(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qslice *slice;
	struct qcluster c;
	int res = map_lookup(r, r->pos, &c, &slice);

	if (res != STEP_GO)
		return res;
	r->len = map_run(r, slice, &c, r->len);
	switch (c.kind) {
	case Q_UNALLOCATED:
		return read_unallocated(r);
	case Q_ZERO:
		return read_zeroes(r);
	case Q_COMPRESSED:
		r->old = c;
		r->step = read_compressed;
		return STEP_GO;
	case Q_NORMAL:
		break;
	}
	r->len = qreq_fits(r, r->len);
	if (!r->len)
		return -EIO;
	qreq_take(r, r->len);
	r->step = qreq_advance;
	qio_transfer(&r->io, q, QIO_READ, c.host + (r->pos & (q->cluster - 1)), r->len);
	return STEP_WAIT;
}
