/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_ARM64_GIC_H
#define ARCH_ARM64_GIC_H

/*
 * Makes KVM's interrupt controller for the VM @vm_fd, whose vCPUs exist and are initialised and
 * have not run: a GICv3 with an ITS, or a GICv2 where the host's hardware allows nothing else. Its
 * version, 2 or 3; or -errno after a sentence.
 *
 * A GICv2 has no message-signalled interrupts, so PCI devices use INTA#, and takes eight vCPUs:
 * KVM_CAP_MAX_VCPUS says so.
 */
int gic_create(int vm_fd);

#endif
