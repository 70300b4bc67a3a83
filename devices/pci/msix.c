/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X: the table, the pending bits, the masks, and when to tell the interrupt controller. Runs on
 * vCPU threads (registers) and on the loop's (raise), the machine's lock held. It knows neither
 * KVM nor what a vector is for.
 */
#include "devices/pci/msix.h"

#include <assert.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "devices/pci/config.h"
#include "vmm/log.h"

enum { ADDR_LOW, ADDR_HIGH, DATA, CONTROL };

static uint16_t control_word(const struct pci_dev *dev)
{
	return pci_get16(dev, dev->msix.cap + PCI_MSIX_FLAGS);
}

int pci_msix_enabled(const struct pci_dev *dev)
{
	return dev->msix.vectors && (control_word(dev) & PCI_MSIX_FLAGS_ENABLE);
}

static void mask_all(struct pci_msix *m)
{
	memset(&m->s, 0, sizeof(m->s));
	for (unsigned v = 0; v < m->vectors; v++)
		m->s.table[v][CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

int pci_msix_add(struct pci_dev *dev, struct irq_msi *irq, unsigned vectors, unsigned bar,
		 uint32_t table, uint32_t pba)
{
	int cap;

	assert(vectors && vectors <= PCI_MSIX_MAX && vectors <= irq->vectors);
	assert(bar < PCI_BARS && !(table % 8) && !(pba % 8));

	cap = pci_add_capability(dev, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	if (cap < 0)
		return cap;
	dev->msix.irq = irq;
	dev->msix.vectors = vectors;
	dev->msix.cap = (uint8_t)cap;
	pci_put16(dev, (unsigned)cap + PCI_MSIX_FLAGS, (uint16_t)(vectors - 1));
	pci_put32(dev, (unsigned)cap + PCI_MSIX_TABLE, table | bar);
	pci_put32(dev, (unsigned)cap + PCI_MSIX_PBA, pba | bar);
	dev->writable[cap + PCI_MSIX_FLAGS + 1] =
		(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	mask_all(&dev->msix);
	return 0;
}

static int is_masked(const struct pci_dev *dev, unsigned v)
{
	uint16_t control = control_word(dev);

	return !(control & PCI_MSIX_FLAGS_ENABLE) || (control & PCI_MSIX_FLAGS_MASKALL) ||
	       (dev->msix.s.table[v][CONTROL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* Hands vector @v's route to the controller if it is due: true if a commit has to follow. */
static int route(struct pci_dev *dev, unsigned v)
{
	struct pci_msix *m = &dev->msix;
	const uint32_t *e = m->s.table[v];
	uint64_t addr = (uint64_t)e[ADDR_HIGH] << 32 | e[ADDR_LOW];

	if (!pci_msix_enabled(dev)) {
		if (!m->routed[v].on)
			return 0;
		m->routed[v].on = 0;
		m->irq->ops->route(m->irq, v, 0, 0, 1);
		return 1;
	}
	if (is_masked(dev, v))
		return 0;
	if (m->routed[v].on && m->routed[v].addr == addr && m->routed[v].data == e[DATA])
		return 0;
	m->routed[v].addr = addr;
	m->routed[v].data = e[DATA];
	m->routed[v].on = 1;
	m->irq->ops->route(m->irq, v, addr, e[DATA], 0);
	return 1;
}

/* Brings the controller up to date after any change, and delivers what was waiting for it. */
static void update(struct pci_dev *dev)
{
	struct pci_msix *m = &dev->msix;
	int changed = 0, r = 0;

	for (unsigned v = 0; v < m->vectors; v++)
		changed |= route(dev, v);
	if (changed)
		r = m->irq->ops->commit(m->irq);
	if (r && !m->said) {
		m->said = 1;
		log_line(LOG_WARN,
			 "pci: msi-x: routing of %u vectors: error %d: interrupts of "
			 "this device may be lost",
			 m->vectors, -r);
	}
	for (unsigned v = 0; v < m->vectors; v++) {
		if (!(m->s.pending >> v & 1) || is_masked(dev, v))
			continue;
		m->s.pending &= ~(1ull << v);
		m->irq->ops->raise(m->irq, v);
	}
}

void pci_msix_reset(struct pci_dev *dev)
{
	mask_all(&dev->msix);
	update(dev);
}

void pci_msix_control_written(struct pci_dev *dev)
{
	update(dev);
}

void pci_msix_raise(struct pci_dev *dev, unsigned vec)
{
	struct pci_msix *m = &dev->msix;

	if (vec >= m->vectors || !pci_msix_enabled(dev))
		return;
	if (is_masked(dev, vec))
		m->s.pending |= 1ull << vec;
	else
		m->irq->ops->raise(m->irq, vec);
}

/* §6.8.2: aligned doublewords and quadwords, inside the @len bytes that are there. */
static int is_proper(uint64_t off, unsigned size, uint64_t len)
{
	return (size == 4 || size == 8) && !(off % size) && off < len && size <= len - off;
}

uint64_t pci_msix_table_read(const struct pci_dev *dev, uint64_t off, unsigned size)
{
	const struct pci_msix *m = &dev->msix;
	uint64_t v;

	if (!is_proper(off, size, m->vectors * PCI_MSIX_ENTRY_LEN))
		return UINT64_MAX;
	v = m->s.table[off / 16][off / 4 % 4];
	if (size == 8)
		v |= (uint64_t)m->s.table[off / 16][off / 4 % 4 + 1] << 32;
	return v;
}

void pci_msix_table_write(struct pci_dev *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct pci_msix *m = &dev->msix;
	uint32_t *e;

	if (!is_proper(off, size, m->vectors * PCI_MSIX_ENTRY_LEN))
		return;
	e = m->s.table[off / 16];
	e[off / 4 % 4] = (uint32_t)value;
	if (size == 8)
		e[off / 4 % 4 + 1] = (uint32_t)(value >> 32);
	e[ADDR_LOW] &= ~3u;
	e[CONTROL] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	update(dev);
}

uint64_t pci_msix_pba_read(const struct pci_dev *dev, uint64_t off, unsigned size)
{
	if (!is_proper(off, size, PCI_MSIX_PBA_LEN))
		return UINT64_MAX;
	return size == 8 ? dev->msix.s.pending : (uint32_t)(dev->msix.s.pending >> (8 * off));
}
