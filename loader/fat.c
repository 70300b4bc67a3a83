/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lays out a FAT12 or FAT16 file system and writes it. All that is not the files' own bytes is made
 * in one piece of memory, files follow each other without gaps. Runs before any vCPU does. Knows
 * nothing of what the files are for. [FAT] is Microsoft's "FAT: General Overview of On-Disk
 * Format", version 1.03.
 */
#include "loader/fat.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "loader/le.h"
#include "vmm/log.h"

#define SECTOR              512u
#define FATS                2u
#define ENTRY               32u /* bytes of a directory entry */
#define NAME_CHARS          13u /* of a long name in one of its entries */
#define MEDIA               0xf8u
#define DATE_1980           0x0021u /* year 0, month 1, day 1 */
#define ATTR_LABEL          0x08u
#define ATTR_ARCHIVE        0x20u
#define ATTR_LONG           0x0fu
#define LAST_LONG           0x40u

/*
 * The count of clusters alone tells FAT12 from FAT16, and not all agree on the last one of a kind:
 * [FAT] says to stay 16 away from the limits, 4085 and 65525.
 */
#define FAT12_MAX           (4085u - 16)
#define FAT16_MIN           (4085u + 16)
#define FAT16_MAX           (65525u - 16)
#define CLUSTERS_MIN        16u
#define CLUSTER_SECTORS_MAX 64u

struct layout {
	uint32_t cluster_sectors, clusters;
	uint32_t fat_sectors, root_sectors;
	uint32_t sectors; /* of all */
	int fat16;
};

static uint32_t divide_up(uint64_t n, uint32_t by)
{
	return (uint32_t)((n + by - 1) / by);
}

/* --- what we take ----------------------------------------------------------------------- */

static int good_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > FAT_NAME_MAX || name[0] == '.' || name[len - 1] == '.')
		return 0;
	for (; *name; name++)
		if (!isascii(*name) || (!isalnum(*name) && !strchr("-_.", *name)))
			return 0;
	return 1;
}

static int good_label(const char *label)
{
	size_t len = strlen(label);

	if (len == 0 || len > FAT_LABEL_MAX)
		return 0;
	return strspn(label, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

static int judge(const struct fat_params *p)
{
	if (!good_label(p->label))
		return log_fail(-EINVAL, "FAT: label \"%s\": it takes 1 to %d of A-Z, 0-9, - and _",
				p->label, FAT_LABEL_MAX);
	if (p->n > FAT_FILES_MAX)
		return log_fail(-EINVAL, "FAT: %s: holds %u files; %d are the most", p->label, p->n,
				FAT_FILES_MAX);
	for (unsigned i = 0; i < p->n; i++) {
		const char *name = p->files[i].name;

		if (!good_name(name))
			return log_fail(
				-EINVAL,
				"FAT: file \"%s\": a name has 1 to %d letters, digits, -, _ "
				"and ., and no . at its ends",
				name, FAT_NAME_MAX);
		for (unsigned j = 0; j < i; j++)
			if (strcasecmp(name, p->files[j].name) == 0)
				return log_fail(-EINVAL,
						"FAT: file \"%s\": there are two of this name",
						name);
	}
	return 0;
}

static uint32_t name_entries(const char *name)
{
	return divide_up(strlen(name), NAME_CHARS);
}

static uint64_t clusters_of(const struct fat_params *p, uint32_t cluster_sectors)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < p->n; i++)
		n += p->files[i].len / (cluster_sectors * SECTOR) +
		     (p->files[i].len % (cluster_sectors * SECTOR) != 0);
	return n;
}

