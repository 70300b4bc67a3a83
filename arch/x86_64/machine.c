/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The x86-64 side of the contract in arch/arch.h: memory around the 32-bit hole, the in-kernel
 * controllers, CPUID, and the hand-over to the kernel. Main thread. Devices are in platform.c.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/boot.h"
#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/smbios.h"
#include "devices/pci/host.h"
#include "vmm/irqchip.h"
#include "vmm/log.h"
#include "vmm/machine.h"

const enum image_arch arch_image = IMAGE_ARCH_X86_64;
/*
 * Not the kernel's tests of its own ciphers (fips=1 has them all the same), nor a search for serial
 * ports beside the one there is. And where a kernel is started by itself, it keeps the lock
 * prefixes that it would take out of all of its code for one processor: that costs a boot more than
 * a short life with them does.
 */
#define QUICK_WORDS "cryptomgr.notests 8250.nr_uarts=1"
const char arch_default_cmdline[] = "console=ttyS0 panic=-1 noreplace-smp " QUICK_WORDS;
const char arch_quick_words[] = QUICK_WORDS;
const int arch_wants_power_key = 0; /* ACPI has one */

unsigned arch_mem_ranges(uint64_t size, struct mem_range out[MEM_REGIONS_MAX])
{
	if (size <= LAYOUT_LOW_RAM_MAX) {
		out[0] = (struct mem_range){0, size};
		return 1;
	}
	out[0] = (struct mem_range){0, LAYOUT_LOW_RAM_MAX};
	out[1] = (struct mem_range){LAYOUT_HIGH_RAM, size - LAYOUT_LOW_RAM_MAX};
	return 2;
}

gpa_t arch_initrd_floor(const struct machine *m)
{
	(void)m;
	return LAYOUT_1MIB;
}

unsigned long arch_vm_type(const struct machine *m)
{
	(void)m;
	return 0;
}

int arch_vcpu_pc(int vcpu_fd, uint64_t *pc)
{
	struct kvm_regs regs = {0};
	int r = kvm_ioctl(vcpu_fd, KVM_GET_REGS, &regs);

	*pc = regs.rip;
	return r;
}

/* The routes of KVM's irqchip as it comes: GSI n is pin n of the IOAPIC and, below 16, of the
 * 8259s. */
static unsigned fixed_routes(struct kvm_irq_routing_entry *out)
{
	unsigned n = 0;

	for (unsigned gsi = 0; gsi < KVM_IOAPIC_NUM_PINS; gsi++) {
		if (gsi < 16)
			out[n++] = (struct kvm_irq_routing_entry){
				.gsi = gsi,
				.type = KVM_IRQ_ROUTING_IRQCHIP,
				.u.irqchip = {gsi < 8 ? KVM_IRQCHIP_PIC_MASTER
						      : KVM_IRQCHIP_PIC_SLAVE,
					      gsi & 7},
			};
		/* The PIT's line reaches the IOAPIC at pin 2, as the MADT says. */
		out[n++] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = {KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi},
		};
	}
	return n;
}

/* Tells the 8259s which lines are level-triggered, as firmware does by their ELCR. */
static int set_elcr(int vm_fd)
{
	for (unsigned i = 0; i < 2; i++) {
		struct kvm_irqchip chip = {
			.chip_id = i == 0 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
		};
		int r = kvm_ioctl(vm_fd, KVM_GET_IRQCHIP, &chip);

		chip.chip.pic.elcr = (uint8_t)(LAYOUT_ELCR >> 8 * i);
		if (r == 0)
			r = kvm_ioctl(vm_fd, KVM_SET_IRQCHIP, &chip);
		if (r < 0)
			return r;
	}
	return 0;
}

int arch_setup_vm(struct machine *m)
{
	struct kvm_irq_routing_entry routes[KVM_IOAPIC_NUM_PINS + 16];
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	uint64_t identity = LAYOUT_KVM_IDENTITY;
	int r = kvm_ioctl(m->kvm.vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);

	if (r == 0)
		r = kvm_ioctl_value(m->kvm.vm_fd, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS);
	if (r == 0)
		r = kvm_ioctl(m->kvm.vm_fd, KVM_CREATE_IRQCHIP, NULL);
	if (r == 0)
		r = set_elcr(m->kvm.vm_fd);
	if (r == 0)
		r = kvm_ioctl(m->kvm.vm_fd, KVM_CREATE_PIT2, &pit);
	if (r < 0)
		return log_fail(r, "kvm: cannot create the interrupt controllers: %s",
				strerror(-r));
	return irqchip_attach(m->irqchip, m->kvm.vm_fd, routes, fixed_routes(routes), 0);
}

