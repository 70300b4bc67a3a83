/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads partition tables. Pure computation over what the reader brings; knows no file system.
 *
 * A GPT is believed when the checksums of its header and of its entries hold; the header at the
 * disk's end takes the place of one in front that is damaged. It is not looked for where that one
 * says that it lies: a disk that was made larger has it in its middle until the guest mends
 * that. An MBR with an entry of type 0xee guards a GPT (a hybrid one has others beside it); it
 * counts by itself only if there is no GPT.
 */
#include "loader/image/parttable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "loader/le.h"

#define SECTOR        512u

#define GPT_HEADER    92u
#define GPT_ENTRY     128u
#define GPT_TABLE_MAX (1u << 20) /* bytes of entries: Linux's own limit is less */
#define GPT_LAST_MAX  (UINT64_MAX / SECTOR)

#define MBR_TABLE     446
#define MBR_SIGNATURE 440
#define MBR_LOGICALS  64 /* links of the chain that are followed */

/* UEFI §5.3.3: the first three fields are little-endian. */
static void print_guid(const uint8_t *g, char out[37])
{
	snprintf(out, 37, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", le32_get(g),
		 le16_get(g + 4), le16_get(g + 6), g[8], g[9], g[10], g[11], g[12], g[13], g[14],
		 g[15]);
}

static int overlaps(const struct parttable *t, uint64_t start, uint64_t len)
{
	for (unsigned i = 0; i < t->n; i++)
		if (start < t->part[i].start + t->part[i].len && t->part[i].start < start + len)
			return 1;
	return 0;
}

/* Its last sector, or more, is @last. */
static void note_reach(struct parttable *t, uint64_t last)
{
	uint64_t end = last >= GPT_LAST_MAX ? UINT64_MAX : (last + 1) * SECTOR;

	if (end > t->reach)
		t->reach = end;
}

/* A place for a partition of sectors @first to @last, or NULL if it cannot be. */
static struct part *add(struct parttable *t, uint64_t disk, uint64_t first, uint64_t last)
{
	struct part *p = &t->part[t->n];

	if (last >= first)
		note_reach(t, last);
	if (t->n == PARTS_MAX || first == 0 || last < first || last >= disk / SECTOR ||
	    overlaps(t, first * SECTOR, (last - first + 1) * SECTOR)) {
		t->dropped = 1;
		return NULL;
	}
	memset(p, 0, sizeof(*p));
	p->start = first * SECTOR;
	p->len = (last - first + 1) * SECTOR;
	t->n++;
	return p;
}

/* --- GPT ------------------------------------------------------------------------------------- */

