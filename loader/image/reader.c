/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a disk at once and at any place, and opens the disk from descriptors. On the only thread of
 * skiff-image. Knows no partition and no file system.
 */
#include "loader/image/reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/block/qcow2.h"
#include "devices/block/raw.h"
#include "vmm/log.h"

#define SECTOR    512u
#define CACHE     (1u << 20)
#define PIECE_MAX (1u << 30) /* a system call moves less than 2 GiB */

struct ask {
	struct blk_req req;
	int answered, res;
};

static void answer(struct blk_req *req, int res)
{
	struct ask *ask = (struct ask *)req;

	ask->answered = 1;
	ask->res = res;
}

/* Whole sectors. */
static int ask_disk(struct blk *blk, uint64_t off, void *to, size_t len)
{
	struct iovec v = {to, len};
	struct ask ask = {
		.req = {.op = BLK_READ, .off = off, .len = len, .v = &v, .n = 1, .done = answer},
	};

	blk->ops->submit(blk, &ask.req);
	if (!ask.answered)
		return -EIO;
	return ask.res;
}

int reader_read(struct reader *r, uint64_t off, void *to, size_t len)
{
	uint8_t sector[SECTOR], *p = to;
	size_t odd, n;
	int res;

	if (off > r->blk->size || len > r->blk->size - off)
		return -ERANGE;
	if (r->budget < READER_COST || len > r->budget - READER_COST) {
		r->budget = 0;
		return -EDQUOT;
	}
	r->budget -= READER_COST + len;
	for (; len > 0; off += n, p += n, len -= n) {
		odd = off % SECTOR;
		if (odd || len < SECTOR) {
			n = SECTOR - odd < len ? SECTOR - odd : len;
			res = ask_disk(r->blk, off - odd, sector, SECTOR);
			if (res == 0)
				memcpy(p, sector + odd, n);
		} else {
			n = (len < PIECE_MAX ? len : PIECE_MAX) & ~(size_t)(SECTOR - 1);
			res = ask_disk(r->blk, off, p, n);
		}
		if (res < 0)
			return res;
	}
	return 0;
}

/* --- the disk -------------------------------------------------------------------------------- */

struct chain {
	const struct reader_file *files;
	unsigned n, taken;
};

static int next_below(void *arg, const char *path, const char *format)
{
	struct chain *chain = arg;
	const struct reader_file *f = &chain->files[chain->taken];

	if (chain->taken == chain->n)
		return log_fail(-ENOENT, "disk: %s is needed below %s, and was not given", path,
				chain->files[chain->n - 1].name);
	if (f->is_qcow2 != !strcmp(format, "qcow2"))
		return log_fail(-EINVAL, "disk: %s: given as %s, but the image above it says %s",
				f->name, f->is_qcow2 ? "qcow2" : "raw", format);
	chain->taken++;
	return f->fd;
}

int reader_open_chain(const struct reader_file *files, unsigned n, struct blk **out)
{
	struct chain chain = {.files = files, .n = n, .taken = 1};
	int r;

	if (n == 0)
		return log_fail(-EINVAL, "disk: no image was given");
	if (files[0].is_qcow2)
		r = qcow2_open(NULL,
			       &(struct qcow2_params){
				       .path = files[0].name,
				       .has_fd = 1,
				       .fd = files[0].fd,
				       .no_lock = 1,
				       .read_only = 1,
				       .cache_bytes = CACHE, /* each file of a chain has one */
				       .open_backing = next_below,
				       .approve_arg = &chain,
			       },
			       out);
	else
		r = raw_open(NULL,
			     &(struct raw_params){
				     .path = files[0].name,
				     .has_fd = 1,
				     .fd = files[0].fd,
				     .no_lock = 1,
				     .read_only = 1,
			     },
			     out);
	for (; chain.taken < n; chain.taken++)
		close(files[chain.taken].fd);
	return r;
}
