/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw disks over the real loop and real files: what opening says about them, the lock, reads and
 * writes, holes that give their space back, direct I/O. Skipped where io_uring is not to be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/raw.h"
#include "vmm/log.h"
#include "vmm/loop.h"

#define SIZE (4u << 20)

static struct loop *loop; /* NULL: no io_uring here */
static char dir[64], path[96], said[512];

static void listen_to_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(said, sizeof(said), "%s", line);
}

static int group_up(void **state)
{
	(void)state;
	log_set_sink(listen_to_log, NULL);
	snprintf(dir, sizeof(dir), "/tmp/test_raw.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/image", dir);
	if (loop_create(&loop, 64)) {
		print_message("no io_uring: %s\n", said);
		loop = NULL;
	}
	return 0;
}

static int group_down(void **state)
{
	(void)state;
	loop_destroy(loop);
	log_set_sink(NULL, NULL);
	return rmdir(dir);
}

static int up(void **state)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	(void)state;
	said[0] = 0;
	if (fd < 0 || ftruncate(fd, SIZE))
		return -1;
	return close(fd);
}

static int down(void **state)
{
	(void)state;
	return unlink(path);
}

static void need_loop(void)
{
	if (!loop) {
		print_message("    skipped: io_uring is not available here\n");
		skip();
	}
}

static struct blk *open_it(const struct raw_params *p)
{
	struct blk *blk;

	need_loop();
	if (raw_open(loop, p, &blk))
		fail_msg("%s", said);
	return blk;
}

static int result;
static unsigned left;

static void done(struct blk_req *req, int res)
{
	(void)req;
	if (res < 0)
		result = res;
	if (--left == 0)
		loop_stop(loop);
}

static int run(struct blk *blk, struct blk_req *reqs, unsigned n)
{
	result = 0;
	left = n;
	loop_lock(loop);
	for (unsigned i = 0; i < n; i++) {
		reqs[i].done = done;
		blk->ops->submit(blk, &reqs[i]);
	}
	loop_unlock(loop);
	loop_run(loop);
	return result;
}

static int request(struct blk *blk, enum blk_op op, uint64_t off, void *p, size_t len)
{
	struct iovec v = {p, len};
	struct blk_req req = {.op = op, .off = off, .len = len, .v = &v, .n = 1};

	return run(blk, &req, 1);
}

/* --- opening --------------------------------------------------------------------------------- */

static void expect_refusal(const struct raw_params *p, int err, const char *words)
{
	struct blk *blk = NULL;

	said[0] = 0;
	assert_int_equal(raw_open(loop, p, &blk), err);
	assert_null(blk);
	if (!strstr(said, p->path) || !strstr(said, words))
		fail_msg("'%s' names neither the file nor '%s'", said, words);
}

static void test_refusals(void **state)
{
	struct raw_params p = {.path = path};
	char other[128];

	(void)state;
	assert_int_equal(truncate(path, 0), 0);
	expect_refusal(&p, -EINVAL, "empty");
	assert_int_equal(truncate(path, 1000), 0);
	expect_refusal(&p, -EINVAL, "truncate -s %512");
	assert_int_equal(truncate(path, 512 * 9), 0);
	p.direct = 1;
	p.direct_align = 4096;
	expect_refusal(&p, -EINVAL, "direct");
	p = (struct raw_params){.path = "/nowhere/at/all"};
	expect_refusal(&p, -ENOENT, "cannot open");
	p.path = dir;
	p.read_only = 1;
	expect_refusal(&p, -EINVAL, "neither a regular file nor a block device");
	p.path = "/dev/null";
	expect_refusal(&p, -EINVAL, "neither a regular file nor a block device");
	snprintf(other, sizeof(other), "%s/fifo", dir);
	assert_int_equal(mkfifo(other, 0600), 0);
	p.path = other;
	expect_refusal(&p, -EINVAL, "neither a regular file nor a block device");
	unlink(other);
}

/* As somebody who may read and not write; root takes that part for a moment. */
static void test_permissions(void **state)
{
	uid_t me = geteuid();

	(void)state;
	need_loop();
	assert_int_equal(chmod(path, 0444) | chmod(dir, 0755), 0);
	assert_int_equal(me == 0 ? seteuid(65534) : 0, 0);
	expect_refusal(&(struct raw_params){.path = path}, -EACCES, "read-only");
	assert_int_equal(seteuid(me), 0);
}

