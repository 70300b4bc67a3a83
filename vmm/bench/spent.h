/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_SPENT_H
#define VMM_BENCH_SPENT_H

#include <stdint.h>
#include <sys/types.h>

/*
 * What a virtual machine's process has had since it was started: processor time, and exits by KVM's
 * own counters. The difference of two is what a load took.
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

struct spent {
	uint64_t ns; /* CLOCK_MONOTONIC, when it was looked */
	double v[SPENT_KINDS];
	int has_exits; /* only root may read KVM's counters, and only where debugfs is mounted */
};

/* What process @pid has spent. What cannot be read is 0. */
void spent_read(pid_t pid, struct spent *s);

/* Where KVM's counters are: a directory for each machine, PID-FD (Documentation/virt/kvm). */
#define SPENT_COUNTERS "/sys/kernel/debug/kvm"

#endif
