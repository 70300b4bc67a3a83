/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that writes to a qcow2 disk on the real loop is killed (SIGKILL) 500 times at random
 * moments. After each, qemu-img may find clusters that are counted and not used, and nothing worse;
 * and everything that had been flushed is there. The next process goes on with the same image. Two
 * rows of such processes run side by side, one on tmpfs and one on disk. Skipped where there is no
 * qemu-img or no io_uring.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "tests/lib/qemu_img.h"
#include "tests/lib/said.h"
#include "vmm/log.h"
#include "vmm/loop.h"

#define KILLS    250u /* a row */
#define LIVES    25u  /* of an image */
#define SECTORS  8192u
#define SIZE     (SECTORS * 512u)
#define OPS      24u /* of an epoch, which ends in a flush */
#define DEPTH    8u  /* under way at once */
#define OP_MAX   96u /* sectors */
#define EPOCHS   30000u
#define DELAY_MS 16u

enum { BASE_ID = 7 };

/* What a process does is a function of its seed, so that the judge knows it. */
struct op_plan {
	enum blk_op op;
	unsigned flags;
	uint32_t first, n, id; /* n is 0: nothing */
};

static uint32_t next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void plan(uint32_t seed, uint32_t life, uint32_t epoch, struct op_plan *ops)
{
	static const enum blk_op kinds[] = {BLK_WRITE, BLK_WRITE,        BLK_WRITE,   BLK_WRITE,
					    BLK_WRITE, BLK_WRITE_ZEROES, BLK_DISCARD, BLK_FLUSH};

	seed = (seed ^ epoch * 0x9e3779b9u) | 1;
	for (unsigned i = 0; i < 4; i++)
		next(&seed);
	for (unsigned i = 0; i < OPS; i++) {
		struct op_plan *p = &ops[i];

		*p = (struct op_plan){.op = kinds[next(&seed) >> 8 & 7]};
		p->flags = next(&seed) >> 8 & 1 ? BLK_UNMAP : 0;
		p->first = (next(&seed) >> 4) % SECTORS;
		p->n = 1 + (next(&seed) >> 4) % (next(&seed) >> 8 & 3 ? 12 : OP_MAX);
		p->id = life << 20 | epoch << 5 | (i + 1);
		if (p->n > SECTORS - p->first)
			p->n = SECTORS - p->first;
		for (unsigned k = 0; k < i; k++)
			if (p->first < ops[k].first + ops[k].n && ops[k].first < p->first + p->n)
				p->n = 0;
		if (p->op == BLK_FLUSH)
			p->first = p->n = 0;
	}
}

static void fill(uint8_t *bytes, uint32_t sector, uint32_t id)
{
	uint32_t stamp[4] = {id, sector, ~id, id ^ sector};

	for (unsigned i = 0; i < 512; i += sizeof(stamp))
		memcpy(bytes + i, stamp, sizeof(stamp));
}

/* --- the process that is killed -------------------------------------------------------------- */

struct flight {
	struct blk_req req;
	struct iovec v;
	uint8_t bytes[OP_MAX * 512];
	int busy;
};

static struct flight flights[DEPTH];
static unsigned under_way;

static void landed(struct blk_req *req, int res)
{
	struct flight *f = (struct flight *)req;

	if (res < 0)
		_exit(3);
	f->busy = 0;
	under_way--;
}

static void submit(struct blk *blk, struct loop *loop, const struct op_plan *p)
{
	struct flight *f = flights;

	while (under_way == DEPTH)
		loop_run_once(loop);
	while (f->busy)
		f++;
	for (uint32_t i = 0; i < p->n && p->op == BLK_WRITE; i++)
		fill(f->bytes + i * 512, p->first + i, p->id);
	f->v = (struct iovec){f->bytes, p->n * 512};
	f->req = (struct blk_req){
		.op = p->op,
		.flags = p->flags,
		.off = p->first * 512ull,
		.len = p->n * 512ull,
		.v = &f->v,
		.n = p->op == BLK_WRITE,
		.done = landed,
	};
	f->busy = 1;
	under_way++;
	loop_lock(loop);
	blk->ops->submit(blk, &f->req);
	loop_unlock(loop);
}

static int approve(void *arg, const char *path, const char *format)
{
	(void)arg;
	(void)path;
	(void)format;
	return 1;
}

