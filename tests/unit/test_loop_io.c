/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the event loop submits, on a real io_uring ring: files, pipes, sockets, polling, timers,
 * cancelling, and more than a small ring holds. Turns and threads are in test_loop.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/time_types.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/container_of.h"
#include "vmm/loop.h"

#define HANG_SECONDS 120
#define NONE         (-12345) /* no result yet */

static struct loop *loop;

static int start(void **state)
{
	(void)state;
	return loop_create(&loop, 64);
}

static int stop(void **state)
{
	(void)state;
	loop_destroy(loop);
	return 0;
}

/* An op whose result a test looks at. */
struct step {
	struct op op;
	int res;
	unsigned calls;
};

static unsigned outstanding; /* results until the loop stops */

static void step_done(struct op *op, int res)
{
	struct step *s = container_of(op, struct step, op);

	s->res = res;
	s->calls++;
	assert_true(outstanding > 0);
	if (--outstanding == 0)
		loop_stop(loop);
}

static struct step *step(struct step *s)
{
	*s = (struct step){.op.fn = step_done, .res = NONE};
	outstanding++;
	return s;
}

/* Submits from the loop's thread, lock held, as a device does. */
#define RUN(submit)                \
	do {                       \
		loop_lock(loop);   \
		submit;            \
		loop_unlock(loop); \
		loop_run(loop);    \
	} while (0)

/* --- files --------------------------------------------------------------------------------- */

static int temporary_file(void)
{
	int fd = memfd_create("test_loop", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void test_files(void **state)
{
	int fd = temporary_file();
	char in[10] = {0};
	struct iovec out_v[] = {{(char *)"scat", 4}, {(char *)"", 0}, {(char *)"tered", 5}};
	struct iovec in_v[] = {{in, 2}, {in + 2, 8}};
	struct step s;
	struct stat st;

	(void)state;
	RUN(loop_writev(loop, &step(&s)->op, fd, out_v, 3, 100));
	assert_int_equal(s.res, 9);
	RUN(loop_readv(loop, &step(&s)->op, fd, in_v, 2, 100));
	assert_int_equal(s.res, 9); /* short: the file ends */
	assert_string_equal(in, "scattered");
	RUN(loop_readv(loop, &step(&s)->op, fd, in_v, 2, 109));
	assert_int_equal(s.res, 0);
	RUN(loop_fdatasync(loop, &step(&s)->op, fd));
	assert_int_equal(s.res, 0);
	RUN(loop_fallocate(loop, &step(&s)->op, fd, 0, 1 << 20, 4096));
	assert_int_equal(s.res, 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, (1 << 20) + 4096);
	RUN(loop_fallocate(loop, &step(&s)->op, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			   1 << 20));
	assert_int_equal(s.res, 0);
	RUN(loop_readv(loop, &step(&s)->op, fd, in_v, 1, 100));
	assert_int_equal(s.res, 2);
	assert_int_equal(in[0], 0);
	close(fd);
	RUN(loop_readv(loop, &step(&s)->op, fd, in_v, 1, 0));
	assert_int_equal(s.res, -EBADF);
}

static void test_pipe_and_socket(void **state)
{
	char in[8] = {0};
	struct iovec in_v = {in, sizeof(in)}, out_v = {(char *)"frame", 5};
	struct msghdr in_msg = {.msg_iov = &in_v, .msg_iovlen = 1};
	struct msghdr out_msg = {.msg_iov = &out_v, .msg_iovlen = 1};
	struct step r, w;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	loop_lock(loop);
	loop_readv(loop, &step(&r)->op, fd[0], &in_v, 1, UINT64_MAX); /* before there is a byte */
	loop_writev(loop, &step(&w)->op, fd[1], &out_v, 1, UINT64_MAX);
	loop_unlock(loop);
	loop_run(loop);
	assert_int_equal(w.res, 5);
	assert_int_equal(r.res, 5);
	assert_memory_equal(in, "frame", 5);
	close(fd[1]);
	RUN(loop_readv(loop, &step(&r)->op, fd[0], &in_v, 1, UINT64_MAX));
	assert_int_equal(r.res, 0);
	close(fd[0]);

	memset(in, 0, sizeof(in));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	loop_lock(loop);
	loop_recvmsg(loop, &step(&r)->op, fd[0], &in_msg, 0);
	loop_sendmsg(loop, &step(&w)->op, fd[1], &out_msg, MSG_NOSIGNAL);
	loop_unlock(loop);
	loop_run(loop);
	assert_int_equal(w.res, 5);
	assert_int_equal(r.res, 5);
	assert_memory_equal(in, "frame", 5);
	close(fd[0]);
	RUN(loop_sendmsg(loop, &step(&w)->op, fd[1], &out_msg, MSG_NOSIGNAL));
	assert_int_equal(w.res, -EPIPE);
	close(fd[1]);
}

static void test_watch(void **state)
{
	int fd[2], ready = eventfd(1, EFD_CLOEXEC);
	struct step s;

	(void)state;
	assert_true(ready >= 0);
	RUN(loop_watch(loop, &step(&s)->op, ready, POLLIN));
	assert_int_equal(s.res, POLLIN);
	assert_int_equal(s.calls, 1); /* once, though it stays readable */
	close(ready);

	assert_int_equal(pipe(fd), 0);
	close(fd[1]);
	RUN(loop_watch(loop, &step(&s)->op, fd[0], POLLIN));
	assert_int_equal(s.res & POLLHUP, POLLHUP);
	close(fd[0]);
	RUN(loop_watch(loop, &step(&s)->op, -1, POLLIN));
	assert_int_equal(s.res, -EBADF);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void test_timer(void **state)
{
	static const uint64_t table[] = {0, 1, 1000000, 20000000};
	struct __kernel_timespec ts;
	struct step s;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t begin = now_ns();

		RUN(loop_timer(loop, &step(&s)->op, &ts, table[i]));
		assert_int_equal(s.res, -ETIME);
		assert_true(now_ns() - begin >= table[i]);
	}
}

/* --- cancelling ---------------------------------------------------------------------------- */

static void test_cancel(void **state)
{
	struct step watch, timer, reading;
	struct __kernel_timespec ts;
	struct iovec v;
	int fd[2];
	char c;

	(void)state;
	v = (struct iovec){&c, 1};
	assert_int_equal(pipe(fd), 0);
	loop_lock(loop);
	loop_watch(loop, &step(&watch)->op, fd[0], POLLIN);
	loop_timer(loop, &step(&timer)->op, &ts, 3600ull * 1000000000);
	loop_readv(loop, &step(&reading)->op, fd[0], &v, 1, -1);
	loop_cancel(loop, &timer.op);
	loop_cancel(loop, &watch.op);
	loop_cancel(loop, &reading.op);
	loop_unlock(loop);
	loop_run(loop);
	assert_int_equal(watch.res, -ECANCELED);
	assert_int_equal(timer.res, -ECANCELED);
	assert_true(reading.res == -ECANCELED || reading.res == -EINTR);
	assert_int_equal(watch.calls + timer.calls + reading.calls, 3);
	close(fd[0]);
	close(fd[1]);
}

static void test_cancel_too_late(void **state)
{
	struct step watch, after;
	struct __kernel_timespec ts;
	int ready = eventfd(1, EFD_CLOEXEC);

	(void)state;
	RUN(loop_watch(loop, &step(&watch)->op, ready, POLLIN));
	loop_lock(loop);
	loop_cancel(loop, &watch.op); /* nothing to cancel: nobody is called */
	loop_timer(loop, &step(&after)->op, &ts, 1000000);
	loop_unlock(loop);
	loop_run(loop);
	assert_int_equal(watch.calls, 1);
	assert_int_equal(watch.res, POLLIN);
	assert_int_equal(after.res, -ETIME);
	close(ready);
}

/* --- a ring too small ---------------------------------------------------------------------- */

#define MANY 2000

static struct {
	struct step s[MANY];
	uint8_t in[MANY];
	struct iovec v[MANY];
	int fd;
} many;

static void make_many(void)
{
	loop_destroy(loop);
	assert_int_equal(loop_create(&loop, 8), 0);
	many.fd = temporary_file();
	for (unsigned i = 0; i < MANY; i++)
		many.in[i] = (uint8_t)(i * 7);
	assert_int_equal(pwrite(many.fd, many.in, MANY, 0), MANY);
	memset(many.in, 0, sizeof(many.in));
}

static void submit_many(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		many.v[i] = (struct iovec){&many.in[i], 1};
		loop_readv(loop, &step(&many.s[i])->op, many.fd, &many.v[i], 1, i);
	}
}

static void check_many(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(many.s[i].calls, 1);
		assert_int_equal(many.s[i].res, 1);
		assert_int_equal(many.in[i], (uint8_t)(i * 7));
	}
	close(many.fd);
}

