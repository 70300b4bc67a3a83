/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steps of a write to a qcow2 disk. A cluster that is the image's own is written in place. Else new
 * clusters are allocated, written, and then mapped:
 *
 *   whole clusters     alloc_many -> data to the file            -> map
 *   a part of one      alloc_one  -> data, where the rest is zero -> map
 *                                 -> buffer <- old contents, data; buffer to the file -> map
 *
 * Zeroes that the tables cannot express come this way, too. On the loop's thread.
 */
#include <errno.h>

#include "devices/block/qcow2_image.h"

static uint64_t in_cluster(const struct qreq *r)
{
	return r->pos & (r->q->cluster - 1);
}

/* --- mapping --------------------------------------------------------------------------------- */

static int write_map(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qslice *slice;
	struct qcluster old;
	int res = meta_enter(r);

	if (res == STEP_GO)
		res = map_table(r, r->pos, &slice);
	if (res != STEP_GO)
		return res;
	for (uint64_t i = 0; i < r->clusters; i++) {
		uint64_t pos = r->pos + (i << q->cluster_bits);

		if (map_entry(q, slice, pos, &old) < 0)
			return qcow2_broken(r, "an entry of an L2 table cannot be", old.entry);
		map_set(q, slice, map_index(q, pos),
			(r->host + (i << q->cluster_bits)) | QCOW2_COPIED, &old, r->keeps);
	}
	r->clusters = 0;
	r->step = qreq_advance;
	return STEP_GO;
}

/* --- a part of a cluster --------------------------------------------------------------------- */

/* The old contents are in the buffer: the new ones go over them, and all of it to the file. */
static int cow_merge(struct qreq *r)
{
	struct qcow2 *q = r->q;
	uint8_t *at = r->buf + in_cluster(r);

	if (r->req->op == BLK_WRITE_ZEROES)
		memset(at, 0, (size_t)r->len);
	else if (iov_get(&r->data, at, (size_t)r->len))
		return -EIO;
	r->step = write_map;
	qio_one(&r->io, q, QIO_WRITE, r->buf, r->host, q->cluster);
	return STEP_WAIT;
}

static int cow_inflate(struct qreq *r)
{
	struct qcow2_inflated *inflated;
	int res = inflate_cluster(r, &inflated);

	if (res != STEP_GO)
		return res;
	memcpy(r->buf, inflated->data, r->q->cluster);
	r->step = cow_merge;
	return STEP_GO;
}

static int cow_below(struct qreq *r)
{
	const struct qcow2 *q = r->q;
	uint64_t start = r->pos - in_cluster(r), len = q->backing->size - start;

	if (len > q->cluster)
		len = q->cluster;
	memset(r->buf + len, 0, q->cluster - len);
	r->v[0] = (struct iovec){r->buf, (size_t)len};
	r->io.v = r->v;
	r->io.n = 1;
	r->step = cow_merge;
	return qreq_read_below(r, start, len);
}

/* Takes a buffer and has the old contents of the cluster read into it. */
static int cow_read(struct qreq *r)
{
	struct qcow2 *q = r->q;

	if (!r->buf && q->n_cow == 0)
		return qlist_wait(&q->cow_waiting, r);
	if (!r->buf)
		r->buf = q->cow[--q->n_cow];
	if (r->old.kind == Q_COMPRESSED) {
		r->step = cow_inflate;
		return STEP_GO;
	}
	if (r->old.kind == Q_NORMAL) {
		r->step = cow_merge;
		qio_one(&r->io, q, QIO_READ, r->buf, r->old.host, q->cluster);
		return STEP_WAIT;
	}
	if (r->old.kind == Q_UNALLOCATED && map_has_below(q, r->pos))
		return cow_below(r);
	memset(r->buf, 0, q->cluster);
	r->step = cow_merge;
	return STEP_GO;
}

