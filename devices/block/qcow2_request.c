/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of a qcow2 disk: how they begin, wait for each other, and end. The steps that do the
 * work are in qcow2_read.c, qcow2_write.c and qcow2_unmap.c. On the loop's thread with its lock
 * held; nothing here allocates or blocks.
 */
#include <errno.h>

#include "devices/block/qcow2_image.h"
#include "vmm/container_of.h"
#include "vmm/log.h"

/* --- waiting --------------------------------------------------------------------------------- */

void qlist_init(struct qlist *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

int qlist_wait(struct qlist *list, struct qreq *r)
{
	r->next = NULL;
	*list->tail = r;
	list->tail = &r->next;
	return STEP_WAIT;
}

struct qreq *qlist_take(struct qlist *list)
{
	struct qreq *r = list->head;

	if (r) {
		list->head = r->next;
		if (!list->head)
			list->tail = &list->head;
	}
	return r;
}

void qreq_wake(struct qreq *r, int res)
{
	r->error = res;
	qlist_wait(&r->q->ready, r);
}

void qlist_wake_all(struct qlist *list, int res)
{
	struct qreq *r;

	while ((r = qlist_take(list)))
		qreq_wake(r, res);
}

void qreq_came(struct qio *io, int res)
{
	qreq_wake(container_of(io, struct qreq, io), res);
}

/* --- locks ----------------------------------------------------------------------------------- */

/* Holds the clusters [first, last], or waits until somebody lets go of some. */
static int range_hold(struct qreq *r, uint64_t first, uint64_t last, int alone)
{
	struct qcow2 *q = r->q;

	/* Mostly nobody is alone, and then there is nothing to look for. */
	for (unsigned i = 0; i < q->used && (alone || q->n_alone); i++) {
		const struct qreq *o = &q->req[i];

		if (o->hold != HOLD_NONE && o->first <= last && first <= o->last &&
		    (alone || o->hold == HOLD_ALONE))
			return qlist_wait(&q->range_waiting, r);
	}
	r->hold = alone ? HOLD_ALONE : HOLD_SHARED;
	q->n_alone += r->hold == HOLD_ALONE;
	r->first = first;
	r->last = last;
	return STEP_GO;
}

static void range_let_go(struct qreq *r)
{
	if (r->hold == HOLD_NONE)
		return;
	r->q->n_alone -= r->hold == HOLD_ALONE;
	r->hold = HOLD_NONE;
	qlist_wake_all(&r->q->range_waiting, 0);
}

/* Too much has changed in memory: one more chunk might not find room. */
static int is_crowded(const struct qcow2 *q)
{
	return q->l2.n_dirty > q->l2.n / 2 || q->n_pending > QCOW2_PENDING_MAX / 4;
}

int meta_enter(struct qreq *r)
{
	struct qcow2 *q = r->q;
	int res;

	if (q->corrupt)
		return -EIO;
	if (q->meta && q->meta != r)
		return qlist_wait(&q->meta_waiting, r);
	q->meta = r;
	if (q->commit.phase == COMMIT_IDLE && !is_crowded(q))
		return STEP_GO;
	/* A request that has begun to change things has room for what it does. */
	if (q->commit.phase == COMMIT_IDLE && r->table.phase != TABLE_NONE)
		return STEP_GO;
	res = commit_step(r);
	return res;
}

void meta_leave(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qreq *next;

	if (q->meta != r)
		return;
	q->meta = NULL;
	next = qlist_take(&q->meta_waiting);
	if (next) {
		/* It is its own from now on: nobody may come between. */
		q->meta = next;
		qreq_wake(next, 0);
	}
}

void qreq_let_go(struct qreq *r)
{
	struct qcow2 *q = r->q;

	meta_leave(r);
	inflate_let_go(r);
	if (r->buf) {
		struct qreq *next;

		q->cow[q->n_cow++] = r->buf;
		r->buf = NULL;
		next = qlist_take(&q->cow_waiting);
		if (next)
			qreq_wake(next, 0);
	}
	range_let_go(r);
}

/* --- the data of a chunk --------------------------------------------------------------------- */

uint64_t qreq_fits(const struct qreq *r, uint64_t len)
{
	const struct iov *d = &r->data;
	uint64_t fits = 0;

	if (r->req->op == BLK_WRITE_ZEROES) {
		fits = (uint64_t)QCOW2_SEGMENTS * QIO_ZEROES_LEN;
		return fits < len ? fits : len;
	}
	for (unsigned i = 0; i < d->n && i < QCOW2_SEGMENTS && fits < len; i++)
		fits += d->v[i].iov_len - (i == 0 ? d->off : 0);
	return fits < len ? fits : len;
}

void qreq_take(struct qreq *r, uint64_t len)
{
	int n;

	if (r->req->op == BLK_WRITE_ZEROES)
		n = (int)qio_zeroes(r->v, QCOW2_SEGMENTS, len);
	else
		n = iov_take(&r->data, (size_t)len, r->v, QCOW2_SEGMENTS);
	r->io.v = r->v;
	r->io.n = n > 0 ? (unsigned)n : 0;
}

/* --- ends ------------------------------------------------------------------------------------ */

int qcow2_broken(struct qreq *r, const char *what, uint64_t where)
{
	struct qcow2 *q = r->q;

	if (q->blk.read_only) {
		if (!q->io_said)
			log_line(LOG_ERROR, "disk: %s: the image is damaged: %s: %#llx", q->path,
				 what, (unsigned long long)where);
		q->io_said = 1;
		return -EIO;
	}
	if (!q->corrupt)
		log_line(LOG_ERROR,
			 "disk: %s: the image is damaged: %s: %#llx: it takes no more writes; look "
			 "at it with `qemu-img check`",
			 q->path, what, (unsigned long long)where);
	q->corrupt = 1;
	return -EIO;
}

static void finish(struct qreq *r, int res)
{
	struct qcow2 *q = r->q;
	struct blk_req *req = r->req;

	qreq_let_go(r);
	r->req = NULL;
	r->next = q->free;
	q->free = r;
	q->in_flight--;
	req->done(req, res);
}

/* Step: answers even if the mark could not be written. */
static int fail_marked(struct qreq *r)
{
	finish(r, r->failed);
	return STEP_WAIT;
}

/* What it has allocated is given back; a broken image is marked, once. */
static void fail(struct qreq *r, int res)
{
	struct qcow2 *q = r->q;

	if (q->meta == r)
		ref_abort(q);
	if (r->clusters && !r->keeps)
		ref_free_later(q, r->host, r->clusters << q->cluster_bits);
	if (r->table.phase != TABLE_NONE)
		ref_free_later(q, r->table.off, q->cluster);
	r->clusters = 0;
	r->table.phase = TABLE_NONE;
	if (q->corrupt && q->h.version == 3 && !(q->h.incompatible & QCOW2_CORRUPT) &&
	    !q->sync_failed) {
		q->h.incompatible |= QCOW2_CORRUPT;
		put_be64(q->corrupt_be, q->h.incompatible);
		r->failed = res;
		r->step = fail_marked;
		r->io.fn = qreq_came;
		qio_one(&r->io, q, QIO_WRITE, q->corrupt_be, QCOW2_AT_INCOMPATIBLE, 8);
		return;
	}
	finish(r, res);
}

/* --- the row of steps ------------------------------------------------------------------------ */

static int flush(struct qreq *r)
{
	struct qcow2 *q = r->q;
	int res;

	if (q->sync_failed || q->corrupt)
		return -EIO;
	if (q->meta && q->meta != r)
		return qlist_wait(&q->meta_waiting, r);
	q->meta = r;
	/* One that began after this request came, and has ended well, was for it, too. */
	if (q->commit.phase == COMMIT_IDLE && q->commits_done > r->commits) {
		finish(r, 0);
		return STEP_WAIT;
	}
	res = commit_step(r);
	if (res != STEP_GO)
		return res;
	finish(r, 0);
	return STEP_WAIT;
}

int qreq_next(struct qreq *r)
{
	struct qcow2 *q = r->q;
	uint64_t slice = (q->l2.bytes / 8ull) << q->cluster_bits;
	int res;

	if (r->pos == r->end) {
		finish(r, 0);
		return STEP_WAIT;
	}
	r->len = slice - (r->pos & (slice - 1));
	if (r->len > r->end - r->pos)
		r->len = r->end - r->pos;
	res = range_hold(r, r->pos >> q->cluster_bits, (r->pos + r->len - 1) >> q->cluster_bits,
			 r->alone);
	if (res != STEP_GO)
		return res;
	switch (r->req->op) {
	case BLK_READ:
		r->step = read_lookup;
		break;
	case BLK_WRITE:
		r->step = write_lookup;
		break;
	default:
		r->step = unmap_lookup;
		break;
	}
	return STEP_GO;
}

int qreq_advance(struct qreq *r)
{
	qreq_let_go(r);
	r->pos += r->len;
	r->alone = r->req->op == BLK_DISCARD;
	r->clusters = 0;
	r->step = qreq_next;
	return STEP_GO;
}

static void run(struct qreq *r)
{
	int res = r->error;

	r->error = 0;
	while (res == STEP_GO)
		res = r->step(r);
	if (res >= 0)
		return;
	if (r->step == fail_marked)
		finish(r, r->failed);
	else
		fail(r, res);
}

static void start(struct qcow2 *q, struct blk_req *req)
{
	struct qreq *r = q->free;

	if (r)
		q->free = r->next;
	else
		r = &q->req[q->used++];
	q->in_flight++;
	r->io.fn = qreq_came;
	r->q = q;
	r->req = req;
	r->pos = req->off;
	r->end = req->off + req->len;
	r->hold = HOLD_NONE;
	r->alone = req->op == BLK_DISCARD;
	r->clusters = 0;
	r->table.phase = TABLE_NONE;
	r->commits = q->commits_begun;
	r->step = req->op == BLK_FLUSH ? flush : qreq_next;
	qreq_wake(r, iov_init(&r->data, req->v,
			      req->op == BLK_READ || req->op == BLK_WRITE ? req->n : 0));
}

void qcow2_drain(struct qcow2 *q)
{
	struct qreq *r;

	if (q->draining)
		return;
	q->draining = 1;
	for (;;) {
		while ((r = qlist_take(&q->ready)))
			run(r);
		if (!q->waiting || q->in_flight == QCOW2_DEPTH)
			break;
		struct blk_req *req = q->waiting;

		q->waiting = req->next;
		if (!q->waiting)
			q->waiting_tail = &q->waiting;
		start(q, req);
	}
	q->draining = 0;
}

void qcow2_submit(struct blk *blk, struct blk_req *req)
{
	struct qcow2 *q = container_of(blk, struct qcow2, blk);

	if (req->op != BLK_READ && (blk->read_only || q->corrupt)) {
		/* Nothing was written, so everything written is durable. */
		if (blk->read_only)
			req->done(req, req->op == BLK_FLUSH ? 0 : -EROFS);
		else
			req->done(req, -EIO);
		return;
	}
	req->next = NULL;
	*q->waiting_tail = req;
	q->waiting_tail = &req->next;
	qcow2_drain(q);
	if (!q->loop)
		qio_run(q);
}
