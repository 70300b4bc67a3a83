/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes the refcounts of a qcow2 image anew, from what its tables refer to: an image with lazy
 * refcounts that was not closed says itself that they are not to be believed ("dirty bit"). Blocks;
 * at start-up or on a command line, with the image locked. Knows no loop.
 *
 *   | all that is there, the old refcounts too | new table | new blocks |
 *                                              ^ base
 *
 * They are made durable; then the header names them, and says that they are right, in one sector.
 * Until then the image is what it was; the old ones are not referred to any more, so they are free.
 *
 * System calls: fstat, pread, pwrite, fsync, ftruncate.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/qcow2_count.h"
#include "vmm/log.h"

#define CLUSTERS_MAX (4ull << 20)   /* 16 MiB of memory: 256 GiB of clusters of 64 KiB */
#define WORK_MAX     (128ull << 20) /* bytes of tables to read; of L2 tables twice */

struct rebuild {
	struct qcow2_count count;
	struct qcow2_header *h;
	unsigned order;
	uint64_t entries;          /* of a block */
	uint64_t base, used;       /* clusters: the new ones are [base, used) */
	uint64_t tables, n_blocks; /* clusters */
	uint8_t *table, *block;
};

static int write_at(const struct rebuild *b, const uint8_t *p, uint64_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = pwrite(b->count.fd, p, len, (off_t)off);

		if (n <= 0)
			return log_fail(n < 0 ? -errno : -EIO, "disk: %s: cannot write: %s",
					b->count.path, strerror(n < 0 ? errno : EIO));
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int make_durable(const struct rebuild *b)
{
	if (fsync(b->count.fd) == 0)
		return 0;
	return log_fail(-errno, "disk: %s: cannot write: %s", b->count.path, strerror(errno));
}

/* What cluster @i is to be counted as. */
static uint64_t count_of(const struct rebuild *b, uint64_t i)
{
	return i < b->base ? b->count.refs[i] : i < b->used;
}

static int has_counts(const struct rebuild *b, uint64_t block)
{
	for (uint64_t i = block * b->entries; i < (block + 1) * b->entries && i < b->used; i++)
		if (count_of(b, i))
			return 1;
	return 0;
}

/* Blocks that count something before base, and those that will count the new clusters. */
static int lay_out(struct rebuild *b)
{
	uint64_t before = 0, first = b->base / b->entries;
	unsigned bits = b->h->cluster_bits;

	b->used = b->base;
	for (uint64_t i = 0; i < first; i++)
		before += (uint64_t)has_counts(b, i);
	for (b->n_blocks = 1;; b->n_blocks++) {
		uint64_t covered = b->n_blocks > before ? first + b->n_blocks - before : first;

		b->tables = ((8 * covered - 1) >> bits) + 1;
		b->used = b->base + b->tables + b->n_blocks;
		if (b->tables << bits > QCOW2_REFTABLE_MAX)
			return log_fail(
				-EFBIG,
				"disk: %s: its refcount table would be too large: convert it to "
				"larger clusters with `qemu-img convert`",
				b->count.path);
		if (b->n_blocks > before && covered * b->entries >= b->used)
			return 0;
	}
}

static int write_blocks(struct rebuild *b)
{
	uint64_t max = b->order == 6 ? UINT64_MAX : (1ull << (1u << b->order)) - 1;
	unsigned bits = b->h->cluster_bits;
	uint64_t next = b->base + b->tables;

	for (uint64_t n = 0; n * b->entries < b->used; n++) {
		int r;

		if (!has_counts(b, n))
			continue;
		memset(b->block, 0, b->count.cluster);
		for (uint64_t i = 0; i < b->entries; i++) {
			uint64_t count = count_of(b, n * b->entries + i);

			if (count > max)
				return log_fail(-ENOTSUP,
						"disk: %s: a cluster is referred to %llu times, "
						"more than its refcounts can say: convert it with "
						"`qemu-img convert`",
						b->count.path, (unsigned long long)count);
			qcow2_refcount_set(b->block, b->order, i, count);
		}
		put_be64(b->table + 8 * n, next << bits);
		r = write_at(b, b->block, b->count.cluster, next++ << bits);
		if (r < 0)
			return r;
	}
	return write_at(b, b->table, b->tables << bits, b->base << bits);
}

/* COPIED says that nobody else refers to it, and is to be right in the active tables. */
static int set_copied(void *arg, uint64_t cluster, uint64_t *entry)
{
	const struct rebuild *b = arg;

	if (b->count.refs[cluster] == 1)
		*entry |= QCOW2_COPIED;
	else
		*entry &= ~QCOW2_COPIED;
	return 0;
}

/* From the size of the disk to the autoclear bits: bitmaps, if there were any, are gone. */
static int write_header(struct rebuild *b)
{
	struct qcow2_header *h = b->h;
	uint8_t p[QCOW2_AT_AUTOCLEAR + 8] = {0};
	uint64_t len = h->version < 3 ? QCOW2_AT_INCOMPATIBLE : sizeof(p);

	h->reftable_off = b->base << h->cluster_bits;
	h->reftable_clusters = (uint32_t)b->tables;
	h->incompatible &= ~QCOW2_DIRTY;
	h->autoclear = 0;
	put_be64(p + QCOW2_AT_SIZE, h->size);
	put_be32(p + QCOW2_AT_L1_SIZE, h->l1_size);
	put_be64(p + QCOW2_AT_L1_OFF, h->l1_off);
	put_be64(p + QCOW2_AT_REFTABLE_OFF, h->reftable_off);
	put_be32(p + QCOW2_AT_REFTABLE_CLUSTERS, h->reftable_clusters);
	put_be32(p + QCOW2_AT_SNAPSHOTS, h->snapshots);
	put_be64(p + QCOW2_AT_SNAPSHOTS_OFF, h->snapshots_off);
	put_be64(p + QCOW2_AT_INCOMPATIBLE, h->incompatible);
	put_be64(p + QCOW2_AT_COMPATIBLE, h->compatible);
	return write_at(b, p + QCOW2_AT_SIZE, len - QCOW2_AT_SIZE, QCOW2_AT_SIZE);
}

static int rebuild(struct rebuild *b)
{
	int r = qcow2_count_all(&b->count);

	if (r < 0)
		return r;
	if (b->count.errors)
		return log_fail(-EROFS,
				"disk: %s: %llu entries of its tables cannot be: repair it with "
				"`qemu-img check -r all`, or make the disk read-only",
				b->count.path, (unsigned long long)b->count.errors);
	b->base = b->count.clusters;
	r = lay_out(b);
	if (r < 0)
		return r;
	b->table = calloc(b->tables, b->count.cluster);
	b->block = malloc(b->count.cluster);
	if (!b->table || !b->block)
		return log_fail(-ENOMEM, "disk: %s: out of memory", b->count.path);
	r = write_blocks(b);
	if (r == 0)
		r = qcow2_count_walk(&b->count, set_copied, b);
	if (r == 0)
		r = make_durable(b);
	if (r == 0)
		r = write_header(b);
	return r < 0 ? r : make_durable(b);
}

int qcow2_rebuild(int fd, const char *path, struct qcow2_header *h)
{
	struct rebuild b = {.h = h, .order = h->refcount_order};
	uint64_t old_table = h->reftable_off;
	struct stat st;
	int r;

	if (fstat(fd, &st))
		return log_fail(-errno, "disk: %s: cannot stat: %s", path, strerror(errno));
	b.entries = 1ull << (h->cluster_bits + 3 - h->refcount_order);
	r = qcow2_count_init(&b.count, fd, path, h, (uint64_t)st.st_size, CLUSTERS_MAX);
	b.count.work = WORK_MAX;
	if (r == 0)
		r = rebuild(&b);
	/* What the header does not name yet is not part of the image. */
	if (r < 0 && h->reftable_off == old_table && ftruncate(fd, st.st_size))
		log_line(LOG_WARN, "disk: %s: cannot be made as short as it was", path);
	qcow2_count_free(&b.count);
	free(b.table);
	free(b.block);
	return r;
}
