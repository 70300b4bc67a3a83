/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens and closes raw disks: what the file is, how large, whose, and what its file system can
 * do. Runs at start-up and on the loop's thread at close; requests are raw_io.c's.
 *
 * System calls: openat, fstat, fcntl (flags), statx, ioctl(BLK*), fallocate (one probe),
 * mmap.
 */
#include "devices/block/raw.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/lock.h"
#include "devices/block/raw_io.h"
#include "vmm/container_of.h"
#include "vmm/log.h"

#define ALIGN_MAX 65536u /* divides RAW_BOUNCE_LEN */

static int open_image(const struct raw_params *p)
{
	/* O_NONBLOCK: do not hang on a FIFO; it is taken back once we know that it is none. */
	int flags = (p->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(p->path, flags | (p->direct ? O_DIRECT : 0)), e = errno;

	if (fd >= 0)
		return fd;
	if (e == EINVAL && p->direct)
		return log_fail(-e, "disk: %s: its file system has no direct I/O: leave direct out",
				p->path);
	if ((e == EACCES || e == EROFS || e == EPERM) && !p->read_only)
		return log_fail(-e,
				"disk: %s: cannot open for writing: %s: change its permissions, or "
				"make the disk read-only",
				p->path, strerror(e));
	return log_fail(-e, "disk: %s: cannot open: %s", p->path, strerror(e));
}

/* Whether a descriptor that was given can do what is asked of it. */
static int check_mode(const struct raw *raw)
{
	int mode = fcntl(raw->fd, F_GETFL);

	if (mode < 0)
		return log_fail(-errno, "disk: %s: its descriptor cannot be used: %s", raw->path,
				strerror(errno));
	if ((mode & O_ACCMODE) == O_WRONLY || (!raw->blk.read_only && (mode & O_ACCMODE) != O_RDWR))
		return log_fail(-EACCES, "disk: %s: its descriptor is not open for %s", raw->path,
				raw->blk.read_only ? "reading" : "writing");
	return 0;
}

/* Size and blocks of a block device. */
static int ask_device(struct raw *raw)
{
	int logical = 0;
	unsigned physical = 0;

	if (ioctl(raw->fd, BLKGETSIZE64, &raw->blk.size) || ioctl(raw->fd, BLKSSZGET, &logical) ||
	    ioctl(raw->fd, BLKPBSZGET, &physical))
		return log_fail(-errno, "disk: %s: cannot learn its size: %s", raw->path,
				strerror(errno));
	if (logical != 512 && logical != 4096)
		return log_fail(-EINVAL, "disk: %s: blocks of %d bytes: only 512 and 4096 will do",
				raw->path, logical);
	raw->is_block_device = 1;
	raw->blk.block_size = (uint32_t)logical;
	raw->blk.phys_block_size = physical < (unsigned)logical ? (unsigned)logical : physical;
	raw->blk.can_discard = !raw->blk.read_only;
	return 0;
}

static int ask_file(struct raw *raw, const struct stat *st)
{
	raw->blk.size = (uint64_t)st->st_size;
	/* Partition tables inside images count in 512 bytes whatever the host's disk does. */
	raw->blk.block_size = 512;
	raw->blk.phys_block_size = st->st_blksize >= 4096 ? 4096 : 512;
	/* Past the end, so that it changes nothing. */
	raw->blk.can_discard =
		!raw->blk.read_only &&
		!fallocate(raw->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, st->st_size, 4096);
	raw->no_punch = !raw->blk.can_discard;
	return 0;
}

static int check_size(const struct raw *raw)
{
	uint64_t size = raw->blk.size;

	if (size == 0)
		return log_fail(-EINVAL,
				"disk: %s: is empty: give it a size with `truncate -s 10G`",
				raw->path);
	if (size % 512)
		return log_fail(-EINVAL,
				"disk: %s: size %llu is not a multiple of 512: if it is a raw "
				"image, extend it with `truncate -s %%512`",
				raw->path, (unsigned long long)size);
	if (size % raw->align)
		return log_fail(-EINVAL,
				"disk: %s: size %llu is not a multiple of the %u bytes that direct "
				"I/O needs: leave direct out, or extend it with `truncate -s %%%u`",
				raw->path, (unsigned long long)size, raw->align, raw->align);
	return 0;
}

static int is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

/* What O_DIRECT asks of places and of memory: statx(2) knows it since Linux 6.1. */
static int ask_alignment(struct raw *raw, const struct raw_params *p)
{
	uint32_t place = raw->is_block_device ? raw->blk.block_size : 4096, memory = 4096;
	uint32_t wanted = p->direct_align;

	if (wanted && (!is_power_of_two(wanted) || wanted > ALIGN_MAX))
		return log_fail(-EINVAL, "disk: %s: alignment %u: a power of two up to %u will do",
				raw->path, wanted, ALIGN_MAX);
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (!statx(raw->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) &&
	    (sx.stx_mask & STATX_DIOALIGN)) {
		if (!sx.stx_dio_offset_align)
			return log_fail(-EINVAL, "disk: %s: has no direct I/O: leave direct out",
					raw->path);
		place = sx.stx_dio_offset_align;
		memory = sx.stx_dio_mem_align;
	}
#endif
	if (place < wanted)
		place = wanted;
	if (!is_power_of_two(place) || place > ALIGN_MAX || !is_power_of_two(memory) ||
	    memory > 4096)
		return log_fail(-EINVAL, "disk: %s: direct I/O in units of %u: leave direct out",
				raw->path, place);
	raw->align = place;
	raw->mem_align = memory;
	if (raw->blk.phys_block_size < place)
		raw->blk.phys_block_size = place;
	raw->bounce.buf = mmap(NULL, RAW_BOUNCE_LEN, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw->bounce.buf == MAP_FAILED) {
		raw->bounce.buf = NULL;
		return log_fail(-ENOMEM, "disk: %s: out of memory", raw->path);
	}
	return 0;
}

static void raw_free(struct raw *raw)
{
	if (raw->fd >= 0)
		close(raw->fd); /* and the lock with it */
	if (raw->bounce.buf)
		munmap(raw->bounce.buf, RAW_BOUNCE_LEN);
	free(raw->path);
	free(raw);
}

static void raw_close(struct blk *blk)
{
	struct raw *raw = container_of(blk, struct raw, blk);

	assert(!raw->in_flight && !raw->bounce.req && !raw->waiting);
	raw_free(raw);
}

static const struct blk_ops raw_ops = {.submit = raw_submit, .close = raw_close};

static int examine(struct raw *raw, const struct raw_params *p)
{
	struct stat st;
	int r;

	if (!p->has_fd)
		raw->fd = open_image(p);
	if (raw->fd < 0)
		return raw->fd;
	r = check_mode(raw);
	if (r < 0)
		return r;
	if (fstat(raw->fd, &st))
		return log_fail(-errno, "disk: %s: cannot stat: %s", raw->path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return log_fail(
			-EINVAL,
			"disk: %s: neither a regular file nor a block device: name an image",
			raw->path);
	if (fcntl(raw->fd, F_SETFL, p->direct ? O_DIRECT : 0))
		return log_fail(-errno, "disk: %s: cannot set it up: %s", raw->path,
				strerror(errno));
	r = p->no_lock ? 0 : lock_image(raw->fd, !p->read_only, "disk", raw->path, LOCK_SHARE, &st);
	if (r < 0)
		return r;
	r = S_ISBLK(st.st_mode) ? ask_device(raw) : ask_file(raw, &st);
	if (r < 0)
		return r;
	raw->blk.can_write_zeroes = !raw->blk.read_only;
	if (p->direct) {
		r = ask_alignment(raw, p);
		if (r < 0)
			return r;
	}
	return check_size(raw);
}

int raw_open(struct loop *loop, const struct raw_params *p, struct blk **out)
{
	struct raw *raw = calloc(1, sizeof(*raw));
	int r;

	if (!raw) {
		if (p->has_fd)
			close(p->fd);
		return log_fail(-ENOMEM, "disk: %s: out of memory", p->path);
	}
	raw->fd = p->has_fd ? p->fd : -1;
	raw->loop = loop;
	raw->blk.ops = &raw_ops;
	raw->blk.read_only = p->read_only;
	raw->align = raw->mem_align = 1;
	raw->waiting_tail = &raw->waiting;
	raw->bounce.tail = &raw->bounce.head;
	raw->path = strdup(p->path);
	if (!raw->path) {
		r = log_fail(-ENOMEM, "disk: %s: out of memory", p->path);
		goto out_free;
	}
	r = examine(raw, p);
	if (r < 0)
		goto out_free;
	*out = &raw->blk;
	return 0;

out_free:
	raw_free(raw);
	return r;
}
