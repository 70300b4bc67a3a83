/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_KVM_STATS_H
#define VMM_KVM_STATS_H

#include <stdint.h>

/*
 * KVM's own counters (Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD): for a vCPU the exits by
 * reason, for the VM the pages it maps and so on. Names, and which ones there are, are the
 * kernel's. Reading them disturbs no guest; one thread at a time for one struct.
 *
 * Only plain numbers are kept: histograms are left out, and so is what does not fit the table.
 * A value is in the unit that its name says (halt_wait_ns) or a count.
 */
#define KVM_STATS_MAX      96
#define KVM_STATS_NAME_MAX 48

struct kvm_stat {
	char name[KVM_STATS_NAME_MAX];
	uint32_t off; /* bytes into the data block */
	uint64_t value;
};

struct kvm_stats {
	int fd; /* -1: closed, or this kernel has no such counters */
	uint64_t data_off;
	uint32_t data_len;
	unsigned n;
	struct kvm_stat stat[KVM_STATS_MAX];
};

/*
 * Opens the counters of a vCPU's or a VM's descriptor and reads them once. -EOPNOTSUPP where KVM
 * has none (before Linux 5.14; KVM_CAP_BINARY_STATS_FD): then there are zero counters, which every
 * function here takes, and the callers' own exit counts are all there is. Other -errno: as below.
 */
int kvm_stats_open(struct kvm_stats *stats, int kvm_fd);

/*
 * The same from a statistics descriptor, which is the caller's on failure and @stats' on success.
 * -EPROTO if what it says of itself makes no sense, -ENODATA if it ends too early, -errno.
 */
int kvm_stats_parse(struct kvm_stats *stats, int stats_fd);

/* Reads the values anew: 0, or -errno with the old values kept. */
int kvm_stats_refresh(struct kvm_stats *stats);

/* The value of @name, or 0 where this kernel does not count it. */
uint64_t kvm_stats_get(const struct kvm_stats *stats, const char *name);

void kvm_stats_close(struct kvm_stats *stats);

#endif
