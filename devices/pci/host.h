/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_PCI_HOST_H
#define DEVICES_PCI_HOST_H

#include <stdint.h>

#include "devices/pci/config.h"
#include "vmm/bus.h"
#include "vmm/mem.h"

/*
 * One PCI bus with 32 slots, function 0 each, a host bridge at 00:00.0, and the ways to reach
 * configuration space: the address and data ports of mechanism #1 (PCI 3.0 §3.2.2.3.2) and the
 * memory-mapped ECAM (PCIe 3.0 §7.2.2). Addresses are the machine's to choose.
 *
 * Functions are conventional PCI: 256 bytes; the rest of an ECAM page reads as all ones, which
 * saves software the search for extended capabilities.
 */
#define PCI_SLOTS    32
#define PCI_ECAM_LEN (PCI_SLOTS << 15) /* one bus */

struct pci_window {
	uint64_t base, len; /* len 0: there is none */
};

struct pci_host_params {
	struct bus *io, *mem;
	const struct mem *ram;     /* where no BAR may go */
	struct pci_window io_bars; /* where BARs may go, as the guest's tables say */
	struct pci_window mem32_bars;
	struct pci_window mem64_bars;
	int has_ports;  /* mechanism #1, eight ports from */
	uint64_t ports; /* this I/O address */
	int has_ecam;
	uint64_t ecam; /* PCI_ECAM_LEN bytes of memory space */
};

struct pci_host {
	struct pci_host_params p;
	struct pci_dev *slot[PCI_SLOTS];
	struct pci_dev bridge;
	uint32_t address; /* the address port; guest-visible state */
	uint64_t next_io; /* where the next BAR is put at start */
	uint64_t next_mem32;
	uint64_t next_mem64;
	uint64_t accesses; /* to configuration space, for --stats */
};

/*
 * Puts the bridge into slot 0 and the access mechanisms on the buses. 0, or -errno of bus_add()
 * after a sentence. @host stays where it is for the life of the buses.
 */
int pci_host_init(struct pci_host *host, const struct pci_host_params *params);

/*
 * Plugs @dev into @slot (1..31, fewer than PCI_SLOTS) and writes an address into each of its BARs,
 * as firmware would; decoding stays off until software enables it. 0; -EEXIST if the slot is
 * taken, -EINVAL if there is no such slot, -ENOSPC if a window is full, after a sentence.
 */
int pci_host_add(struct pci_host *host, struct pci_dev *dev, unsigned slot);

/*
 * For a reboot: all functions as they were when they were plugged in. What a function does for
 * its guest has to be stopped before (virtio: a device reset).
 */
void pci_host_reset(struct pci_host *host);

#endif
