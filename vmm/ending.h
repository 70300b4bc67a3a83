/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENDING_H
#define VMM_ENDING_H

struct loop;

/*
 * SIGTERM, SIGINT and SIGHUP end the machine as `Ctrl-] x` does: what the disks hold in memory is
 * written, the terminal restored, nothing left behind. The process still dies of it, at last: that
 * is for whoever calls ending_create(). A signal that is ignored (nohup) stays so. A second one of
 * a kind, should the end take long, has its usual effect.
 */
struct ending;

/*
 * From here on, before any other thread is made. @end is called on the loop's thread, lock held. 0
 * or -errno, said. One a process.
 */
int ending_create(struct ending **out, struct loop *loop, void (*end)(void *arg, int sig),
		  void *arg);

/* The signals have their usual effect again. On the loop's thread, outside loop_run(); NULL is
 * fine. */
void ending_destroy(struct ending *ending);

#endif
