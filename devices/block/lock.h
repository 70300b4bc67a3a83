/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_BLOCK_LOCK_H
#define DEVICES_BLOCK_LOCK_H

#include <sys/stat.h>

/*
 * Locks the image that is open as @fd, for @writing or else for reading, until its last descriptor
 * is closed (fcntl, F_OFD_SETLK): 0; -EBUSY if another program has it, also after a moment, or
 * -errno, after one sentence that begins with @who and @path. @advice is what else to do than to
 * stop the other one, LOCK_SHARE or "". @st is then what the file is: until it was locked another
 * may have made it longer.
 */
int lock_image(int fd, int writing, const char *who, const char *path, const char *advice,
	       struct stat *st);

#define LOCK_SHARE ", or make the disk read-only in both"

#endif
