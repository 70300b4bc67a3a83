/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts how often each cluster of a qcow2 image is referred to and compares that with what the
 * image says. For a command line: blocks, changes nothing, knows no loop. It shares no code with
 * the disk itself but the header's, so that one can judge the other.
 *
 * System calls: openat, fstat, pread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/qcow2.h"
#include "devices/block/qcow2_format.h"
#include "vmm/log.h"

#define CLUSTERS_MAX  (1ull << 28)
#define SNAPSHOTS_MAX 65536u

struct checker {
	int fd;
	const char *path;
	struct qcow2_header h;
	uint64_t cluster, clusters, reftable_entries;
	uint32_t *refs; /* found, a cluster of the file each */
	uint8_t *reftable, *block;
	uint64_t block_at; /* which block is in it; 0: none */
	struct qcow2_check *out;
};

/* Reads what there is; behind the end of the file there are zeroes. */
static int read_at(const struct checker *c, void *p, uint64_t len, uint64_t off)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t n = pread(c->fd, (uint8_t *)p + done, len - done, (off_t)(off + done));

		if (n < 0)
			return log_fail(-errno, "disk: %s: cannot read: %s", c->path,
					strerror(errno));
		if (n == 0)
			break;
		done += (uint64_t)n;
	}
	memset((uint8_t *)p + done, 0, len - done);
	return 0;
}

static void refer(struct checker *c, uint64_t off, uint64_t len)
{
	for (uint64_t i = off / c->cluster; i <= (off + len - 1) / c->cluster; i++) {
		if (i >= c->clusters) {
			c->out->errors++;
			return;
		}
		if (c->refs[i] < UINT32_MAX)
			c->refs[i]++;
	}
}

/* What the image says of cluster @i. */
static int count_of(struct checker *c, uint64_t i, uint64_t *count)
{
	uint64_t entries = c->cluster * 8 >> c->h.refcount_order, at;

	*count = 0;
	if (i / entries >= c->reftable_entries)
		return 0;
	at = be64_at(c->reftable + 8 * (i / entries));
	if (!at || at % c->cluster || at / c->cluster >= c->clusters)
		return 0;
	if (at != c->block_at) {
		int r = read_at(c, c->block, c->cluster, at);

		if (r < 0)
			return r;
		c->block_at = at;
	}
	*count = qcow2_refcount_get(c->block, c->h.refcount_order, i % entries);
	return 0;
}

/* COPIED is a promise that nobody else refers to it. */
static int check_copied(struct checker *c, uint64_t entry)
{
	uint64_t count;
	int r;

	if (!(entry & QCOW2_COPIED))
		return 0;
	r = count_of(c, (entry & QCOW2_OFFSET) / c->cluster, &count);
	if (r == 0)
		c->out->errors += count != 1;
	return r;
}

static int check_cluster(struct checker *c, uint64_t entry, int active)
{
	unsigned x = 62 - (c->h.cluster_bits - 8);
	uint64_t off = entry & QCOW2_OFFSET;

	if (entry & QCOW2_COMPRESSED) {
		off = entry & ((1ull << x) - 1);
		refer(c, off,
		      (((entry & ~(QCOW2_COPIED | QCOW2_COMPRESSED)) >> x) + 1) * 512 -
			      (off & 511));
		c->out->errors += !!(entry & QCOW2_COPIED);
		return 0;
	}
	if (!off) {
		c->out->errors += (entry & ~QCOW2_ZERO) != 0;
		return 0;
	}
	if (off % c->cluster || entry & ~(QCOW2_COPIED | QCOW2_OFFSET | QCOW2_ZERO)) {
		c->out->errors++;
		return 0;
	}
	refer(c, off, c->cluster);
	return active ? check_copied(c, entry) : 0;
}

static int check_l2(struct checker *c, uint64_t at, int active)
{
	uint8_t *l2 = malloc(c->cluster);
	int r;

	if (!l2)
		return log_fail(-ENOMEM, "disk: %s: out of memory", c->path);
	r = read_at(c, l2, c->cluster, at);
	for (uint64_t i = 0; i < c->cluster && r == 0; i += 8)
		r = check_cluster(c, be64_at(l2 + i), active);
	free(l2);
	return r;
}

