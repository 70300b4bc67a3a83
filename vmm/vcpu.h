/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/loop.h"

struct kvm;
struct kvm_run;
struct vcpu;

/* What a vCPU cannot answer by itself. */
enum vcpu_event {
	VCPU_TRIPLE_FAULT,
	VCPU_POWER_OFF, /* KVM_EXIT_SYSTEM_EVENT: arm64's PSCI */
	VCPU_RESET,
	VCPU_BAD_EXIT, /* an exit that no guest causes on a working host: see the run page */
	VCPU_FAILED,   /* KVM_RUN itself failed, or the guest crashed; already explained */
};

/* What all vCPUs of a machine share. event() is called with the loop's lock held. */
struct vcpu_env {
	struct bus *pio, *mmio;
	struct loop *loop;
	void (*event)(void *arg, struct vcpu *vcpu, enum vcpu_event event);
	void *arg;
};

/* Exits to user space, by reason. */
enum vcpu_exit { VCPU_EXIT_IO, VCPU_EXIT_MMIO, VCPU_EXIT_SIGNAL, VCPU_EXIT_OTHER, VCPU_EXITS };

struct vcpu {
	const struct vcpu_env *env;
	unsigned id;
	int fd;
	struct kvm_run *run;
	size_t run_len;
	pthread_t thread;
	int started;
	_Atomic int stop;
	uint64_t exits[VCPU_EXITS]; /* the vCPU thread's, until joined */
};

/*
 * Makes vCPU @id of the VM: 0 or -errno after a sentence. Registers are the architecture's
 * business. vcpu_destroy() takes a stopped vCPU, or a zeroed struct.
 */
int vcpu_create(struct vcpu *vcpu, const struct kvm *kvm, unsigned id, const struct vcpu_env *env);
void vcpu_destroy(struct vcpu *vcpu);

/* Starts the thread that runs it. */
int vcpu_start(struct vcpu *vcpu);

/*
 * Asks the thread to leave the guest and end, from any other thread; a vCPU that is about to
 * enter the guest does not (immediate_exit). vcpu_join() waits until it has.
 */
void vcpu_stop(struct vcpu *vcpu);
void vcpu_join(struct vcpu *vcpu);

/* Once per process, before the first vCPU: the signal that interrupts KVM_RUN. */
int vcpu_setup_signal(void);

#endif
