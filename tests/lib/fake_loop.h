/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_FAKE_LOOP_H
#define TESTS_LIB_FAKE_LOOP_H

#include <stdint.h>
#include <sys/uio.h>

#include "vmm/loop.h"

/*
 * A loop for tests of what submits to one: link it in place of vmm/loop.c. Operations wait until
 * the test lets them happen; then the system call is made, unless the script says otherwise.
 */
enum fake_kind { FAKE_READV, FAKE_WRITEV, FAKE_FDATASYNC, FAKE_FALLOCATE };

struct fake_op {
	enum fake_kind kind;
	struct op *op;
	int fd, mode;
	const struct iovec *v;
	unsigned n;
	uint64_t off, len;
};

/* @nth operation (from 1): @res < 0 is its result; @res > 0 the most bytes that it moves. */
struct fake_step {
	unsigned nth;
	int res;
};

#define FAKE_LOOP_OPS_MAX 1024

struct loop {
	struct fake_op pending[FAKE_LOOP_OPS_MAX]; /* oldest first */
	unsigned n_pending, most_pending;
	unsigned seen; /* operations so far */
	unsigned count[FAKE_FALLOCATE + 1];
	const struct fake_step *script; /* ended by nth 0; NULL: none */
	/* Asked before the script: a result, or 1 to go on. NULL: none. */
	int (*judge)(const struct fake_op *op);
};

/* Lets the @i-th oldest operation happen. */
void fake_loop_step(struct loop *loop, unsigned i);
/* Lets all happen, also those that come up meanwhile; order from @seed, 0: oldest first. */
void fake_loop_run(struct loop *loop, uint32_t seed);

#endif
