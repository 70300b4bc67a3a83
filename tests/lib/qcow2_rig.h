/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_QCOW2_RIG_H
#define TESTS_LIB_QCOW2_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "devices/block/block.h"
#include "tests/lib/fake_loop.h"

/*
 * A disk on the fake loop, and what should be on it. Every sector that is written carries the
 * number of the write and its own; so each sector says which write it comes from. Aborts where the
 * disk is wrong.
 */
#define RIG_ANY     UINT32_MAX /* discarded, or a write to it failed */
#define RIG_BATCH   16u
#define RIG_SECTORS 128u /* of one request, at most */

struct qcow2_rig {
	struct loop *loop;
	struct blk *blk;
	uint32_t sectors, next_id, seed;
	uint32_t *now;     /* the write that each sector shows; 0: zeroes */
	uint32_t *flushed; /* the same when the last flush was answered */
	uint32_t flush_id; /* next_id then */
	uint8_t *zeroed;   /* zeroed or discarded since then */
	unsigned failed;   /* requests that failed */
	int last_flush;    /* what the last flush said */
};

void qcow2_rig_init(struct qcow2_rig *rig, struct loop *loop, uint64_t size, uint32_t seed);
void qcow2_rig_free(struct qcow2_rig *rig);
uint32_t qcow2_rig_random(struct qcow2_rig *rig, uint32_t below);
/* Up to @n requests at once, to different sectors, of all kinds; done in any order. */
void qcow2_rig_batch(struct qcow2_rig *rig, unsigned n);
/* 0 or what the disk says. */
int qcow2_rig_flush(struct qcow2_rig *rig);
/* One request that must succeed; its done is the rig's. */
void qcow2_rig_read(struct blk *blk, struct loop *loop, struct blk_req *req);
/* Reads the whole disk and compares. */
void qcow2_rig_compare(struct qcow2_rig *rig);
/* The write that a sector's bytes come from; aborts if they are no sector's, or another's. */
uint32_t qcow2_rig_id(const uint8_t *bytes, uint32_t sector);
/* After a power cut @bytes of @sector must be what was flushed, or something newer. */
int qcow2_rig_survives(const struct qcow2_rig *rig, const uint8_t *bytes, uint32_t sector);

#endif
