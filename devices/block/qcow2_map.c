/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a guest's cluster is: L1 (in memory), L2 (through the cache); "Cluster mapping". Entries
 * are judged here before anybody uses them. On the loop's thread; changes only under q->meta.
 */
#include <errno.h>

#include "devices/block/qcow2_image.h"

static uint64_t l1_index(const struct qcow2 *q, uint64_t pos)
{
	return pos >> (q->cluster_bits + q->l2_bits);
}

/* Where in its table the slice with @pos begins, bytes. */
static uint64_t slice_start(const struct qcow2 *q, uint64_t pos)
{
	uint64_t in_table = (pos >> q->cluster_bits) & ((1ull << q->l2_bits) - 1);

	return (in_table * 8) & ~(uint64_t)(q->l2.bytes - 1);
}

uint64_t map_index(const struct qcow2 *q, uint64_t pos)
{
	return (pos >> q->cluster_bits) & (q->l2.bytes / 8 - 1);
}

int map_is_table(const struct qcow2 *q, uint64_t cluster)
{
	uint64_t l1 = q->h.l1_off >> q->cluster_bits, rt = q->h.reftable_off >> q->cluster_bits;
	uint64_t l1_n = (8ull * q->h.l1_size + q->cluster - 1) >> q->cluster_bits;

	return cluster == 0 || (cluster >= l1 && cluster - l1 < l1_n) ||
	       (cluster >= rt && cluster - rt < q->h.reftable_clusters) ||
	       set_has(&q->tables, cluster);
}

static int decode_compressed(const struct qcow2 *q, uint64_t entry, struct qcluster *c)
{
	unsigned x = 62 - (q->cluster_bits - 8);
	uint64_t sectors = (entry & ~(QCOW2_COMPRESSED | QCOW2_COPIED)) >> x, size;

	c->kind = Q_COMPRESSED;
	c->host = entry & ((1ull << x) - 1);
	/* "Some of these sectors may reside in the next contiguous host cluster." */
	size = (sectors + 1) * 512 - (c->host & 511);
	c->csize = (uint32_t)size;
	if (entry & QCOW2_COPIED || c->host >> 56 || c->host < q->cluster ||
	    c->host >> q->cluster_bits >= q->end)
		return -EIO;
	return 0;
}

static int decode(const struct qcow2 *q, uint64_t entry, struct qcluster *c)
{
	uint64_t reserved = ~(QCOW2_COPIED | QCOW2_COMPRESSED | QCOW2_OFFSET | QCOW2_ZERO);

	*c = (struct qcluster){.entry = entry};
	if (entry & QCOW2_COMPRESSED)
		return decode_compressed(q, entry, c);
	c->host = entry & QCOW2_OFFSET;
	c->writable = c->host && (entry & QCOW2_COPIED);
	c->kind = entry & QCOW2_ZERO ? Q_ZERO : c->host ? Q_NORMAL : Q_UNALLOCATED;
	if (entry & reserved || (entry & QCOW2_ZERO && q->h.version < 3) ||
	    (c->host & (q->cluster - 1)) || c->host >> q->cluster_bits >= q->end ||
	    (!c->host && entry & QCOW2_COPIED))
		return -EIO;
	return 0;
}

int map_entry(const struct qcow2 *q, const struct qslice *slice, uint64_t pos, struct qcluster *c)
{
	int res = decode(q, be64_at(slice->data + 8 * map_index(q, pos)), c);

	/* What a shared table says of its clusters need not be accurate. */
	if (slice->shared)
		c->writable = 0;
	return res;
}

/* The table in an L1 entry: 0 none; or it cannot be. */
static int l1_decode(struct qreq *r, uint64_t entry, uint64_t *table)
{
	const struct qcow2 *q = r->q;

	*table = entry & QCOW2_OFFSET;
	if (entry & ~(QCOW2_COPIED | QCOW2_OFFSET) || *table & (q->cluster - 1) ||
	    *table >> q->cluster_bits >= q->end || (!*table && entry))
		return qcow2_broken(r, "an entry of the L1 table cannot be", entry);
	return STEP_GO;
}

