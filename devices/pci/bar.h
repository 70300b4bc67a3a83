/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_PCI_BAR_H
#define DEVICES_PCI_BAR_H

#include <stdint.h>

#include "vmm/bus.h"

/*
 * Base address registers (PCI 3.0 §6.2.5): where a function's registers appear on the buses.
 *
 * A BAR is decoded if its space is enabled in the command register and its whole range lies in
 * one of the host's windows, touches no RAM and nothing else on the bus. A BAR that software has
 * put anywhere else is simply not decoded, until the conflict is gone; whoever was there first
 * stays. So the guest may move BARs about as it likes and hurts nobody.
 */
#define PCI_BARS 6

enum pci_bar_type { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

struct pci_dev;
struct pci_host;

struct pci_bar {
	enum pci_bar_type type;
	uint32_t size; /* a power of two */
	const struct bus_ops *ops;
	void *arg;     /* for ops */
	uint64_t base; /* while decoded */
	uint8_t decoded;
};

/*
 * Gives @dev BAR @n: @size is a power of two, at least 4 (I/O; at most 256, PCI 3.0 §6.2.5.1) or
 * 16 bytes. PCI_BAR_MEM64 takes n + 1 too. None is prefetchable: what is behind them are registers.
 */
void pci_bar_add(struct pci_dev *dev, unsigned n, enum pci_bar_type type, uint32_t size,
		 const struct bus_ops *ops, void *arg);

/* The address in the register, decoded or not. */
uint64_t pci_bar_address(const struct pci_dev *dev, unsigned n);

/* Writes @base to the register, as software would; takes effect with pci_bars_update(). */
void pci_bar_set_address(struct pci_dev *dev, unsigned n, uint64_t base);

/* Makes the buses follow the registers of all functions. */
void pci_bars_update(struct pci_host *host);

#endif
