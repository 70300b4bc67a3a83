/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names what lies in a partition by its marks, and reads label and UUID where they lie at a fixed
 * place. Pure computation over what the reader brings.
 */
#include "loader/image/fs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/le.h"

#define HEAD 8192u /* bytes looked at in front; btrfs is at 64 KiB */

/* Where a mark is, and label and UUID (16 bytes in the order they are printed) beside it. */
static const struct mark {
	const char *type;
	uint32_t at;
	const char *magic;
	uint32_t len;
	uint32_t label, label_len; /* 0: none */
	uint32_t uuid;             /* 0: none */
} marks[] = {
	{"xfs", 0, "XFSB", 4, 108, 12, 32},
	{"btrfs", 65536 + 64, "_BHRfS_M", 8, 65536 + 299, 64, 65536 + 32},
	{"LVM2_member", 512, "LABELONE", 8, 0, 0, 0},
	{"LVM2_member", 0, "LABELONE", 8, 0, 0, 0},
	{"crypto_LUKS", 0, "LUKS\xba\xbe", 6, 0, 0, 0},
	{"swap", 4086, "SWAPSPACE2", 10, 1052, 16, 1036},
	{"squashfs", 0, "hsqs", 4, 0, 0, 0},
	{"iso9660", 32769, "CD001", 5, 32808, 32, 0},
	{"f2fs", 1024, "\x10\x20\xf5\xf2", 4, 0, 0, 1024 + 108},
	{"erofs", 1024, "\xe2\xe1\xf5\xe0", 4, 1024 + 64, 16, 1024 + 48},
	{"ntfs", 3, "NTFS    ", 8, 0, 0, 0},
};

#define EXT_SUPER         1024u
#define EXT_COMPAT        92
#define EXT_INCOMPAT      96
#define EXT_RO_COMPAT     100
#define EXT_HAS_JOURNAL   0x4u
#define EXT_64BIT         0x80u
#define EXT_LOG_BLOCK_MAX 6u
/* What makes it ext4 and not ext3 (as in the kernel's ext3 mount check). */
#define EXT3_INCOMPAT_OK  0x16u /* filetype, recover, meta_bg */
#define EXT3_RO_COMPAT_OK 0x7u  /* sparse_super, large_file, btree_dir */

static void print_uuid(const uint8_t *u, char out[37])
{
	static const uint8_t none[16];

	if (!memcmp(u, none, 16))
		return;
	for (unsigned i = 0; i < 16; i++) {
		out += snprintf(out, 4, "%02x", u[i]);
		if (i == 3 || i == 5 || i == 7 || i == 9)
			*out++ = '-';
	}
	*out = '\0';
}

static void take_label(const uint8_t *from, size_t len, char *out)
{
	size_t n = 0;

	while (n < len && from[n]) {
		out[n] = from[n] < 0x20 || from[n] == 0x7f ? '?' : (char)from[n];
		n++;
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

/* @s: the superblock. */
static uint64_t ext_bytes(const uint8_t *s)
{
	uint64_t blocks = le32_get(s + 4);
	uint32_t log_block = le32_get(s + 24); /* of 1024 */

	if (le32_get(s + EXT_INCOMPAT) & EXT_64BIT)
		blocks |= (uint64_t)le32_get(s + 0x150) << 32;
	if (log_block > EXT_LOG_BLOCK_MAX || blocks > UINT64_MAX >> 10 >> log_block)
		return 0;
	return blocks << 10 << log_block;
}

static int take_ext(const uint8_t *head, struct fs_mark *mark)
{
	const uint8_t *s = head + EXT_SUPER;
	uint32_t incompat = le32_get(s + EXT_INCOMPAT), ro = le32_get(s + EXT_RO_COMPAT);

	if (le16_get(s + 56) != 0xef53)
		return 0;
	mark->is_ext = 1;
	mark->bytes = ext_bytes(s);
	if (incompat & ~EXT3_INCOMPAT_OK || ro & ~EXT3_RO_COMPAT_OK)
		mark->type = "ext4";
	else
		mark->type = le32_get(s + EXT_COMPAT) & EXT_HAS_JOURNAL ? "ext3" : "ext2";
	print_uuid(s + 104, mark->uuid);
	take_label(s + 120, 16, mark->label);
	return 1;
}

/* The label is in the boot sector and, as Windows and `fatlabel` write it, in the root directory.
 */
static int take_vfat(const uint8_t *head, struct fs_mark *mark)
{
	int is_32 = !memcmp(head + 82, "FAT32   ", 8);
	const uint8_t *ext = head + (is_32 ? 64 : 36);

	if (le16_get(head + 510) != 0xaa55 || (head[0] != 0xeb && head[0] != 0xe9))
		return 0;
	if (!is_32 && memcmp(head + 54, "FAT1", 4) != 0)
		return 0;
	mark->type = "vfat";
	if (ext[2] != 0x29)
		return 1;
	snprintf(mark->uuid, sizeof(mark->uuid), "%04X-%04X", le16_get(ext + 5), le16_get(ext + 3));
	if (memcmp(ext + 7, "NO NAME    ", 11) != 0)
		take_label(ext + 7, 11, mark->label);
	return 1;
}

/* 1, 0 or -errno. @head has the first HEAD bytes. */
static int try_mark(struct reader *r, const struct mark *m, uint64_t start, uint64_t len,
		    const uint8_t *head, struct fs_mark *mark)
{
	uint8_t buf[512];
	int res;

	if (m->at + m->len > len)
		return 0;
	if (m->at + m->len > HEAD) {
		res = reader_read(r, start + m->at, buf, m->len);
		if (res < 0)
			return res;
		if (memcmp(buf, m->magic, m->len) != 0)
			return 0;
	} else if (memcmp(head + m->at, m->magic, m->len) != 0) {
		return 0;
	}
	mark->type = m->type;
	if (m->label && m->label + m->label_len <= len) {
		res = reader_read(r, start + m->label, buf, m->label_len);
		if (res < 0)
			return res;
		take_label(buf, m->label_len, mark->label);
	}
	if (m->uuid && m->uuid + 16 <= len) {
		res = reader_read(r, start + m->uuid, buf, 16);
		if (res < 0)
			return res;
		print_uuid(buf, mark->uuid);
	}
	return 1;
}

int fs_identify(struct reader *r, uint64_t start, uint64_t len, struct fs_mark *mark)
{
	uint8_t head[HEAD] = {0};
	int res;

	*mark = (struct fs_mark){.type = ""};
	res = reader_read(r, start, head, len < HEAD ? len : HEAD);
	if (res < 0)
		return res;
	if (take_ext(head, mark))
		return 0;
	for (unsigned i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		res = try_mark(r, &marks[i], start, len, head, mark);
		if (res != 0)
			return res < 0 ? res : 0;
	}
	take_vfat(head, mark);
	return 0;
}