static int alloc_one(struct qreq *r)
{
	struct qcow2 *q = r->q;
	int res = meta_enter(r);

	if (res == STEP_GO)
		res = ref_alloc(r, 1, &r->host, &r->clusters, &r->fresh);
	if (res != STEP_GO)
		return res;
	meta_leave(r);
	if (!r->fresh || r->old.kind == Q_NORMAL || r->old.kind == Q_COMPRESSED ||
	    (r->old.kind == Q_UNALLOCATED && map_has_below(q, r->pos))) {
		r->step = cow_read;
		return STEP_GO;
	}
	/* Around the data there is a hole, which is what there should be. */
	r->len = qreq_fits(r, r->len);
	if (!r->len)
		return -EIO;
	qreq_take(r, r->len);
	r->step = write_map;
	qio_transfer(&r->io, q, QIO_WRITE, r->host + in_cluster(r), r->len);
	return STEP_WAIT;
}

/* --- whole clusters -------------------------------------------------------------------------- */

static int alloc_many(struct qreq *r)
{
	struct qcow2 *q = r->q;
	int res = meta_enter(r);

	if (res == STEP_GO)
		res = ref_alloc(r, r->want, &r->host, &r->clusters, &r->fresh);
	if (res != STEP_GO)
		return res;
	meta_leave(r);
	r->len = r->clusters << q->cluster_bits;
	qreq_take(r, r->len);
	r->step = write_map;
	qio_transfer(&r->io, q, QIO_WRITE, r->host, r->len);
	return STEP_WAIT;
}

/* How many clusters from @pos on, at most @max, have no place of their own in the file. */
static uint64_t homeless(struct qreq *r, const struct qslice *slice, uint64_t max)
{
	struct qcluster c;
	uint64_t n = 0;

	if (!slice)
		return max;
	while (n < max && map_entry(r->q, slice, r->pos + (n << r->q->cluster_bits), &c) == 0 &&
	       !c.writable)
		n++;
	return n;
}

static int write_allocating(struct qreq *r, const struct qslice *slice, const struct qcluster *c)
{
	struct qcow2 *q = r->q;
	uint64_t whole = in_cluster(r) ? 0 : qreq_fits(r, r->len) >> q->cluster_bits;

	r->keeps = 0;
	r->want = homeless(r, slice, whole);
	if (r->want > 0) {
		r->step = alloc_many;
		return STEP_GO;
	}
	if (r->len > q->cluster - in_cluster(r))
		r->len = q->cluster - in_cluster(r);
	r->old = *c;
	r->step = alloc_one;
	if (c->writable) {
		/* Zeroes with a place of their own (a preallocated cluster). */
		if (map_is_table(q, c->host >> q->cluster_bits))
			return qcow2_broken(r, "a guest's cluster is a table", c->host);
		r->host = c->host;
		r->clusters = 1;
		r->keeps = 1;
		r->step = cow_read;
	}
	return STEP_GO;
}

static int write_in_place(struct qreq *r, uint64_t host)
{
	struct qcow2 *q = r->q;

	r->len = qreq_fits(r, r->len);
	if (!r->len)
		return -EIO;
	for (uint64_t at = host; at < host + in_cluster(r) + r->len; at += q->cluster)
		if (map_is_table(q, at >> q->cluster_bits))
			return qcow2_broken(r, "a guest's cluster is a table", at);
	qreq_take(r, r->len);
	r->step = qreq_advance;
	qio_transfer(&r->io, q, QIO_WRITE, host + in_cluster(r), r->len);
	return STEP_WAIT;
}

int write_lookup(struct qreq *r)
{
	struct qslice *slice;
	struct qcluster c;
	int res;

	/* The image may have been found broken since this request came. */
	if (r->q->corrupt)
		return -EIO;
	res = map_lookup(r, r->pos, &c, &slice);
	if (res != STEP_GO)
		return res;
	if (c.kind == Q_NORMAL && c.writable) {
		r->len = map_run(r, slice, &c, r->len);
		return write_in_place(r, c.host);
	}
	if (r->hold != HOLD_ALONE) {
		qreq_let_go(r);
		r->alone = 1;
		r->step = qreq_next;
		return STEP_GO;
	}
	return write_allocating(r, slice, &c);
}