static int lay_out(const struct fat_params *p, struct layout *l)
{
	uint32_t entries = 1; /* the label */
	uint64_t clusters;

	l->cluster_sectors = 1;
	while ((clusters = clusters_of(p, l->cluster_sectors)) > FAT16_MAX) {
		l->cluster_sectors *= 2;
		if (l->cluster_sectors > CLUSTER_SECTORS_MAX)
			return log_fail(-EFBIG, "FAT: %s: its files are larger than 2 GiB together",
					p->label);
	}
	l->clusters = clusters < CLUSTERS_MIN ? CLUSTERS_MIN : (uint32_t)clusters;
	if (l->clusters > FAT12_MAX && l->clusters < FAT16_MIN)
		l->clusters = FAT16_MIN;
	l->fat16 = l->clusters >= FAT16_MIN;
	/* Two entries at the FAT's head belong to no cluster. */
	l->fat_sectors = divide_up((l->clusters + 2) * (l->fat16 ? 4ull : 3ull), 2 * SECTOR);
	for (unsigned i = 0; i < p->n; i++)
		entries += 1 + name_entries(p->files[i].name);
	l->root_sectors = divide_up(entries * ENTRY, SECTOR);
	l->sectors = 1 + FATS * l->fat_sectors + l->root_sectors + l->clusters * l->cluster_sectors;
	return 0;
}

/* --- what is written ---------------------------------------------------------------------- */

static void put_label(uint8_t *at, const char *label)
{
	memset(at, ' ', FAT_LABEL_MAX);
	memcpy(at, label, strlen(label));
}

/* [FAT] "Boot Sector and BPB Structure" */
static void put_boot_sector(uint8_t *s, const struct fat_params *p, const struct layout *l)
{
	static const uint8_t jump[] = {0xeb, 0x3c, 0x90};

	memcpy(s, jump, sizeof(jump));
	memcpy(s + 3, "SKIFF   ", 8);
	le16_put(s + 11, SECTOR);
	s[13] = (uint8_t)l->cluster_sectors;
	le16_put(s + 14, 1); /* reserved sectors: this one */
	s[16] = FATS;
	le16_put(s + 17, (uint16_t)(l->root_sectors * SECTOR / ENTRY));
	if (l->sectors <= UINT16_MAX)
		le16_put(s + 19, (uint16_t)l->sectors);
	else
		le32_put(s + 32, l->sectors);
	s[21] = MEDIA;
	le16_put(s + 22, (uint16_t)l->fat_sectors);
	le16_put(s + 24, 32); /* sectors per track, heads: nobody asks, but none may be 0 */
	le16_put(s + 26, 64);
	s[36] = 0x80; /* drive number of a disk */
	s[38] = 0x29; /* the next three are there */
	le32_put(s + 39, p->id);
	put_label(s + 43, p->label);
	memcpy(s + 54, l->fat16 ? "FAT16   " : "FAT12   ", 8);
	s[510] = 0x55;
	s[511] = 0xaa;
}

static void fat_set(uint8_t *fat, const struct layout *l, uint32_t n, uint16_t value)
{
	uint8_t *at;

	if (l->fat16) {
		le16_put(fat + n * 2, value);
		return;
	}
	/* Entries of 12 bits: two in three bytes. */
	at = fat + n + n / 2;
	if (n & 1)
		le16_put(at, (uint16_t)((value << 4) | (le16_get(at) & 0xf)));
	else
		le16_put(at, (uint16_t)((value & 0xfff) | (le16_get(at) & 0xf000)));
}

static void put_fat(uint8_t *fat, const struct fat_params *p, const struct layout *l)
{
	uint32_t bytes = l->cluster_sectors * SECTOR, next = 2;

	fat_set(fat, l, 0, 0xff00 | MEDIA);
	fat_set(fat, l, 1, 0xffff); /* in FAT16 also: was unmounted, has no bad sector */
	for (unsigned i = 0; i < p->n; i++) {
		uint32_t n = divide_up(p->files[i].len, bytes);

		for (; n > 0; n--, next++)
			fat_set(fat, l, next, n == 1 ? 0xffff : (uint16_t)(next + 1));
	}
}

/* Of the short name, in every part of the long one: [FAT] "ChkSum". */
static uint8_t checksum(const uint8_t *short_name)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < 11; i++)
		sum = (uint8_t)((sum << 7) + (sum >> 1) + short_name[i]);
	return sum;
}

/* The part of @name that has number @part, from 1; they lie in the directory last part first. */
static void put_long_name(uint8_t *e, const char *name, unsigned part, uint8_t sum)
{
	static const uint8_t place[NAME_CHARS] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
	size_t len = strlen(name), from = (part - 1) * NAME_CHARS;

	e[0] = (uint8_t)(part | (part == name_entries(name) ? LAST_LONG : 0));
	e[11] = ATTR_LONG;
	e[13] = sum;
	for (unsigned i = 0; i < NAME_CHARS; i++) {
		/* Its end is a zero if there is room for one, and the rest is filled. */
		uint16_t c = 0xffff;

		if (from + i < len)
			c = (uint8_t)name[from + i];
		else if (from + i == len)
			c = 0;
		le16_put(e + place[i], c);
	}
}

