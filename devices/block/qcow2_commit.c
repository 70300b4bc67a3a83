/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Brings what has changed in the tables of a qcow2 image to its file, in the order that a power cut
 * cannot harm (see qcow2.h):
 *
 *   refcounts, barrier          nothing refers to a cluster that is not counted or not written
 *   refcount table, barrier     (when there is a new refcount block)
 *   L2, L1, barrier             this is what FLUSH promises
 *   refcounts of what was freed, holes: only now does nothing in the file refer to it
 *
 * A step of the request that has q->meta, so the tables stand still meanwhile.
 */
#include <errno.h>

#include "devices/block/qcow2_image.h"
#include "vmm/container_of.h"
#include "vmm/log.h"

void fail_sync(struct qcow2 *q, int res)
{
	if (q->sync_failed)
		return;
	q->sync_failed = 1;
	log_line(LOG_ERROR,
		 "disk: %s: writes could not be made durable: %s: every flush fails from now on; "
		 "check the image and its file system, then start the VM again",
		 q->path, strerror(-res));
}

static void write_more(struct qcow2_commit *c, struct qcow2 *q);

static void slice_written(struct qio *io, int res)
{
	struct qslice *s = container_of(io, struct qslice, io);
	struct qcow2 *q = io->q;
	struct qcow2_commit *c = &q->commit;

	if (res == 0)
		cache_clean(s);
	else
		c->error = res;
	c->in_flight--;
	write_more(c, q);
	if (c->in_flight == 0)
		qreq_wake(c->owner, c->error);
}

static void write_more(struct qcow2_commit *c, struct qcow2 *q)
{
	while (c->cursor < c->cache->n && c->in_flight < QCOW2_COMMIT_OPS && !c->error) {
		struct qslice *s = &c->cache->slice[c->cursor++];

		if (!s->dirty)
			continue;
		c->in_flight++;
		s->io.fn = slice_written;
		qio_one(&s->io, q, QIO_WRITE, s->data, s->off, c->cache->bytes);
	}
}

static int write_slices(struct qreq *r, struct qcow2_cache *cache)
{
	struct qcow2_commit *c = &r->q->commit;

	if (!cache->n_dirty)
		return STEP_GO;
	c->cache = cache;
	c->cursor = 0;
	c->error = 0;
	write_more(c, r->q);
	return STEP_WAIT;
}

int commit_refcounts(struct qreq *r)
{
	r->q->commit.owner = r;
	return write_slices(r, &r->q->refs);
}

/* Entries [*from, *to) of a table that is in memory; the first call writes, the second knows. */
static int write_entries(struct qreq *r, uint8_t *table, uint64_t off, uint64_t *from, uint64_t *to)
{
	struct qcow2_commit *c = &r->q->commit;

	if (*from == *to)
		return STEP_GO;
	if (!c->submitted) {
		c->submitted = 1;
		qio_one(&r->io, r->q, QIO_WRITE, table + 8 * *from, off + 8 * *from,
			8 * (*to - *from));
		return STEP_WAIT;
	}
	*from = *to = 0;
	return STEP_GO;
}

static void synced(struct qio *io, int res)
{
	io->fn = qreq_came;
	if (res < 0)
		fail_sync(io->q, res);
	qreq_wake(container_of(io, struct qreq, io), io->q->sync_failed ? -EIO : 0);
}

static int barrier(struct qreq *r)
{
	struct qcow2_commit *c = &r->q->commit;

	if (c->submitted)
		return STEP_GO;
	c->submitted = 1;
	r->io.fn = synced;
	qio_sync(&r->io, r->q);
	return STEP_WAIT;
}

static int work(struct qreq *r)
{
	struct qcow2 *q = r->q;
	int map_changed = q->l2.n_dirty > 0 || q->l1_dirty_from != q->l1_dirty_to;

	switch (q->commit.phase) {
	case COMMIT_REFCOUNTS:
		return commit_refcounts(r);
	case COMMIT_BARRIER:
		if (!map_changed && q->reftable_from == q->reftable_to)
			return STEP_GO;
		return barrier(r);
	case COMMIT_REFTABLE:
		return write_entries(r, q->reftable, q->h.reftable_off, &q->reftable_from,
				     &q->reftable_to);
	case COMMIT_REFTABLE_BARRIER:
		return q->commit.reftable_written ? barrier(r) : STEP_GO;
	case COMMIT_L2:
		return write_slices(r, &q->l2);
	case COMMIT_L1:
		return write_entries(r, q->l1, q->h.l1_off, &q->l1_dirty_from, &q->l1_dirty_to);
	case COMMIT_LAST:
		return barrier(r);
	case COMMIT_FREE:
		return ref_free_pending(r);
	case COMMIT_IDLE:
		break;
	}
	return STEP_GO;
}

static int begin(struct qreq *r)
{
	struct qcow2 *q = r->q;

	if (q->sync_failed)
		return -EIO;
	q->commits_begun++;
	q->commit = (struct qcow2_commit){
		.phase = COMMIT_REFCOUNTS,
		.owner = r,
		.reftable_written = q->reftable_from != q->reftable_to,
	};
	return STEP_GO;
}

int commit_step(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qcow2_commit *c = &q->commit;
	int res = c->phase == COMMIT_IDLE ? begin(r) : STEP_GO;

	while (res == STEP_GO) {
		res = work(r);
		if (res != STEP_GO)
			break;
		c->submitted = 0;
		if (c->phase == COMMIT_LAST)
			q->commits_done = q->commits_begun;
		if (c->phase == COMMIT_FREE) {
			c->phase = COMMIT_IDLE;
			return STEP_GO;
		}
		c->phase++;
	}
	return res;
}
