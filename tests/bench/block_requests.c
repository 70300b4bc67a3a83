/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a disk costs without a guest: random 4 KiB reads and writes on an allocated raw file and on
 * an allocated qcow2 file, over the real loop, all of it in the page cache.
 *
 *	make build/bench/block_requests && build/bench/block_requests [DIR [REQUESTS]]
 *
 * Prints for each the wall clock and the processor's time a request, operations and system calls of
 * the loop a request, and how the two compare; in turns, so that a slow moment meets both. Under
 * `valgrind --tool=callgrind` with few REQUESTS it tells where the instructions go.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "devices/block/qcow2.h"
#include "devices/block/raw.h"
#include "vmm/loop.h"

#define DISK_SIZE (256u << 20)
#define BLOCK     4096u
#define DEPTH_MAX 32u
#define ROUNDS    7u

enum { RAW, QCOW2, FORMATS };

static const char *const format_name[] = {"raw", "qcow2"};

struct slot {
	struct blk_req req;
	struct iovec v;
	uint8_t bytes[BLOCK] __attribute__((aligned(4096)));
};

struct cost {
	double wall_ns, cpu_ns, sqes, enters; /* a request */
};

static struct loop *loop;
static struct slot slots[DEPTH_MAX];
static struct blk *disk;
static unsigned left, flying;
static uint32_t seed = 1;

static void fail(const char *what)
{
	fprintf(stderr, "block_requests: %s\n", what);
	exit(1);
}

static void submit(struct slot *s)
{
	seed = seed * 1664525 + 1013904223;
	s->req.off = (uint64_t)((seed >> 8) % (DISK_SIZE / BLOCK)) * BLOCK;
	s->v = (struct iovec){s->bytes, BLOCK};
	flying++;
	left--;
	disk->ops->submit(disk, &s->req);
}

static void done(struct blk_req *req, int res)
{
	if (res < 0)
		fail("a request failed");
	flying--;
	if (left > 0)
		submit((struct slot *)req);
}

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void now(double *wall, double *cpu)
{
	struct timespec ts;
	struct rusage u;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	getrusage(RUSAGE_SELF, &u);
	*wall = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
	*cpu = seconds(&u.ru_utime) + seconds(&u.ru_stime);
}

static struct cost measure(struct blk *blk, enum blk_op op, unsigned depth, unsigned requests)
{
	double wall, cpu, wall_end, cpu_end;
	struct loop_stats before, after;

	disk = blk;
	left = requests;
	for (unsigned i = 0; i < depth; i++)
		slots[i].req = (struct blk_req){
			.op = op, .len = BLOCK, .v = &slots[i].v, .n = 1, .done = done};
	loop_get_stats(loop, &before);
	now(&wall, &cpu);
	loop_lock(loop);
	for (unsigned i = 0; i < depth && left > 0; i++)
		submit(&slots[i]);
	loop_unlock(loop);
	while (flying)
		loop_run_once(loop);
	now(&wall_end, &cpu_end);
	loop_get_stats(loop, &after);
	return (struct cost){
		.wall_ns = (wall_end - wall) * 1e9 / requests,
		.cpu_ns = (cpu_end - cpu) * 1e9 / requests,
		.sqes = (double)(after.entries - before.entries) / requests,
		.enters = (double)(after.enters - before.enters) / requests,
	};
}

/* All of it is written, so that all of it has its place. */
static void fill(struct blk *blk)
{
	static uint8_t bytes[1 << 20];
	struct iovec v;
	struct blk_req req = {.op = BLK_WRITE, .len = sizeof(bytes), .v = &v, .n = 1, .done = done};

	memset(bytes, 7, sizeof(bytes));
	left = 0;
	for (req.off = 0; req.off < DISK_SIZE; req.off += sizeof(bytes)) {
		v = (struct iovec){bytes, sizeof(bytes)};
		flying = 1;
		loop_lock(loop);
		blk->ops->submit(blk, &req);
		loop_unlock(loop);
		while (flying)
			loop_run_once(loop);
	}
}

static struct blk *open_disk(const char *dir, int format)
{
	char path[512];
	struct blk *blk = NULL;
	int fd, r;

	snprintf(path, sizeof(path), "%s/block_requests.%s", dir, format_name[format]);
	unlink(path);
	if (format == RAW) {
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || ftruncate(fd, DISK_SIZE))
			fail("cannot make a raw file");
		close(fd);
		r = raw_open(loop, &(struct raw_params){.path = path}, &blk);
	} else {
		r = qcow2_create(&(struct qcow2_creation){.path = path, .size = DISK_SIZE});
		if (r == 0)
			r = qcow2_open(loop, &(struct qcow2_params){.path = path}, &blk);
	}
	unlink(path);
	if (r < 0)
		exit(1);
	fill(blk);
	return blk;
}

static int by_wall(const void *a, const void *b)
{
	double x = ((const struct cost *)a)->wall_ns, y = ((const struct cost *)b)->wall_ns;

	return (x > y) - (x < y);
}

static void compare(struct blk *const *blk, enum blk_op op, unsigned depth, unsigned requests)
{
	struct cost cost[FORMATS][ROUNDS], *median[FORMATS];

	for (unsigned i = 0; i < ROUNDS; i++)
		for (unsigned f = 0; f < FORMATS; f++)
			cost[f][i] = measure(blk[f], op, depth, requests / ROUNDS + 1);
	for (unsigned f = 0; f < FORMATS; f++) {
		qsort(cost[f], ROUNDS, sizeof(cost[f][0]), by_wall);
		median[f] = &cost[f][ROUNDS / 2];
		printf("%-5s %-5s depth %2u: %6.0f ns, %6.0f ns of the processor, %.3f operations, "
		       "%.3f system calls\n",
		       format_name[f], op == BLK_READ ? "read" : "write", depth, median[f]->wall_ns,
		       median[f]->cpu_ns, median[f]->sqes, median[f]->enters);
	}
	printf("      qcow2 is %.3f of raw\n", median[RAW]->wall_ns / median[QCOW2]->wall_ns);
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : "/dev/shm";
	unsigned requests = argc > 2 ? (unsigned)atoi(argv[2]) : 700000;
	struct blk *blk[FORMATS];

	if (loop_create(&loop, 256))
		return 1;
	for (int f = 0; f < FORMATS; f++)
		blk[f] = open_disk(dir, f);
	for (unsigned depth = 1; depth <= DEPTH_MAX; depth *= DEPTH_MAX) {
		compare(blk, BLK_READ, depth, requests);
		compare(blk, BLK_WRITE, depth, requests);
	}
	loop_lock(loop);
	for (int f = 0; f < FORMATS; f++)
		blk[f]->ops->close(blk[f]);
	loop_unlock(loop);
	loop_destroy(loop);
	return 0;
}