static void write_until_killed(const char *path, uint32_t seed, uint32_t life, int report)
{
	struct qcow2_params params = {.path = path, .cache_bytes = 1, .approve_backing = approve};
	struct op_plan ops[OPS], flush = {.op = BLK_FLUSH};
	struct loop *loop;
	struct blk *blk;

	if (loop_create(&loop, 64) || qcow2_open(loop, &params, &blk))
		_exit(4);
	for (uint32_t epoch = 1; epoch < EPOCHS; epoch++) {
		plan(seed, life, epoch, ops);
		for (unsigned i = 0; i < OPS; i++)
			if (ops[i].n || ops[i].op == BLK_FLUSH)
				submit(blk, loop, &ops[i]);
		while (under_way)
			loop_run_once(loop);
		submit(blk, loop, &flush);
		while (under_way)
			loop_run_once(loop);
		if (write(report, &epoch, sizeof(epoch)) != sizeof(epoch))
			_exit(5);
	}
	for (;;)
		pause();
}

/* --- the judge ------------------------------------------------------------------------------- */

struct row {
	char dir[64], path[96], base[96], raw[96];
	uint32_t seed;
	uint32_t is[SECTORS];         /* the write that it shows */
	uint8_t may_be_zero[SECTORS]; /* discarded */
	uint32_t leaks, epochs;
};

static void insist(const struct row *row, int ok, const char *what, uint32_t where)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s: %u: %s%s\n", row->path, what, where, said(), qemu_img_said());
	_exit(1);
}

static void put_base(struct row *row)
{
	static uint8_t bytes[SIZE];
	int fd = open(row->base, O_RDWR | O_CREAT | O_TRUNC, 0600);

	for (uint32_t s = 0; s < SECTORS; s++)
		fill(bytes + s * 512, s, BASE_ID);
	insist(row, write(fd, bytes, SIZE) == SIZE, "cannot write", 0);
	close(fd);
}

static void new_image(struct row *row, unsigned shape)
{
	static const char *const options[] = {
		"cluster_size=512,refcount_bits=64", "cluster_size=4k", "cluster_size=64k",
		"compat=0.10,cluster_size=1k",       "cluster_size=2M",
	};
	int backed = shape & 1, r;

	unlink(row->path);
	if (shape == 2) /* compressed */
		r = qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", row->base, row->path,
			     NULL);
	else if (backed)
		r = qemu_img("create", "-f", "qcow2", "-o", options[shape % 5], "-b", row->base,
			     "-F", "raw", row->path, NULL);
	else
		r = qemu_img("create", "-f", "qcow2", "-o", options[shape % 5], row->path, "4M",
			     NULL);
	insist(row, r == 0, "cannot create", shape);
	for (uint32_t s = 0; s < SECTORS; s++) {
		row->is[s] = backed || shape == 2 ? BASE_ID : 0;
		row->may_be_zero[s] = 0;
	}
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint32_t id_of(const uint8_t *bytes, uint32_t sector)
{
	uint8_t want[512] = {0};
	uint32_t id;

	if (!memcmp(bytes, want, 512))
		return 0;
	memcpy(&id, bytes, sizeof(id));
	fill(want, sector, id);
	return memcmp(bytes, want, 512) ? UINT32_MAX : id;
}

/* The kernel ends what a ring has under way a little after its process: then a file's lock goes. */
static void wait_for_lock(const struct row *row, const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR);

	insist(row, fcntl(fd, F_OFD_SETLKW, &lock) == 0, "cannot be locked", 0);
	close(fd);
}

/* What is left, by qemu-img: @epoch may be there in part, all before it is. */
static void look(struct row *row, uint32_t seed, uint32_t life, uint32_t epoch)
{
	static uint8_t bytes[SIZE];
	const struct op_plan *by[SECTORS] = {NULL};
	struct op_plan ops[OPS];
	int fd, r;

	wait_for_lock(row, row->path);
	wait_for_lock(row, row->base);
	r = qemu_img("check", "-f", "qcow2", row->path, NULL);
	insist(row, r == 0 || r == 3, "worse than leaks: qemu-img check ends with", (uint32_t)r);
	row->leaks += r == 3;
	r = qemu_img("convert", "-f", "qcow2", "-O", "raw", row->path, row->raw, NULL);
	insist(row, r == 0, "cannot be read", 0);
	fd = open(row->raw, O_RDONLY);
	insist(row, read(fd, bytes, SIZE) == SIZE, "too short", 0);
	close(fd);
	plan(seed, life, epoch, ops);
	for (unsigned i = 0; i < OPS; i++)
		for (uint32_t s = ops[i].first; s < ops[i].first + ops[i].n; s++)
			by[s] = &ops[i];
	for (uint32_t s = 0; s < SECTORS; s++) {
		uint32_t id = id_of(bytes + s * 512, s);
		int ok = id == row->is[s] || (id == 0 && row->may_be_zero[s]);

		if (by[s])
			ok |= id == (by[s]->op == BLK_WRITE ? by[s]->id : 0);
		insist(row, ok, "a flushed sector is lost", s);
		row->is[s] = id;
		row->may_be_zero[s] = 0;
	}
}

