/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk on the fake loop and the model that it is compared with. On the test's thread. */
#include "tests/lib/qcow2_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u

struct ask {
	struct blk_req req;
	struct iovec v[3];
	uint8_t *bytes;
	uint32_t first, n, id;
	int res, answered;
};

static void insist(int ok, const char *what, uint32_t where)
{
	if (ok)
		return;
	fprintf(stderr, "qcow2 rig: %s: %u\n", what, where);
	abort();
}

static void fill(uint8_t *bytes, uint32_t sector, uint32_t id)
{
	uint32_t stamp[4] = {id, sector, ~id, id ^ sector};

	for (unsigned i = 0; i < SECTOR; i += sizeof(stamp))
		memcpy(bytes + i, stamp, sizeof(stamp));
}

static uint32_t id_of(const uint8_t *bytes, uint32_t sector)
{
	uint8_t want[SECTOR] = {0};
	uint32_t id;

	memcpy(&id, bytes, sizeof(id));
	if (!memcmp(bytes, want, SECTOR))
		return 0;
	fill(want, sector, id);
	return memcmp(bytes, want, SECTOR) ? RIG_ANY : id;
}

uint32_t qcow2_rig_id(const uint8_t *bytes, uint32_t sector)
{
	uint32_t id = id_of(bytes, sector);

	insist(id != RIG_ANY, "bytes that nobody wrote there, sector", sector);
	return id;
}

uint32_t qcow2_rig_random(struct qcow2_rig *rig, uint32_t below)
{
	rig->seed ^= rig->seed << 13;
	rig->seed ^= rig->seed >> 17;
	rig->seed ^= rig->seed << 5;
	return rig->seed % below;
}

void qcow2_rig_init(struct qcow2_rig *rig, struct loop *loop, uint64_t size, uint32_t seed)
{
	memset(rig, 0, sizeof(*rig));
	rig->loop = loop;
	rig->sectors = (uint32_t)(size / SECTOR);
	rig->seed = seed * 2654435761u + 1;
	rig->next_id = 1;
	rig->now = calloc(rig->sectors, sizeof(*rig->now));
	rig->flushed = calloc(rig->sectors, sizeof(*rig->flushed));
	rig->zeroed = calloc(rig->sectors, 1);
	insist(rig->now && rig->flushed && rig->zeroed, "out of memory", 0);
}

void qcow2_rig_free(struct qcow2_rig *rig)
{
	free(rig->now);
	free(rig->flushed);
	free(rig->zeroed);
}

static void done(struct blk_req *req, int res)
{
	struct ask *a = (struct ask *)req;

	a->answered++;
	a->res = res;
}

static void choose(struct qcow2_rig *rig, struct ask *a)
{
	static const enum blk_op ops[] = {
		BLK_READ,  BLK_READ,  BLK_WRITE,   BLK_WRITE,   BLK_WRITE,
		BLK_WRITE, BLK_WRITE, BLK_DISCARD, BLK_DISCARD, BLK_WRITE_ZEROES,
	};
	static const uint32_t longest[] = {1, 8, 40, RIG_SECTORS};

	a->req.op = ops[qcow2_rig_random(rig, 10)];
	a->req.flags = qcow2_rig_random(rig, 2) ? BLK_UNMAP : 0;
	a->n = 1 + qcow2_rig_random(rig, longest[qcow2_rig_random(rig, 4)]);
	a->first = qcow2_rig_random(rig, rig->sectors);
	if (a->n > rig->sectors - a->first)
		a->n = rig->sectors - a->first;
	/* Whole clusters, often. */
	if (qcow2_rig_random(rig, 3) == 0)
		a->first &= ~7u;
}

static int meets(const struct ask *a, const struct ask *others, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (a->first < others[i].first + others[i].n && others[i].first < a->first + a->n)
			return 1;
	return 0;
}

static void begin(struct qcow2_rig *rig, struct ask *a)
{
	size_t len = (size_t)a->n * SECTOR, cut = qcow2_rig_random(rig, (uint32_t)len);

	a->id = rig->next_id++;
	a->bytes = malloc(len);
	memset(a->bytes, 0xa5, len);
	for (uint32_t i = 0; a->req.op == BLK_WRITE && i < a->n; i++)
		fill(a->bytes + i * SECTOR, a->first + i, a->id);
	a->v[0] = (struct iovec){a->bytes, cut};
	a->v[1] = (struct iovec){NULL, 0};
	a->v[2] = (struct iovec){a->bytes + cut, len - cut};
	a->req.off = (uint64_t)a->first * SECTOR;
	a->req.len = len;
	a->req.v = a->v;
	a->req.n = 3;
	a->req.done = done;
	if (a->req.op == BLK_DISCARD || a->req.op == BLK_WRITE_ZEROES)
		memset(rig->zeroed + a->first, 1, a->n);
	rig->blk->ops->submit(rig->blk, &a->req);
}

