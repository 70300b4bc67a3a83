/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_BLOCK_QCOW2_COUNT_H
#define DEVICES_BLOCK_QCOW2_COUNT_H

#include <stdint.h>

#include "devices/block/qcow2_format.h"

/*
 * How often the tables of a qcow2 image refer to each cluster of its file: what its refcounts
 * should be. For those who look at a whole image at once (qcow2_check.c, qcow2_rebuild.c): the
 * functions block, and know no loop. The file is a stranger's; nothing but @work bounds how often
 * its tables name each other.
 */
struct qcow2_count {
	int fd;
	const char *path;
	const struct qcow2_header *h;
	uint64_t cluster, clusters; /* bytes of one; how many the file has */
	uint32_t *refs;             /* found, a cluster of the file each */
	uint64_t errors;            /* entries that cannot be */
	uint64_t work;              /* bytes of tables that may still be read */
};

/* At most @clusters_max, at 4 bytes of memory each. 0; or says what is wrong: -EFBIG, -ENOMEM. */
int qcow2_count_init(struct qcow2_count *c, int fd, const char *path, const struct qcow2_header *h,
		     uint64_t file_size, uint64_t clusters_max);
void qcow2_count_free(struct qcow2_count *c);

/* Reads what there is; behind the end of the file there are zeroes. 0, or says it and -errno. */
int qcow2_count_read(struct qcow2_count *c, void *p, uint64_t len, uint64_t off);

/* Counts a reference to the clusters in which these bytes lie. */
void qcow2_count_refer(struct qcow2_count *c, uint64_t off, uint64_t len);

/*
 * Counts what header, L1, L2 and snapshots refer to: all but refcounts themselves. 0, also with
 * errors; or says what is wrong and returns -errno.
 */
int qcow2_count_all(struct qcow2_count *c);

/*
 * Shows each entry of the active L1 and L2 tables that has a cluster of its own to @visit, which
 * may change it; tables that were changed are written. @cluster is its number, in the file.
 */
typedef int qcow2_count_visit(void *arg, uint64_t cluster, uint64_t *entry);
int qcow2_count_walk(struct qcow2_count *c, qcow2_count_visit *visit, void *arg);

/*
 * Makes the refcounts of the image in @fd, which is locked, anew, and lets the header name them and
 * say what @h says: its size, its L1 table (which lies in the file already). The dirty bit and the
 * autoclear bits go, and @h says so. 0; or says what is wrong, returns -errno, and the image is
 * what it was.
 */
int qcow2_rebuild(int fd, const char *path, struct qcow2_header *h);

#endif
