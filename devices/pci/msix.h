/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_PCI_MSIX_H
#define DEVICES_PCI_MSIX_H

#include <stdint.h>

#include "vmm/irq.h"

/*
 * MSI-X (PCI 3.0 §6.8.2): a table of messages in a BAR, a mask bit for each, one for all, and
 * pending bits for what happened while masked.
 *
 * Telling the interrupt controller where messages go is expensive, so it happens only when an
 * unmasked vector's message differs from what the controller knows, and once for all vectors that
 * one access changes. Masking costs nothing: interrupts of this device are raised here, and a
 * masked vector's is kept as a pending bit.
 */
#define PCI_MSIX_MAX       32
#define PCI_MSIX_ENTRY_LEN 16
#define PCI_MSIX_TABLE_LEN (PCI_MSIX_MAX * PCI_MSIX_ENTRY_LEN)
#define PCI_MSIX_PBA_LEN   8

struct pci_dev;

/* Guest-visible state, together with the control word in configuration space. */
struct pci_msix_state {
	uint32_t table[PCI_MSIX_MAX][4]; /* address low, high, data, control (bit 0: masked) */
	uint64_t pending;
};

struct pci_msix {
	struct pci_msix_state s;
	struct irq_msi *irq;
	unsigned vectors; /* 0: the function has no MSI-X */
	uint8_t cap;
	uint8_t said; /* that the controller refused a message */
	struct {
		uint64_t addr;
		uint32_t data;
		uint8_t on;
	} routed[PCI_MSIX_MAX]; /* what the controller knows */
};

/*
 * Adds the capability: @vectors (1 to PCI_MSIX_MAX, and to irq->vectors) with table and pending
 * bits at @table and @pba (8-byte aligned) in BAR @bar. All vectors start masked. 0 or -ENOSPC.
 * The owner of the BAR passes accesses to those ranges on to the functions below.
 */
int pci_msix_add(struct pci_dev *dev, struct irq_msi *irq, unsigned vectors, unsigned bar,
		 uint32_t table, uint32_t pba);

/*
 * Accesses, @off from the start of the table or of the pending bits. Aligned 4- and 8-byte ones
 * inside it count (§6.8.2); all others read as all ones and write nothing.
 */
uint64_t pci_msix_table_read(const struct pci_dev *dev, uint64_t off, unsigned size);
void pci_msix_table_write(struct pci_dev *dev, uint64_t off, unsigned size, uint64_t value);
uint64_t pci_msix_pba_read(const struct pci_dev *dev, uint64_t off, unsigned size);

/* Software has enabled MSI-X: INTA# is not used. */
int pci_msix_enabled(const struct pci_dev *dev);

/* Sends vector @vec, or marks it pending while it is masked. Vectors that are not there: nothing.
 */
void pci_msix_raise(struct pci_dev *dev, unsigned vec);

/* All vectors masked and none pending; the control word has been reset already. */
void pci_msix_reset(struct pci_dev *dev);

/* The control word was written. */
void pci_msix_control_written(struct pci_dev *dev);

#endif