/* NAME~N.EXT: the number is the file's, so no two are the same and none is a long name. */
static void put_short_name(uint8_t *at, const char *name, unsigned number)
{
	const char *dot = strrchr(name, '.');
	size_t stem = dot ? (size_t)(dot - name) : strlen(name), n = 0;

	memset(at, ' ', 11);
	for (size_t i = 0; i < stem && n < 6; i++)
		if (name[i] != '.')
			at[n++] = (uint8_t)toupper(name[i]);
	at[n++] = '~';
	at[n] = (uint8_t)('0' + number);
	for (n = 0; dot && n < 3 && dot[1 + n]; n++)
		at[8 + n] = (uint8_t)toupper(dot[1 + n]);
}

static void put_root(uint8_t *e, const struct fat_params *p, const struct layout *l)
{
	uint32_t cluster = 2;

	put_label(e, p->label);
	e[11] = ATTR_LABEL;
	le16_put(e + 24, DATE_1980);
	e += ENTRY;
	for (unsigned i = 0; i < p->n; i++) {
		const struct fat_file *f = &p->files[i];
		uint8_t short_name[11];

		put_short_name(short_name, f->name, i + 1);
		for (unsigned part = name_entries(f->name); part > 0; part--, e += ENTRY)
			put_long_name(e, f->name, part, checksum(short_name));
		memcpy(e, short_name, sizeof(short_name));
		e[11] = ATTR_ARCHIVE;
		le16_put(e + 16, DATE_1980); /* made, read, written */
		le16_put(e + 18, DATE_1980);
		le16_put(e + 24, DATE_1980);
		le16_put(e + 26, f->len ? (uint16_t)cluster : 0);
		le32_put(e + 28, (uint32_t)f->len);
		e += ENTRY;
		cluster += divide_up(f->len, l->cluster_sectors * SECTOR);
	}
}

static int put_bytes(int fd, const void *from, size_t len, uint64_t off)
{
	const uint8_t *at = from;

	while (len > 0) {
		ssize_t n = pwrite(fd, at, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_all(int fd, const struct fat_params *p, const struct layout *l, const uint8_t *head,
		   size_t head_len)
{
	uint32_t bytes = l->cluster_sectors * SECTOR;
	uint64_t off = head_len;
	int r = put_bytes(fd, head, head_len, 0);

	for (unsigned i = 0; i < p->n && r == 0; i++) {
		r = put_bytes(fd, p->files[i].data, p->files[i].len, off);
		off += (uint64_t)divide_up(p->files[i].len, bytes) * bytes;
	}
	if (r == 0 && ftruncate(fd, (off_t)((uint64_t)l->sectors * SECTOR)) != 0)
		r = -errno;
	return r;
}

int fat_write(const struct fat_params *p, int fd)
{
	struct layout l = {0};
	size_t head_len;
	uint8_t *head;
	int r;

	r = judge(p);
	if (r < 0)
		return r;
	r = lay_out(p, &l);
	if (r < 0)
		return r;
	head_len = (1 + (size_t)FATS * l.fat_sectors + l.root_sectors) * SECTOR;
	head = calloc(1, head_len);
	if (head == NULL)
		return log_fail(-ENOMEM, "FAT: %s: there is no memory for %zu bytes", p->label,
				head_len);
	put_boot_sector(head, p, &l);
	for (unsigned i = 0; i < FATS; i++)
		put_fat(head + (1 + (size_t)i * l.fat_sectors) * SECTOR, p, &l);
	put_root(head + (1 + (size_t)FATS * l.fat_sectors) * SECTOR, p, &l);
	r = put_all(fd, p, &l, head, head_len);
	free(head);
	if (r < 0)
		return log_fail(r, "FAT: %s: its %llu bytes cannot be written: %s", p->label,
				(unsigned long long)l.sectors * SECTOR, strerror(-r));
	return 0;
}
