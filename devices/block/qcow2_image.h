/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_BLOCK_QCOW2_IMAGE_H
#define DEVICES_BLOCK_QCOW2_IMAGE_H

#include <stdint.h>

#include "devices/block/block.h"
#include "devices/block/qcow2_format.h"
#include "vmm/iov.h"
#include "vmm/loop.h"

/*
 * The inside of a qcow2 disk, for the files that make it.
 *
 *   qcow2.c          opens and closes            qcow2_map.c       L1 and L2
 *   qcow2_request.c  requests, locks, waiting    qcow2_refcount.c  which clusters are free
 *   qcow2_read.c     reads                       qcow2_grow.c      a larger refcount table
 *   qcow2_write.c    writes                      qcow2_commit.c    tables to the file, in order
 *   qcow2_unmap.c    discard, write zeroes       qcow2_cache.c     pieces of tables in memory
 *   qcow2_compressed.c  inflates clusters        qcow2_set.c       which clusters are tables
 *   qcow2_file.c     transfers to the loop
 *
 * THE WAY OF A REQUEST. A request takes one chunk after the other: clusters that one piece of an
 * L2 table describes. It is a row of steps; a step either does its work, or begins to wait for
 * something (a transfer, a lock, a piece of a table) and is called again from its start once that
 * has come. So a step looks everything up first and changes things only then. What waits is woken
 * by way of q->ready: no step is ever called from within another.
 *
 * THE LOCKS. A chunk holds its clusters: shared for reads and writes in place, alone when their
 * mapping changes. So a cluster is not given to somebody else while a transfer to it is under way.
 * Refcounts, L1, L2 change only under q->meta, which one request has at a time; a commit has it to
 * its end. Order: clusters, then a buffer, then meta.
 */
#define QCOW2_DEPTH       64    /* requests under way */
#define QCOW2_SEGMENTS    256   /* of one transfer */
#define QCOW2_SLICE_MAX   4096u /* bytes of a table that are cached as one */
#define QCOW2_PENDING_MAX 4096
#define QCOW2_COMMIT_OPS  32

/* What a step says. Negative: -errno, the request fails. */
enum { STEP_GO = 0, STEP_WAIT = 1 };

struct qcow2;
struct qreq;

/* One transfer, moved to its end whatever the system call makes of it. */
struct qio {
	struct op op;
	struct qcow2 *q;
	void (*fn)(struct qio *io, int res); /* 0 or -errno */
	enum qio_kind { QIO_READ, QIO_WRITE, QIO_SYNC, QIO_PUNCH } kind;
	struct iovec *v; /* moved on as bytes move */
	unsigned n;
	uint64_t off, left;
	struct iovec one;
	struct qio *next; /* closing: of q->sync */
	int res;
};

struct qlist {
	struct qreq *head, **tail;
};

struct qslice {
	struct qio io;
	uint64_t off;
	uint8_t *data;
	struct qcow2_cache *cache;
	struct qlist waiting;
	uint32_t next; /* in its hash chain: index + 1 */
	enum { SLICE_EMPTY, SLICE_LOADING, SLICE_VALID, SLICE_WRITING } state;
	uint8_t dirty, recent;
	uint8_t shared; /* L2: its table is not the active one's alone */
};

struct qcow2_cache {
	struct qcow2 *q;
	struct qslice *slice;
	uint8_t *mem;
	size_t mem_len;
	uint32_t *hash; /* index + 1 */
	unsigned n, n_dirty, hand, mask;
	uint32_t bytes;       /* of one slice */
	uint8_t evicts_dirty; /* a dirty slice may be written at any time */
	struct qlist waiting; /* for any slice to become free */
};

struct qcow2_set {
	uint64_t *key; /* cluster number + 1; 0: empty */
	size_t n, mask;
};

struct qextent {
	uint64_t first, count; /* clusters */
};

