/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_BLOCK_RAW_H
#define DEVICES_BLOCK_RAW_H

#include <stdint.h>

#include "devices/block/block.h"

struct loop;

/*
 * A disk whose bytes are those of a regular file or a block device, in the same order. What the
 * guest writes there is never looked at: raw is raw.
 *
 * Everything runs on the loop (io_uring underneath). FLUSH is fdatasync; once that has failed,
 * every later flush fails with -EIO until the disk is opened anew, because the kernel reports a
 * lost write only once. DISCARD punches a hole. WRITE_ZEROES punches, or zeroes the range, or,
 * where the file system can do neither, writes zeroes.
 *
 * While open the image is locked (OFD lock, fcntl(2)): for one writer or for any number of
 * readers.
 */
struct raw_params {
	const char *path;
	/*
	 * A descriptor to use instead of opening @path, which is a name for messages then. It is
	 * the disk's from the call on, also when that fails; it may be of a memfd. Its file status
	 * flags become those of one that is opened here.
	 */
	uint8_t has_fd;
	int fd;
	/*
	 * Take no lock: whoever gave the descriptor sees to it. A lock is the open file
	 * description's, so one taken through a duplicate replaces the one that is there, and stays
	 * until the last duplicate is closed.
	 */
	uint8_t no_lock;
	uint8_t read_only;
	/*
	 * O_DIRECT: around the host's page cache. Requests whose memory or place on the disk is
	 * not aligned as the file system wants it are served through a bounce buffer, one at a
	 * time.
	 */
	uint8_t direct;
	uint32_t direct_align; /* 0: ask the kernel; else at least so many bytes, a power of two */
};

/*
 * 0; or says what is wrong and returns -ENOENT, -EACCES ..., -EBUSY (another program has locked
 * it), or -EINVAL: no regular file or block device, empty, or a size that is no multiple of 512
 * (or of what direct I/O needs). Such a size is refused and not rounded: a guest would lose the
 * tail or write past it.
 *
 * Without a loop (NULL) the disk must be read-only, and a request is answered before submit
 * returns: for programs that read an image once and have nothing else to do meanwhile.
 */
int raw_open(struct loop *loop, const struct raw_params *params, struct blk **out);

#endif
