/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partition tables made of the input: a disk of 256 KiB with a valid GPT and MBR, bytes of which
 * are changed. The first byte says whether checksums are made good again afterwards, for which
 * headers, and how large the disk is. Whatever comes of it lies inside the disk, and nothing over
 * anything else; reading it ends.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "loader/image/fs.h"
#include "loader/image/parttable.h"
#include "loader/le.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define SECTORS 512u

static uint8_t disk[SECTORS * 512];

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_parttable: %s\n", what);
	abort();
}

static void submit(struct blk *blk, struct blk_req *req)
{
	uint64_t at = req->off;

	insist(req->op == BLK_READ && req->off <= blk->size && req->len <= blk->size - req->off,
	       "a read outside the disk");
	for (unsigned i = 0; i < req->n; i++) {
		memcpy(req->v[i].iov_base, disk + at, req->v[i].iov_len);
		at += req->v[i].iov_len;
	}
	req->done(req, 0);
}

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void make_header(uint64_t lba, uint64_t table)
{
	uint8_t *h = disk + lba * 512;

	memcpy(h, "EFI PART", 8);
	put(h + 12, 92, 4);
	put(h + 24, lba, 8);
	put(h + 72, table, 8);
	put(h + 80, 32, 4);
	put(h + 84, 128, 4);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *e = disk + table * 512 + 128 * i;

		memset(e, 0x11, 32);
		put(e + 32, 64 + 64 * i, 8);
		put(e + 40, 127 + 64 * i, 8);
	}
}

static void seal(uint64_t lba)
{
	uint8_t *h = disk + lba * 512;
	uint64_t at = le64_get(h + 72), bytes = (uint64_t)le32_get(h + 80) * le32_get(h + 84);
	uint32_t len = le32_get(h + 12);

	if (at < SECTORS && bytes <= sizeof(disk) - at * 512)
		put(h + 88, crc32(0, disk + at * 512, (uInt)bytes), 4);
	put(h + 16, 0, 4);
	if (len <= 512)
		put(h + 16, crc32(0, h, len), 4);
}

static void make_disk(const uint8_t *data, size_t len, unsigned mode)
{
	memset(disk, 0, sizeof(disk));
	put(disk + 510, 0xaa55, 2);
	for (unsigned i = 0; i < 4; i++) {
		disk[446 + 16 * i + 4] = mode & 8 ? "\x83\x05\x0f\x82"[i] : i ? 0 : 0xee;
		put(disk + 446 + 16 * i + 8, 300 + 40 * i, 4);
		put(disk + 446 + 16 * i + 12, 40, 4);
	}
	if (!(mode & 16)) {
		make_header(1, 2);
		make_header(SECTORS - 1, SECTORS - 9);
	}
	/* Where, in units that reach all of the disk, and what. */
	for (; len >= 4; data += 4, len -= 4) {
		size_t at = (data[0] | (size_t)data[1] << 8) * 4 % sizeof(disk) + (data[2] & 3);

		disk[at] = data[3];
	}
	if (mode & 1)
		seal(1);
	if (mode & 2)
		seal(SECTORS - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct blk_ops ops = {.submit = submit};
	static struct parttable t;
	struct blk blk = {.ops = &ops, .size = sizeof(disk)};
	struct reader r = {.blk = &blk, .budget = 4 << 20};
	struct fs_mark mark;
	unsigned mode = len ? *data : 0;

	if (len < 1)
		return 0;
	make_disk(data + 1, len - 1, mode);
	if (mode & 4)
		blk.size = 512 * (1 + (uint64_t)(mode >> 5) * 8);
	if (parttable_read(&r, &t) < 0)
		return 0;
	insist(t.n <= PARTS_MAX && (t.n == 0 || t.kind != PARTTABLE_NONE),
	       "too many, or from nowhere");
	if (len == 1 && (mode & 0x17) == 3)
		insist(t.kind == PARTTABLE_GPT && t.n == 3, "a table that is right is not read");
	for (unsigned i = 0; i < t.n; i++) {
		const struct part *p = &t.part[i];

		insist(p->number && p->len && p->start && p->start < blk.size &&
			       p->len <= blk.size - p->start,
		       "a partition outside the disk");
		insist(t.reach >= p->start + p->len, "a partition that is out of its reach");
		for (unsigned k = 0; k < i; k++)
			insist(p->start >= t.part[k].start + t.part[k].len ||
				       t.part[k].start >= p->start + p->len,
			       "partitions over each other");
		fs_identify(&r, p->start, p->len, &mark);
	}
	return 0;
}