static void judge(struct qcow2_rig *rig, struct ask *a)
{
	insist(a->answered == 1, "not answered once", a->first);
	rig->failed += a->res < 0;
	for (uint32_t i = 0; i < a->n; i++) {
		uint32_t s = a->first + i, id;

		switch (a->req.op) {
		case BLK_READ:
			if (a->res < 0 || rig->now[s] == RIG_ANY)
				break;
			id = qcow2_rig_id(a->bytes + i * SECTOR, s);
			insist(id == rig->now[s], "an old or a foreign sector", s);
			break;
		case BLK_WRITE:
			rig->now[s] = a->res < 0 ? RIG_ANY : a->id;
			break;
		case BLK_WRITE_ZEROES:
			rig->now[s] = a->res < 0 ? RIG_ANY : 0;
			break;
		default:
			rig->now[s] = RIG_ANY;
			break;
		}
	}
	free(a->bytes);
}

void qcow2_rig_batch(struct qcow2_rig *rig, unsigned n)
{
	struct ask asks[RIG_BATCH];
	unsigned begun = 0;

	for (unsigned i = 0; i < n && i < RIG_BATCH; i++) {
		struct ask *a = &asks[begun];

		memset(a, 0, sizeof(*a));
		choose(rig, a);
		if (meets(a, asks, begun))
			continue;
		begun++;
		begin(rig, a);
		/* Some get a head start. */
		if (rig->loop->n_pending && qcow2_rig_random(rig, 2))
			fake_loop_step(rig->loop, qcow2_rig_random(rig, rig->loop->n_pending));
	}
	fake_loop_run(rig->loop, 1 + qcow2_rig_random(rig, 1u << 30));
	for (unsigned i = 0; i < begun; i++)
		judge(rig, &asks[i]);
}

int qcow2_rig_flush(struct qcow2_rig *rig)
{
	struct ask a = {.req = {.op = BLK_FLUSH, .done = done}};

	rig->blk->ops->submit(rig->blk, &a.req);
	fake_loop_run(rig->loop, 0);
	insist(a.answered == 1, "a flush is not answered once", 0);
	rig->last_flush = a.res;
	if (a.res == 0) {
		memcpy(rig->flushed, rig->now, rig->sectors * sizeof(*rig->now));
		memset(rig->zeroed, 0, rig->sectors);
		rig->flush_id = rig->next_id;
	}
	return a.res;
}

static int read_result;

static void read_done(struct blk_req *req, int res)
{
	(void)req;
	read_result = res;
}

void qcow2_rig_read(struct blk *blk, struct loop *loop, struct blk_req *req)
{
	read_result = 1;
	req->done = read_done;
	blk->ops->submit(blk, req);
	fake_loop_run(loop, 0);
	insist(read_result == 0, "a read failed", (uint32_t)(req->off / SECTOR));
}

void qcow2_rig_compare(struct qcow2_rig *rig)
{
	size_t len = (size_t)rig->sectors * SECTOR;
	struct ask a = {.req = {.op = BLK_READ, .len = len, .n = 1, .done = done}};

	a.bytes = malloc(len);
	a.v[0] = (struct iovec){a.bytes, len};
	a.req.v = a.v;
	rig->blk->ops->submit(rig->blk, &a.req);
	fake_loop_run(rig->loop, 0);
	insist(a.answered == 1 && a.res == 0, "cannot read the whole disk", 0);
	for (uint32_t s = 0; s < rig->sectors; s++)
		if (rig->now[s] != RIG_ANY)
			insist(qcow2_rig_id(a.bytes + (size_t)s * SECTOR, s) == rig->now[s],
			       "an old or a foreign sector", s);
	free(a.bytes);
}

int qcow2_rig_survives(const struct qcow2_rig *rig, const uint8_t *bytes, uint32_t sector)
{
	uint32_t id = id_of(bytes, sector), before = rig->flushed[sector];

	if (before == RIG_ANY)
		return 1;
	if (id == 0)
		return before == 0 || rig->zeroed[sector];
	if (id == RIG_ANY)
		return rig->zeroed[sector];
	return id == before || id >= rig->flush_id;
}
