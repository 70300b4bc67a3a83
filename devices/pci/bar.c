/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Base address registers: puts the ranges of all functions on the buses, where the registers say,
 * if they may go there. Any vCPU's thread, the machine's lock held. It knows neither what is
 * behind a BAR nor the machine's addresses, which come as windows.
 */
#include "devices/pci/bar.h"

#include <assert.h>
#include <linux/pci_regs.h>

#include "devices/pci/host.h"

static unsigned reg(unsigned n)
{
	return PCI_BASE_ADDRESS_0 + 4 * n;
}

static void allow32(struct pci_dev *dev, unsigned off, uint32_t bits)
{
	for (unsigned i = 0; i < 4; i++)
		dev->writable[off + i] = (uint8_t)(bits >> (8 * i));
}

void pci_bar_add(struct pci_dev *dev, unsigned n, enum pci_bar_type type, uint32_t size,
		 const struct bus_ops *ops, void *arg)
{
	assert(n < PCI_BARS && (type != PCI_BAR_MEM64 || n + 1 < PCI_BARS));
	assert(size >= (type == PCI_BAR_IO ? 4 : 16) && !(size & (size - 1)));
	assert(type != PCI_BAR_IO || size <= 256);

	dev->bar[n] = (struct pci_bar){.type = type, .size = size, .ops = ops, .arg = arg};
	allow32(dev, reg(n), ~(size - 1));
	switch (type) {
	case PCI_BAR_IO:
		dev->config[reg(n)] = PCI_BASE_ADDRESS_SPACE_IO;
		break;
	case PCI_BAR_MEM64:
		dev->config[reg(n)] = PCI_BASE_ADDRESS_MEM_TYPE_64;
		allow32(dev, reg(n + 1), UINT32_MAX);
		break;
	default:
		break;
	}
}

uint64_t pci_bar_address(const struct pci_dev *dev, unsigned n)
{
	uint64_t v = pci_get32(dev, reg(n)) & ~(dev->bar[n].size - 1);

	if (dev->bar[n].type == PCI_BAR_MEM64)
		v |= (uint64_t)pci_get32(dev, reg(n + 1)) << 32;
	return v;
}

void pci_bar_set_address(struct pci_dev *dev, unsigned n, uint64_t base)
{
	uint32_t kind = dev->config[reg(n)] & (dev->bar[n].type == PCI_BAR_IO ? 3 : 15);

	pci_put32(dev, reg(n), (uint32_t)base | kind);
	if (dev->bar[n].type == PCI_BAR_MEM64)
		pci_put32(dev, reg(n + 1), (uint32_t)(base >> 32));
}

static struct bus *bus_of(const struct pci_host *host, const struct pci_bar *bar)
{
	return bar->type == PCI_BAR_IO ? host->p.io : host->p.mem;
}

static int in_window(const struct pci_window *w, uint64_t base, uint64_t len)
{
	return base >= w->base && base - w->base < w->len && len <= w->len - (base - w->base);
}

static int touches_ram(const struct mem *ram, uint64_t base, uint64_t len)
{
	for (unsigned i = 0; i < ram->count; i++) {
		const struct mem_region *r = &ram->region[i];

		/* Neither sum wraps: base + len ends in a window, a region ends in RAM. */
		if (base < r->base + r->len && r->base < base + len)
			return 1;
	}
	return 0;
}

/* Enabled, and at an address that a BAR of this kind may have. Says nothing of neighbours. */
static int may_decode(const struct pci_dev *dev, unsigned n)
{
	const struct pci_host_params *p = &dev->host->p;
	const struct pci_bar *bar = &dev->bar[n];
	uint16_t command = pci_get16(dev, PCI_COMMAND);
	uint64_t at = pci_bar_address(dev, n);

	switch (bar->type) {
	case PCI_BAR_IO:
		return (command & PCI_COMMAND_IO) && in_window(&p->io_bars, at, bar->size);
	case PCI_BAR_MEM32:
	case PCI_BAR_MEM64:
		if (!(command & PCI_COMMAND_MEMORY))
			return 0;
		if (!in_window(&p->mem32_bars, at, bar->size) &&
		    !in_window(&p->mem64_bars, at, bar->size))
			return 0;
		return !touches_ram(p->ram, at, bar->size);
	default:
		return 0;
	}
}

static void tell(struct pci_dev *dev, unsigned n, int on)
{
	if (dev->ops && dev->ops->bar_moved)
		dev->ops->bar_moved(dev, n, on);
}

static void withdraw(struct pci_dev *dev, unsigned n)
{
	struct pci_bar *bar = &dev->bar[n];

	if (!bar->decoded || (may_decode(dev, n) && pci_bar_address(dev, n) == bar->base))
		return;
	tell(dev, n, 0);
	bus_remove(bus_of(dev->host, bar), bar->base);
	bar->decoded = 0;
}

static void place(struct pci_dev *dev, unsigned n)
{
	struct pci_bar *bar = &dev->bar[n];
	uint64_t at = pci_bar_address(dev, n);

	if (bar->decoded || !may_decode(dev, n))
		return;
	/* -EEXIST: something is there already, and stays. */
	if (bus_add(bus_of(dev->host, bar), at, bar->size, bar->ops, bar->arg))
		return;
	bar->base = at;
	bar->decoded = 1;
	tell(dev, n, 1);
}

void pci_bars_update(struct pci_host *host)
{
	if (!host)
		return;
	/* First make room, then fill it: two BARs may swap places in two writes. */
	for (unsigned s = 0; s < PCI_SLOTS; s++)
		for (unsigned n = 0; host->slot[s] && n < PCI_BARS; n++)
			withdraw(host->slot[s], n);
	for (unsigned s = 0; s < PCI_SLOTS; s++)
		for (unsigned n = 0; host->slot[s] && n < PCI_BARS; n++)
			place(host->slot[s], n);
}
