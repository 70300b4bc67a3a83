/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_FAT_H
#define LOADER_FAT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Makes a small FAT file system: a label, and a few files in its root directory under their long
 * names. The same input gives the same bytes: no clock is asked, and every date is 1 January 1980.
 *
 *     boot sector | FAT | FAT again | root directory | clusters
 */
#define FAT_FILES_MAX 9
#define FAT_NAME_MAX  64
#define FAT_LABEL_MAX 11

struct fat_file {
	const char *name; /* letters, digits, '-', '_' and '.', the first none of '.' */
	const void *data; /* may be NULL if len is 0 */
	size_t len;       /* bytes */
};

struct fat_params {
	const char *label; /* 1 to 11 of A-Z, 0-9, '-' and '_' */
	uint32_t id;       /* the volume's serial number */
	const struct fat_file *files;
	unsigned n;
};

/*
 * Writes it from byte 0 of @fd, an empty file, which then is a multiple of 512 bytes long: about as
 * many as the files have. FAT12 up to 2 MiB of them, FAT16 from there.
 *
 * 0; -EINVAL for a label or a name that is not as above, two names that differ in case at most, or
 * more than FAT_FILES_MAX files; -EFBIG above 2 GiB; -ENOMEM; or the -errno of pwrite() or
 * ftruncate(). All but 0 after one sentence.
 */
int fat_write(const struct fat_params *p, int fd);

#endif
