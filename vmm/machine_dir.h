/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_MACHINE_DIR_H
#define VMM_MACHINE_DIR_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What is kept of a machine that was started from an image, in a directory of its own:
 *
 *   $XDG_DATA_HOME/skiff/machines/NAME/disk.qcow2	what the guest has changed, over the image
 *				       image		two lines: the image's path and format
 *				       uuid		what the guest knows itself by
 *				       id_ed25519	a key to log in with, if you have none
 *				       lock		held while the machine runs
 *
 * `image` is written last: without it the machine is new and its disk, if there is one, is what was
 * left when it was being made.
 */
#define MACHINE_NAME_MAX 63 /* bytes: it becomes the guest's host name */

struct machine_dir {
	char name[MACHINE_NAME_MAX + 1];
	char path[PATH_MAX]; /* absolute */
	char disk[PATH_MAX];
	uint8_t uuid[16];
	uint8_t is_new;
	uint8_t ephemeral;
	char image[PATH_MAX]; /* is_new: "" */
	char image_format[8]; /* "raw" or "qcow2" */
	int lock_fd;
};

/*
 * A machine's name out of the image's, which is a file's name or one like ubuntu:24.04:
 * "ubuntu-24-04", "noble-server-cloudimg-amd64".
 */
void machine_dir_name(const char *image, char name[MACHINE_NAME_MAX + 1]);

/*
 * Opens the directory of machine @name, which it makes if need be, and locks it. 0; -EINVAL for a
 * name that is no host name, -EBUSY if the machine runs, or -errno; after one sentence. An
 * @ephemeral one has a directory of its own that nobody else sees; what earlier ones that were
 * killed have left is removed.
 */
int machine_dir_open(struct machine_dir *d, const char *name, int ephemeral);

/* The disk is there, over that image: from now on the machine is kept. 0 or -errno, said. */
int machine_dir_keep(struct machine_dir *d, const char *image, const char *format);

/*
 * Gives the lock back. A directory without anything to keep goes: an ephemeral machine's, a new
 * one's that was not kept. May be called on a zeroed struct, and twice.
 */
void machine_dir_close(struct machine_dir *d);

#endif
