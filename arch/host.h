/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_HOST_H
#define ARCH_HOST_H

#include <stddef.h>

#include "vmm/kvm.h"

/*
 * What an architecture knows of the host below it: which capabilities its machine asks of KVM, and
 * how to find out whether that KVM really runs what Linux is made of.
 */

/* The capabilities, needed ones first; ends with a name of NULL. */
extern const struct kvm_cap arch_kvm_caps[];

/*
 * Says in @out[0..len) where the processor's virtualisation stands: what this host is (a real
 * machine, or a guest of which hypervisor) and whether its processor offers VT-x, SVM or EL2.
 * Returns 1 if it is offered, 0 if not, -1 if that cannot be told from here.
 */
int arch_virt_hint(char *out, size_t len);

/*
 * The micro-guest: a few instructions that every Linux kernel executes and that a KVM without
 * hardware behind it often cannot. Each step runs on a vCPU of its own, so that one that fails
 * does not hide the others.
 */
enum probe_state {
	PROBE_NOT_RUN,
	PROBE_RUNNING,
	PROBE_OK,
	PROBE_FAILED,
	PROBE_ABSENT, /* not in the CPUID that KVM offers, so no guest uses it */
};

struct probe_step {
	enum probe_state state;
	char name[16];
	char what[192];  /* FAILED: what happened */
	char cause[192]; /* FAILED: why, and what to do; may be empty */
};

#define PROBE_STEPS_MAX 8

struct probe {
	unsigned n;
	struct probe_step step[PROBE_STEPS_MAX];
};

/*
 * Fills in @probe, one step after the other, with a new machine of @kvm (whose vm_fd is -1, and is
 * again when this returns). 0 if every step was tried, else -errno after a sentence. It may not
 * return at all where KVM hangs: vmm/check_guest.c runs it in a child process. @probe may lie in
 * memory that another process reads meanwhile.
 */
int arch_probe(struct kvm *kvm, struct probe *probe);

#endif
