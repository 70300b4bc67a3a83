/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vCPU is and where it starts, in KVM's terms (Documentation/virt/kvm/api.rst §4.68,
 * §4.82). Main thread, before the guest runs; a vCPU's own thread for its program counter.
 */
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>

#include "arch/arm64/layout.h"
#include "arch/arm64/registers.h"
#include "vmm/log.h"

#define CORE_REG(field) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))
#define MPIDR_EL1      ARM64_SYS_REG(3, 0, 0, 0, 5)
#define MMFR0_EL1      ARM64_SYS_REG(3, 0, 0, 7, 0)

#define PPI_INTID(ppi) ((ppi) + 16)

static int get_reg(int fd, uint64_t id, uint64_t *value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};

	*value = 0;
	return kvm_ioctl(fd, KVM_GET_ONE_REG, &reg);
}

static int set_reg(int fd, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	return kvm_ioctl(fd, KVM_SET_ONE_REG, &reg);
}

struct cpu_features registers_host_features(const struct kvm *kvm)
{
	return (struct cpu_features){
		.pmu = kvm_has(kvm, KVM_CAP_ARM_PMU_V3) > 0,
		.sve = kvm_has(kvm, KVM_CAP_ARM_SVE) > 0,
		.pauth = kvm_has(kvm, KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0 &&
			 kvm_has(kvm, KVM_CAP_ARM_PTRAUTH_GENERIC) > 0,
	};
}

int registers_init(const struct kvm *kvm, int vcpu_fd, unsigned id, struct cpu_features features)
{
	struct kvm_vcpu_init init;
	int sve = KVM_ARM_VCPU_SVE;
	int r = kvm_ioctl(kvm->vm_fd, KVM_ARM_PREFERRED_TARGET, &init);

	if (r < 0)
		return log_fail(r, "kvm: does not know this host's processor: %s", strerror(-r));
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (id > 0)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	if (features.pmu)
		init.features[0] |= 1u << KVM_ARM_VCPU_PMU_V3;
	if (features.sve)
		init.features[0] |= 1u << KVM_ARM_VCPU_SVE;
	if (features.pauth)
		init.features[0] |=
			1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;
	r = kvm_ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, &init);
	if (r == 0 && features.sve)
		r = kvm_ioctl(vcpu_fd, KVM_ARM_VCPU_FINALIZE, &sve);
	if (r < 0)
		return log_fail(r, "kvm: cannot initialise vCPU %u: %s", id, strerror(-r));
	return 0;
}

int registers_init_pmu(int vcpu_fd)
{
	int intid = PPI_INTID(LAYOUT_PPI_PMU);
	struct kvm_device_attr irq = {
		.group = KVM_ARM_VCPU_PMU_V3_CTRL,
		.attr = KVM_ARM_VCPU_PMU_V3_IRQ,
		.addr = (uintptr_t)&intid,
	};
	struct kvm_device_attr init = {
		.group = KVM_ARM_VCPU_PMU_V3_CTRL,
		.attr = KVM_ARM_VCPU_PMU_V3_INIT,
	};
	int r = kvm_ioctl(vcpu_fd, KVM_SET_DEVICE_ATTR, &irq);

	if (r == 0)
		r = kvm_ioctl(vcpu_fd, KVM_SET_DEVICE_ATTR, &init);
	if (r < 0)
		return log_fail(r, "kvm: cannot set up performance counters: %s", strerror(-r));
	return 0;
}

int registers_set_entry(int vcpu_fd, uint64_t pc, uint64_t fdt)
{
	/* All else is as the reset left it: EL1, interrupts masked, MMU off, x1 to x3 zero. */
	int r = set_reg(vcpu_fd, CORE_REG(regs.regs[0]), fdt);

	if (r == 0)
		r = set_reg(vcpu_fd, CORE_REG(regs.pc), pc);
	if (r < 0)
		return log_fail(r, "kvm: cannot set a vCPU's registers: %s", strerror(-r));
	return 0;
}

int registers_get_mpidr(int vcpu_fd, uint64_t *mpidr)
{
	return get_reg(vcpu_fd, MPIDR_EL1, mpidr);
}

int registers_get_mmfr0(int vcpu_fd, uint64_t *mmfr0)
{
	return get_reg(vcpu_fd, MMFR0_EL1, mmfr0);
}

int registers_get_pc(int vcpu_fd, uint64_t *pc)
{
	return get_reg(vcpu_fd, CORE_REG(regs.pc), pc);
}
