/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals that end the machine, as completions of the loop: they are blocked in every thread and
 * read from a descriptor. Main thread, which is the loop's. Knows nothing of what ends.
 */
#include "vmm/ending.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/container_of.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/signals.h"

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

struct ending {
	struct loop *loop;
	void (*end)(void *arg, int sig);
	void *arg;
	sigset_t blocked; /* by us */
	int fd, closing, in_flight;
	struct op op;
	struct iovec v;
	struct signalfd_siginfo info;
};

static void arm(struct ending *e)
{
	e->v = (struct iovec){&e->info, sizeof(e->info)};
	e->in_flight = 1;
	loop_readv(e->loop, &e->op, e->fd, &e->v, 1, UINT64_MAX);
}

static void came(struct op *op, int res)
{
	struct ending *e = container_of(op, struct ending, op);
	sigset_t again;

	e->in_flight = 0;
	if (e->closing)
		return;
	if (res == sizeof(e->info)) {
		sigemptyset(&again);
		sigaddset(&again, (int)e->info.ssi_signo);
		pthread_sigmask(SIG_UNBLOCK, &again, NULL);
		e->end(e->arg, (int)e->info.ssi_signo);
	} else if (res != -EINTR && res != -EAGAIN) {
		return;
	}
	arm(e);
}

int ending_create(struct ending **out, struct loop *loop, void (*end)(void *arg, int sig),
		  void *arg)
{
	struct ending *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return log_fail(-ENOMEM, "signals: out of memory");
	*e = (struct ending){.loop = loop, .end = end, .arg = arg, .op.fn = came};
	sigemptyset(&e->blocked);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!signal_is_ignored(signals[i]))
			sigaddset(&e->blocked, signals[i]);
	e->fd = signalfd(-1, &e->blocked, SFD_CLOEXEC);
	if (e->fd < 0) {
		r = log_fail(-errno, "signals: cannot make a signalfd: %s", strerror(errno));
		free(e);
		return r;
	}
	pthread_sigmask(SIG_BLOCK, &e->blocked, NULL);
	loop_lock(loop);
	arm(e);
	loop_unlock(loop);
	*out = e;
	return 0;
}

void ending_destroy(struct ending *e)
{
	if (!e)
		return;
	loop_lock(e->loop);
	e->closing = 1;
	if (e->in_flight)
		loop_cancel(e->loop, &e->op);
	loop_unlock(e->loop);
	while (e->in_flight)
		loop_run_once(e->loop);
	close(e->fd);
	pthread_sigmask(SIG_UNBLOCK, &e->blocked, NULL);
	free(e);
}
