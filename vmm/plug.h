/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_PLUG_H
#define VMM_PLUG_H

#include "devices/virtio/pci.h"

struct machine;
struct plug;

/*
 * One virtio device in a PCI slot, wired to this machine:
 *
 *   doorbell write -> ioeventfd -> loop: virtio_kick      (no exit to user space)
 *   register access on a vCPU   -> loop_soon: virtio_run_later
 *   end of turn -> MSI-X vector (irqfd) or INTA# of the slot
 *
 * plug_create() plugs @dev, which the caller keeps alive, into @slot of @host: 0 or -errno after a
 * sentence. plug_destroy() takes NULL; the guest must have stopped.
 */
int plug_create(struct machine *m, struct pci_host *host, unsigned slot, struct virtio_dev *dev,
		struct plug **out);
void plug_destroy(struct plug *plug);

/* For a reboot: resets the device; afterwards plug_is_reset() tells whether its work is over. */
void plug_reset(struct plug *plug);
int plug_is_reset(const struct plug *plug);

const struct virtio_pci *plug_pci(const struct plug *plug);

#endif
