/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which clusters of a qcow2 image are free: refcount table (in memory) and refcount blocks (through
 * the cache); "Host cluster management". A count goes up from 0 to 1 when a cluster is taken and
 * down when a commit has made sure that nothing in the file refers to it any more. On the loop's
 * thread, under q->meta. Knows nothing of guest addresses.
 */
#include <errno.h>

#include "devices/block/qcow2_image.h"
#include "vmm/container_of.h"

#define REFTABLE_RESERVED 0x1ffull

static unsigned slice_bits(const struct qcow2 *q)
{
	return (unsigned)__builtin_ctz(q->refs.bytes) + 3 - q->h.refcount_order;
}

/* The slice with the count of @cluster: STEP_GO, with NULL if there is no block for it. */
static int get_counts(struct qreq *r, uint64_t cluster, struct qslice **slice)
{
	struct qcow2 *q = r->q;
	uint64_t i = cluster >> q->block_bits, in_block, entry;

	*slice = NULL;
	if (i >= q->reftable_entries)
		return STEP_GO;
	entry = be64_at(q->reftable + 8 * i);
	if (!entry)
		return STEP_GO;
	if (entry & REFTABLE_RESERVED || entry & (q->cluster - 1) ||
	    entry >> q->cluster_bits >= q->end)
		return qcow2_broken(r, "an entry of the refcount table cannot be", entry);
	in_block = (cluster & ((1ull << q->block_bits) - 1)) >> slice_bits(q);
	return cache_get(&q->refs, r, entry + in_block * q->refs.bytes, slice);
}

static uint64_t index_in_slice(const struct qcow2 *q, uint64_t cluster)
{
	return cluster & ((1ull << slice_bits(q)) - 1);
}

void ref_zero_cluster(struct qreq *r, uint64_t host)
{
	struct qcow2 *q = r->q;

	r->io.n = qio_zeroes(r->v, QCOW2_SEGMENTS, q->cluster);
	r->io.v = r->v;
	qio_transfer(&r->io, q, QIO_WRITE, host, q->cluster);
}

/* Cluster @c, free like all that its missing block would count, becomes that block. */
static int make_block(struct qreq *r, uint64_t c)
{
	struct qcow2 *q = r->q;
	uint64_t i = c >> q->block_bits;
	int res;

	if (map_is_table(q, c))
		return qcow2_broken(r, "a table is not counted as used", c << q->cluster_bits);
	if (q->zeroed != c) {
		q->zeroed = c;
		ref_zero_cluster(r, c << q->cluster_bits);
		return STEP_WAIT;
	}
	q->zeroed = 0;
	res = set_add(&q->tables, c);
	if (res < 0)
		return res;
	put_be64(q->reftable + 8 * i, c << q->cluster_bits);
	if (q->reftable_from == q->reftable_to || i < q->reftable_from)
		q->reftable_from = i;
	if (i >= q->reftable_to)
		q->reftable_to = i + 1;
	if (c >= q->end)
		q->end = c + 1;
	q->uncounted = c;
	return STEP_GO;
}

/* A new block counts itself. */
static int count_block(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qslice *s;
	int res = get_counts(r, q->uncounted, &s);

	if (res != STEP_GO)
		return res;
	qcow2_refcount_set(s->data, q->h.refcount_order, index_in_slice(q, q->uncounted), 1);
	cache_dirty(s);
	q->uncounted = 0;
	return STEP_GO;
}

/* Takes free clusters in a row from the hint on, all in this slice; 0 if there are none. */
static int take_run(struct qreq *r, struct qslice *s, uint64_t want, uint64_t *first, uint64_t *got)
{
	struct qcow2 *q = r->q;
	unsigned order = q->h.refcount_order;
	uint64_t last = 1ull << slice_bits(q), i = index_in_slice(q, q->hint), n = 0;

	while (i < last && qcow2_refcount_get(s->data, order, i))
		i++;
	q->hint = (q->hint & ~(last - 1)) + i;
	while (i + n < last && n < want && !qcow2_refcount_get(s->data, order, i + n)) {
		if (map_is_table(q, q->hint + n))
			return qcow2_broken(r, "a table is not counted as used",
					    (q->hint + n) << q->cluster_bits);
		n++;
	}
	for (uint64_t k = 0; k < n; k++)
		qcow2_refcount_set(s->data, order, i + k, 1);
	if (n > 0)
		cache_dirty(s);
	*first = q->hint;
	*got = n;
	q->hint += n;
	return STEP_GO;
}

