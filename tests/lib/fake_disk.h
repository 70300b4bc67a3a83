/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_FAKE_DISK_H
#define TESTS_LIB_FAKE_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "devices/block/block.h"

/*
 * A disk over a byte array for tests of what stands above a disk. It answers at once, or keeps
 * requests until the test answers them in the order it likes, and fails as its script says. It
 * checks what the contract of block.h promises it and aborts the test where that is broken.
 *
 * What the disk would hold after the power went out is kept beside what it holds now: a flush
 * copies one to the other.
 */
struct fake_fault {
	unsigned nth;   /* the request, counted from 1 over all operations; 0 ends the script */
	uint64_t moved; /* bytes that a read or write moves all the same */
	int res;        /* -errno */
};

#define FAKE_DISK_PENDING_MAX 4096
#define FAKE_DISK_DISCARDED   0xdb /* what discarded bytes read as */

struct fake_disk {
	struct blk blk;
	uint8_t *bytes, *durable;                       /* blk.size each */
	const struct fake_fault *faults;                /* the test's; NULL: none */
	int async;                                      /* keep requests for fake_disk_answer() */
	struct blk_req *pending[FAKE_DISK_PENDING_MAX]; /* oldest first */
	int pending_res[FAKE_DISK_PENDING_MAX];         /* the fault of each, or 0 */
	uint64_t pending_moved[FAKE_DISK_PENDING_MAX];
	unsigned n_pending, most_pending;
	unsigned requests, count[BLK_WRITE_ZEROES + 1]; /* seen so far */
	uint64_t zeroed_unmap; /* bytes of WRITE_ZEROES that came with BLK_UNMAP */
	int closed;
};

/* A zeroed disk of @size bytes with every ability. fake_disk_free() gives its arrays back. */
void fake_disk_init(struct fake_disk *disk, uint64_t size);
void fake_disk_free(struct fake_disk *disk);

/* Answers the @i-th oldest pending request (async). */
void fake_disk_answer(struct fake_disk *disk, unsigned i);
/* Answers all, also those that come up meanwhile; in an order drawn from @seed, 0: oldest first. */
void fake_disk_answer_all(struct fake_disk *disk, uint32_t seed);

/*
 * The same in three steps, for a test whose disk is another thread: take out under the lock, move
 * the bytes without it, then call req->done(req, res) under it again.
 */
struct blk_req *fake_disk_take(struct fake_disk *disk, unsigned i, int *res);
void fake_disk_move(struct fake_disk *disk, struct blk_req *req);

#endif
