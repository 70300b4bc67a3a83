/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_X86_64_CPUID_H
#define ARCH_X86_64_CPUID_H

#include <stdint.h>

struct kvm_cpuid2;

/*
 * The CPU that guests see: what KVM supports on this host, with the topology of one socket of
 * @n_cpus cores (APIC id = vCPU number), TSC-deadline and x2APIC advertised, VMX and SVM hidden,
 * no PMU. Built once; cpuid_for_vcpu() patches the few fields that differ from vCPU to vCPU.
 */
#define CPUID_ENTRIES_MAX 256

/* Reads and edits the leaves: 0, or -errno after a sentence. free() the result. */
int cpuid_create(int kvm_fd, unsigned n_cpus, struct kvm_cpuid2 **out);

/* The edits alone, on leaves that KVM reported; @cpuid has room for one entry more. */
void cpuid_edit(struct kvm_cpuid2 *cpuid, unsigned n_cpus);

/* Makes @cpuid that of the vCPU with @apic_id. */
void cpuid_for_vcpu(struct kvm_cpuid2 *cpuid, uint32_t apic_id);

/* Bits in a physical address: leaf 0x80000008's, or 36 (as Linux takes it) where that is absent. */
uint32_t cpuid_phys_bits(const struct kvm_cpuid2 *cpuid);

#endif
