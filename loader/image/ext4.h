/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_EXT4_H
#define LOADER_IMAGE_EXT4_H

#include <stddef.h>
#include <stdint.h>

#include "loader/image/reader.h"

/*
 * An ext2, ext3 or ext4 file system inside a disk, for reading. Paths begin at its root; symbolic
 * links are followed and stay inside it: an absolute one begins at the root again, and `..` of the
 * root is the root. The journal is not replayed.
 *
 * Errors are -errno and silent: -ENOENT, -ELOOP, -EISDIR, -EFBIG, -EUCLEAN where the file system
 * contradicts itself, -EDQUOT where reading it came to no end.
 */
struct ext4;

/* @r stays the caller's and must outlive it. */
int ext4_open(struct reader *r, uint64_t start, uint64_t len, struct ext4 **out);
void ext4_close(struct ext4 *fs);

/* It was not unmounted: what the journal has is missing from what is seen here. */
int ext4_needs_recovery(const struct ext4 *fs);

struct ext4_file {
	uint32_t ino;
	uint64_t size;
	char path[256]; /* where it is once links have been followed; may be cut */
};

/* Finds the regular file that @path leads to. 0 or -errno. */
int ext4_find(struct ext4 *fs, const char *path, struct ext4_file *file);

/*
 * The whole of a file of at most @max bytes as a string; bytes after a NUL are there, too.
 * The caller frees it. NULL with *@err.
 */
char *ext4_read_text(struct ext4 *fs, const char *path, size_t max, int *err);

/* Writes the file to @fd from @at on; holes stay holes. 0 or -errno. */
int ext4_copy(struct ext4 *fs, const struct ext4_file *file, int fd, uint64_t at);

/* Calls @each with the names in a directory until it returns nonzero. 0 or -errno. */
int ext4_list(struct ext4 *fs, const char *path, int (*each)(void *arg, const char *name),
	      void *arg);

#endif
