/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_FILE_H
#define LOADER_FILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * A file that a kernel or an initrd is read from. It is read by pread() and never mapped: someone
 * may truncate it meanwhile, and a mapping would answer that with SIGBUS.
 */
struct file {
	int fd;           /* the caller's */
	const char *what; /* "kernel" or "initrd", for messages */
	const char *path; /* for messages */
	uint64_t size;    /* bytes, when it was looked at; never 0 */
};

/* Bytes of a file in anonymous memory of their own, so that they go back to the host at once. */
struct file_bytes {
	uint8_t *data;
	size_t len;
};

/*
 * Looks at @fd. 0, -EINVAL for an empty file, -EISDIR, or -errno for anything else that is not a
 * regular file one can look at; says why. Nothing needs undoing.
 */
int file_init(struct file *f, int fd, const char *what, const char *path);

/*
 * Reads exactly @len bytes from @off. 0, -ENODATA if the file ends before that, or the -errno of
 * pread(); says why.
 */
int file_read(const struct file *f, uint64_t off, void *dst, size_t len);

/* The same into memory of its own: also -ENOMEM. file_free() undoes it, also on a zeroed struct. */
int file_slurp(const struct file *f, uint64_t off, size_t len, struct file_bytes *bytes);
void file_free(struct file_bytes *bytes);

#endif
