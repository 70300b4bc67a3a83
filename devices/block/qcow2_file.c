/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transfers between a qcow2 image and its file: whole, or failed. On the loop's thread; where there
 * is no loop, and when the disk is being closed, the same calls make the system calls themselves.
 * Knows nothing of what the bytes mean.
 *
 * System calls (without a loop): preadv, pwritev, fdatasync, fallocate.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "devices/block/qcow2_image.h"
#include "vmm/container_of.h"

#define HOLE (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static uint8_t zeroes[QIO_ZEROES_LEN] __attribute__((aligned(4096))); /* never written */

unsigned qio_zeroes(struct iovec *v, unsigned max, uint64_t len)
{
	unsigned n = 0;

	for (; len > 0; n++) {
		uint64_t part = len < QIO_ZEROES_LEN ? len : QIO_ZEROES_LEN;

		if (n == max)
			return 0;
		v[n] = (struct iovec){zeroes, (size_t)part};
		len -= part;
	}
	return n;
}

static void submit(struct qio *io);

static void pass(struct qio *io, uint64_t len)
{
	io->off += len;
	io->left -= len;
	while (io->n > 0 && len >= io->v->iov_len) {
		len -= io->v->iov_len;
		io->v++;
		io->n--;
	}
	if (len > 0) {
		io->v->iov_base = (uint8_t *)io->v->iov_base + len;
		io->v->iov_len -= len;
	}
}

/* Behind the end of the file there is nothing, which reads as zeroes. */
static void read_nothing(struct qio *io)
{
	for (unsigned i = 0; i < io->n; i++)
		memset(io->v[i].iov_base, 0, io->v[i].iov_len);
	io->left = 0;
}

static void came(struct op *op, int res)
{
	struct qio *io = container_of(op, struct qio, op);
	struct qcow2 *q = io->q;

	if (res == -EINTR || res == -EAGAIN) {
		submit(io);
		return;
	}
	if (res >= 0 && (io->kind == QIO_READ || io->kind == QIO_WRITE)) {
		if ((uint64_t)res > io->left)
			res = (int)io->left;
		pass(io, (uint64_t)res);
		if (res == 0 && io->left > 0 && io->kind == QIO_READ)
			read_nothing(io);
		if (res == 0 && io->left > 0)
			res = -EIO;
		if (res >= 0 && io->left > 0) {
			submit(io);
			return;
		}
	}
	io->fn(io, res < 0 ? res : 0);
	qcow2_drain(q);
}

static int transfer_now(const struct qio *io)
{
	int n = io->n < IOV_MAX ? (int)io->n : IOV_MAX;
	ssize_t r = -1;

	switch (io->kind) {
	case QIO_READ:
		r = preadv(io->q->fd, io->v, n, (off_t)io->off);
		break;
	case QIO_WRITE:
		r = pwritev(io->q->fd, io->v, n, (off_t)io->off);
		break;
	case QIO_SYNC:
		r = fdatasync(io->q->fd);
		break;
	case QIO_PUNCH:
		r = fallocate(io->q->fd, HOLE, (off_t)io->off, (off_t)io->left);
		break;
	}
	return r < 0 ? -errno : (int)r;
}

static void submit(struct qio *io)
{
	struct qcow2 *q = io->q;
	unsigned n = io->n < IOV_MAX ? io->n : IOV_MAX;

	if (!q->loop) {
		io->res = transfer_now(io);
		io->next = NULL;
		*q->sync_tail = io;
		q->sync_tail = &io->next;
		return;
	}
	switch (io->kind) {
	case QIO_READ:
		loop_readv(q->loop, &io->op, q->fd, io->v, n, io->off);
		break;
	case QIO_WRITE:
		loop_writev(q->loop, &io->op, q->fd, io->v, n, io->off);
		break;
	case QIO_SYNC:
		loop_fdatasync(q->loop, &io->op, q->fd);
		break;
	case QIO_PUNCH:
		loop_fallocate(q->loop, &io->op, q->fd, HOLE, io->off, io->left);
		break;
	}
}

void qio_transfer(struct qio *io, struct qcow2 *q, enum qio_kind kind, uint64_t off, uint64_t len)
{
	io->op.fn = came;
	io->q = q;
	io->kind = kind;
	io->off = off;
	io->left = len;
	submit(io);
}

void qio_one(struct qio *io, struct qcow2 *q, enum qio_kind kind, void *p, uint64_t off,
	     uint64_t len)
{
	io->one = (struct iovec){p, (size_t)len};
	io->v = &io->one;
	io->n = 1;
	qio_transfer(io, q, kind, off, len);
}

void qio_sync(struct qio *io, struct qcow2 *q)
{
	io->n = 0;
	qio_transfer(io, q, QIO_SYNC, 0, 0);
}

void qio_punch(struct qio *io, struct qcow2 *q, uint64_t off, uint64_t len)
{
	io->n = 0;
	qio_transfer(io, q, QIO_PUNCH, off, len);
}

void qio_run(struct qcow2 *q)
{
	while (q->sync) {
		struct qio *io = q->sync;

		q->sync = io->next;
		if (!q->sync)
			q->sync_tail = &q->sync;
		came(&io->op, io->res);
	}
}
