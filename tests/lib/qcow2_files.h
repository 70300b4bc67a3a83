/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_QCOW2_FILES_H
#define TESTS_LIB_QCOW2_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "devices/block/block.h"
#include "vmm/loop.h"

/*
 * Disk images in a directory of the test's own, opened on the real loop, and the bytes that should
 * be on them. There is one set; files_up() and files_down() are cmocka's setup and teardown of each
 * test. What fails fails the test. tests/lib/said.h listens.
 */
#define FILES_SIZE (3u << 20) /* of each disk */

struct qcow2_files {
	struct loop *loop; /* NULL: no io_uring here */
	uint8_t model[FILES_SIZE];
	/* Of requests whose done is files_done(): how many were answered, and what the last said.
	 */
	unsigned answers;
	int result;
};

extern struct qcow2_files files;

int files_up(void **state);
int files_down(void **state);

/* Skips the test, with the reason, if there is no loop or no qemu-img. */
void files_need_judge(void);

/*
 * The path of @name in the directory; good for the next few calls. files_down() removes raw, a, b,
 * c, out and canary: a test uses no other names.
 */
const char *files_path(const char *name);

/* qcow2_open() of @name on the loop; all files below it are approved of. */
int files_open(const char *name, int read_only, struct blk **blk);
void files_close(struct blk *blk);

/* One request of @len bytes at @p, in two pieces: what it was answered with. */
int files_request(struct blk *blk, enum blk_op op, uint64_t off, void *p, size_t len);
void files_done(struct blk_req *req, int res);

/* Makes a model from @seed: text that can be compressed, noise, holes. */
void files_make_model(uint32_t seed);
/* Writes the model to the raw file @name. */
void files_put_model(const char *name);
/* @n writes from @seed, some of zeroes and some flushed, to the disk and to the model. */
void files_some_writes(struct blk *blk, uint32_t seed, unsigned n);

/* The whole disk, read in pieces of several sizes, is the model. */
void files_compare(struct blk *blk);
/*
 * qcow2_check() and qemu-img find the closed image @name clean, and qemu-img reads the model from
 * it; "out" is overwritten.
 */
void files_judge(const char *name);

#endif