static uint64_t align_up(uint64_t n, uint64_t a)
{
	return (n + a - 1) & ~(a - 1);
}

/* The window for 64-bit BARs: 32 GiB behind the last byte of RAM. */
#define MMIO64_LEN (32ull << 30)

static gpa_t mmio64_base(const struct machine *m)
{
	const struct mem_region *last = &m->mem.region[m->mem.count - 1];
	gpa_t end = last->base + last->len;

	return align_up(end > LAYOUT_HIGH_RAM ? end : LAYOUT_HIGH_RAM, 1ull << 30);
}

static int check_phys_bits(const struct machine *m, const struct kvm_cpuid2 *cpuid)
{
	uint32_t bits = cpuid_phys_bits(cpuid);

	if (bits < 64 && (mmio64_base(m) + MMIO64_LEN - 1) >> bits)
		return log_fail(
			-EINVAL,
			"--memory: this host's processor has %u address bits: %lluG is too much",
			bits, (unsigned long long)(mem_size(&m->mem) >> 30));
	return 0;
}

int arch_setup_vcpus(struct machine *m)
{
	struct kvm_cpuid2 *cpuid;
	int r = cpuid_create(m->kvm.fd, m->n_vcpus, &cpuid);

	if (r < 0)
		return r;
	r = check_phys_bits(m, cpuid);
	for (unsigned i = 0; i < m->n_vcpus && r == 0; i++) {
		cpuid_for_vcpu(cpuid, i);
		r = kvm_ioctl(m->vcpu[i].fd, KVM_SET_CPUID2, cpuid);
		if (r < 0)
			log_line(LOG_ERROR, "kvm: cannot set the CPUID of vCPU %u: %s", i,
				 strerror(-r));
		if (r == 0)
			r = registers_set_msrs(m->vcpu[i].fd);
	}
	free(cpuid);
	return r;
}

void arch_pci_params(const struct machine *m, struct pci_host_params *p)
{
	p->io_bars = (struct pci_window){LAYOUT_PCI_IO, LAYOUT_PCI_IO_LEN};
	p->mem32_bars = (struct pci_window){LAYOUT_MMIO32, LAYOUT_MMIO32_LEN};
	p->mem64_bars = (struct pci_window){mmio64_base(m), MMIO64_LEN};
	p->has_ports = 1;
	p->ports = LAYOUT_PORT_PCI;
	p->has_ecam = 1;
	p->ecam = LAYOUT_ECAM;
}

unsigned arch_pci_gsi(unsigned slot)
{
	return LAYOUT_GSI_INTX(slot);
}

int arch_setup_boot(struct machine *m)
{
	uint32_t apic_id[LAYOUT_CPUS_MAX];
	struct acpi_params acpi = {
		.cpus = m->n_vcpus,
		.apic_id = apic_id,
		.mmio64 = mmio64_base(m),
		.mmio64_len = MMIO64_LEN,
	};
	struct smbios_params smbios = {.version = SKIFF_VERSION, .cpus = m->n_vcpus};
	struct boot_info info = {
		.image = &m->image,
		.cmdline = machine_cmdline(m),
		.initrd = m->initrd,
		.initrd_len = m->initrd_len,
	};
	int r;

	for (unsigned i = 0; i < m->n_vcpus; i++)
		apic_id[i] = i;
	memcpy(smbios.uuid, m->uuid, sizeof(smbios.uuid));
	r = acpi_build(&m->mem, &acpi, &info.rsdp);
	if (r == 0)
		r = smbios_build(&m->mem, &smbios);
	if (r == 0)
		r = boot_write(&m->mem, &info);
	if (r == 0)
		r = registers_set_entry(m->vcpu[0].fd, &m->mem, &m->image);
	return r;
}
