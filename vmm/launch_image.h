/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_LAUNCH_IMAGE_H
#define VMM_LAUNCH_IMAGE_H

#include <limits.h>
#include <stdint.h>

/*
 * The published image behind the word that the user gave: a file where the word has a slash or a
 * file is called so, else a name of the store, which is fetched if it is not here.
 */
struct launch_image {
	char path[PATH_MAX]; /* absolute */
	uint8_t qcow2;       /* else raw */
	uint64_t size;       /* bytes that a guest sees */
	uint64_t file_size;  /* bytes of the file, and when it was last changed */
	int64_t mtime_ns;
	int lock; /* of the store: held until launch_image_settle(); -1: none */
};

/*
 * @format: "raw", "qcow2", or NULL: what the store says, or, of a file, what its first bytes say.
 * They may say so because nobody has written to it yet but its publisher: machines write to disks
 * of their own. Even so a file that calls itself qcow2 gets nothing opened but itself.
 *
 * 0, or -errno after one sentence; -EINVAL also for a kernel, with a word on --kernel.
 */
int launch_image_find(const char *word, const char *format, struct launch_image *out);

/* Whether the two names are of one image in the store. What is not there is itself alone. */
int launch_image_is_same(const char *name, const char *other);

/* Whether @word means a file: it has a slash in it, or a file, no directory, is called so. */
int launch_image_is_file(const char *word);

/*
 * The image that a machine is laid over already: @path and @format ("raw", "qcow2") as they were
 * written down. 0 or -errno, said.
 */
int launch_image_again(const char *path, const char *format, struct launch_image *out);

/* The machine that is laid over it is written down: the store may go on. */
void launch_image_settle(struct launch_image *image);

#endif