enum commit_phase {
	COMMIT_IDLE,
	COMMIT_REFCOUNTS,
	COMMIT_BARRIER,
	COMMIT_REFTABLE,
	COMMIT_REFTABLE_BARRIER,
	COMMIT_L2,
	COMMIT_L1,
	COMMIT_LAST,
	COMMIT_FREE,
};

struct qcow2_commit {
	enum commit_phase phase;
	uint8_t submitted; /* the phase's transfer has been asked for */
	uint8_t reftable_written;
	unsigned cursor, in_flight;
	int error;
	struct qreq *owner;
	struct qcow2_cache *cache; /* being written */
};

enum grow_phase {
	GROW_IDLE,
	GROW_WRITE,
	GROW_COUNTS,
	GROW_SYNC,
	GROW_HEADER,
	GROW_LAST,
};

struct qcow2_grow {
	enum grow_phase phase;
	uint8_t *table; /* the new table, and its new blocks behind it */
	uint64_t base;  /* cluster number */
	uint64_t table_clusters, blocks;
	uint8_t header[12];
};

/* A table that is being made for a request that needs one. */
struct qtable {
	enum { TABLE_NONE, TABLE_ALLOCATED, TABLE_READ, TABLE_WRITTEN } phase;
	uint64_t off, pos;
};

enum qkind { Q_UNALLOCATED, Q_ZERO, Q_NORMAL, Q_COMPRESSED };

struct qcluster {
	enum qkind kind;
	uint64_t entry;
	uint64_t host;    /* of the cluster, or of the compressed bytes; 0: none */
	uint32_t csize;   /* compressed */
	uint8_t writable; /* its own (COPIED): may be written in place */
};

struct qreq {
	struct qio io;
	struct qcow2 *q;
	int (*step)(struct qreq *r);
	int error; /* what the last wait ended with */
	struct qreq *next;
	struct blk_req *req;
	struct iov data;
	uint64_t pos, end;
	uint64_t len;         /* of the chunk */
	uint64_t first, last; /* clusters held */
	enum { HOLD_NONE, HOLD_SHARED, HOLD_ALONE } hold;
	uint8_t alone;       /* the next chunk's clusters are to be held so */
	uint8_t fresh;       /* nothing was ever written at host: it reads as zeroes */
	int failed;          /* what it will be answered, once the image is marked */
	uint64_t want;       /* clusters to allocate */
	uint64_t host;       /* first cluster allocated, bytes */
	uint64_t clusters;   /* allocated; not yet mapped */
	uint8_t keeps;       /* host was its cluster before: nothing to undo */
	struct qcluster old; /* the cluster being replaced */
	uint8_t *buf;        /* of q->cow */
	uint64_t commits;    /* begun before this request came */
	struct qtable table;
	struct blk_req below;
	struct iovec v[QCOW2_SEGMENTS];
};

#define QCOW2_COW_MAX      8
#define QCOW2_INFLATED_MAX 16

struct qcow2_inflated {
	uint64_t host;
	uint32_t csize; /* 0: empty */
	uint8_t *data;
};

struct qcow2 {
	struct blk blk;
	struct loop *loop; /* NULL: transfers are made at once; so it is when closing */
	int fd;
	char *path;
	struct qcow2_header h;
	uint32_t cluster_bits, l2_bits, block_bits; /* entries of a table, of a block: 2^ */
	uint64_t cluster;
	struct blk *backing;
	uint8_t corrupt, sync_failed, no_punch, z_said, io_said;
	uint8_t corrupt_be[8];

	uint8_t *l1;                         /* as in the file */
	uint64_t l1_dirty_from, l1_dirty_to; /* entries */
	struct qcow2_cache l2;

