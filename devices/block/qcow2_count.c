/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts how often each cluster of a qcow2 image is referred to. On the thread of whoever opens or
 * checks the image; knows no loop. It shares no code with the disk itself but the header's, so that
 * one can judge the other.
 *
 * System calls: pread; pwrite of tables that a visitor changed.
 */
#include "devices/block/qcow2_count.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/log.h"

#define SNAPSHOTS_MAX 65536u

int qcow2_count_init(struct qcow2_count *c, int fd, const char *path, const struct qcow2_header *h,
		     uint64_t file_size, uint64_t clusters_max)
{
	*c = (struct qcow2_count){.fd = fd, .path = path, .h = h, .work = UINT64_MAX};
	c->cluster = 1ull << h->cluster_bits;
	c->clusters = (file_size + c->cluster - 1) >> h->cluster_bits;
	if (c->clusters > clusters_max)
		return log_fail(
			-EFBIG,
			"disk: %s: has too many clusters to look at here: use `qemu-img check`",
			path);
	c->refs = calloc(c->clusters, sizeof(*c->refs));
	return c->refs ? 0 : log_fail(-ENOMEM, "disk: %s: out of memory", path);
}

void qcow2_count_free(struct qcow2_count *c)
{
	free(c->refs);
	c->refs = NULL;
}

