/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_FIND_H
#define LOADER_IMAGE_FIND_H

#include "loader/image/entry.h"
#include "loader/image/ext4.h"
#include "loader/image/fs.h"
#include "loader/image/parttable.h"

/*
 * The search for what a disk would boot: its partitions, what lies in them, and the kernel, initrd
 * and command line that its boot loader would take. In the order in which they are believed:
 * grub.cfg, boot loader entries, extlinux.conf, the links vmlinuz and initrd.img, and the kernel
 * file with the highest version.
 */
struct found_part {
	struct part part;
	struct fs_mark mark;
	struct ext4 *fs; /* NULL: not ext4, or it cannot be read */
	int error;       /* why it cannot be read */
};

struct found_file {
	const struct found_part *in; /* NULL: there is none */
	struct ext4_file file;
};

/* Drivers whose place is of interest, as the kernel's configuration names them without CONFIG_. */
#define FOUND_DRIVERS 7
extern const char *const found_driver_name[FOUND_DRIVERS];

struct found {
	struct reader *reader;
	uint64_t image_size; /* as it was given */
	uint64_t reach;      /* bytes that table and ext file systems say there are */
	enum parttable_kind table;
	uint8_t table_damaged, table_from_backup, parts_dropped;
	unsigned n;
	struct found_part part[PARTS_MAX];

	struct found_file kernel, initrd[ENTRY_INITRDS];
	unsigned n_initrds;
	char cmdline[ENTRY_CMDLINE];
	char from[ENTRY_PATH + 32]; /* which file said so, "links" or "names" */
	char title[128];            /* of the entry */
	char os[128];               /* its own name, else the title, else "" */
	char driver[FOUND_DRIVERS]; /* 'y', 'm', 'n', or '?' without a configuration */
};

/*
 * A published image is often laid under a disk that is larger, where it does not show that its end
 * is missing: @image_size says how many bytes it has; 0 if that is not to be judged, as once a
 * guest has used the room behind it.
 *
 * 0 with all that can be known; -ENOENT where no kernel was found, with what the partitions are;
 * -ENODATA where the image is cut short (reach); else -errno: the disk cannot be read.
 * found_free() in any case.
 */
int find_boot(struct reader *r, uint64_t image_size, struct found *found);
void found_free(struct found *found);

#endif
