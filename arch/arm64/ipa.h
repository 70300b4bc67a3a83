/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_ARM64_IPA_H
#define ARCH_ARM64_IPA_H

#include <stdint.h>

#include "vmm/kvm.h"

/*
 * Guest-physical ("intermediate physical") addresses: how wide they are is said when a VM is made.
 * Every bit that is not needed may save a level of KVM's tables, and hosts differ in how many they
 * have.
 */

/* The most that this host has, in bits. */
unsigned ipa_limit(const struct kvm *kvm);

/*
 * What KVM_CREATE_VM takes (api.rst §4.2) for a machine whose last address is @last: as many bits
 * as that needs, but at least the usual 40 where the host has them.
 */
unsigned long ipa_vm_type(const struct kvm *kvm, uint64_t last);

/*
 * Whether a processor with this ID_AA64MMFR0_EL1 translates by pages of the size that struct image
 * calls @granule; 0 asks for nothing.
 */
int ipa_has_granule(uint64_t mmfr0, unsigned granule);

#endif
