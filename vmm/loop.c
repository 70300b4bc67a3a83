/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop over io_uring: who waits, who is woken, in which order a turn goes. It runs on
 * the thread that created it and is the only submitter. Knows ops and file descriptors; knows no
 * device.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/container_of.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/patience.h"

struct loop {
	struct io_uring ring;
	pthread_mutex_t lock;
	pthread_cond_t notify;
	pthread_t thread;
	/* Everything below is touched with the lock held. */
	struct op *soon, **soon_tail;
	struct op *done, **done_tail; /* taken out of the ring, and not called yet */
	int waiting;                  /* the thread is, or is about to be, inside the kernel */
	int stop;
	int ended; /* loop_run() returned and was not called again */
	struct loop_stats stats;
	struct patience patience;
	/* The doorbell that other threads ring while the loop waits. */
	int wake_fd;
	struct op wake_op;
	uint64_t wake_count;
};

/* Makes room in the ring: what came is called later, as a call may submit more. */
static void take_completions(struct loop *loop)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	io_uring_for_each_cqe(&loop->ring, head, cqe)
	{
		struct op *op = io_uring_cqe_get_data(cqe);

		n++;
		if (!op)
			continue;
		op->res = cqe->res;
		op->next_done = NULL;
		*loop->done_tail = op;
		loop->done_tail = &op->next_done;
	}
	io_uring_cq_advance(&loop->ring, n);
}

static struct io_uring_sqe *get_sqe(struct loop *loop, struct op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	assert(pthread_equal(loop->thread, pthread_self()));
	while (!sqe) {
		/*
		 * The ring is full: hand it over and go on. Linux before 5.13 takes nothing while
		 * there are completions that the other ring has no room for.
		 */
		loop->stats.enters++;
		io_uring_submit(&loop->ring);
		take_completions(loop);
		sqe = io_uring_get_sqe(&loop->ring);
	}
	loop->stats.entries++;
	io_uring_sqe_set_data(sqe, op);
	return sqe;
}

/* Liburing's prep functions clear user_data, so it is set last. */
#define SUBMIT(loop, op, prep, ...)                            \
	do {                                                   \
		struct io_uring_sqe *sqe_ = get_sqe(loop, op); \
		prep(sqe_, __VA_ARGS__);                       \
		io_uring_sqe_set_data(sqe_, op);               \
	} while (0)

static void wake_arm(struct loop *loop)
{
	SUBMIT(loop, &loop->wake_op, io_uring_prep_read, loop->wake_fd, &loop->wake_count,
	       sizeof(loop->wake_count), 0);
}

static void wake_came(struct op *op, int res)
{
	(void)res;
	/* Also when the loop stops: it may run again. */
	wake_arm(container_of(op, struct loop, wake_op));
}

/* Wakes the loop's thread if it waits; the lock is held, so it cannot miss this. */
static void wake(struct loop *loop)
{
	uint64_t one = 1;

	if (!loop->waiting)
		return;
	loop->waiting = 0;
	/* An eventfd takes a write unless its count would overflow, and then it is awake. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN || errno == EINTR);
}

static int ring_init(struct io_uring *ring, unsigned entries)
{
	/* Best first: each needs a newer kernel than the next (6.1, 6.0, 5.19, 5.5). */
	static const unsigned flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int r = -EINVAL;

	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]) && r == -EINVAL; i++) {
		struct io_uring_params p = {
			.flags = flags[i] | IORING_SETUP_CQSIZE,
			.cq_entries = entries * 4,
		};

		r = io_uring_queue_init_params(entries, ring, &p);
	}
	return r;
}

int loop_create(struct loop **out, unsigned entries)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	pthread_mutexattr_t attr;
	int r;

	if (!loop)
		return log_fail(-ENOMEM, "loop: out of memory");
	r = ring_init(&loop->ring, entries);
	if (r < 0) {
		log_line(
			LOG_ERROR,
			"io_uring: cannot set up a ring (%s): check sysctl kernel.io_uring_disabled "
			"and the container's seccomp profile, or run `skiff check`",
			strerror(-r));
		goto out_free;
	}
	loop->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (loop->wake_fd < 0) {
		r = log_fail(-errno, "loop: cannot make an eventfd: %s", strerror(errno));
		goto out_ring;
	}
	/* Register accesses are short: a contender spins a little before it sleeps. */
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&loop->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_cond_init(&loop->notify, NULL);
	loop->thread = pthread_self();
	loop->soon_tail = &loop->soon;
	loop->done_tail = &loop->done;
	loop->wake_op.fn = wake_came;
	patience_init(&loop->patience);
	wake_arm(loop);
	*out = loop;
	return 0;

out_ring:
	io_uring_queue_exit(&loop->ring);
out_free:
	free(loop);
	return r;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	io_uring_queue_exit(&loop->ring);
	close(loop->wake_fd);
	pthread_cond_destroy(&loop->notify);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

void loop_lock(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
}

