/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A larger refcount table for a qcow2 image that has outgrown its own. The new table, and the
 * blocks that count it, lie where the old one could not count any more:
 *
 *   | counted by the old table ... | new table | new blocks |
 *                                  ^ base
 *
 * They are written, and the counts that have changed, as the new table refers to blocks that no
 * commit has seen yet; all that is made durable; then the header names the new table, in one
 * sector, and is made durable; then the old table is freed. On the loop's thread, under q->meta.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/block/qcow2_image.h"
#include "vmm/container_of.h"

void grow_abort(struct qcow2 *q)
{
	free(q->grow.table);
	q->grow = (struct qcow2_grow){0};
}

/* Lays out table and blocks in memory and begins to write them. */
static int begin(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qcow2_grow *g = &q->grow;
	uint64_t entries = 1ull << q->block_bits, used, bytes;

	g->base = q->reftable_entries << q->block_bits;
	g->table_clusters = 2ull * q->h.reftable_clusters;
	bytes = g->table_clusters << q->cluster_bits;
	if (bytes > QCOW2_REFTABLE_MAX)
		return -ENOSPC;
	for (g->blocks = 1; g->blocks * entries < g->table_clusters + g->blocks; g->blocks++)
		;
	used = g->table_clusters + g->blocks;
	for (uint64_t i = 0; i < used; i++)
		if (map_is_table(q, g->base + i))
			return qcow2_broken(r, "a table is not counted as used",
					    (g->base + i) << q->cluster_bits);
	g->table = calloc(used, q->cluster);
	if (!g->table)
		return -ENOMEM;
	memcpy(g->table, q->reftable, 8 * q->reftable_entries);
	for (uint64_t i = 0; i < g->blocks; i++)
		put_be64(g->table + 8 * (q->reftable_entries + i), (g->base + g->table_clusters + i)
									   << q->cluster_bits);
	for (uint64_t i = 0; i < used; i++)
		qcow2_refcount_set(g->table + bytes, q->h.refcount_order, i, 1);
	g->phase = GROW_WRITE;
	qio_one(&r->io, q, QIO_WRITE, g->table, g->base << q->cluster_bits,
		used << q->cluster_bits);
	return STEP_WAIT;
}

static void synced(struct qio *io, int res)
{
	io->fn = qreq_came;
	if (res < 0)
		fail_sync(io->q, res);
	qreq_wake(container_of(io, struct qreq, io), res < 0 ? -EIO : 0);
}

static int sync_then(struct qreq *r, enum grow_phase next)
{
	r->q->grow.phase = next;
	r->io.fn = synced;
	qio_sync(&r->io, r->q);
	return STEP_WAIT;
}

/* The header names the new table: so does memory. */
static int end(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qcow2_grow *g = &q->grow;
	uint64_t old_off = q->h.reftable_off;
	uint32_t old_clusters = q->h.reftable_clusters;
	uint64_t used = g->table_clusters + g->blocks;
	int res;

	for (uint64_t i = 0; i < g->blocks; i++) {
		res = set_add(&q->tables, g->base + g->table_clusters + i);
		if (res < 0 && res != -EEXIST)
			return res;
	}
	free(q->reftable);
	q->reftable = g->table;
	g->table = NULL;
	q->reftable_entries = g->table_clusters << (q->cluster_bits - 3);
	q->reftable_from = q->reftable_to = 0;
	q->h.reftable_off = g->base << q->cluster_bits;
	q->h.reftable_clusters = (uint32_t)g->table_clusters;
	if (g->base + used > q->end)
		q->end = g->base + used;
	ref_free_later(q, old_off, (uint64_t)old_clusters << q->cluster_bits);
	grow_abort(q);
	return STEP_GO;
}

int grow_reftable(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct qcow2_grow *g = &q->grow;

	switch (g->phase) {
	case GROW_IDLE:
		return begin(r);
	case GROW_WRITE:
		g->phase = GROW_COUNTS;
		if (commit_refcounts(r) == STEP_WAIT)
			return STEP_WAIT;
		return sync_then(r, GROW_SYNC);
	case GROW_COUNTS:
		return sync_then(r, GROW_SYNC);
	case GROW_HEADER:
		return sync_then(r, GROW_LAST);
	case GROW_SYNC:
		g->phase = GROW_HEADER;
		put_be64(g->header, g->base << q->cluster_bits);
		put_be32(g->header + 8, (uint32_t)g->table_clusters);
		qio_one(&r->io, q, QIO_WRITE, g->header, QCOW2_AT_REFTABLE_OFF, 12);
		return STEP_WAIT;
	case GROW_LAST:
		return end(r);
	}
	return -EIO;
}
