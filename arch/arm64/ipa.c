/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The width of guest-physical addresses. Main thread, before there is a VM; asks KVM and decides.
 */
#include <linux/kvm.h>

#include "arch/arm64/ipa.h"

#define IPA_USUAL 40 /* what type 0 means, and all that there was before Linux 4.20 */

unsigned ipa_limit(const struct kvm *kvm)
{
	int bits = kvm_has(kvm, KVM_CAP_ARM_VM_IPA_SIZE);

	return bits > 0 ? (unsigned)bits : IPA_USUAL;
}

unsigned long ipa_vm_type(const struct kvm *kvm, uint64_t last)
{
	unsigned limit = ipa_limit(kvm), bits = IPA_USUAL;

	while (bits < 64 && last >> bits)
		bits++;
	if (bits > limit)
		bits = limit;
	/* A KVM that is not asked for more need not know the question. */
	return bits == IPA_USUAL ? 0 : KVM_VM_TYPE_ARM_IPA_SIZE(bits);
}

int ipa_has_granule(uint64_t mmfr0, unsigned granule)
{
	switch (granule) {
	case 1: /* TGran4: 15 means no */
		return (mmfr0 >> 28 & 0xf) != 0xf;
	case 2: /* TGran16: 0 means no */
		return (mmfr0 >> 20 & 0xf) != 0;
	case 3: /* TGran64: 15 means no */
		return (mmfr0 >> 24 & 0xf) != 0xf;
	default:
		return 1;
	}
}