/* B45: one writer, or many readers. */
static void test_lock(void **state)
{
	struct raw_params writer = {.path = path}, reader = {.path = path, .read_only = 1};
	struct blk *a, *b;

	(void)state;
	a = open_it(&writer);
	expect_refusal(&writer, -EBUSY, "in use");
	expect_refusal(&reader, -EBUSY, "in use");
	a->ops->close(a);
	a = open_it(&reader);
	b = open_it(&reader);
	expect_refusal(&writer, -EBUSY, "in use");
	a->ops->close(a);
	expect_refusal(&writer, -EBUSY, "in use");
	b->ops->close(b);
	a = open_it(&writer);
	a->ops->close(a);
}

/* A refused open leaves neither lock nor descriptor behind. */
static void test_nothing_left_behind(void **state)
{
	struct raw_params p = {.path = path};
	int before = dup(0), after;

	(void)state;
	close(before);
	assert_int_equal(truncate(path, 777), 0);
	for (unsigned i = 0; i < 10; i++)
		expect_refusal(&p, -EINVAL, "512");
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

static void test_facts(void **state)
{
	struct blk *blk = open_it(&(struct raw_params){.path = path});

	(void)state;
	assert_int_equal(blk->size, SIZE);
	assert_int_equal(blk->block_size, 512);
	assert_true(blk->phys_block_size >= 512);
	assert_true(blk->can_write_zeroes);
	assert_false(blk->read_only);
	blk->ops->close(blk);
	blk = open_it(&(struct raw_params){.path = path, .read_only = 1});
	assert_true(blk->read_only);
	assert_false(blk->can_write_zeroes);
	assert_false(blk->can_discard);
	blk->ops->close(blk);
}

/* B41: an image that says it is something else stays bytes. */
static void test_no_probing(void **state)
{
	uint8_t qcow2[512] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3}, back[512];
	struct blk *blk = open_it(&(struct raw_params){.path = path});

	(void)state;
	assert_int_equal(request(blk, BLK_WRITE, 0, qcow2, 512), 0);
	blk->ops->close(blk);
	blk = open_it(&(struct raw_params){.path = path});
	assert_int_equal(blk->size, SIZE);
	assert_int_equal(request(blk, BLK_READ, 0, back, 512), 0);
	assert_memory_equal(back, qcow2, 512);
	blk->ops->close(blk);
}

/* --- requests -------------------------------------------------------------------------------- */

static void round_trip(const struct raw_params *p, unsigned misplaced)
{
	enum { N = 300, LEN = 4096 };
	struct blk *blk = open_it(p);
	uint8_t *mem = NULL, *back = NULL;
	static struct blk_req reqs[N];
	static struct iovec v[N];

	assert_int_equal(posix_memalign((void **)&mem, 4096, N * LEN + 4096), 0);
	assert_int_equal(posix_memalign((void **)&back, 4096, N * LEN + 4096), 0);
	for (size_t i = 0; i < N * LEN; i++)
		mem[misplaced + i] = (uint8_t)(i * 17 + i / 4096);
	for (unsigned write = 2; write-- > 0;) {
		for (unsigned i = 0; i < N; i++) {
			v[i] = (struct iovec){(write ? mem : back) + misplaced + i * LEN, LEN};
			reqs[i] = (struct blk_req){.op = write ? BLK_WRITE : BLK_READ,
						   .off = ((i * 7) % N) * LEN,
						   .len = LEN,
						   .v = &v[i],
						   .n = 1};
		}
		assert_int_equal(run(blk, reqs, N), 0);
	}
	assert_memory_equal(back + misplaced, mem + misplaced, N * LEN);
	assert_int_equal(request(blk, BLK_FLUSH, 0, NULL, 0), 0);
	blk->ops->close(blk);
	free(mem);
	free(back);
}

static void test_round_trip(void **state)
{
	(void)state;
	round_trip(&(struct raw_params){.path = path}, 0);
	round_trip(&(struct raw_params){.path = path}, 3);
}

static void test_round_trip_direct(void **state)
{
	struct raw_params p = {.path = path, .direct = 1};
	struct blk *blk;

	(void)state;
	need_loop();
	if (raw_open(loop, &p, &blk)) {
		print_message("    skipped: %s\n", said);
		skip();
	}
	blk->ops->close(blk);
	round_trip(&p, 0);
	round_trip(&p, 3);
	p.direct_align = 4096;
	round_trip(&p, 8);
}

