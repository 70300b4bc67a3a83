/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_PCI_CONFIG_H
#define DEVICES_PCI_CONFIG_H

#include <stdint.h>

#include "devices/pci/bar.h"
#include "devices/pci/msix.h"
#include "vmm/irq.h"

/*
 * A PCI function with a type 0 header (PCI 3.0 §6.1), and its configuration space: bytes, and for
 * each byte the bits that software may write. Sizing a BAR needs no special case: the address
 * bits below its size cannot be written.
 *
 *   host.c (CF8/CFC, ECAM) -> pci_config_read/write -> bar.c    where BARs are decoded
 *                                                   -> msix.c   enable and function mask
 *                                                   -> ops      what is the device's own
 *
 * All calls happen with the machine's lock held. The configuration space and the MSI-X table are
 * the guest-visible state; the rest follows from them.
 */
#define PCI_CONFIG_SIZE 256

struct pci_dev;
struct pci_host;

/* All may be NULL. */
struct pci_dev_ops {
	/* [off, off + size) is about to be read: bring dev->config up to date. */
	void (*config_read)(struct pci_dev *dev, unsigned off, unsigned size);
	/* [off, off + size) was written; BARs and MSI-X have followed already. */
	void (*config_written)(struct pci_dev *dev, unsigned off, unsigned size);
	/* @bar is decoded at bar[].base from now on (@on), or will cease to be in a moment. */
	void (*bar_moved)(struct pci_dev *dev, unsigned bar, int on);
};

struct pci_ids {
	uint16_t vendor, device;
	uint8_t revision;
	uint32_t class_code; /* class, subclass, interface: 24 bits */
	uint16_t subsystem_vendor, subsystem;
};

struct pci_dev {
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE]; /* bits of config that software may write */
	uint8_t initial[PCI_CONFIG_SIZE];  /* config when it was plugged in, for pci_dev_reset() */
	const struct pci_dev_ops *ops;
	struct pci_host *host; /* NULL until it is plugged in */
	struct pci_bar bar[PCI_BARS];
	struct pci_msix msix;
	struct irq_line *line; /* INTA#, or NULL */
	uint8_t intx;          /* what the device wants on it */
	uint8_t level;         /* what is on it */
	uint8_t cap_last;      /* where the last capability is; 0: none yet */
	uint8_t cap_next;      /* where the next one goes */
};

/* An empty function: no BARs, no capabilities, nothing enabled. */
void pci_dev_init(struct pci_dev *dev, const struct pci_dev_ops *ops, const struct pci_ids *ids);

/*
 * INTA# goes to @line; @number is what the interrupt line register tells software that has no
 * other way to know (§6.2.4). The machine ORs the lines of functions that share an input.
 */
void pci_dev_set_line(struct pci_dev *dev, struct irq_line *line, uint8_t number);

/*
 * Appends a capability of @len bytes, header included, read-only and zero past the header: its
 * offset, or -ENOSPC. Software finds capabilities in the order in which they were added.
 */
int pci_add_capability(struct pci_dev *dev, uint8_t id, unsigned len);

/* RST#: configuration space and MSI-X as they were when it was plugged in; BARs not decoded. */
void pci_dev_reset(struct pci_dev *dev);

/* Little-endian stores into configuration space by the device itself, write masks ignored. */
void pci_put16(struct pci_dev *dev, unsigned off, uint16_t v);
void pci_put32(struct pci_dev *dev, unsigned off, uint32_t v);
uint16_t pci_get16(const struct pci_dev *dev, unsigned off);
uint32_t pci_get32(const struct pci_dev *dev, unsigned off);

/*
 * Software's access: @size 1, 2 or 4 bytes, at any offset that keeps it inside the 256 bytes;
 * any other reads as all ones and writes nothing.
 */
uint32_t pci_config_read(struct pci_dev *dev, unsigned off, unsigned size);
void pci_config_write(struct pci_dev *dev, unsigned off, unsigned size, uint32_t value);

/* The device wants its INTA# at @level. Silent while MSI-X or "interrupt disable" is on. */
void pci_set_intx(struct pci_dev *dev, int level);

#endif
