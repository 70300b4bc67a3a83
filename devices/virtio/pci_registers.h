/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_PCI_REGISTERS_H
#define DEVICES_VIRTIO_PCI_REGISTERS_H

#include <stdint.h>

#include "devices/virtio/pci.h"

/*
 * The two register files behind the PCI transport's BARs: between pci.c, which finds the structure
 * that an access belongs to, and pci_modern.c and pci_legacy.c. Offsets count from the start of
 * the structure. An access that is not one of the structure's fields reads as 0 and does nothing.
 */
uint64_t virtio_common_read(struct virtio_pci *vp, uint32_t off, unsigned size);
void virtio_common_write(struct virtio_pci *vp, uint32_t off, unsigned size, uint64_t value);
uint64_t virtio_legacy_read(struct virtio_pci *vp, uint32_t off, unsigned size);
void virtio_legacy_write(struct virtio_pci *vp, uint32_t off, unsigned size, uint64_t value);

/* What both have: the device's configuration, ISR (reading clears it), vectors, notifications. */
uint64_t virtio_pci_config_read(struct virtio_pci *vp, uint32_t off, unsigned size);
void virtio_pci_config_write(struct virtio_pci *vp, uint32_t off, unsigned size, uint64_t value);
uint8_t virtio_pci_take_isr(struct virtio_pci *vp);
uint16_t virtio_pci_judge_vector(const struct virtio_pci *vp, uint16_t vector);
void virtio_pci_notify(struct virtio_pci *vp, enum virtio_bell kind, unsigned q, unsigned size);

#endif