void loop_unlock(struct loop *loop)
{
	pthread_mutex_unlock(&loop->lock);
}

void loop_stop(struct loop *loop)
{
	loop->stop = 1;
	pthread_cond_broadcast(&loop->notify);
	wake(loop);
}

int loop_wait(struct loop *loop)
{
	assert(!pthread_equal(loop->thread, pthread_self()));
	if (loop->stop || loop->ended)
		return -ECANCELED;
	pthread_cond_wait(&loop->notify, &loop->lock);
	return 0;
}

void loop_notify(struct loop *loop)
{
	pthread_cond_broadcast(&loop->notify);
}

void loop_soon(struct loop *loop, struct op *op)
{
	if (op->queued)
		return;
	op->queued = 1;
	op->next = NULL;
	*loop->soon_tail = op;
	loop->soon_tail = &op->next;
	wake(loop);
}

/* Runs what is on the list now; what that puts there anew waits for the next turn. */
static void run_soon(struct loop *loop)
{
	struct op *op = loop->soon;

	loop->soon = NULL;
	loop->soon_tail = &loop->soon;
	while (op) {
		struct op *next = op->next;

		op->queued = 0;
		op->fn(op, 0);
		op = next;
	}
}

static void run_completions(struct loop *loop)
{
	struct op *op;

	take_completions(loop);
	op = loop->done;
	loop->done = NULL;
	loop->done_tail = &loop->done;
	while (op) {
		struct op *next = op->next_done;

		op->fn(op, op->res);
		op = next;
	}
}

/* One turn, lock held but for the wait. */
static void turn(struct loop *loop)
{
	unsigned wait = loop->soon || loop->done ? 0 : 1;
	int r;

	loop->waiting = (int)wait;
	loop->stats.turns++;
	loop->stats.enters++;
	loop_unlock(loop);
	/* Where ops are due at once, completions are collected all the same. */
	r = wait ? io_uring_submit_and_wait(&loop->ring, 1)
		 : io_uring_submit_and_get_events(&loop->ring);
	/* EBUSY and EAGAIN: completions are waiting to be taken first. */
	assert(r >= 0 || r == -EINTR || r == -EBUSY || r == -EAGAIN || r == -ETIME);
	loop_lock(loop);
	loop->waiting = 0;
	run_completions(loop);
	run_soon(loop);
}

void loop_run(struct loop *loop)
{
	loop_lock(loop);
	loop->ended = 0;
	run_soon(loop);
	while (!loop->stop)
		turn(loop);
	loop->stop = 0;
	loop->ended = 1;
	patience_end(&loop->patience);
	loop_unlock(loop);
}

void loop_run_once(struct loop *loop)
{
	loop_lock(loop);
	turn(loop);
	loop_unlock(loop);
}

void loop_readv(struct loop *loop, struct op *op, int fd, const struct iovec *v, unsigned n,
		uint64_t off)
{
	SUBMIT(loop, op, io_uring_prep_readv, fd, v, n, off);
}

void loop_writev(struct loop *loop, struct op *op, int fd, const struct iovec *v, unsigned n,
		 uint64_t off)
{
	SUBMIT(loop, op, io_uring_prep_writev, fd, v, n, off);
}

void loop_fdatasync(struct loop *loop, struct op *op, int fd)
{
	SUBMIT(loop, op, io_uring_prep_fsync, fd, IORING_FSYNC_DATASYNC);
}

void loop_fallocate(struct loop *loop, struct op *op, int fd, int mode, uint64_t off, uint64_t len)
{
	SUBMIT(loop, op, io_uring_prep_fallocate, fd, mode, (off_t)off, (off_t)len);
}

void loop_recvmsg(struct loop *loop, struct op *op, int fd, struct msghdr *msg, unsigned flags)
{
	SUBMIT(loop, op, io_uring_prep_recvmsg, fd, msg, flags);
}

void loop_sendmsg(struct loop *loop, struct op *op, int fd, struct msghdr *msg, unsigned flags)
{
	SUBMIT(loop, op, io_uring_prep_sendmsg, fd, msg, flags);
}

void loop_watch(struct loop *loop, struct op *op, int fd, unsigned events)
{
	SUBMIT(loop, op, io_uring_prep_poll_add, fd, events);
}

void loop_timer(struct loop *loop, struct op *op, struct __kernel_timespec *ts, uint64_t ns)
{
	ts->tv_sec = (long long)(ns / 1000000000u);
	ts->tv_nsec = (long long)(ns % 1000000000u);
	SUBMIT(loop, op, io_uring_prep_timeout, ts, 0, 0);
}

void loop_cancel(struct loop *loop, struct op *op)
{
	struct io_uring_sqe *sqe = get_sqe(loop, NULL);

	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

void loop_found(struct loop *loop, unsigned n)
{
	patience_found(&loop->patience, n);
}

void loop_get_stats(struct loop *loop, struct loop_stats *out)
{
	*out = loop->stats;
	out->patient = loop->patience.started;
}