	uint8_t *reftable; /* as in the file */
	uint64_t reftable_entries, reftable_from, reftable_to;
	struct qcow2_cache refs;
	struct qcow2_set tables;
	uint64_t hint;      /* no cluster below it is free */
	uint64_t end;       /* clusters: nothing was ever written from here on */
	uint64_t zeroed;    /* cluster that was zeroed to become a refcount block, or 0 */
	uint64_t uncounted; /* refcount block that does not count itself yet, or 0 */
	struct qcow2_grow grow;
	struct qextent pending[QCOW2_PENDING_MAX]; /* to be freed by the next commit */
	unsigned n_pending;
	struct qextent punch;
	struct qcow2_commit commit;
	uint64_t commits_begun, commits_done; /* the newest that succeeded */
	uint8_t *copy;                        /* one slice's worth of a table being copied */

	struct qreq *meta;
	struct qlist meta_waiting, range_waiting, cow_waiting, z_waiting, ready;
	uint8_t *cow_mem, *cow[QCOW2_COW_MAX];
	unsigned n_cow;
	struct qreq *z_owner;
	void *z;
	struct libdeflate_decompressor *deflate; /* NULL: not zlib */
	uint8_t *z_in;
	struct qcow2_inflated inflated[QCOW2_INFLATED_MAX];
	unsigned n_inflated, z_hand;

	uint8_t draining;
	unsigned in_flight, used, n_alone; /* n_alone: that hold their clusters so */
	struct blk_req *waiting, **waiting_tail;
	struct qreq *free;
	struct qio *sync, **sync_tail;
	struct qreq req[QCOW2_DEPTH];
};

/* qcow2_file.c: io->fn is called once, never from within. */
void qio_transfer(struct qio *io, struct qcow2 *q, enum qio_kind kind, uint64_t off, uint64_t len);
/* io->one is the memory. */
void qio_one(struct qio *io, struct qcow2 *q, enum qio_kind kind, void *p, uint64_t off,
	     uint64_t len);
void qio_sync(struct qio *io, struct qcow2 *q);
void qio_punch(struct qio *io, struct qcow2 *q, uint64_t off, uint64_t len);
/* Fills @v with @len zeroes to write; segments, or 0 if @max do not hold them. */
unsigned qio_zeroes(struct iovec *v, unsigned max, uint64_t len);
#define QIO_ZEROES_LEN (64u << 10)
/* Without a loop: makes all transfers, also those that come up meanwhile. */
void qio_run(struct qcow2 *q);

/* qcow2_request.c */
void qcow2_submit(struct blk *blk, struct blk_req *req);
void qlist_init(struct qlist *list);
int qlist_wait(struct qlist *list, struct qreq *r); /* STEP_WAIT */
struct qreq *qlist_take(struct qlist *list);
void qreq_wake(struct qreq *r, int res);
void qlist_wake_all(struct qlist *list, int res);
void qcow2_drain(struct qcow2 *q);
/* io->fn of a request's own transfers. */
void qreq_came(struct qio *io, int res);
int qreq_next(struct qreq *r);    /* step: the next chunk */
int qreq_advance(struct qreq *r); /* step: the chunk is done */
int meta_enter(struct qreq *r);   /* STEP_GO: has it; the tables have room for one chunk */
void meta_leave(struct qreq *r);
void qreq_let_go(struct qreq *r);
/* Bytes that the first @max segments of the data hold, at most @len; and takes them to r->v. */
uint64_t qreq_fits(const struct qreq *r, uint64_t len);
void qreq_take(struct qreq *r, uint64_t len);
/* The image is not what it should be: says so, marks it. What the step returns. */
int qcow2_broken(struct qreq *r, const char *what, uint64_t where);

/* qcow2_read.c, qcow2_write.c, qcow2_unmap.c, qcow2_compressed.c: steps */
int read_lookup(struct qreq *r);
int write_lookup(struct qreq *r);
int unmap_lookup(struct qreq *r);
int inflate_cluster(struct qreq *r, struct qcow2_inflated **out);
int inflate_init(struct qcow2 *q);
void inflate_free(struct qcow2 *q);
void inflate_let_go(struct qreq *r);
int qreq_read_below(struct qreq *r, uint64_t off, uint64_t len);

