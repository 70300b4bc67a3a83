/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the arm64 machine asks of the host's KVM and processor. A constant table and one question;
 * any thread. Knows no machine and no guest.
 */
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "arch/host.h"

/*
 * Needed is what the machine calls without a way round; every one has been in the kernel since 4.12
 * at the latest. The useful ones change what a guest or its owner can see, and are asked for again
 * where they are used.
 */
const struct kvm_cap arch_kvm_caps[] = {
	{KVM_CAP_USER_MEMORY, 1, "USER_MEMORY", "guest RAM"},
	{KVM_CAP_ONE_REG, 1, "ONE_REG", "setting registers"},
	{KVM_CAP_ARM_PSCI_0_2, 1, "ARM_PSCI_0_2", "starting vCPUs, reboot and power-off"},
	{KVM_CAP_IRQCHIP, 1, "IRQCHIP", "the interrupt controller, a GIC"},
	{KVM_CAP_DEVICE_CTRL, 1, "DEVICE_CTRL", "setting up the interrupt controller"},
	{KVM_CAP_IRQFD, 1, "IRQFD", "interrupts raised without a system call of the vCPU"},
	{KVM_CAP_IOEVENTFD, 1, "IOEVENTFD", "doorbells that do not stop the vCPU"},
	{KVM_CAP_IMMEDIATE_EXIT, 1, "IMMEDIATE_EXIT", "stopping a vCPU without a race"},

	{KVM_CAP_IRQ_ROUTING, 0, "IRQ_ROUTING", "message-signalled interrupts of PCI devices"},
	{KVM_CAP_ARM_VM_IPA_SIZE, 0, "ARM_VM_IPA_SIZE", "other than 40 guest address bits"},
	{KVM_CAP_ARM_PMU_V3, 0, "ARM_PMU_V3", "performance counters in the guest"},
	{KVM_CAP_ARM_SVE, 0, "ARM_SVE", "scalable vectors in the guest"},
	{KVM_CAP_ARM_PTRAUTH_ADDRESS, 0, "ARM_PTRAUTH_ADDRESS", "pointer authentication"},
	{KVM_CAP_ARM_PTRAUTH_GENERIC, 0, "ARM_PTRAUTH_GENERIC", "pointer authentication"},
	{KVM_CAP_MP_STATE, 0, "MP_STATE", "saving and restoring vCPUs"},
	{KVM_CAP_BINARY_STATS_FD, 0, "BINARY_STATS_FD", "exits counted by reason (Linux 5.14)"},
	{0, 0, NULL, NULL},
};

/* The first line of a small file, without its end; empty if there is none. */
static void read_line(const char *path, char *out, size_t len)
{
	FILE *f = fopen(path, "re");

	out[0] = '\0';
	if (!f)
		return;
	if (!fgets(out, (int)len, f))
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	fclose(f);
}

/* Whether there is EL2 below us shows nowhere but in /dev/kvm itself. */
int arch_virt_hint(char *out, size_t len)
{
	char vendor[48], product[64];

	read_line("/sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor));
	read_line("/sys/class/dmi/id/product_name", product, sizeof(product));
	if (!product[0])
		read_line("/proc/device-tree/model", product, sizeof(product));
	if (!product[0])
		snprintf(product, sizeof(product), "an unnamed machine");
	snprintf(
		out, len,
		"%s%s%s; whether its firmware or hypervisor leaves EL2 to this kernel only the KVM "
		"device tells",
		vendor, vendor[0] ? " " : "", product);
	return -1;
}