static void test_ring_overfull(void **state)
{
	(void)state;
	make_many();
	loop_lock(loop);
	submit_many();
	loop_unlock(loop);
	loop_run(loop);
	check_many();
}

static void first_came(struct op *op, int res)
{
	(void)op;
	assert_int_equal(res, 1);
	submit_many();
}

/* What is called for a completion submits more than both rings hold. */
static void test_ring_overfull_within_a_turn(void **state)
{
	struct op first = {.fn = first_came};
	uint8_t byte;
	struct iovec v = {&byte, 1};

	(void)state;
	make_many();
	RUN(loop_readv(loop, &first, many.fd, &v, 1, 0));
	check_many();
}

static void test_create_refuses(void **state)
{
	struct loop *none = NULL;

	(void)state;
	said_start();
	assert_int_equal(loop_create(&none, 0), -EINVAL);
	assert_int_equal(said_count(), 1);
	assert_non_null(strstr(said(), "io_uring"));
	assert_int_equal(loop_create(&none, 1u << 20), -EINVAL);
	assert_int_equal(said_count(), 2);
	assert_null(none);
	loop_destroy(NULL);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LOOP_TEST(test_files),
		LOOP_TEST(test_pipe_and_socket),
		LOOP_TEST(test_watch),
		LOOP_TEST(test_timer),
		LOOP_TEST(test_cancel),
		LOOP_TEST(test_cancel_too_late),
		LOOP_TEST(test_ring_overfull),
		LOOP_TEST(test_ring_overfull_within_a_turn),
		cmocka_unit_test(test_create_refuses),
	};

	said_start();
	if (loop_create(&loop, 8) < 0) {
		printf("%s\n", said());
		return 77;
	}
	loop_destroy(loop);
	alarm(HANG_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