/* qcow2_cache.c: @off a multiple of cache->bytes. STEP_GO with *slice, or STEP_WAIT, or -errno. */
int cache_init(struct qcow2_cache *c, struct qcow2 *q, uint32_t bytes, unsigned n);
void cache_free(struct qcow2_cache *c);
int cache_get(struct qcow2_cache *c, struct qreq *r, uint64_t off, struct qslice **slice);
/* Drops the slices of a cluster whose contents are nothing any more: STEP_GO or STEP_WAIT. */
int cache_forget(struct qcow2_cache *c, struct qreq *r, uint64_t off, uint64_t len);
void cache_dirty(struct qslice *s);
void cache_clean(struct qslice *s);

/* qcow2_set.c */
int set_add(struct qcow2_set *set, uint64_t cluster); /* 0, -EEXIST, -ENOMEM */
int set_has(const struct qcow2_set *set, uint64_t cluster);
void set_remove(struct qcow2_set *set, uint64_t cluster);
void set_free(struct qcow2_set *set);

/* qcow2_map.c */
/* What guest byte @pos maps to, and the slice that says so (NULL: there is no table). */
int map_lookup(struct qreq *r, uint64_t pos, struct qcluster *c, struct qslice **slice);
/* The clusters behind @c that are of the same sort and follow on: bytes from @pos, at most @len. */
uint64_t map_run(struct qreq *r, const struct qslice *slice, const struct qcluster *c,
		 uint64_t len);
/* The mapping of @pos in its slice: 0 or -EIO. */
int map_entry(const struct qcow2 *q, const struct qslice *slice, uint64_t pos, struct qcluster *c);
/* The backing file has bytes for the cluster with @pos. */
int map_has_below(const struct qcow2 *q, uint64_t pos);
/* Entry of the cluster @pos in its slice. */
uint64_t map_index(const struct qcow2 *q, uint64_t pos);
/* Under meta: an L2 table that may be changed, and its slice. */
int map_table(struct qreq *r, uint64_t pos, struct qslice **slice);
/* Sets an entry; what it said before is freed by the next commit, unless @keep. */
void map_set(struct qcow2 *q, struct qslice *slice, uint64_t index, uint64_t entry,
	     const struct qcluster *old, int keep);
int map_is_table(const struct qcow2 *q, uint64_t cluster);

/* qcow2_refcount.c: under meta */
/* Up to @want clusters in a row: r->host, r->clusters, r->fresh. */
int ref_alloc(struct qreq *r, uint64_t want, uint64_t *host, uint64_t *got, uint8_t *fresh);
/* Frees later. There is room for what one chunk frees: meta_enter() saw to it. */
void ref_free_later(struct qcow2 *q, uint64_t host, uint64_t bytes);
/* Frees what is pending: a step. */
int ref_free_pending(struct qreq *r);
/* Clears what a failed request left half done. */
void ref_abort(struct qcow2 *q);
/* Writes zeroes over a cluster; the caller waits. */
void ref_zero_cluster(struct qreq *r, uint64_t host);

/* qcow2_grow.c: under meta; STEP_GO when the table has grown */
int grow_reftable(struct qreq *r);
void grow_abort(struct qcow2 *q);

/* qcow2_commit.c */
int commit_step(struct qreq *r); /* under meta; STEP_GO when all is durable */
/* Under meta: writes the refcounts that have changed; STEP_WAIT while it does. */
int commit_refcounts(struct qreq *r);
void fail_sync(struct qcow2 *q, int res);

/* qcow2.c: with the memory that a chain may still take. */
struct qcow2_params;
int qcow2_open_chain(struct loop *loop, const struct qcow2_params *p, unsigned depth,
		     uint64_t *budget, struct blk **out);

#endif