static long blocks(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_blocks;
}

/* The guest lets go of space and the host has it back; what was discarded reads as zero here. */
static void test_discard_gives_space_back(void **state)
{
	static uint8_t bytes[SIZE], back[4096], none[4096];
	struct blk *blk = open_it(&(struct raw_params){.path = path});
	long full, holed;

	(void)state;
	if (!blk->can_discard) {
		blk->ops->close(blk);
		print_message("    skipped: no holes in files here\n");
		skip();
	}
	memset(bytes, 0x5a, SIZE);
	assert_int_equal(request(blk, BLK_WRITE, 0, bytes, SIZE), 0);
	assert_int_equal(request(blk, BLK_FLUSH, 0, NULL, 0), 0);
	full = blocks();
	assert_true(full >= SIZE / 512);
	assert_int_equal(request(blk, BLK_DISCARD, 1 << 20, NULL, 2 << 20), 0);
	holed = blocks();
	print_message("    blocks: %ld full, %ld after a discard of half\n", full, holed);
	assert_true(full - holed >= (2 << 20) / 512 - 16);
	assert_int_equal(request(blk, BLK_READ, 2 << 20, back, 4096), 0);
	assert_memory_equal(back, none, 4096);
	assert_int_equal(request(blk, BLK_READ, (1 << 20) - 4096, back, 4096), 0);
	assert_memory_equal(back, bytes, 4096);
	assert_int_equal(blk->size, SIZE);
	blk->ops->close(blk);
}

static void test_write_zeroes(void **state)
{
	static uint8_t bytes[SIZE], back[SIZE];
	struct blk *blk = open_it(&(struct raw_params){.path = path});

	(void)state;
	for (unsigned flags = 0; flags <= BLK_UNMAP; flags++) {
		struct blk_req req = {
			.op = BLK_WRITE_ZEROES, .flags = flags, .off = 512, .len = 1 << 20};

		memset(bytes, 0x77, SIZE);
		assert_int_equal(request(blk, BLK_WRITE, 0, bytes, SIZE), 0);
		assert_int_equal(run(blk, &req, 1), 0);
		memset(bytes + 512, 0, 1 << 20);
		assert_int_equal(request(blk, BLK_READ, 0, back, SIZE), 0);
		assert_memory_equal(back, bytes, SIZE);
	}
	blk->ops->close(blk);
}

/* One turn of the loop, one system call, for a whole batch. */
static void test_batch_is_one_submission(void **state)
{
	enum { N = 32 };
	static uint8_t bytes[N][4096];
	struct blk_req reqs[N];
	struct iovec v[N];
	struct blk *blk = open_it(&(struct raw_params){.path = path});
	struct loop_stats before, after;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		v[i] = (struct iovec){bytes[i], 4096};
		reqs[i] = (struct blk_req){
			.op = BLK_WRITE, .off = i * 8192, .len = 4096, .v = &v[i], .n = 1};
	}
	loop_get_stats(loop, &before);
	assert_int_equal(run(blk, reqs, N), 0);
	loop_get_stats(loop, &after);
	print_message("    %u writes: %llu entries, %llu system calls\n", N,
		      (unsigned long long)(after.entries - before.entries),
		      (unsigned long long)(after.enters - before.enters));
	assert_true(after.entries - before.entries <= N + 1);
	blk->ops->close(blk);
}

#define ON_FILE(test) cmocka_unit_test_setup_teardown(test, up, down)

/* --- descriptors ------------------------------------------------------------------------------ */

static int is_locked(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CLOEXEC), r;

	r = fcntl(fd, F_OFD_SETLK, &lock);
	close(fd);
	return r != 0;
}

static void test_a_descriptor_in_place_of_a_path(void **state)
{
	int mine = open(path, O_RDWR | O_CLOEXEC), given = dup(mine);
	struct raw_params p = {.path = "a name", .has_fd = 1, .fd = given};
	char buf[512] = "through a descriptor";
	struct blk *blk = open_it(&p);

	(void)state;
	assert_int_equal(request(blk, BLK_WRITE, 1024, buf, 512), 0);
	assert_int_equal(pread(mine, buf, 512, 1024), 512);
	assert_string_equal(buf, "through a descriptor");
	/* A second disk on the same description has the same lock; another program has not. */
	assert_true(is_locked());
	blk->ops->close(blk);
	assert_int_equal(fcntl(given, F_GETFD), -1);
	assert_true(is_locked());
	close(mine);
	assert_false(is_locked());
}

