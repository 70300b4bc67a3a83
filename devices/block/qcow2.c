/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens and closes qcow2 disks: the file, its lock, the tables that stay in memory, and the files
 * below it. Runs at start-up, and on the loop's thread at close, where what is left in memory is
 * written; requests are qcow2_request.c's.
 *
 * System calls: openat, fstat, fcntl (flags), pread; pwrite and fdatasync of a header field; those
 * of qcow2_rebuild.c for an image that was not closed.
 */
#include "devices/block/qcow2.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/lock.h"
#include "devices/block/qcow2_count.h"
#include "devices/block/qcow2_image.h"
#include "devices/block/raw.h"
#include "vmm/container_of.h"
#include "vmm/log.h"

#define L2_CACHE_DEFAULT (8u << 20)
#define L2_CACHE_MIN     (1u << 20)
#define L2_SLICES_MIN    256u /* four a request: one is always free */
#define REF_SLICES       64u
#define COW_BYTES        (1u << 20)
#define L2_TABLES_MAX    (1u << 19) /* of a writable image */

static int open_file(struct qcow2 *q, const struct qcow2_params *p, struct stat *st)
{
	int flags = (p->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, mode;

	if (!p->has_fd)
		q->fd = open(q->path, flags);
	mode = q->fd < 0 ? -1 : fcntl(q->fd, F_GETFL);
	if (mode < 0)
		return log_fail(-errno, "disk: %s: cannot open%s: %s", q->path,
				p->read_only ? "" : " for writing", strerror(errno));
	if ((mode & O_ACCMODE) == O_WRONLY || (!p->read_only && (mode & O_ACCMODE) != O_RDWR))
		return log_fail(-EACCES, "disk: %s: its descriptor is not open for %s", q->path,
				p->read_only ? "reading" : "writing");
	if (fstat(q->fd, st))
		return log_fail(-errno, "disk: %s: cannot stat: %s", q->path, strerror(errno));
	if (!S_ISREG(st->st_mode))
		return log_fail(-EINVAL, "disk: %s: a qcow2 image is a regular file", q->path);
	if (fcntl(q->fd, F_SETFL, 0))
		return log_fail(-errno, "disk: %s: cannot set it up: %s", q->path, strerror(errno));
	return p->no_lock ? 0 : lock_image(q->fd, !p->read_only, "disk", q->path, LOCK_SHARE, st);
}

/* A table of @used bytes in @len bytes of memory; the end of the file may come first. */
static int load_table(const struct qcow2 *q, uint64_t off, uint64_t len, uint8_t **out)
{
	uint8_t *table = calloc(1, len);
	uint64_t done = 0;

	*out = table;
	if (!table)
		return log_fail(-ENOMEM, "disk: %s: out of memory", q->path);
	while (done < len) {
		ssize_t n = pread(q->fd, table + done, len - done, (off_t)(off + done));

		if (n < 0)
			return log_fail(-errno, "disk: %s: cannot read: %s", q->path,
					strerror(errno));
		if (n == 0)
			break;
		done += (uint64_t)n;
	}
	return 0;
}

/* Notes which clusters hold tables; 1 if two of them are in one place. */
static int note_tables(struct qcow2 *q, const uint8_t *table, uint64_t entries, uint64_t mask)
{
	for (uint64_t i = 0; i < entries; i++) {
		uint64_t off = be64_at(table + 8 * i) & mask;
		int r;

		/* What cannot be is found when it is used. */
		if (!off || off & (q->cluster - 1) || off >> q->cluster_bits >= q->end)
			continue;
		if (map_is_table(q, off >> q->cluster_bits))
			return 1;
		if (q->tables.n >= L2_TABLES_MAX)
			return log_fail(-ENOTSUP,
					"disk: %s: more than %u tables: use larger clusters",
					q->path, L2_TABLES_MAX);
		r = set_add(&q->tables, off >> q->cluster_bits);
		if (r < 0)
			return log_fail(r, "disk: %s: out of memory", q->path);
	}
	return 0;
}

/* What writing needs: the refcount table, and where tables are. */
static int load_for_writing(struct qcow2 *q)
{
	int r;

	q->reftable_entries = (uint64_t)q->h.reftable_clusters << (q->cluster_bits - 3);
	r = load_table(q, q->h.reftable_off, 8 * q->reftable_entries, &q->reftable);
	if (r < 0)
		return r;
	r = note_tables(q, q->l1, q->h.l1_needed, QCOW2_OFFSET);
	if (r == 0)
		r = note_tables(q, q->reftable, q->reftable_entries, ~0x1ffull);
	if (r > 0) {
		log_line(
			LOG_WARN,
			"disk: %s: the image is damaged: two of its tables are in one place: it is "
			"opened read-only; look at it with `qemu-img check`",
			q->path);
		q->blk.read_only = 1;
		return 0;
	}
	if (r < 0 || !q->h.autoclear)
		return r;
	/* "may only write to an image with unknown auto-clear features if it clears" them */
	if (pwrite(q->fd, "\0\0\0\0\0\0\0\0", 8, QCOW2_AT_AUTOCLEAR) != 8 || fdatasync(q->fd))
		return log_fail(-EIO, "disk: %s: cannot write the header", q->path);
	return 0;
}

static int judge_state(struct qcow2 *q)
{
	if (q->h.incompatible & QCOW2_CORRUPT && !q->blk.read_only) {
		log_line(LOG_WARN,
			 "disk: %s: is marked as damaged: it is opened read-only; repair it with "
			 "`qemu-img check -r all`",
			 q->path);
		q->blk.read_only = 1;
	}
	return 0;
}

/* Refcounts that were put off ("lazy") by somebody who did not come to write them. */
static int repair(struct qcow2 *q, struct stat *st)
{
	int r;

	if (!(q->h.incompatible & QCOW2_DIRTY) || q->blk.read_only)
		return 0;
	r = qcow2_rebuild(q->fd, q->path, &q->h);
	if (r < 0)
		return r;
	log_line(LOG_WARN, "disk: %s: was not closed: its refcounts were made anew", q->path);
	if (fstat(q->fd, st))
		return log_fail(-errno, "disk: %s: cannot stat: %s", q->path, strerror(errno));
	return 0;
}

static int set_up_memory(struct qcow2 *q, const struct qcow2_params *p)
{
	uint32_t slice = q->cluster < QCOW2_SLICE_MAX ? (uint32_t)q->cluster : QCOW2_SLICE_MAX;
	uint64_t tables = (uint64_t)q->h.l1_needed << q->cluster_bits;
	uint64_t bytes = p->cache_bytes ? p->cache_bytes : L2_CACHE_DEFAULT;
	unsigned n = COW_BYTES >> q->cluster_bits;
	int r;

	if (bytes > tables)
		bytes = tables;
	if (bytes < L2_CACHE_MIN && bytes < tables)
		bytes = L2_CACHE_MIN;
	if (bytes / slice < L2_SLICES_MIN)
		bytes = (uint64_t)L2_SLICES_MIN * slice;
	r = cache_init(&q->l2, q, slice, (unsigned)(bytes / slice));
	if (r == 0)
		r = inflate_init(q);
	if (r == 0 && !q->blk.read_only) {
		q->refs.evicts_dirty = 1;
		r = cache_init(&q->refs, q, slice, REF_SLICES);
		q->copy = malloc(slice);
		q->n_cow = n < 2 ? 2 : n > QCOW2_COW_MAX ? QCOW2_COW_MAX : n;
		q->cow_mem = malloc(q->n_cow * q->cluster);
		if (!q->copy || !q->cow_mem)
			r = -ENOMEM;
		for (unsigned i = 0; q->cow_mem && i < q->n_cow; i++)
			q->cow[i] = q->cow_mem + i * q->cluster;
	}
	return r < 0 ? log_fail(r, "disk: %s: out of memory", q->path) : 0;
}

/* --- the file below -------------------------------------------------------------------------- */

static int backing_path(const struct qcow2 *q, char *out, size_t size)
{
	const char *slash = strrchr(q->path, '/');
	int n;

	if (q->h.backing[0] == '/' || !slash)
		n = snprintf(out, size, "%s", q->h.backing);
	else
		n = snprintf(out, size, "%.*s/%s", (int)(slash - q->path), q->path, q->h.backing);
	if (n < 0 || (size_t)n >= size)
		return log_fail(-ENAMETOOLONG, "disk: %s: its backing file's name is too long",
				q->path);
	return 0;
}

/* Whether the file below may be opened: what it is said to be, and who wants it. */
static int judge_backing(const struct qcow2 *q, const struct qcow2_params *p, const char *path,
			 unsigned depth)
{
	if (strcmp(q->h.backing_format, "raw") != 0 && strcmp(q->h.backing_format, "qcow2") != 0)
		return log_fail(-ENOTSUP,
				"disk: %s: says of its backing file %s that its format is \"%s\": "
				"state raw or qcow2 with `qemu-img rebase -u -F`",
				q->path, path, q->h.backing_format);
	if (depth + 1 >= QCOW2_CHAIN_MAX)
		return log_fail(-ELOOP, "disk: %s: more than %d files over each other", q->path,
				QCOW2_CHAIN_MAX);
	if (p->open_backing)
		return 0;
	if (!p->approve_backing || !p->approve_backing(p->approve_arg, path, q->h.backing_format))
		return log_fail(-EACCES,
				"disk: %s: is laid over another file, %s: give backing=on if you "
				"trust this image with it",
				q->path, path);
	return 0;
}

static int open_backing(struct qcow2 *q, const struct qcow2_params *p, unsigned depth,
			uint64_t *budget)
{
	struct raw_params raw = {.read_only = 1, .no_lock = p->no_lock};
	struct qcow2_params below = *p;
	char path[PATH_MAX];
	int r;

	if (!q->h.backing[0])
		return 0;
	r = backing_path(q, path, sizeof(path));
	if (r == 0)
		r = judge_backing(q, p, path, depth);
	if (r < 0)
		return r;
	below.path = raw.path = path;
	below.read_only = 1;
	below.has_fd = raw.has_fd = p->open_backing != NULL;
	if (p->open_backing) {
		r = p->open_backing(p->approve_arg, path, q->h.backing_format);
		if (r < 0)
			return r;
		below.fd = raw.fd = r;
	}
	if (!strcmp(q->h.backing_format, "raw"))
		return raw_open(q->loop, &raw, &q->backing);
	return qcow2_open_chain(q->loop, &below, depth + 1, budget, &q->backing);
}

/* --- closing --------------------------------------------------------------------------------- */

static void image_free(struct qcow2 *q)
{
	if (q->backing)
		q->backing->ops->close(q->backing);
	cache_free(&q->l2);
	cache_free(&q->refs);
	set_free(&q->tables);
	grow_abort(q);
	inflate_free(q);
	free(q->cow_mem);
	free(q->copy);
	free(q->l1);
	free(q->reftable);
	if (q->fd >= 0)
		close(q->fd); /* and the lock with it */
	free(q->path);
	free(q);
}

static void closing_done(struct blk_req *req, int res)
{
	req->len = (uint64_t)(res < 0);
}

/* What is still in memory goes to the file; twice, because freeing changes refcounts once more. */
static void write_back(struct qcow2 *q)
{
	q->loop = NULL;
	for (int i = 0; i < 2; i++) {
		struct blk_req req = {.op = BLK_FLUSH, .done = closing_done};

		if (q->corrupt || q->sync_failed)
			return;
		qcow2_submit(&q->blk, &req);
		qio_run(q);
		if (req.len) {
			log_line(LOG_ERROR,
				 "disk: %s: the last changes could not be written: what was not "
				 "flushed is lost",
				 q->path);
			return;
		}
	}
}

static void qcow2_close(struct blk *blk)
{
	struct qcow2 *q = container_of(blk, struct qcow2, blk);

	assert(!q->in_flight && !q->waiting);
	if (!blk->read_only)
		write_back(q);
	image_free(q);
}

static const struct blk_ops qcow2_ops = {.submit = qcow2_submit, .close = qcow2_close};

/* --- opening --------------------------------------------------------------------------------- */

static int examine(struct qcow2 *q, const struct qcow2_params *p, uint64_t *budget)
{
	struct stat st;
	uint64_t tables;
	int r = open_file(q, p, &st);

	if (r == 0)
		r = qcow2_header_read(&q->h, q->fd, (uint64_t)st.st_size, q->path);
	if (r == 0)
		r = judge_state(q);
	if (r == 0)
		r = repair(q, &st);
	if (r < 0)
		return r;
	q->cluster_bits = q->h.cluster_bits;
	q->cluster = 1ull << q->cluster_bits;
	q->l2_bits = q->cluster_bits - 3;
	q->block_bits = q->cluster_bits + 3 - q->h.refcount_order;
	q->end = ((uint64_t)st.st_size + q->cluster - 1) >> q->cluster_bits;
	tables = 8ull * q->h.l1_needed;
	if (!q->blk.read_only)
		tables += (uint64_t)q->h.reftable_clusters << q->cluster_bits;
	if (tables > *budget)
		return log_fail(
			-ENOTSUP,
			"disk: %s: its tables, with those of the files below, take more than "
			"%u MiB: use larger clusters",
			q->path, QCOW2_TABLES_MAX >> 20);
	*budget -= tables;
	r = load_table(q, q->h.l1_off, 8ull * q->h.l1_needed, &q->l1);
	if (r == 0 && !q->blk.read_only)
		r = load_for_writing(q);
	return r < 0 ? r : set_up_memory(q, p);
}

static void init(struct qcow2 *q, struct loop *loop)
{
	q->fd = -1;
	q->loop = loop;
	q->blk.ops = &qcow2_ops;
	q->waiting_tail = &q->waiting;
	q->sync_tail = &q->sync;
	qlist_init(&q->meta_waiting);
	qlist_init(&q->range_waiting);
	qlist_init(&q->cow_waiting);
	qlist_init(&q->z_waiting);
	qlist_init(&q->ready);
}

int qcow2_open_chain(struct loop *loop, const struct qcow2_params *p, unsigned depth,
		     uint64_t *budget, struct blk **out)
{
	struct qcow2 *q = calloc(1, sizeof(*q));
	int r;

	if (!q) {
		if (p->has_fd)
			close(p->fd);
		return log_fail(-ENOMEM, "disk: %s: out of memory", p->path);
	}
	init(q, loop);
	if (p->has_fd)
		q->fd = p->fd;
	q->blk.read_only = p->read_only;
	q->path = strdup(p->path);
	r = q->path ? examine(q, p, budget) : log_fail(-ENOMEM, "disk: out of memory");
	if (r == 0)
		r = open_backing(q, p, depth, budget);
	if (r < 0) {
		image_free(q);
		return r;
	}
	q->blk.size = q->h.size;
	q->blk.block_size = 512;
	q->blk.phys_block_size = 4096;
	q->blk.can_discard = q->blk.can_write_zeroes = !q->blk.read_only;
	*out = &q->blk;
	return 0;
}

int qcow2_open(struct loop *loop, const struct qcow2_params *p, struct blk **out)
{
	uint64_t budget = QCOW2_TABLES_MAX;

	return qcow2_open_chain(loop, p, 0, &budget, out);
}
