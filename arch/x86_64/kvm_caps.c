/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the x86-64 machine asks of the host's KVM and processor. A constant table and one question;
 * any thread. Knows no machine and no guest.
 */
#include <cpuid.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "arch/host.h"

/*
 * Needed is what the machine calls without a way round; every one has been in the kernel since 4.12
 * at the latest, so a missing one means a strange KVM rather than an old one. The useful ones
 * change what a guest or its owner can see, and are asked for again where they are used.
 */
const struct kvm_cap arch_kvm_caps[] = {
	{KVM_CAP_USER_MEMORY, 1, "USER_MEMORY", "guest RAM"},
	{KVM_CAP_IRQCHIP, 1, "IRQCHIP", "the 8259s, the IOAPIC and the local APICs"},
	{KVM_CAP_PIT2, 1, "PIT2", "the timer that kernels calibrate against"},
	{KVM_CAP_IRQ_ROUTING, 1, "IRQ_ROUTING", "message-signalled interrupts of PCI devices"},
	{KVM_CAP_IRQFD, 1, "IRQFD", "interrupts raised without a system call of the vCPU"},
	{KVM_CAP_IOEVENTFD, 1, "IOEVENTFD", "doorbells that do not stop the vCPU"},
	{KVM_CAP_EXT_CPUID, 1, "EXT_CPUID", "a CPUID that the host can honour"},
	{KVM_CAP_SET_TSS_ADDR, 1, "SET_TSS_ADDR", "real mode on older Intel processors"},
	{KVM_CAP_SET_IDENTITY_MAP_ADDR, 1, "SET_IDENTITY_MAP_ADDR",
	 "real mode on older Intel processors"},
	{KVM_CAP_IMMEDIATE_EXIT, 1, "IMMEDIATE_EXIT", "stopping a vCPU without a race"},

	{KVM_CAP_TSC_DEADLINE_TIMER, 0, "TSC_DEADLINE_TIMER", "cheap timers in the guest"},
	{KVM_CAP_GET_TSC_KHZ, 0, "GET_TSC_KHZ", "telling the guest its clock rate"},
	{KVM_CAP_ADJUST_CLOCK, 0, "ADJUST_CLOCK", "a guest clock that stands still during a pause"},
	{KVM_CAP_KVMCLOCK_CTRL, 0, "KVMCLOCK_CTRL", "no false lockup alarms after a pause"},
	{KVM_CAP_X2APIC_API, 0, "X2APIC_API", "more than 255 vCPUs"},
	{KVM_CAP_MP_STATE, 0, "MP_STATE", "saving and restoring vCPUs"},
	{KVM_CAP_XSAVE, 0, "XSAVE", "saving and restoring vector registers"},
	{KVM_CAP_BINARY_STATS_FD, 0, "BINARY_STATS_FD", "exits counted by reason (Linux 5.14)"},
	{KVM_CAP_INTERNAL_ERROR_DATA, 0, "INTERNAL_ERROR_DATA", "details when KVM gives up"},
	{0, 0, NULL, NULL},
};

/* CPUID leaf 1, ECX (Intel SDM vol. 2 CPUID; the last by convention of hypervisors). */
#define LEAF1_ECX_VMX        (1u << 5)
#define LEAF1_ECX_HYPERVISOR (1u << 31)
/* CPUID leaf 0x80000001, ECX (AMD APM vol. 3 appendix E). */
#define EXT1_ECX_SVM         (1u << 2)
#define LEAF_HYPERVISOR      0x40000000

/* The signature of the hypervisor below us: twelve bytes, of which some may be NUL. */
static void read_signature(char out[13])
{
	unsigned eax, reg[3];

	__cpuid(LEAF_HYPERVISOR, eax, reg[0], reg[1], reg[2]);
	memcpy(out, reg, 12);
	out[12] = '\0';
}

int arch_virt_hint(char *out, size_t len)
{
	unsigned eax, ebx, ecx = 0, edx, ecx_ext = 0;
	char signature[13];
	const char *offer = NULL;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		ecx = 0;
	if (!__get_cpuid(0x80000001, &eax, &ebx, &ecx_ext, &edx))
		ecx_ext = 0;
	if (ecx & LEAF1_ECX_VMX)
		offer = "VT-x";
	else if (ecx_ext & EXT1_ECX_SVM)
		offer = "SVM";

	if (!(ecx & LEAF1_ECX_HYPERVISOR)) {
		snprintf(out, len, "a real machine; its processor %s%s", offer ? "has " : "",
			 offer ? offer
			       : "shows neither VT-x nor SVM: look at the firmware settings");
		return offer != NULL;
	}
	read_signature(signature);
	if (offer)
		snprintf(out, len, "itself a virtual machine (%s), with nested %s", signature,
			 offer);
	else
		snprintf(out, len,
			 "itself a virtual machine (%s) without VT-x or SVM: allow nested "
			 "virtualisation in its host",
			 signature);
	return offer != NULL;
}