/* One life, from the start of the process to its end. */
static void live(struct row *row, uint32_t life)
{
	struct timespec part = {.tv_nsec = next(&row->seed) % 1000000};
	uint32_t seed = next(&row->seed), epoch = 0, last = 0;
	uint32_t wanted = next(&row->seed) >> 8 & 3; /* flushes before the clock runs */
	uint64_t end;
	int fds[2], status;
	pid_t pid;

	insist(row, pipe(fds) == 0, "no pipe", 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		write_until_killed(row->path, seed, life, fds[1]);
	}
	close(fds[1]);
	while (wanted-- > 0 && read(fds[0], &epoch, sizeof(epoch)) == sizeof(epoch))
		last = epoch;
	end = now_ms() + (next(&row->seed) >> 4) % DELAY_MS;
	while (now_ms() < end) {
		struct pollfd p = {.fd = fds[0], .events = POLLIN};

		if (poll(&p, 1, (int)(end - now_ms()) & 31) > 0 &&
		    read(fds[0], &epoch, sizeof(epoch)) == sizeof(epoch))
			last = epoch;
	}
	ppoll(NULL, 0, &part, NULL);
	kill(pid, SIGKILL);
	insist(row, waitpid(pid, &status, 0) == pid, "lost it", 0);
	insist(row, WIFSIGNALED(status), "it ended", (uint32_t)status);
	while (read(fds[0], &epoch, sizeof(epoch)) == sizeof(epoch))
		last = epoch;
	close(fds[0]);
	for (epoch = 1; epoch <= last; epoch++) {
		struct op_plan ops[OPS];

		plan(seed, life, epoch, ops);
		for (unsigned i = 0; i < OPS; i++)
			for (uint32_t s = ops[i].first; s < ops[i].first + ops[i].n; s++) {
				row->may_be_zero[s] = ops[i].op == BLK_DISCARD;
				if (ops[i].op == BLK_WRITE)
					row->is[s] = ops[i].id;
				if (ops[i].op == BLK_WRITE_ZEROES)
					row->is[s] = 0;
			}
	}
	row->epochs += last;
	look(row, seed, life, last + 1);
}

static int run_row(const char *where, uint32_t seed)
{
	static struct row row;

	row.seed = seed;
	snprintf(row.dir, sizeof(row.dir), "%s/test_qcow2_kill.XXXXXX", where);
	if (!mkdtemp(row.dir))
		return 1;
	snprintf(row.path, sizeof(row.path), "%s/image", row.dir);
	snprintf(row.base, sizeof(row.base), "%s/base", row.dir);
	snprintf(row.raw, sizeof(row.raw), "%s/raw", row.dir);
	put_base(&row);
	for (uint32_t i = 0; i < KILLS; i++) {
		if (i % LIVES == 0)
			new_image(&row, i / LIVES);
		live(&row, 1 + i % LIVES);
	}
	unlink(row.path);
	unlink(row.base);
	unlink(row.raw);
	rmdir(row.dir);
	fprintf(stderr, "%s: %u kills, %u flushes, %u times leaks\n", where, KILLS, row.epochs,
		row.leaks);
	/* Else it has killed processes that had not begun. */
	return row.epochs < KILLS;
}

static void test_killed_at_500_points(void **state)
{
	const char *const where[] = {access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", "/tmp"};
	struct loop *loop = NULL;
	pid_t rows[2];
	int failed = 0;

	(void)state;
	said_start();
	if (!qemu_img_is_there() || loop_create(&loop, 64)) {
		print_message("no qemu-img or no io_uring here\n");
		skip();
	}
	loop_destroy(loop);
	for (unsigned i = 0; i < 2; i++) {
		rows[i] = fork();
		if (rows[i] == 0)
			_exit(run_row(where[i], 12345 + i));
	}
	for (unsigned i = 0; i < 2; i++) {
		int status;

		assert_int_equal(waitpid(rows[i], &status, 0), rows[i]);
		failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	}
	log_set_sink(NULL, NULL);
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_at_500_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
