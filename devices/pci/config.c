/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space of one PCI function: the header, the list of capabilities, write masks, and
 * the INTA# line as command and status registers see it. Any vCPU's thread, the machine's lock
 * held. It knows no particular device and no address of the machine.
 */
#include "devices/pci/config.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

void pci_put16(struct pci_dev *dev, unsigned off, uint16_t v)
{
	dev->config[off] = (uint8_t)v;
	dev->config[off + 1] = (uint8_t)(v >> 8);
}

void pci_put32(struct pci_dev *dev, unsigned off, uint32_t v)
{
	pci_put16(dev, off, (uint16_t)v);
	pci_put16(dev, off + 2, (uint16_t)(v >> 16));
}

uint16_t pci_get16(const struct pci_dev *dev, unsigned off)
{
	return (uint16_t)(dev->config[off] | dev->config[off + 1] << 8);
}

uint32_t pci_get32(const struct pci_dev *dev, unsigned off)
{
	return pci_get16(dev, off) | (uint32_t)pci_get16(dev, off + 2) << 16;
}

static void allow16(struct pci_dev *dev, unsigned off, uint16_t bits)
{
	dev->writable[off] = (uint8_t)bits;
	dev->writable[off + 1] = (uint8_t)(bits >> 8);
}

void pci_dev_init(struct pci_dev *dev, const struct pci_dev_ops *ops, const struct pci_ids *ids)
{
	memset(dev, 0, sizeof(*dev));
	dev->ops = ops;
	dev->cap_next = PCI_STD_HEADER_SIZEOF;
	pci_put16(dev, PCI_VENDOR_ID, ids->vendor);
	pci_put16(dev, PCI_DEVICE_ID, ids->device);
	pci_put32(dev, PCI_CLASS_REVISION, ids->class_code << 8 | ids->revision);
	pci_put16(dev, PCI_SUBSYSTEM_VENDOR_ID, ids->subsystem_vendor);
	pci_put16(dev, PCI_SUBSYSTEM_ID, ids->subsystem);
	allow16(dev, PCI_COMMAND,
		PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	dev->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->writable[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_dev_set_line(struct pci_dev *dev, struct irq_line *line, uint8_t number)
{
	dev->line = line;
	dev->config[PCI_INTERRUPT_PIN] = 1; /* INTA# */
	dev->config[PCI_INTERRUPT_LINE] = number;
}

int pci_add_capability(struct pci_dev *dev, uint8_t id, unsigned len)
{
	unsigned at = dev->cap_next;

	if (len > PCI_CONFIG_SIZE - at)
		return -ENOSPC;
	dev->config[at + PCI_CAP_LIST_ID] = id;
	dev->config[dev->cap_last ? dev->cap_last + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST] =
		(uint8_t)at;
	pci_put16(dev, PCI_STATUS, pci_get16(dev, PCI_STATUS) | PCI_STATUS_CAP_LIST);
	dev->cap_last = (uint8_t)at;
	/* The last few bytes may stay unused: cap_next has eight bits, 0xfc is the last offset. */
	at = (at + len + 3) & ~3u;
	dev->cap_next = (uint8_t)(at < PCI_CONFIG_SIZE ? at : PCI_CONFIG_SIZE - 4);
	return dev->cap_last;
}

/* §6.2.3: the status bit shows the device's wish, the command bit only keeps it off the wire. */
static void update_intx(struct pci_dev *dev)
{
	uint16_t status = pci_get16(dev, PCI_STATUS);
	int wanted = dev->intx && !pci_msix_enabled(dev), level;

	if (wanted)
		status |= PCI_STATUS_INTERRUPT;
	else
		status &= (uint16_t)~PCI_STATUS_INTERRUPT;
	pci_put16(dev, PCI_STATUS, status);
	level = wanted && !(pci_get16(dev, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
	if (level == dev->level)
		return;
	dev->level = (uint8_t)level;
	irq_set(dev->line, level);
}

void pci_set_intx(struct pci_dev *dev, int level)
{
	dev->intx = level != 0;
	update_intx(dev);
}

static int inside(unsigned off, unsigned size)
{
	return (size == 1 || size == 2 || size == 4) && off <= PCI_CONFIG_SIZE - size;
}

static int touches(unsigned off, unsigned size, unsigned at, unsigned len)
{
	return off < at + len && at < off + size;
}

uint32_t pci_config_read(struct pci_dev *dev, unsigned off, unsigned size)
{
	uint32_t v = 0;

	if (!inside(off, size))
		return UINT32_MAX;
	if (dev->ops && dev->ops->config_read)
		dev->ops->config_read(dev, off, size);
	for (unsigned i = 0; i < size; i++)
		v |= (uint32_t)dev->config[off + i] << (8 * i);
	return v;
}

void pci_config_write(struct pci_dev *dev, unsigned off, unsigned size, uint32_t value)
{
	if (!inside(off, size))
		return;
	for (unsigned i = 0; i < size; i++) {
		uint8_t mask = dev->writable[off + i], v = (uint8_t)(value >> (8 * i));

		dev->config[off + i] = (uint8_t)((dev->config[off + i] & ~mask) | (v & mask));
	}
	if (touches(off, size, PCI_COMMAND, 2) || touches(off, size, PCI_BASE_ADDRESS_0, 24))
		pci_bars_update(dev->host);
	if (dev->msix.vectors && touches(off, size, dev->msix.cap + PCI_MSIX_FLAGS, 2))
		pci_msix_control_written(dev);
	update_intx(dev);
	if (dev->ops && dev->ops->config_written)
		dev->ops->config_written(dev, off, size);
}

void pci_dev_reset(struct pci_dev *dev)
{
	memcpy(dev->config, dev->initial, sizeof(dev->config));
	if (dev->msix.vectors)
		pci_msix_reset(dev);
	pci_bars_update(dev->host);
	pci_set_intx(dev, 0);
}
