/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop of the tests: a list of operations, each made by the system call that it stands for
 * when the test says so, or failed, or cut short. On the test's thread.
 */
#include "tests/lib/fake_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add(struct loop *loop, struct fake_op op)
{
	if (loop->n_pending == FAKE_LOOP_OPS_MAX) {
		fprintf(stderr, "fake loop: more operations than anyone should have\n");
		abort();
	}
	for (unsigned i = 0; i < loop->n_pending; i++)
		if (loop->pending[i].op == op.op) {
			fprintf(stderr, "fake loop: an op that is under way already\n");
			abort();
		}
	loop->pending[loop->n_pending++] = op;
	if (loop->n_pending > loop->most_pending)
		loop->most_pending = loop->n_pending;
}

void loop_readv(struct loop *loop, struct op *op, int fd, const struct iovec *v, unsigned n,
		uint64_t off)
{
	add(loop, (struct fake_op){FAKE_READV, op, fd, 0, v, n, off, 0});
}

void loop_writev(struct loop *loop, struct op *op, int fd, const struct iovec *v, unsigned n,
		 uint64_t off)
{
	add(loop, (struct fake_op){FAKE_WRITEV, op, fd, 0, v, n, off, 0});
}

void loop_fdatasync(struct loop *loop, struct op *op, int fd)
{
	add(loop, (struct fake_op){FAKE_FDATASYNC, op, fd, 0, NULL, 0, 0, 0});
}

void loop_fallocate(struct loop *loop, struct op *op, int fd, int mode, uint64_t off, uint64_t len)
{
	add(loop, (struct fake_op){FAKE_FALLOCATE, op, fd, mode, NULL, 0, off, len});
}

/* The first @max bytes of the operation's segments. */
static unsigned cut(const struct fake_op *op, size_t max, struct iovec *out)
{
	unsigned n = 0;

	for (; n < op->n && max > 0; n++) {
		out[n] = op->v[n];
		if (out[n].iov_len > max)
			out[n].iov_len = max;
		max -= out[n].iov_len;
	}
	return n;
}

static ssize_t make(const struct fake_op *op, size_t max)
{
	static struct iovec v[1024];

	switch (op->kind) {
	case FAKE_READV:
		return preadv(op->fd, v, (int)cut(op, max, v), (off_t)op->off);
	case FAKE_WRITEV:
		return pwritev(op->fd, v, (int)cut(op, max, v), (off_t)op->off);
	case FAKE_FDATASYNC:
		return fdatasync(op->fd);
	case FAKE_FALLOCATE:
		return fallocate(op->fd, op->mode, (off_t)op->off, (off_t)op->len);
	}
	return -1;
}

void fake_loop_step(struct loop *loop, unsigned i)
{
	struct fake_op op = loop->pending[i];
	int res = 1;
	size_t max = SIZE_MAX;
	ssize_t r;

	memmove(&loop->pending[i], &loop->pending[i + 1],
		(--loop->n_pending - i) * sizeof(loop->pending[0]));
	loop->seen++;
	loop->count[op.kind]++;
	if (loop->judge)
		res = loop->judge(&op);
	for (const struct fake_step *s = loop->script; res == 1 && s && s->nth; s++)
		if (s->nth == loop->seen) {
			if (s->res > 0)
				max = (size_t)s->res;
			else
				res = s->res;
		}
	if (res == 1) {
		r = make(&op, max);
		res = r < 0 ? -errno : (int)r;
	}
	op.op->fn(op.op, res);
}

void fake_loop_run(struct loop *loop, uint32_t seed)
{
	while (loop->n_pending > 0) {
		unsigned i = 0;

		if (seed) {
			/* xorshift32 */
			seed ^= seed << 13;
			seed ^= seed >> 17;
			seed ^= seed << 5;
			i = seed % loop->n_pending;
		}
		fake_loop_step(loop, i);
	}
}
