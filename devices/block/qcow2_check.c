/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compares the refcounts of a qcow2 image with how often its clusters are referred to. For a
 * command line: blocks, changes nothing, knows no loop.
 *
 * System calls: openat, fstat, pread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/lock.h"
#include "devices/block/qcow2.h"
#include "devices/block/qcow2_count.h"
#include "vmm/log.h"

#define CLUSTERS_MAX (1ull << 28)
#define WORK_LEAST   (256ull << 20) /* bytes of tables to read */

struct checker {
	struct qcow2_header h;
	struct qcow2_count count;
	uint64_t reftable_entries;
	uint8_t *reftable, *block;
	uint64_t block_at; /* which block is in it; 0: none */
	struct qcow2_check *out;
};

/* What the image says of cluster @i. */
static int count_of(struct checker *c, uint64_t i, uint64_t *count)
{
	uint64_t entries = c->count.cluster * 8 >> c->h.refcount_order, at;

	*count = 0;
	if (i / entries >= c->reftable_entries)
		return 0;
	at = be64_at(c->reftable + 8 * (i / entries));
	if (!at || at % c->count.cluster || at / c->count.cluster >= c->count.clusters)
		return 0;
	if (at != c->block_at) {
		int r = qcow2_count_read(&c->count, c->block, c->count.cluster, at);

		if (r < 0)
			return r;
		c->block_at = at;
	}
	*count = qcow2_refcount_get(c->block, c->h.refcount_order, i % entries);
	return 0;
}

/* COPIED is a promise that nobody else refers to it. */
static int check_copied(void *arg, uint64_t cluster, uint64_t *entry)
{
	struct checker *c = arg;
	uint64_t count;
	int r;

	if (!(*entry & QCOW2_COPIED))
		return 0;
	r = count_of(c, cluster, &count);
	if (r == 0)
		c->count.errors += count != 1;
	return r;
}

static void check_reftable(struct checker *c)
{
	qcow2_count_refer(&c->count, c->h.reftable_off, 8 * c->reftable_entries);
	for (uint64_t i = 0; i < c->reftable_entries; i++) {
		uint64_t at = be64_at(c->reftable + 8 * i);

		if (at && (at % c->count.cluster || at / c->count.cluster >= c->count.clusters))
			c->count.errors++;
		else if (at)
			qcow2_count_refer(&c->count, at, c->count.cluster);
	}
}

static int compare(struct checker *c)
{
	for (uint64_t i = 0; i < c->count.clusters; i++) {
		uint64_t count;
		int r = count_of(c, i, &count);

		if (r < 0)
			return r;
		c->out->used += c->count.refs[i] > 0;
		c->out->leaks += count > c->count.refs[i];
		c->count.errors += count < c->count.refs[i];
	}
	return 0;
}

static int check(struct checker *c, int fd, const struct stat *st, const char *path)
{
	uint64_t file_size = (uint64_t)st->st_size;
	int r = qcow2_header_read(&c->h, fd, file_size, path);

	if (r == 0)
		r = qcow2_count_init(&c->count, fd, path, &c->h, file_size, CLUSTERS_MAX);
	if (r < 0)
		return r;
	/* Many snapshots may share a table; but not every table of theirs with every other. */
	c->count.work = WORK_LEAST + 16 * 512 * (uint64_t)st->st_blocks;
	c->out->clusters = c->count.clusters;
	c->reftable_entries = c->h.reftable_clusters * c->count.cluster / 8;
	c->reftable = malloc(8 * c->reftable_entries);
	c->block = malloc(c->count.cluster);
	if (!c->reftable || !c->block)
		return log_fail(-ENOMEM, "disk: %s: out of memory", path);
	r = qcow2_count_read(&c->count, c->reftable, 8 * c->reftable_entries, c->h.reftable_off);
	if (r < 0)
		return r;
	check_reftable(c);
	r = qcow2_count_all(&c->count);
	if (r == 0)
		r = qcow2_count_walk(&c->count, check_copied, c);
	if (r == 0)
		r = compare(c);
	c->out->errors = c->count.errors;
	return r;
}

int qcow2_check(const char *path, struct qcow2_check *out)
{
	struct checker c = {.out = out};
	struct stat st;
	int fd, r;

	*out = (struct qcow2_check){0};
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return log_fail(-errno, "disk: %s: cannot open: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		r = log_fail(-EINVAL, "disk: %s: a qcow2 image is a regular file", path);
	else
		r = lock_image(fd, 0, "disk", path, "", &st);
	if (r == 0)
		r = check(&c, fd, &st, path);
	qcow2_count_free(&c.count);
	free(c.reftable);
	free(c.block);
	close(fd);
	return r;
}