int ref_alloc(struct qreq *r, uint64_t want, uint64_t *host, uint64_t *got, uint8_t *fresh)
{
	struct qcow2 *q = r->q;
	struct qslice *s;
	uint64_t first = 0;
	int res;

	for (;;) {
		/* Entries of L1 and L2 have 56 bits for it. */
		if ((q->hint + want) >> (56 - q->cluster_bits))
			return -ENOSPC;
		res = q->uncounted ? count_block(r) : STEP_GO;
		if (res == STEP_GO && q->hint >> q->block_bits >= q->reftable_entries)
			res = grow_reftable(r);
		if (res == STEP_GO)
			res = get_counts(r, q->hint, &s);
		if (res != STEP_GO)
			return res;
		res = s ? take_run(r, s, want, &first, got) : make_block(r, q->hint);
		if (res != STEP_GO)
			return res;
		if (s && *got > 0)
			break;
	}
	*host = first << q->cluster_bits;
	*fresh = first >= q->end;
	if (first + *got > q->end)
		q->end = first + *got;
	return STEP_GO;
}

void ref_free_later(struct qcow2 *q, uint64_t host, uint64_t bytes)
{
	uint64_t first = host >> q->cluster_bits, last = (host + bytes - 1) >> q->cluster_bits;
	struct qextent *e = q->n_pending ? &q->pending[q->n_pending - 1] : NULL;

	if (e && e->first + e->count == first)
		e->count += last - first + 1;
	else if (q->n_pending < QCOW2_PENDING_MAX)
		q->pending[q->n_pending++] = (struct qextent){first, last - first + 1};
	/* Else it stays counted: space lost, nothing worse. */
}

/* Advice: what cannot be done is not tried again. */
static void punched(struct qio *io, int res)
{
	io->fn = qreq_came;
	if (res < 0)
		io->q->no_punch = 1;
	qreq_wake(container_of(io, struct qreq, io), 0);
}

/* Gives the space of clusters that are free now back to the file system. */
static int punch(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qextent e = q->punch;

	q->punch.count = 0;
	if (!e.count || q->no_punch)
		return STEP_GO;
	r->io.fn = punched;
	qio_punch(&r->io, q, e.first << q->cluster_bits, e.count << q->cluster_bits);
	return STEP_WAIT;
}

/* Cluster @c is referred to once less: its slice @s is here. */
static int count_down(struct qreq *r, uint64_t c, struct qslice *s)
{
	struct qcow2 *q = r->q;
	unsigned order = q->h.refcount_order;
	uint64_t i = index_in_slice(q, c), count = s ? qcow2_refcount_get(s->data, order, i) : 0;
	int res;

	if (!count)
		return qcow2_broken(r, "a cluster in use is not counted", c << q->cluster_bits);
	if (count == 1) {
		if (q->punch.count && q->punch.first + q->punch.count != c) {
			res = punch(r);
			if (res != STEP_GO)
				return res;
		}
		if (map_is_table(q, c))
			return qcow2_broken(r, "a guest's cluster is a table",
					    c << q->cluster_bits);
		/* It may have been a table once. */
		res = cache_forget(&q->l2, r, c << q->cluster_bits, q->cluster);
		if (res != STEP_GO)
			return res;
		if (q->punch.count++ == 0)
			q->punch.first = c;
		if (c < q->hint)
			q->hint = c;
	}
	qcow2_refcount_set(s->data, order, i, count - 1);
	cache_dirty(s);
	return STEP_GO;
}

int ref_free_pending(struct qreq *r)
{
	struct qcow2 *q = r->q;

	while (q->n_pending > 0) {
		struct qextent *e = &q->pending[q->n_pending - 1];
		struct qslice *s;
		int res = get_counts(r, e->first, &s);

		if (res == STEP_GO)
			res = count_down(r, e->first, s);
		if (res != STEP_GO)
			return res;
		e->first++;
		if (--e->count == 0)
			q->n_pending--;
	}
	return punch(r);
}

void ref_abort(struct qcow2 *q)
{
	q->zeroed = 0;
	q->punch.count = 0;
	q->commit.phase = COMMIT_IDLE;
	grow_abort(q);
}
