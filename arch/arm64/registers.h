/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_ARM64_REGISTERS_H
#define ARCH_ARM64_REGISTERS_H

#include <stdint.h>

#include "vmm/kvm.h"

/* What vCPUs of this host can have beyond the base architecture. */
struct cpu_features {
	uint8_t pmu, sve, pauth;
};

/* Asks KVM, whose machine exists. */
struct cpu_features registers_host_features(const struct kvm *kvm);

/*
 * Makes vCPU @id, which exists, a processor like the host's: at its reset state, waiting for PSCI
 * CPU_ON unless it is the first. 0 or -errno after a sentence.
 */
int registers_init(const struct kvm *kvm, int vcpu_fd, unsigned id, struct cpu_features features);

/* Gives the vCPU's performance counters their interrupt; after the GIC. 0 or -errno, says why. */
int registers_init_pmu(int vcpu_fd);

/* Linux's entry (Documentation/arch/arm64/booting.rst): 0 or -errno after a sentence. */
int registers_set_entry(int vcpu_fd, uint64_t pc, uint64_t fdt);

/* MPIDR_EL1, ID_AA64MMFR0_EL1 and the program counter: 0 or -errno. */
int registers_get_mpidr(int vcpu_fd, uint64_t *mpidr);
int registers_get_mmfr0(int vcpu_fd, uint64_t *mmfr0);
int registers_get_pc(int vcpu_fd, uint64_t *pc);

#endif
