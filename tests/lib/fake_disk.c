/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disk of the tests: a byte array, a script of faults and a list of requests that wait for
 * the test's word. On the test's thread, or wherever the test holds its lock. Knows block.h only.
 */
#include "tests/lib/fake_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/container_of.h"

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fake disk: %s\n", what);
	abort();
}

/* block.h: the range lies inside the disk and the segments add up to it. */
static void check(const struct fake_disk *disk, const struct blk_req *req)
{
	uint64_t sum = 0;

	insist(req->done != NULL, "request without done()");
	insist(!disk->closed, "request after close()");
	if (req->op == BLK_FLUSH)
		return;
	insist(req->off <= disk->blk.size && req->len <= disk->blk.size - req->off,
	       "range outside the disk");
	insist(req->len > 0, "empty range");
	if (req->op == BLK_READ || req->op == BLK_WRITE) {
		for (unsigned i = 0; i < req->n; i++)
			sum += req->v[i].iov_len;
		insist(sum == req->len, "segments do not add up to the length");
	}
	insist(req->op == BLK_READ || !disk->blk.read_only, "a change to a read-only disk");
}

/* Moves up to @limit bytes between segments and disk, and the segments on behind them. */
static void transfer(struct fake_disk *disk, struct blk_req *req, uint64_t limit)
{
	uint8_t *at = disk->bytes + req->off;

	for (; req->n > 0 && limit > 0; req->v++, req->n--) {
		size_t len = req->v->iov_len < limit ? req->v->iov_len : limit;

		if (req->op == BLK_READ)
			memcpy(req->v->iov_base, at, len);
		else
			memcpy(at, req->v->iov_base, len);
		at += len;
		limit -= len;
		/* A real disk may leave the array as it likes (block.h). */
		req->v->iov_len -= len;
		req->v->iov_base = (uint8_t *)req->v->iov_base + len;
	}
}

void fake_disk_move(struct fake_disk *disk, struct blk_req *req)
{
	switch (req->op) {
	case BLK_READ:
	case BLK_WRITE:
		transfer(disk, req, req->len);
		break;
	case BLK_FLUSH:
		memcpy(disk->durable, disk->bytes, disk->blk.size);
		break;
	case BLK_DISCARD:
		memset(disk->bytes + req->off, FAKE_DISK_DISCARDED, req->len);
		break;
	case BLK_WRITE_ZEROES:
		memset(disk->bytes + req->off, 0, req->len);
		break;
	}
}

static void answer(struct fake_disk *disk, struct blk_req *req, int res, uint64_t moved)
{
	if (res == 0)
		fake_disk_move(disk, req);
	else if (req->op == BLK_READ || req->op == BLK_WRITE)
		transfer(disk, req, moved < req->len ? moved : req->len);
	req->done(req, res);
}

static const struct fake_fault *fault_of(const struct fake_disk *disk, unsigned nth)
{
	const struct fake_fault *f = disk->faults;

	for (; f && f->nth; f++)
		if (f->nth == nth)
			return f;
	return NULL;
}

static void fake_submit(struct blk *blk, struct blk_req *req)
{
	struct fake_disk *disk = container_of(blk, struct fake_disk, blk);
	const struct fake_fault *f;
	unsigned i = disk->n_pending;

	check(disk, req);
	disk->requests++;
	disk->count[req->op]++;
	if (req->op == BLK_WRITE_ZEROES && (req->flags & BLK_UNMAP))
		disk->zeroed_unmap += req->len;
	f = fault_of(disk, disk->requests);
	if (!disk->async) {
		answer(disk, req, f ? f->res : 0, f ? f->moved : 0);
		return;
	}
	insist(i < FAKE_DISK_PENDING_MAX, "more requests than a device can have slots");
	for (unsigned k = 0; k < i; k++)
		insist(disk->pending[k] != req, "a request that is under way already");
	disk->pending[i] = req;
	disk->pending_res[i] = f ? f->res : 0;
	disk->pending_moved[i] = f ? f->moved : 0;
	disk->n_pending++;
	if (disk->n_pending > disk->most_pending)
		disk->most_pending = disk->n_pending;
}

static void fake_close(struct blk *blk)
{
	struct fake_disk *disk = container_of(blk, struct fake_disk, blk);

	insist(disk->n_pending == 0, "closed with requests under way");
	disk->closed = 1;
}

static const struct blk_ops fake_ops = {.submit = fake_submit, .close = fake_close};

void fake_disk_init(struct fake_disk *disk, uint64_t size)
{
	memset(disk, 0, sizeof(*disk));
	disk->blk = (struct blk){
		.ops = &fake_ops,
		.size = size,
		.block_size = 512,
		.phys_block_size = 4096,
		.can_discard = 1,
		.can_write_zeroes = 1,
	};
	disk->bytes = calloc(1, size);
	disk->durable = calloc(1, size);
	insist(disk->bytes && disk->durable, "out of memory");
}

void fake_disk_free(struct fake_disk *disk)
{
	free(disk->bytes);
	free(disk->durable);
	disk->bytes = disk->durable = NULL;
}

static struct blk_req *take(struct fake_disk *disk, unsigned i, int *res, uint64_t *moved)
{
	struct blk_req *req;
	size_t behind;

	insist(i < disk->n_pending, "no such pending request");
	req = disk->pending[i];
	*res = disk->pending_res[i];
	*moved = disk->pending_moved[i];
	behind = --disk->n_pending - i;
	memmove(&disk->pending[i], &disk->pending[i + 1], behind * sizeof(disk->pending[0]));
	memmove(&disk->pending_res[i], &disk->pending_res[i + 1],
		behind * sizeof(disk->pending_res[0]));
	memmove(&disk->pending_moved[i], &disk->pending_moved[i + 1],
		behind * sizeof(disk->pending_moved[0]));
	return req;
}

struct blk_req *fake_disk_take(struct fake_disk *disk, unsigned i, int *res)
{
	uint64_t moved;

	return take(disk, i, res, &moved);
}

void fake_disk_answer(struct fake_disk *disk, unsigned i)
{
	uint64_t moved;
	int res;
	struct blk_req *req = take(disk, i, &res, &moved);

	answer(disk, req, res, moved);
}

void fake_disk_answer_all(struct fake_disk *disk, uint32_t seed)
{
	while (disk->n_pending > 0) {
		unsigned i = 0;

		if (seed) {
			/* xorshift32 */
			seed ^= seed << 13;
			seed ^= seed >> 17;
			seed ^= seed << 5;
			i = seed % disk->n_pending;
		}
		fake_disk_answer(disk, i);
	}
}