static void take_entry(struct parttable *t, uint64_t disk, const uint8_t *e, unsigned number)
{
	static const uint8_t unused[16];
	struct part *p;

	if (!memcmp(e, unused, sizeof(unused)))
		return;
	p = add(t, disk, le64_get(e + 32), le64_get(e + 40));
	if (!p)
		return;
	p->number = number;
	print_guid(e, p->type);
	print_guid(e + 16, p->partuuid);
	for (unsigned i = 0; i < 36; i++) {
		uint16_t c = le16_get(e + 56 + 2 * i);

		if (!c)
			break;
		p->name[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
}

static int header_holds(uint8_t *h, uint64_t lba)
{
	uint32_t len = le32_get(h + 12), crc = le32_get(h + 16);

	if (memcmp(h, "EFI PART", 8) != 0 || len < GPT_HEADER || len > SECTOR ||
	    le64_get(h + 24) != lba)
		return 0;
	memset(h + 16, 0, 4);
	return (uint32_t)crc32(0, h, len) == crc;
}

/* 1 with the table of the header at @lba, 0 if it does not hold, -errno. */
static int read_gpt_at(struct reader *r, uint64_t lba, struct parttable *t)
{
	uint8_t h[SECTOR], *table;
	uint64_t at, bytes;
	uint32_t n, size;
	int res = reader_read(r, lba * SECTOR, h, sizeof(h));

	if (res < 0)
		return res;
	if (!header_holds(h, lba))
		return 0;
	at = le64_get(h + 72);
	n = le32_get(h + 80);
	size = le32_get(h + 84);
	bytes = (uint64_t)n * size;
	/* A size of 128 times a power of two. */
	if (size < GPT_ENTRY || size & (size - 1) || n == 0 || bytes > GPT_TABLE_MAX ||
	    at > GPT_LAST_MAX)
		return 0;
	table = malloc(bytes);
	if (!table)
		return -ENOMEM;
	res = reader_read(r, at * SECTOR, table, bytes);
	if (res == 0 && (uint32_t)crc32(0, table, (uInt)bytes) == le32_get(h + 88)) {
		res = 1;
		note_reach(t, lba);
		note_reach(t, le64_get(h + 32)); /* where the other header is to be */
		for (uint32_t i = 0; i < n; i++)
			take_entry(t, r->blk->size, table + (size_t)i * size, i + 1);
	}
	free(table);
	return res == -ERANGE ? 0 : res;
}

/* 1, 0 or -errno. */
static int read_gpt(struct reader *r, struct parttable *t)
{
	uint64_t sectors = r->blk->size / SECTOR;
	int res;

	if (sectors < 3)
		return 0;
	res = read_gpt_at(r, 1, t);
	if (res != 0)
		return res;
	res = read_gpt_at(r, sectors - 1, t);
	t->from_backup = res > 0;
	return res;
}

/* --- MBR ------------------------------------------------------------------------------------- */

static int is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static void take_mbr(struct parttable *t, uint64_t disk, const uint8_t *e, uint64_t base,
		     unsigned number, uint32_t signature)
{
	uint64_t first = base + le32_get(e + 8), n = le32_get(e + 12);
	struct part *p = n ? add(t, disk, first, first + n - 1) : NULL;

	if (!p)
		return;
	p->number = number;
	snprintf(p->type, sizeof(p->type), "0x%02x", e[4]);
	if (signature)
		snprintf(p->partuuid, sizeof(p->partuuid), "%08x-%02x", signature, number);
}

/* Each link has its partition, counted from itself, and the next link, counted from the first. */
static int read_logicals(struct reader *r, struct parttable *t, uint64_t first, uint32_t signature)
{
	uint64_t at = first;

	for (unsigned i = 0; i < MBR_LOGICALS; i++) {
		const uint8_t *next = NULL, *e;
		uint8_t s[SECTOR];
		int res;

		if (at >= r->blk->size / SECTOR)
			break;
		res = reader_read(r, at * SECTOR, s, sizeof(s));
		if (res < 0)
			return res;
		if (le16_get(s + 510) != 0xaa55)
			return 0;
		for (unsigned k = 0; k < 4; k++) {
			e = s + MBR_TABLE + 16 * k;
			if (is_extended(e[4]))
				next = next ? next : e;
			else if (e[4])
				take_mbr(t, r->blk->size, e, at, 5 + i, signature);
		}
		if (!next || !le32_get(next + 8))
			return 0;
		at = first + le32_get(next + 8);
	}
	t->dropped = 1;
	return 0;
}

/* 1, 0 or -errno. */
static int read_mbr(struct reader *r, struct parttable *t)
{
	uint32_t signature;
	uint8_t s[SECTOR];
	int res = reader_read(r, 0, s, sizeof(s));

	if (res < 0)
		return res;
	if (le16_get(s + 510) != 0xaa55)
		return 0;
	for (unsigned i = 0; i < 4; i++)
		if (s[MBR_TABLE + 16 * i] & 0x7f) /* no table but a boot sector's code */
			return 0;
	signature = le32_get(s + MBR_SIGNATURE);
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *e = s + MBR_TABLE + 16 * i;

		if (e[4] == 0xee)
			t->damaged = 1;
		if (!e[4] || e[4] == 0xee)
			continue;
		if (!is_extended(e[4])) {
			take_mbr(t, r->blk->size, e, 0, i + 1, signature);
			continue;
		}
		if (le32_get(e + 12))
			note_reach(t, (uint64_t)le32_get(e + 8) + le32_get(e + 12) - 1);
		res = read_logicals(r, t, le32_get(e + 8), signature);
		if (res < 0)
			return res;
	}
	return t->n > 0;
}

int parttable_read(struct reader *r, struct parttable *t)
{
	int res;

	memset(t, 0, sizeof(*t));
	res = read_gpt(r, t);
	if (res != 0) {
		t->kind = PARTTABLE_GPT;
		return res < 0 ? res : 0;
	}
	res = read_mbr(r, t);
	if (res > 0)
		t->kind = PARTTABLE_MBR;
	return res < 0 ? res : 0;
}
