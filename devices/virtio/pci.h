/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_PCI_H
#define DEVICES_VIRTIO_PCI_H

#include <stdint.h>

#include "devices/pci/config.h"
#include "devices/pci/host.h"
#include "devices/virtio/dev.h"

/*
 * virtio over PCI (virtio 1.2 §4.1): turns the registers of a PCI function into the calls of
 * dev.h. Transitional where the machine has I/O ports and the device type has a legacy identity,
 * else modern only.
 *
 *   BAR0, I/O, 256 bytes          BAR1, 32-bit memory, 16 KiB
 *     000 legacy registers          0000 common configuration
 *     080 notify, 4 bytes a queue   0100 ISR
 *                                   0200 device configuration
 *                                   1000 notify, 4 bytes a queue
 *                                   2000 MSI-X table       3000 MSI-X pending bits
 *
 * The notify area in the I/O BAR is listed first, so that a driver which can use it does: a port
 * write is the cheapest exit there is. Memory is not prefetchable: reading ISR clears it.
 *
 * Registers are accessed on vCPU threads with the machine's lock held. A notification is work for
 * the loop's thread: it comes as a doorbell that KVM rings without waking this code, or as a
 * plain register access, which marks the queue and asks for the end of the turn.
 */
#define VIRTIO_PCI_IO_BAR     0
#define VIRTIO_PCI_IO_LEN     256
#define VIRTIO_PCI_IO_NOTIFY  0x80
#define VIRTIO_PCI_MEM_BAR    1
#define VIRTIO_PCI_MEM_LEN    0x4000
#define VIRTIO_PCI_COMMON     0x0000
#define VIRTIO_PCI_ISR        0x0100
#define VIRTIO_PCI_CONFIG     0x0200
#define VIRTIO_PCI_CONFIG_LEN 0x0e00
#define VIRTIO_PCI_NOTIFY     0x1000
#define VIRTIO_PCI_NOTIFY_LEN (4 * VIRTIO_QUEUES_MAX)
#define VIRTIO_PCI_TABLE      0x2000
#define VIRTIO_PCI_PBA        0x3000

struct virtio_pci;

/* Where a write of two bytes is a kick of one queue. */
struct virtio_doorbell {
	int io;        /* a port, else a memory address */
	uint64_t addr; /* KVM may be told to match any length at a memory address */
	int match;     /* only writes of @value: the legacy register is shared by all queues */
	uint16_t value;
};

/* What the machine does for the transport. Lock held for each. */
struct virtio_pci_machine {
	/* As in struct virtio_host: virtio_run_later(vp->dev) on the loop, once a turn. */
	void (*later)(struct virtio_pci *vp);
	/*
	 * From now on (@on), or no longer, a write to @bell is virtio_kick(vp->dev, q) on the
	 * loop's thread, by ioeventfd. Asked for when a doorbell is first used, so that only those
	 * in use exist; the write that asked has been dealt with. Called from a vCPU's thread. 0,
	 * or -errno: writes go on to arrive as register accesses. May be NULL.
	 */
	int (*doorbell)(struct virtio_pci *vp, unsigned q, const struct virtio_doorbell *bell,
			int on);
	/* As in struct virtio_host; both may be NULL. */
	void (*reset_done)(struct virtio_pci *vp);
	void (*wait_reset)(struct virtio_pci *vp);
};

struct virtio_pci_params {
	struct virtio_dev *dev;
	const struct virtio_pci_machine *machine;
	struct irq_line *line; /* INTA#, or NULL */
	uint8_t line_number;   /* for the interrupt line register */
	struct irq_msi *msi;   /* NULL: no MSI-X. Wants one vector a queue and one more */
	int has_io;            /* the machine has I/O ports */
};

/* Guest-visible state, together with the PCI function's and the device's own. */
struct virtio_pci_state {
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint16_t queue_select;
	uint16_t config_vector;
	uint16_t queue_vector[VIRTIO_QUEUES_MAX];
	uint8_t isr;
};

enum virtio_bell { VIRTIO_BELL_LEGACY, VIRTIO_BELL_IO, VIRTIO_BELL_MEM, VIRTIO_BELLS };

struct virtio_pci {
	struct pci_dev pci;
	struct virtio_dev *dev;
	const struct virtio_pci_machine *machine;
	struct virtio_pci_state s;
	uint8_t transitional;        /* BAR0 holds the legacy registers */
	uint8_t window;              /* where the PCI access capability is (§4.1.4.9) */
	uint8_t no_doorbells;        /* the machine refused one */
	uint32_t bell[VIRTIO_BELLS]; /* bit per queue: its doorbell exists */
	uint64_t notify_exits;       /* notifications that came as register accesses */
};

/*
 * Makes @vp a PCI function for params->dev, which gets its host table from here. Plug it in with
 * pci_host_add(host, &vp->pci, slot). 0, or -ENOSPC if the capabilities do not fit.
 */
int virtio_pci_init(struct virtio_pci *vp, const struct virtio_pci_params *params);

#endif
