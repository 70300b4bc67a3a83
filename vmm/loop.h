/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_LOOP_H
#define VMM_LOOP_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

/*
 * The event loop: one thread, one io_uring. Kicks, disk completions, sockets, the terminal and
 * timers all arrive as completions; a turn is
 *
 *   wait (and submit what the last turn queued) -> lock -> completions -> loop_soon ops -> unlock
 *
 * THE LOCK. Device state is touched only with the loop's lock held. The loop holds it during a
 * turn and lets it go while it waits; a vCPU thread takes it around a register access. So a
 * device needs no lock of its own, and an access costs no thread switch.
 *
 * THE RING. Only the loop's thread submits. Code that runs on a vCPU thread (a register handler)
 * and needs I/O asks for it with loop_soon(), whose function runs on the loop's thread.
 *
 * An op stands for one completion to come. It is embedded in its owner, which keeps it alive and
 * untouched until op->fn has been called; fn may submit the same op again.
 */
struct op {
	void (*fn)(struct op *op, int res); /* res >= 0, or -errno */
	struct op *next;                    /* the loop's, for loop_soon() */
	struct op *next_done;               /* the loop's, once it is done */
	int res;                            /* the same */
	uint8_t queued;                     /* the loop's, for loop_soon() */
};

struct loop;

/*
 * 0 or -errno; says why io_uring is not to be had. @entries is a power of two. The calling thread
 * becomes the loop's: it alone may call loop_run() and loop_destroy().
 */
int loop_create(struct loop **out, unsigned entries);
void loop_destroy(struct loop *loop);

/* Runs turns until loop_stop(), which any thread may call, lock held. It may run again. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* One turn: waits until something completes, unless there is work for loop_soon() already. */
void loop_run_once(struct loop *loop);

void loop_lock(struct loop *loop);
void loop_unlock(struct loop *loop);

/*
 * For a thread that is not the loop's and must see something done before it goes on: lets the lock
 * go until loop_notify() (any thread, lock held) and takes it again. -ECANCELED, at once, when the
 * loop is stopping or has stopped and nothing will be done any more. The caller tests what it waits
 * for in a loop.
 */
int loop_wait(struct loop *loop);
void loop_notify(struct loop *loop);

/*
 * Calls op->fn(op, 0) on the loop's thread before this turn ends (wakes the loop if it waits).
 * Asking again before it ran changes nothing: bells ring here once a turn. Lock held; any thread.
 */
void loop_soon(struct loop *loop, struct op *op);

/*
 * Submissions; from the loop's thread with the lock held. The iovec array and the buffers stay
 * in place until completion. @off is in bytes; -1 (UINT64_MAX) means the file's own position,
 * which is what sockets, pipes and terminals want.
 */
void loop_readv(struct loop *loop, struct op *op, int fd, const struct iovec *v, unsigned n,
		uint64_t off);
void loop_writev(struct loop *loop, struct op *op, int fd, const struct iovec *v, unsigned n,
		 uint64_t off);
void loop_fdatasync(struct loop *loop, struct op *op, int fd);
void loop_fallocate(struct loop *loop, struct op *op, int fd, int mode, uint64_t off, uint64_t len);
void loop_recvmsg(struct loop *loop, struct op *op, int fd, struct msghdr *msg, unsigned flags);
void loop_sendmsg(struct loop *loop, struct op *op, int fd, struct msghdr *msg, unsigned flags);

/* One-shot: completes with the poll(2) events that came. */
void loop_watch(struct loop *loop, struct op *op, int fd, unsigned events);

/* Completes after @ns nanoseconds, with -ETIME. @ts is the caller's and stays until then. */
struct __kernel_timespec;
void loop_timer(struct loop *loop, struct op *op, struct __kernel_timespec *ts, uint64_t ns);

/* Asks for @op to complete early, with -ECANCELED or its own result; op->fn still runs once. */
void loop_cancel(struct loop *loop, struct op *op);

/*
 * Says that @n pieces of work of one kind were found at once; the loop's thread, lock held. From
 * this it learns whether to take the processor from those who wake it (vmm/patience.h).
 */
void loop_found(struct loop *loop, unsigned n);

/*
 * Counters for --stats: turns, submissions (entries) and system calls made by the loop, and how
 * often it turned patient.
 */
struct loop_stats {
	uint64_t turns, entries, enters, patient;
};
void loop_get_stats(struct loop *loop, struct loop_stats *out);

#endif
