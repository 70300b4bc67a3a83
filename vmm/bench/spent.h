/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_SPENT_H
#define VMM_BENCH_SPENT_H

#include <stdint.h>
#include <sys/types.h>

/*
 * What a virtual machine spends: processor time, and exits by KVM's own counters. It is looked at
 * twice; the difference is what a load took.
 */
enum spent_kind {
	SPENT_GUEST,  /* in the guest; milliseconds, as the next two */
	SPENT_VCPU,   /* of threads that run the guest, outside of it: what exits cost */
	SPENT_OTHERS, /* of all other threads, and of the processes that it has started */
	SPENT_EXITS,  /* all exits of its vCPUs */
	SPENT_IRQ,    /* of them because the host was interrupted, its own clock's tick included */
	SPENT_IO,     /* for a port */
	SPENT_MMIO,   /* for a device in memory, to user space */
	SPENT_HALT,   /* because the guest had nothing to do */
	SPENT_KINDS,
};

#define SPENT_THREADS_MAX 256

/* What was seen of a process; times in milliseconds since it was started. */
struct spent {
	uint64_t ns;               /* CLOCK_MONOTONIC, when it was looked */
	double total, guest;       /* of it and all its threads, also those that have ended */
	double children;           /* of the processes that it has started and that run */
	double exits[SPENT_KINDS]; /* those kinds that are exits */
	unsigned has;              /* bit per kind: that is known */
	unsigned n;
	struct {
		pid_t tid;
		double total, guest;
	} thread[SPENT_THREADS_MAX]; /* more are not looked at */
};

/* Looks at process @pid. What cannot be read is 0. */
void spent_read(pid_t pid, struct spent *s);

/* What each kind was a second, between two looks at one process. */
void spent_between(const struct spent *was, const struct spent *is, double a_second[SPENT_KINDS]);

/*
 * Where KVM's counters are, a directory PID-FD for each machine, which root alone may read. Which
 * there are is the architecture's choice.
 */
#define SPENT_COUNTERS "/sys/kernel/debug/kvm"

#endif
