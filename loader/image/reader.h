/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_READER_H
#define LOADER_IMAGE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "devices/block/block.h"

/*
 * Bytes of a disk, whatever its format: at any place, of any length, and at once. The disk is one
 * that answers before submit returns, as raw and qcow2 do without a loop.
 *
 * What lies on the disk may lead its reader in circles, so there is an end to reading: each read
 * takes its length, and something for itself, from @budget.
 */
struct reader {
	struct blk *blk;
	uint64_t budget; /* bytes that may still be read */
};

#define READER_COST 4096 /* of one read beside its bytes */

/*
 * 0, -ERANGE where it is not all on the disk, or what the disk says; -EDQUOT where the budget does
 * not reach, and from then on: it is 0 then.
 */
int reader_read(struct reader *r, uint64_t off, void *to, size_t len);

/* One file of a chain: a descriptor, the name that messages have for it, its format. */
struct reader_file {
	int fd;
	const char *name;
	int is_qcow2;
};

/*
 * Opens the disk that @n files make, the topmost first, for reading and without a lock. What an
 * image says of the file below it must agree with what is said here. All descriptors are the
 * disk's from then on, also on failure. 0, or -errno after one sentence.
 */
int reader_open_chain(const struct reader_file *files, unsigned n, struct blk **out);

#endif
