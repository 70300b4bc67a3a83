/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_IRQCHIP_H
#define VMM_IRQCHIP_H

#include <stdint.h>

#include "vmm/irq.h"

struct kvm_irq_routing_entry;

/*
 * Interrupts by KVM's in-kernel controllers: what stands behind struct irq_line and struct irq_msi.
 * Wires and vectors are handed out once, before the guest runs; the VM behind them may be replaced
 * (a reboot makes a new one), which irqchip_attach() does.
 *
 *   irq_set(line)   -> KVM_IRQ_LINE             (several wires of one GSI are a wired OR)
 *   msi->raise(vec) -> write(eventfd) = irqfd   (GSI -> MSI by the one routing table)
 */
struct irqchip;

/* 0 or -ENOMEM; irqchip_destroy() takes NULL. */
int irqchip_create(struct irqchip **out);
void irqchip_destroy(struct irqchip *chip);

/*
 * Serves the VM @vm_fd from now on; every wire is low, every vector masked. Sets the routing
 * table: the architecture's @n fixed routes, kept for later changes. @msi_devid: messages carry
 * the device's id (arm64's ITS). 0 or -errno after a sentence.
 */
int irqchip_attach(struct irqchip *chip, int vm_fd, const struct kvm_irq_routing_entry *fixed,
		   unsigned n, int msi_devid);

/*
 * What KVM_IRQ_LINE calls GSI 0, the others following it; 0 until this is called, as on x86. On
 * arm64 it is the first SPI, in the encoding of api.rst §4.25.
 */
void irqchip_number_lines(struct irqchip *chip, uint32_t first);

/* A new wire to @gsi; lives as long as the chip. NULL when out of memory. */
struct irq_line *irqchip_line(struct irqchip *chip, unsigned gsi);

/* @vectors new message vectors for the device with requester id @devid; as long as the chip. */
struct irq_msi *irqchip_msi(struct irqchip *chip, unsigned vectors, uint32_t devid);

#endif