static void test_a_descriptor_is_taken_when_opening_fails(void **state)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct raw_params p = {.path = "a name", .has_fd = 1, .fd = fd};

	(void)state;
	expect_refusal(&p, -EACCES, "a name");
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_a_lock_that_is_the_callers(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int mine = open(path, O_RDWR | O_CLOEXEC), other;
	struct raw_params p = {
		.path = path, .has_fd = 1, .fd = dup(mine), .no_lock = 1, .read_only = 1};
	struct blk *blk;

	(void)state;
	assert_int_equal(fcntl(mine, F_OFD_SETLK, &lock), 0);
	blk = open_it(&p);
	/* Still the writer's: a reader is kept out. */
	lock.l_type = F_RDLCK;
	other = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), -1);
	close(other);
	blk->ops->close(blk);
	close(mine);
}

static void test_a_disk_in_memory(void **state)
{
	int fd = memfd_create("seed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct raw_params p = {.path = "seed", .has_fd = 1, .fd = fd, .read_only = 1};
	char buf[512] = "";
	struct blk *blk;

	(void)state;
	assert_int_equal(ftruncate(fd, 3 * 512), 0);
	assert_int_equal(pwrite(fd, "cidata", 6, 512), 6);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
	blk = open_it(&p);
	assert_int_equal(blk->size, 3 * 512);
	assert_true(blk->read_only);
	assert_int_equal(request(blk, BLK_READ, 512, buf, 512), 0);
	assert_string_equal(buf, "cidata");
	assert_int_equal(request(blk, BLK_WRITE, 0, buf, 512), -EROFS);
	blk->ops->close(blk);
	p.fd = memfd_create("seed", MFD_CLOEXEC);
	assert_int_equal(ftruncate(p.fd, 700), 0);
	expect_refusal(&p, -EINVAL, "multiple of 512");
}

static int answer;

static void answered(struct blk_req *req, int res)
{
	(void)req;
	answer = res;
}

static void test_without_a_loop(void **state)
{
	struct raw_params p = {.path = path, .read_only = 1};
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	char buf[1024];
	struct iovec v[2] = {{buf, 1}, {buf + 1, 511}};
	struct blk_req req = {
		.op = BLK_READ, .off = SIZE - 512, .len = 512, .v = v, .n = 2, .done = answered};
	struct blk *blk;

	(void)state;
	assert_int_equal(pwrite(fd, "tail", 5, SIZE - 512), 5);
	assert_int_equal(raw_open(NULL, &p, &blk), 0);
	answer = 1;
	blk->ops->submit(blk, &req);
	assert_int_equal(answer, 0);
	assert_string_equal(buf, "tail");
	/* Cut short under us. */
	assert_int_equal(ftruncate(fd, 512), 0);
	close(fd);
	v[0] = (struct iovec){buf, 512};
	req.v = v;
	req.n = 1;
	blk->ops->submit(blk, &req);
	assert_int_equal(answer, -EIO);
	blk->ops->close(blk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_FILE(test_refusals),
		ON_FILE(test_permissions),
		ON_FILE(test_lock),
		ON_FILE(test_nothing_left_behind),
		ON_FILE(test_facts),
		ON_FILE(test_no_probing),
		ON_FILE(test_round_trip),
		ON_FILE(test_round_trip_direct),
		ON_FILE(test_discard_gives_space_back),
		ON_FILE(test_write_zeroes),
		ON_FILE(test_batch_is_one_submission),
		cmocka_unit_test_setup_teardown(test_a_descriptor_in_place_of_a_path, up, down),
		cmocka_unit_test_setup_teardown(test_a_descriptor_is_taken_when_opening_fails, up,
						down),
		cmocka_unit_test_setup_teardown(test_a_lock_that_is_the_callers, up, down),
		cmocka_unit_test_setup_teardown(test_a_disk_in_memory, up, down),
		cmocka_unit_test_setup_teardown(test_without_a_loop, up, down),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