int map_lookup(struct qreq *r, uint64_t pos, struct qcluster *c, struct qslice **slice)
{
	struct qcow2 *q = r->q;
	uint64_t table, entry = be64_at(q->l1 + 8 * l1_index(q, pos));
	int res = l1_decode(r, entry, &table);

	if (res < 0)
		return res;
	*slice = NULL;
	*c = (struct qcluster){.kind = Q_UNALLOCATED};
	if (!table)
		return STEP_GO;
	res = cache_get(&q->l2, r, table + slice_start(q, pos), slice);
	if (res != STEP_GO)
		return res;
	(*slice)->shared = !(entry & QCOW2_COPIED);
	res = map_entry(q, *slice, pos, c);
	if (res < 0)
		return qcow2_broken(r, "an entry of an L2 table cannot be", c->entry);
	return STEP_GO;
}

uint64_t map_run(struct qreq *r, const struct qslice *slice, const struct qcluster *c, uint64_t len)
{
	const struct qcow2 *q = r->q;
	uint64_t n = q->cluster - (r->pos & (q->cluster - 1)), host = c->host;
	struct qcluster next;

	if (!slice)
		return len;
	while (n < len && c->kind != Q_COMPRESSED) {
		host += q->cluster;
		if (map_entry(q, slice, r->pos + n, &next) < 0 || next.kind != c->kind ||
		    next.writable != c->writable || (c->kind == Q_NORMAL && next.host != host))
			break;
		n += q->cluster;
	}
	return n < len ? n : len;
}

int map_has_below(const struct qcow2 *q, uint64_t pos)
{
	return q->backing && (pos & ~(q->cluster - 1)) < q->backing->size;
}

/* Copies the old table to the new cluster, a slice at a time; or writes zeroes there. */
static int fill_table(struct qreq *r, uint64_t old)
{
	struct qcow2 *q = r->q;
	struct qtable *t = &r->table;

	if (t->phase == TABLE_ALLOCATED && !old) {
		t->phase = TABLE_WRITTEN;
		t->pos = q->cluster;
		ref_zero_cluster(r, t->off);
		return STEP_WAIT;
	}
	if (t->phase == TABLE_READ) {
		t->phase = TABLE_WRITTEN;
		qio_one(&r->io, q, QIO_WRITE, q->copy, t->off + t->pos, q->l2.bytes);
		t->pos += q->l2.bytes;
		return STEP_WAIT;
	}
	if (t->pos == q->cluster)
		return STEP_GO;
	t->phase = TABLE_READ;
	qio_one(&r->io, q, QIO_READ, q->copy, old + t->pos, q->l2.bytes);
	return STEP_WAIT;
}

int map_table(struct qreq *r, uint64_t pos, struct qslice **slice)
{
	struct qcow2 *q = r->q;
	struct qtable *t = &r->table;
	uint64_t i = l1_index(q, pos), entry = be64_at(q->l1 + 8 * i), old, got;
	uint8_t fresh;
	int res = l1_decode(r, entry, &old);

	if (res < 0)
		return res;
	if (entry & QCOW2_COPIED) {
		res = cache_get(&q->l2, r, old + slice_start(q, pos), slice);
		if (res == STEP_GO)
			(*slice)->shared = 0;
		return res;
	}
	if (t->phase == TABLE_NONE) {
		res = ref_alloc(r, 1, &t->off, &got, &fresh);
		if (res != STEP_GO)
			return res;
		t->phase = TABLE_ALLOCATED;
		t->pos = 0;
	}
	res = fill_table(r, old);
	if (res != STEP_GO)
		return res;
	res = set_add(&q->tables, t->off >> q->cluster_bits);
	if (res < 0)
		return res;
	put_be64(q->l1 + 8 * i, t->off | QCOW2_COPIED);
	if (q->l1_dirty_from == q->l1_dirty_to) {
		q->l1_dirty_from = i;
		q->l1_dirty_to = i + 1;
	}
	if (i < q->l1_dirty_from)
		q->l1_dirty_from = i;
	if (i >= q->l1_dirty_to)
		q->l1_dirty_to = i + 1;
	if (old) {
		/* It is no table of the active ones any more. */
		set_remove(&q->tables, old >> q->cluster_bits);
		ref_free_later(q, old, q->cluster);
	}
	t->phase = TABLE_NONE;
	return map_table(r, pos, slice);
}

void map_set(struct qcow2 *q, struct qslice *slice, uint64_t index, uint64_t entry,
	     const struct qcluster *old, int keep)
{
	put_be64(slice->data + 8 * index, entry);
	cache_dirty(slice);
	if (keep || !old->host)
		return;
	if (old->kind == Q_COMPRESSED)
		ref_free_later(q, old->host, old->csize);
	else
		ref_free_later(q, old->host, q->cluster);
}
