/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_IMAGE_BOOT_H
#define VMM_IMAGE_BOOT_H

#include <stdint.h>

/*
 * Kernel, initrd and command line out of a disk image, by skiff-image: another process, which gets
 * descriptors, gives up everything else, and whose answer is not trusted either.
 */
struct image_boot_file {
	int fd;           /* readable; stays the caller's. No lock is taken or changed. */
	const char *path; /* for messages */
	int is_qcow2;
};

struct image_boot_params {
	const struct image_boot_file *file; /* the topmost image first, then those below it */
	unsigned n;
	const char *program; /* NULL: skiff-image beside this program */
	unsigned seconds;    /* that it may take; 0: 60 */
	/*
	 * Bytes of the published image, as a guest sees it: one that says itself that it is longer
	 * was cut short, which is an error. 0: do not judge, as when a guest has used the disk.
	 */
	uint64_t image_size;
};

#define IMAGE_BOOT_PARTS    128
#define IMAGE_BOOT_WARNINGS 16

/* What a stranger's image says: printable ASCII, other bytes are `?`; cut where it is too long. */
struct image_boot_part {
	unsigned number; /* as Linux counts; 0: the whole disk */
	uint64_t bytes;
	char type[16]; /* of what lies in it, as blkid names it; "" if unknown */
	char label[65], uuid[37], partuuid[37], name[37];
};

enum image_boot_driver {
	IMAGE_BOOT_VIRTIO_PCI,
	IMAGE_BOOT_VIRTIO_BLK,
	IMAGE_BOOT_VIRTIO_NET,
	IMAGE_BOOT_VIRTIO_CONSOLE,
	IMAGE_BOOT_EXT4,
	IMAGE_BOOT_BTRFS,
	IMAGE_BOOT_XFS,
	IMAGE_BOOT_DRIVERS,
};

struct image_boot {
	int kernel_fd;                   /* a memfd */
	int initrd_fd;                   /* the same; -1: none */
	char os[128];                    /* "Debian GNU/Linux 12 (bookworm)", or "" */
	char from[288];                  /* the file that said so, "links" or "names" */
	char kernel[256], initrd[256];   /* paths in the image; of several initrds the first */
	char cmdline[2048];              /* the distribution's own, never cut */
	char driver[IMAGE_BOOT_DRIVERS]; /* 'y', 'm' (module), 'n', or '?' if not known */
	struct image_boot_part part[IMAGE_BOOT_PARTS];
	unsigned n_parts;
	char warning[IMAGE_BOOT_WARNINGS][256];
	unsigned n_warnings;
};

/*
 * 0; or says why and returns -errno: -ENOENT nothing came out of it, or skiff-image is not there,
 * -ETIMEDOUT, -EPROTO (it ended before its end) ... Warnings are said and kept, the first
 * IMAGE_BOOT_WARNINGS of them. Ends with the caller: skiff-image does not outlive it.
 */
int image_boot_find(const struct image_boot_params *p, struct image_boot *out);

/* Closes what image_boot_find() opened; once, and only after it has succeeded. */
void image_boot_free(struct image_boot *boot);

/*
 * Takes a report of skiff-image apart (loader/image/boot.h), @text with its NUL; changes it. 0, or
 * -ENOENT after errors in it were said, -EMSGSIZE after a sentence where the command line is too
 * long, or a silent -EPROTO where it has no end.
 */
int image_boot_parse(char *text, struct image_boot *out);

#endif
