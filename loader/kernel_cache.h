/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_KERNEL_CACHE_H
#define LOADER_KERNEL_CACHE_H

#include "loader/file.h"

/*
 * Kernels as they were when they had been unpacked, so that a later boot reads them instead:
 *
 *   $XDG_CACHE_HOME/skiff/kernels/ID	what was packed in a file, its blocks of zeroes being
 *					holes; then 8 bytes `skiffker` and its length in 8
 *
 * ID is the file's device, inode, length and times of last change, which bytes of it were unpacked,
 * and a checksum of the last of those, for devices that come and go. (A digest of all would be
 * slower to compute than LZ4 is to unpack.) A file without a name, or changed a moment ago, is not
 * kept.
 *
 * A file is written as .new-ID, by one process at a time, which holds a lock on it (flock), is made
 * durable by the caller, and only then renamed: what is called by an ID is whole. The directory,
 * and files in it, count only if they are this user's and nobody else may write to them; then they
 * are believed, as a kernel is that the user names. The KERNEL_CACHE_MAX that were used last are
 * kept.
 *
 * A cache can fail in any way; then the kernel is unpacked as without it, and nothing is said.
 */
#define KERNEL_CACHE_MAX    8
#define KERNEL_CACHE_ID_MAX 128

struct kernel_cache {
	uint64_t now_ns;                  /* the time of day, since 1970, when it was opened */
	int dir_fd;                       /* -1: nothing is kept */
	char id[KERNEL_CACHE_ID_MAX];     /* of the kernel last asked for; "": it is not kept */
	int used;                         /* that came from here */
	int new_fd;                       /* .new-ID, written and not renamed yet; -1: none */
	char new_id[KERNEL_CACHE_ID_MAX]; /* of that one */
};

/*
 * In @dir, which is made if need be; NULL: the user's, as above. kernel_cache_close() undoes it,
 * and forgets a new file.
 */
void kernel_cache_open(struct kernel_cache *c, const char *dir, uint64_t now_ns);
void kernel_cache_close(struct kernel_cache *c);

/*
 * Reads what bytes [@off, @off + @len) of kernel @f were unpacked to into @dst, which is zeroes,
 * @cap bytes of them, and stores its size. -ENOENT if it is not here; @dst is then still, or again,
 * zeroes. @c may be NULL.
 */
int kernel_cache_get(struct kernel_cache *c, const struct file *f, uint64_t off, size_t len,
		     void *dst, size_t cap, size_t *size);

/*
 * After kernel_cache_get(): writes the @size bytes that they were unpacked to into c->new_fd,
 * unless there is one already, another process is at it, or the file has changed meanwhile. @c may
 * be NULL.
 */
void kernel_cache_put(struct kernel_cache *c, const struct file *f, uint64_t off, size_t len,
		      const void *data, size_t size);

/* c->new_fd has been made durable (fdatasync): gives it its name, and closes it. */
void kernel_cache_name(struct kernel_cache *c);

/* Removes the new file, if there is one. @c may be NULL. */
void kernel_cache_forget(struct kernel_cache *c);

#endif
