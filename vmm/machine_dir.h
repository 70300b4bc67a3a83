/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_MACHINE_DIR_H
#define VMM_MACHINE_DIR_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What is kept of a machine that was started from an image, in a directory of its own:
 *
 *   $XDG_DATA_HOME/skiff/machines/NAME/
 *     disk.qcow2   what the guest has changed, over the image
 *     image        the image: its path, its format, of its file the size and time of the last
 *                  change, and the name that the user gave, if it is one of the store
 *     uuid         what the guest knows itself by
 *     user         the login name of its user, and whether it was given a password
 *     id_ed25519   a key to log in with, if you have none
 *     lock         held while the machine runs
 *
 * `image` is written last: without it, and without `uuid` before it, the machine is new, and what
 * else is there is what was left when it was being made. Files of other names are a person's: they
 * stay, and so does a directory that holds one. `machines/.lock` is held while a directory comes
 * into being or goes.
 */
#define MACHINE_NAME_MAX        63 /* bytes: it becomes the guest's host name */
#define MACHINE_USER_MAX        32 /* bytes: useradd takes no more */
#define MACHINE_IMAGE_NAME_SIZE 96 /* of a name in the store, with its NUL */

struct machine_dir {
	char name[MACHINE_NAME_MAX + 1];
	char path[PATH_MAX]; /* absolute */
	char disk[PATH_MAX];
	uint8_t uuid[16];
	uint8_t is_new; /* not kept yet */
	uint8_t ephemeral;
	uint8_t is_open;
	char image[PATH_MAX];
	char image_format[8];            /* "raw" or "qcow2" */
	uint64_t image_size;             /* bytes of its file; 0: not known */
	int64_t image_mtime_ns;          /* since 1970 */
	char user[MACHINE_USER_MAX + 1]; /* "": none */
	/* Of a new machine the caller's to fill in, before what writes them down. */
	char image_name[MACHINE_IMAGE_NAME_SIZE]; /* by machine_dir_keep(); "": none is known */
	uint8_t has_password;                     /* by machine_dir_set_user() */
	int home_fd, dir_fd, lock_fd;
};

/*
 * A machine's name out of the image's, which is a file's name or one like ubuntu:24.04:
 * "ubuntu-24-04", "noble-server-cloudimg-amd64".
 */
void machine_dir_name(const char *image, char name[MACHINE_NAME_MAX + 1]);

/*
 * Opens the directory of machine @name, which it makes if need be, and locks it. 0; -EINVAL for a
 * name that is no host name or a file in it that is damaged, -ELOOP if it is a symbolic link, which
 * is not followed, -EBUSY if the machine runs, or -errno; after one sentence. An @ephemeral one has
 * a directory of its own that nobody else sees. What ephemeral ones that were killed have left is
 * removed.
 */
int machine_dir_open(struct machine_dir *d, const char *name, int ephemeral);

/*
 * From now on the machine is kept, over that image: an absolute path, "raw" or "qcow2", and its
 * file's size in bytes and time of last change; size 0 of what has none, as a block device. Call it
 * last, once nothing else can fail: the disk is made, the kernel found, the seed made. 0 or -errno,
 * said; the machine is then still new.
 */
int machine_dir_keep(struct machine_dir *d, const char *image, const char *format, uint64_t size,
		     int64_t mtime_ns);

/*
 * Whether the disk was made over that image file, as it is now. The size and time are not compared
 * where they were not known when the machine was kept, nor those of a file of the store, which is
 * named by its content.
 */
int machine_dir_is_over(const struct machine_dir *d, const char *image, uint64_t size,
			int64_t mtime_ns);

/* Whether it was made from image @name of the store, as far as that is known. */
int machine_dir_is_from(const struct machine_dir *d, const char *name);

/* Writes down who the guest's user is; of a new machine before it is kept. 0 or -errno, said. */
int machine_dir_set_user(struct machine_dir *d, const char *user);

/*
 * Gives the lock back. What is not to be kept goes: an ephemeral machine's files, and a new one's,
 * which is any until machine_dir_keep(); then their directory, if that was all. May be called on a
 * zeroed struct, on one whose opening failed, and twice.
 */
void machine_dir_close(struct machine_dir *d);

#endif
