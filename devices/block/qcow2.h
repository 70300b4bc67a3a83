/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_BLOCK_QCOW2_H
#define DEVICES_BLOCK_QCOW2_H

#include <stdint.h>

#include "devices/block/block.h"

struct loop;

/*
 * A disk inside a qcow2 file (QEMU's docs/interop/qcow2.txt, versions 2 and 3): clusters that
 * are found through two levels of tables (L1, L2) and counted in two more (refcount table,
 * refcount blocks).
 *
 * Everything runs on the loop once the image is open. What changes in the tables stays in memory
 * until FLUSH, close, or until too much of it has come together; then it is written in an order
 * in which a power cut at any place leaves at worst clusters that are counted and not used:
 *
 *   data, refcounts | refcount table | L2, L1 | refcounts of what was freed, holes
 *                   ^ fdatasync      ^        ^
 *
 * FLUSH fails for ever once fdatasync has failed, as with raw.h.
 *
 * Read and written: all cluster sizes and refcount widths, snapshots (kept as they are: shared
 * clusters are copied before they are written), zero clusters, backing files. Read only:
 * compressed clusters (zlib, zstd); a write to one makes it a plain cluster. Refused with a
 * sentence: encryption, external data files, subclusters, features not known. An image with the
 * corrupt bit is opened read-only; one whose refcounts are marked as dirty (lazy refcounts, not
 * closed) gets new ones when it is opened for writing. Refcounts are never put off here.
 *
 * The image is the work of a stranger: every offset is judged before it is used, memory at open is
 * bounded (QCOW2_TABLES_MAX over all of a chain), and when tables turn out to lie over each other
 * the image is marked as corrupt and takes no more writes.
 */
#define QCOW2_TABLES_MAX (40u << 20)
#define QCOW2_CHAIN_MAX  16 /* files in a chain of backing files */

struct qcow2_params {
	const char *path;
	/* As in raw.h. A backing file's lock is as its image's is. */
	uint8_t has_fd;
	int fd;
	uint8_t no_lock;
	uint8_t read_only;
	uint32_t cache_bytes; /* of L2 tables; 0: 8 MiB; at least 1 MiB is used */
	/*
	 * An image may name another one that it is laid over: a path on the host, written by
	 * whoever made the image. It is opened, for reading, if this returns nonzero; NULL: never.
	 * @format is "raw" or "qcow2", as the image states it; one that does not state it is
	 * refused.
	 */
	int (*approve_backing)(void *arg, const char *path, const char *format);
	/*
	 * Where this is set, it is asked instead, and @path is no more than a name: it returns a
	 * descriptor that is the disk's from then on, or says why not and returns -errno. So an
	 * image may be opened with all that is below it by a program that has no paths.
	 */
	int (*open_backing)(void *arg, const char *path, const char *format);
	void *approve_arg; /* of both */
};

/*
 * 0; or says what is wrong and returns -errno: -EBUSY locked, -EINVAL not to be used, ...
 * Without a loop (NULL): as raw_open() does.
 */
int qcow2_open(struct loop *loop, const struct qcow2_params *params, struct blk **out);

/* --- for a command line: these block, and say what is wrong ---------------------------------- */

struct qcow2_creation {
	const char *path;           /* must not exist */
	uint64_t size;              /* bytes, a multiple of 512 */
	uint32_t cluster_bits;      /* 9..21; 0: 16 */
	const char *backing;        /* NULL: none; stored as given, relative to the image's place */
	const char *backing_format; /* "raw" or "qcow2" */
};

/* Makes an empty image of version 3. 0 or -errno; what was begun is removed on failure. */
int qcow2_create(const struct qcow2_creation *what);

struct qcow2_info {
	uint64_t size;      /* bytes that a guest sees */
	uint64_t file_size; /* bytes of the file */
	uint32_t version, cluster_bits, refcount_bits, snapshots;
	uint8_t dirty, corrupt, zstd, lazy_refcounts;
	char backing[1024]; /* "" if none */
	char backing_format[16];
};

/* Reads the header alone. 0 or -errno. */
int qcow2_info(const char *path, struct qcow2_info *out);

struct qcow2_check {
	uint64_t clusters; /* of the file */
	uint64_t used;     /* of these, referenced from the active tables */
	uint64_t leaks;    /* counted more often than referenced: space lost, nothing else */
	uint64_t errors;   /* counted too rarely, entries that cannot be, tables over each other */
};

/*
 * Compares all refcounts with all references, those of snapshots too. 0 (also with leaks and
 * errors) or -errno when it cannot be checked. Takes 4 bytes of memory a cluster of the file, and
 * time in proportion to what the file takes on the host, whatever its tables say.
 */
int qcow2_check(const char *path, struct qcow2_check *out);

/*
 * Makes the disk of an image that nobody has open larger. An L1 table without room for that is laid
 * anew, and the refcounts with it. 0 or -errno.
 */
int qcow2_resize(const char *path, uint64_t size);

#endif