int qcow2_count_read(struct qcow2_count *c, void *p, uint64_t len, uint64_t off)
{
	uint64_t done = 0;

	if (len > c->work)
		return log_fail(
			-EFBIG,
			"disk: %s: its tables are too many to look at here: use `qemu-img check`",
			c->path);
	c->work -= len;
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

void qcow2_count_refer(struct qcow2_count *c, uint64_t off, uint64_t len)
{
	for (uint64_t i = off / c->cluster; i <= (off + len - 1) / c->cluster; i++) {
		if (i >= c->clusters) {
			c->errors++;
			return;
		}
		if (c->refs[i] < UINT32_MAX)
			c->refs[i]++;
	}
}

static void count_compressed(struct qcow2_count *c, uint64_t entry)
{
	unsigned x = 62 - (c->h->cluster_bits - 8);
	uint64_t off = entry & ((1ull << x) - 1);
	uint64_t sectors = (entry & ~(QCOW2_COPIED | QCOW2_COMPRESSED)) >> x;

	c->errors += !!(entry & QCOW2_COPIED);
	if (off >> 56)
		c->errors++;
	else
		qcow2_count_refer(c, off, (sectors + 1) * 512 - (off & 511));
}

static void count_entry(struct qcow2_count *c, uint64_t entry)
{
	uint64_t off = entry & QCOW2_OFFSET;

	if (entry & QCOW2_COMPRESSED)
		count_compressed(c, entry);
	else if (!off)
		c->errors += (entry & ~QCOW2_ZERO) != 0;
	else if (off % c->cluster || entry & ~(QCOW2_COPIED | QCOW2_OFFSET | QCOW2_ZERO))
		c->errors++;
	else
		qcow2_count_refer(c, off, c->cluster);
}

static int is_table(const struct qcow2_count *c, uint64_t entry)
{
	uint64_t off = entry & QCOW2_OFFSET;

	return off && off % c->cluster == 0 && !(entry & ~(QCOW2_COPIED | QCOW2_OFFSET)) &&
	       off / c->cluster < c->clusters;
}

static int count_l1(struct qcow2_count *c, uint64_t at, uint64_t entries)
{
	uint8_t *l1, *l2;
	int r;

	if (!entries)
		return 0;
	if (at % c->cluster || entries > QCOW2_L1_MAX / 8) {
		c->errors++;
		return 0;
	}
	qcow2_count_refer(c, at, 8 * entries);
	l1 = malloc(8 * entries);
	l2 = malloc(c->cluster);
	r = l1 && l2 ? qcow2_count_read(c, l1, 8 * entries, at)
		     : log_fail(-ENOMEM, "disk: %s: out of memory", c->path);
	for (uint64_t i = 0; i < entries && r == 0; i++) {
		uint64_t entry = be64_at(l1 + 8 * i);

		if (!entry)
			continue;
		if (!is_table(c, entry)) {
			c->errors++;
			continue;
		}
		qcow2_count_refer(c, entry & QCOW2_OFFSET, c->cluster);
		r = qcow2_count_read(c, l2, c->cluster, entry & QCOW2_OFFSET);
		for (uint64_t k = 0; k < c->cluster && r == 0; k += 8)
			count_entry(c, be64_at(l2 + k));
	}
	free(l1);
	free(l2);
	return r;
}

/* "Snapshots": the table's entries have their lengths in themselves. */
static int count_snapshots(struct qcow2_count *c)
{
	uint64_t at = c->h->snapshots_off, begin = at;

	if (c->h->snapshots > SNAPSHOTS_MAX)
		return log_fail(-ENOTSUP, "disk: %s: %u snapshots are too many to check", c->path,
				c->h->snapshots);
	for (uint32_t i = 0; i < c->h->snapshots; i++) {
		uint8_t s[40];
		int r;

		if (at / c->cluster >= c->clusters) {
			c->errors++;
			return 0;
		}
		r = qcow2_count_read(c, s, sizeof(s), at);
		if (r == 0)
			r = count_l1(c, be64_at(s), be32_at(s + 8));
		if (r < 0)
			return r;
		at += 40ull + be32_at(s + 36) + be32_at(s + 12) / 65536 + be32_at(s + 12) % 65536;
		at = (at + 7) & ~7ull;
	}
	if (at > begin)
		qcow2_count_refer(c, begin, at - begin);
	return 0;
}

int qcow2_count_all(struct qcow2_count *c)
{
	int r;

	qcow2_count_refer(c, 0, c->cluster);
	r = count_l1(c, c->h->l1_off, c->h->l1_size);
	return r < 0 ? r : count_snapshots(c);
}

/* --- looking again --------------------------------------------------------------------------- */

static int write_table(struct qcow2_count *c, const uint8_t *p, uint64_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = pwrite(c->fd, p, len, (off_t)off);

		if (n <= 0)
			return log_fail(n < 0 ? -errno : -EIO, "disk: %s: cannot write: %s",
					c->path, strerror(n < 0 ? errno : EIO));
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Shows the entries of a table; @changed if one is not what it was. */
static int visit_table(const struct qcow2_count *c, uint8_t *table, uint64_t entries,
		       qcow2_count_visit *visit, void *arg, int *changed)
{
	*changed = 0;
	for (uint64_t i = 0; i < entries; i++) {
		uint64_t entry = be64_at(table + 8 * i), was = entry, off = entry & QCOW2_OFFSET;
		int r;

		if (entry & QCOW2_COMPRESSED || !off || off / c->cluster >= c->clusters)
			continue;
		r = visit(arg, off / c->cluster, &entry);
		if (r < 0)
			return r;
		if (entry != was) {
			put_be64(table + 8 * i, entry);
			*changed = 1;
		}
	}
	return 0;
}

int qcow2_count_walk(struct qcow2_count *c, qcow2_count_visit *visit, void *arg)
{
	uint64_t l1_len = 8ull * c->h->l1_size;
	uint8_t *l1 = malloc(l1_len), *l2 = malloc(c->cluster);
	int changed, r;

	r = l1 && l2 ? qcow2_count_read(c, l1, l1_len, c->h->l1_off)
		     : log_fail(-ENOMEM, "disk: %s: out of memory", c->path);
	for (uint64_t i = 0; i < c->h->l1_size && r == 0; i++) {
		uint64_t entry = be64_at(l1 + 8 * i);

		if (!is_table(c, entry))
			continue;
		r = qcow2_count_read(c, l2, c->cluster, entry & QCOW2_OFFSET);
		if (r == 0)
			r = visit_table(c, l2, c->cluster / 8, visit, arg, &changed);
		if (r == 0 && changed)
			r = write_table(c, l2, c->cluster, entry & QCOW2_OFFSET);
	}
	if (r == 0)
		r = visit_table(c, l1, c->h->l1_size, visit, arg, &changed);
	if (r == 0 && changed)
		r = write_table(c, l1, l1_len, c->h->l1_off);
	free(l1);
	free(l2);
	return r;
}
