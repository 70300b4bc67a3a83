/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steps of DISCARD and WRITE_ZEROES on a qcow2 disk: whole clusters change in the tables alone.
 * Parts of clusters, and zeroes that version 2 cannot express over a backing file, are written as
 * data; parts of a discard are left as they are. On the loop's thread.
 *
 *   before          DISCARD, or zeroes with UNMAP       zeroes
 *   nothing         nothing; zero over a backing file   the same
 *   a cluster       nothing, or zero; freed             zero, and it keeps its place
 */
#include <errno.h>

#include "devices/block/qcow2_image.h"

/* What the entry of a cluster becomes; 0 if it stays as it is. */
static int new_entry(const struct qreq *r, uint64_t pos, const struct qcluster *c, uint64_t *entry,
		     int *keep)
{
	const struct qcow2 *q = r->q;
	int below = map_has_below(q, pos), v3 = q->h.version >= 3;
	int frees = r->req->op == BLK_DISCARD || (r->req->flags & BLK_UNMAP);

	*keep = 0;
	*entry = below ? QCOW2_ZERO : 0;
	if (below && !v3)
		return 0;
	if (c->kind == Q_UNALLOCATED)
		return below && r->req->op == BLK_WRITE_ZEROES;
	if (c->kind == Q_ZERO && (!c->host || !frees))
		return 0;
	if (!frees && v3 && c->kind == Q_NORMAL && c->writable) {
		*entry = c->entry | QCOW2_ZERO;
		*keep = 1;
	}
	return 1;
}

static int unmap_set(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qslice *slice;
	uint64_t entry;
	int keep, res = meta_enter(r);

	if (res == STEP_GO)
		res = map_table(r, r->pos, &slice);
	if (res != STEP_GO)
		return res;
	for (uint64_t n = 0; n < r->len; n += q->cluster) {
		struct qcluster c;

		if (map_entry(q, slice, r->pos + n, &c) < 0)
			return qcow2_broken(r, "an entry of an L2 table cannot be", c.entry);
		if (new_entry(r, r->pos + n, &c, &entry, &keep))
			map_set(q, slice, map_index(q, r->pos + n), entry, &c, keep);
	}
	r->step = qreq_advance;
	return STEP_GO;
}

static int skip(struct qreq *r)
{
	r->step = qreq_advance;
	return STEP_GO;
}

/* Less than a cluster, or more than the tables can say. */
static int unmap_part(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qslice *slice;
	struct qcluster c;
	uint64_t room = q->cluster - (r->pos & (q->cluster - 1));
	int res;

	if (r->len > room)
		r->len = room;
	if (r->req->op == BLK_DISCARD)
		return skip(r);
	res = map_lookup(r, r->pos, &c, &slice);
	if (res != STEP_GO)
		return res;
	if (c.kind == Q_ZERO || (c.kind == Q_UNALLOCATED && !map_has_below(q, r->pos)))
		return skip(r);
	r->step = write_lookup;
	return STEP_GO;
}

int unmap_lookup(struct qreq *r)
{
	struct qcow2 *q = r->q;
	uint64_t whole = r->len & ~(q->cluster - 1);
	struct qslice *slice;
	struct qcluster c;
	int res;

	if (q->corrupt)
		return -EIO;
	/* The last cluster may be larger than what is left of the disk. */
	if (r->pos + r->len == q->blk.size)
		whole = r->len;
	if (r->pos & (q->cluster - 1) || whole == 0 ||
	    (q->h.version < 3 && map_has_below(q, r->pos)))
		return unmap_part(r);
	if (r->hold != HOLD_ALONE) {
		qreq_let_go(r);
		r->alone = 1;
		r->step = qreq_next;
		return STEP_GO;
	}
	res = map_lookup(r, r->pos, &c, &slice);
	if (res != STEP_GO)
		return res;
	r->len = whole;
	if (!slice && (r->req->op == BLK_DISCARD || !map_has_below(q, r->pos)))
		return skip(r);
	r->step = unmap_set;
	return STEP_GO;
}
