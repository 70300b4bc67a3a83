/* SPDX-License-Identifier: BSD-2-Clause */
/* The images of tests that have the real loop, and the model. On the test's thread. */
#include "tests/lib/qcow2_files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "tests/lib/qemu_img.h"
#include "tests/lib/said.h"
#include "vmm/log.h"

struct qcow2_files files;

static char dir[64];

const char *files_path(const char *name)
{
	static char paths[8][128];
	static unsigned next;

	next = (next + 1) % 8;
	snprintf(paths[next], sizeof(paths[next]), "%s/%s", dir, name);
	return paths[next];
}

int files_up(void **state)
{
	(void)state;
	said_start();
	if (loop_create(&files.loop, 64))
		files.loop = NULL;
	snprintf(dir, sizeof(dir), "/tmp/test_qcow2.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

int files_down(void **state)
{
	static const char *const names[] = {"raw", "a", "b", "c", "out", "canary"};

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(files_path(names[i]));
	if (files.loop)
		loop_destroy(files.loop);
	log_set_sink(NULL, NULL);
	return rmdir(dir);
}

void files_need_judge(void)
{
	if (!files.loop || !qemu_img_is_there()) {
		print_message("%s\n", files.loop ? "no qemu-img here" : "no io_uring here");
		skip();
	}
}

void files_done(struct blk_req *req, int res)
{
	(void)req;
	files.result = res;
	files.answers++;
}

int files_request(struct blk *blk, enum blk_op op, uint64_t off, void *p, size_t len)
{
	struct iovec v[2] = {{p, len / 3}, {(uint8_t *)p + len / 3, len - len / 3}};
	struct blk_req req = {.op = op, .off = off, .len = len, .v = v, .n = 2, .done = files_done};

	files.answers = 0;
	loop_lock(files.loop);
	blk->ops->submit(blk, &req);
	loop_unlock(files.loop);
	while (!files.answers)
		loop_run_once(files.loop);
	return files.result;
}

void files_close(struct blk *blk)
{
	loop_lock(files.loop);
	blk->ops->close(blk);
	loop_unlock(files.loop);
}

static int approve_all(void *arg, const char *path, const char *format)
{
	(void)arg;
	(void)path;
	(void)format;
	return 1;
}

int files_open(const char *name, int read_only, struct blk **blk)
{
	struct qcow2_params p = {
		.path = files_path(name),
		.read_only = (uint8_t)read_only,
		.approve_backing = approve_all,
	};

	return qcow2_open(files.loop, &p, blk);
}

void files_make_model(uint32_t seed)
{
	for (uint32_t i = 0; i < FILES_SIZE; i++) {
		seed = seed * 1664525 + 1013904223;
		files.model[i] = i % (512u << 10) < (128u << 10) ? (uint8_t)(seed >> 24)
								 : (uint8_t)(i / 512 + i % 7);
		if (i % (256u << 10) > (192u << 10))
			files.model[i] = 0;
	}
}

void files_put_model(const char *name)
{
	int fd = open(files_path(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, files.model, FILES_SIZE), FILES_SIZE);
	close(fd);
}

void files_compare(struct blk *blk)
{
	static uint8_t got[FILES_SIZE];
	static const uint32_t pieces[] = {FILES_SIZE, 65536 * 3, 4096, 9 * 512};

	assert_int_equal(blk->size, FILES_SIZE);
	for (unsigned i = 0; i < 4; i++) {
		memset(got, 0xcc, FILES_SIZE);
		for (uint32_t at = 0; at < FILES_SIZE;) {
			uint32_t n = FILES_SIZE - at < pieces[i] ? FILES_SIZE - at : pieces[i];

			assert_int_equal(files_request(blk, BLK_READ, at, got + at, n), 0);
			at += n;
		}
		assert_memory_equal(got, files.model, FILES_SIZE);
	}
}

void files_some_writes(struct blk *blk, uint32_t seed, unsigned n)
{
	static uint8_t bytes[300 * 1024];

	for (unsigned i = 0; i < n; i++) {
		uint32_t at, len;

		seed = seed * 1664525 + 1013904223;
		at = (seed >> 8) % (FILES_SIZE / 512);
		seed = seed * 1664525 + 1013904223;
		len = 1 + (seed >> 8) % (i % 4 ? 40 : sizeof(bytes) / 512 - 1);
		if (len > FILES_SIZE / 512 - at)
			len = FILES_SIZE / 512 - at;
		memset(bytes, (int)(seed >> 20), len * 512);
		if (i % 5 == 4) {
			assert_int_equal(
				files_request(blk, BLK_WRITE_ZEROES, at * 512ull, bytes, len * 512),
				0);
			memset(bytes, 0, len * 512);
		} else {
			assert_int_equal(
				files_request(blk, BLK_WRITE, at * 512ull, bytes, len * 512), 0);
		}
		memcpy(files.model + at * 512, bytes, len * 512);
		if (i % 7 == 6)
			assert_int_equal(files_request(blk, BLK_FLUSH, 0, NULL, 0), 0);
	}
}

void files_judge(const char *name)
{
	struct qcow2_check found;

	assert_int_equal(qcow2_check(files_path(name), &found), 0);
	assert_int_equal(found.errors, 0);
	assert_int_equal(found.leaks, 0);
	assert_int_equal(qemu_img("check", "-f", "qcow2", files_path(name), NULL), 0);
	files_put_model("out");
	assert_int_equal(qemu_img("compare", "-f", "qcow2", "-F", "raw", files_path(name),
				  files_path("out"), NULL),
			 0);
}