static int check_l1(struct checker *c, uint64_t at, uint64_t entries, int active)
{
	uint8_t *l1;
	int r;

	if (!entries)
		return 0;
	if (at % c->cluster || entries > QCOW2_L1_MAX / 8) {
		c->out->errors++;
		return 0;
	}
	refer(c, at, 8 * entries);
	l1 = malloc(8 * entries);
	if (!l1)
		return log_fail(-ENOMEM, "disk: %s: out of memory", c->path);
	r = read_at(c, l1, 8 * entries, at);
	for (uint64_t i = 0; i < entries && r == 0; i++) {
		uint64_t entry = be64_at(l1 + 8 * i), off = entry & QCOW2_OFFSET;

		if (!entry)
			continue;
		if (!off || off % c->cluster || entry & ~(QCOW2_COPIED | QCOW2_OFFSET) ||
		    off / c->cluster >= c->clusters) {
			c->out->errors++;
			continue;
		}
		refer(c, off, c->cluster);
		if (active)
			r = check_copied(c, entry);
		if (r == 0)
			r = check_l2(c, off, active);
	}
	free(l1);
	return r;
}

/* "Snapshots": the table's entries have their lengths in themselves. */
static int check_snapshots(struct checker *c)
{
	uint64_t at = c->h.snapshots_off, begin = at;

	if (c->h.snapshots > SNAPSHOTS_MAX)
		return log_fail(-ENOTSUP, "disk: %s: %u snapshots are too many to check", c->path,
				c->h.snapshots);
	for (uint32_t i = 0; i < c->h.snapshots; i++) {
		uint8_t s[40];
		int r = read_at(c, s, sizeof(s), at);

		if (r == 0)
			r = check_l1(c, be64_at(s), be32_at(s + 8), 0);
		if (r < 0)
			return r;
		at += 40ull + be32_at(s + 36) + be32_at(s + 12) / 65536 + be32_at(s + 12) % 65536;
		at = (at + 7) & ~7ull;
		if (at / c->cluster > c->clusters) {
			c->out->errors++;
			return 0;
		}
	}
	if (at > begin)
		refer(c, begin, at - begin);
	return 0;
}

static int check_references(struct checker *c)
{
	int r;

	refer(c, 0, c->cluster);
	refer(c, c->h.reftable_off, 8 * c->reftable_entries);
	for (uint64_t i = 0; i < c->reftable_entries; i++) {
		uint64_t at = be64_at(c->reftable + 8 * i);

		if (at && (at % c->cluster || at / c->cluster >= c->clusters))
			c->out->errors++;
		else if (at)
			refer(c, at, c->cluster);
	}
	r = check_l1(c, c->h.l1_off, c->h.l1_size, 1);
	return r < 0 ? r : check_snapshots(c);
}

static int compare(struct checker *c)
{
	for (uint64_t i = 0; i < c->clusters; i++) {
		uint64_t count;
		int r = count_of(c, i, &count);

		if (r < 0)
			return r;
		c->out->used += c->refs[i] > 0;
		c->out->leaks += count > c->refs[i];
		c->out->errors += count < c->refs[i];
	}
	return 0;
}

static int check(struct checker *c, uint64_t file_size)
{
	int r = qcow2_header_read(&c->h, c->fd, file_size, c->path);

	if (r < 0)
		return r;
	c->cluster = 1ull << c->h.cluster_bits;
	c->clusters = (file_size + c->cluster - 1) / c->cluster;
	if (c->clusters > CLUSTERS_MAX)
		return log_fail(-EFBIG, "disk: %s: has too many clusters to check", c->path);
	c->out->clusters = c->clusters;
	c->reftable_entries = c->h.reftable_clusters * c->cluster / 8;
	c->refs = calloc(c->clusters, sizeof(*c->refs));
	c->reftable = malloc(8 * c->reftable_entries);
	c->block = malloc(c->cluster);
	if (!c->refs || !c->reftable || !c->block)
		return log_fail(-ENOMEM, "disk: %s: out of memory", c->path);
	r = read_at(c, c->reftable, 8 * c->reftable_entries, c->h.reftable_off);
	if (r == 0)
		r = check_references(c);
	return r < 0 ? r : compare(c);
}

int qcow2_check(const char *path, struct qcow2_check *out)
{
	struct checker c = {.path = path, .out = out};
	struct stat st;
	int r;

	*out = (struct qcow2_check){0};
	c.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (c.fd < 0)
		return log_fail(-errno, "disk: %s: cannot open: %s", path, strerror(errno));
	if (fstat(c.fd, &st) || !S_ISREG(st.st_mode))
		r = log_fail(-EINVAL, "disk: %s: a qcow2 image is a regular file", path);
	else
		r = check(&c, (uint64_t)st.st_size);
	free(c.refs);
	free(c.reftable);
	free(c.block);
	close(c.fd);
	return r;
}
