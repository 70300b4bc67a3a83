/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <stdint.h>

#include "loader/image.h"
#include "vmm/mem.h"

/*
 * The contract between the machine and an architecture: plain functions, one architecture a
 * binary. All run on the main thread before the guest does, unless they say otherwise.
 */
struct machine;
struct pci_host_params;

extern const enum image_arch arch_image;  /* the kernels that run here */
extern const char arch_default_cmdline[]; /* where the user gives no --append */
/*
 * The part of it that goes before an image's own command line, too: it spares a kernel work at boot
 * that has no use in a machine like this and takes nothing away later. A word of the image's or the
 * user's wins over it.
 */
extern const char arch_quick_words[];

/* RAM of @size bytes, laid around the machine's holes. The number of ranges. */
unsigned arch_mem_ranges(uint64_t size, struct mem_range out[MEM_REGIONS_MAX]);

/* The lowest address that an initrd may take. */
gpa_t arch_initrd_floor(const struct machine *m);

/* Platform devices on the machine's buses; once. They outlive reboots: arch_reset_devices(). */
int arch_create_devices(struct machine *m);
void arch_reset_devices(struct machine *m);
void arch_destroy_devices(struct machine *m);

/* What KVM_CREATE_VM is given (kvm.h); KVM is open and RAM is laid out. */
unsigned long arch_vm_type(const struct machine *m);

/* In-kernel interrupt controllers, clock and routing of a new VM, before its vCPUs. */
int arch_setup_vm(struct machine *m);

/* After all vCPUs exist: what is not registers (CPUID, MSRs, controllers that count vCPUs). */
int arch_setup_vcpus(struct machine *m);

/*
 * Writes tables and boot parameters to RAM and sets vCPU 0 to enter m->image. Everything else in
 * RAM (kernel, initrd) is in place.
 */
int arch_setup_boot(struct machine *m);

/* Where a stopped vCPU stands, for a report: 0 or -errno. On the vCPU's own thread. */
int arch_vcpu_pc(int vcpu_fd, uint64_t *pc);

/* Where PCI lies in this machine: all but the buses and the RAM, which are the caller's. */
void arch_pci_params(const struct machine *m, struct pci_host_params *p);

/* The GSI of a slot's INTA#. */
unsigned arch_pci_gsi(unsigned slot);

/*
 * Presses the power button; any thread, lock held. Whether the guest takes it as a wish to shut
 * down is the guest's affair.
 */
void arch_press_power_button(struct machine *m);

/* The platform has no button that stock kernels know: the machine adds a key on PCI (devices.h). */
extern const int arch_wants_power_key;

#endif
