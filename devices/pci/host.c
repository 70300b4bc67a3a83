/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI bus: slots, the host bridge, and the two ways to configuration space. Called from vCPU
 * threads with the machine's lock held. Every access costs the guest an exit or two, so what
 * lets software ask less is here on purpose: one bus, one function a slot, no extended space.
 */
#include "devices/pci/host.h"

#include <errno.h>
#include <string.h>

#include "vmm/log.h"

/* The generic PCI host bridge of QEMU's identifier list: no registers of its own to probe. */
#define BRIDGE_VENDOR  0x1b36
#define BRIDGE_DEVICE  0x0008
#define BRIDGE_CLASS   0x060000

/* §3.2.2.3.2: enable, bus, device, function, register of the address port. */
#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_MASK   0x80fffffcu

static struct pci_dev *find(const struct pci_host *host, unsigned bus, unsigned devfn)
{
	return bus || devfn % 8 ? NULL : host->slot[devfn / 8];
}

static uint64_t access_read(struct pci_host *host, struct pci_dev *dev, unsigned off, unsigned size)
{
	host->accesses++;
	return dev && size <= 4 ? pci_config_read(dev, off, size) : UINT64_MAX;
}

static void access_write(struct pci_host *host, struct pci_dev *dev, unsigned off, unsigned size,
			 uint64_t value)
{
	host->accesses++;
	if (dev && size <= 4)
		pci_config_write(dev, off, size, (uint32_t)value);
}

/* The function that the address port names, or NULL. */
static struct pci_dev *addressed(const struct pci_host *host)
{
	if (!(host->address & ADDRESS_ENABLE))
		return NULL;
	return find(host, host->address >> 16 & 0xff, host->address >> 8 & 0xff);
}

/* Ports 0..3 are the address, as one doubleword only; ports 4..7 the data, in any width. */
static uint64_t ports_read(void *arg, uint64_t off, unsigned size)
{
	struct pci_host *host = arg;

	if (off < 4)
		return off == 0 && size == 4 ? host->address : UINT64_MAX;
	return access_read(host, addressed(host), (host->address & 0xfc) + (unsigned)off - 4, size);
}

static void ports_write(void *arg, uint64_t off, unsigned size, uint64_t value)
{
	struct pci_host *host = arg;

	if (off < 4) {
		if (off == 0 && size == 4)
			host->address = (uint32_t)value & ADDRESS_MASK;
		return;
	}
	access_write(host, addressed(host), (host->address & 0xfc) + (unsigned)off - 4, size,
		     value);
}

static const struct bus_ops ports_ops = {.read = ports_read, .write = ports_write};

static uint64_t ecam_read(void *arg, uint64_t off, unsigned size)
{
	struct pci_host *host = arg;

	return access_read(host, find(host, 0, (unsigned)(off >> 12)), off & 0xfff, size);
}

static void ecam_write(void *arg, uint64_t off, unsigned size, uint64_t value)
{
	struct pci_host *host = arg;

	access_write(host, find(host, 0, (unsigned)(off >> 12)), off & 0xfff, size, value);
}

static const struct bus_ops ecam_ops = {.read = ecam_read, .write = ecam_write};

int pci_host_init(struct pci_host *host, const struct pci_host_params *params)
{
	static const struct pci_ids ids = {
		.vendor = BRIDGE_VENDOR,
		.device = BRIDGE_DEVICE,
		.class_code = BRIDGE_CLASS,
	};
	int r;

	memset(host, 0, sizeof(*host));
	host->p = *params;
	host->next_io = params->io_bars.base;
	host->next_mem32 = params->mem32_bars.base;
	host->next_mem64 = params->mem64_bars.base;
	pci_dev_init(&host->bridge, NULL, &ids);
	host->bridge.host = host;
	memcpy(host->bridge.initial, host->bridge.config, sizeof(host->bridge.initial));
	host->slot[0] = &host->bridge;
	if (params->has_ports) {
		r = bus_add(params->io, params->ports, 8, &ports_ops, host);
		if (r)
			return log_fail(r, "pci: configuration ports at %#llx are taken",
					(unsigned long long)params->ports);
	}
	if (params->has_ecam) {
		r = bus_add(params->mem, params->ecam, PCI_ECAM_LEN, &ecam_ops, host);
		if (r)
			return log_fail(r, "pci: configuration space at %#llx is taken",
					(unsigned long long)params->ecam);
	}
	return 0;
}

/* The next naturally aligned place in a window: 0 or -ENOSPC. */
static int claim(const struct pci_window *w, uint64_t *next, uint64_t size, uint64_t *at)
{
	uint64_t base = (*next + size - 1) & ~(size - 1);

	if (base < w->base || base - w->base >= w->len || size > w->len - (base - w->base))
		return -ENOSPC;
	*at = base;
	*next = base + size;
	return 0;
}

static int assign(struct pci_host *host, struct pci_dev *dev, unsigned n)
{
	const struct pci_bar *bar = &dev->bar[n];
	uint64_t at;
	int r;

	if (bar->type == PCI_BAR_NONE)
		return 0;
	if (bar->type == PCI_BAR_IO)
		r = claim(&host->p.io_bars, &host->next_io, bar->size, &at);
	else if (bar->type == PCI_BAR_MEM32)
		r = claim(&host->p.mem32_bars, &host->next_mem32, bar->size, &at);
	else
		r = claim(&host->p.mem64_bars, &host->next_mem64, bar->size, &at);
	if (r && bar->type == PCI_BAR_MEM64)
		r = claim(&host->p.mem32_bars, &host->next_mem32, bar->size, &at);
	if (r)
		return r;
	pci_bar_set_address(dev, n, at);
	return 0;
}

int pci_host_add(struct pci_host *host, struct pci_dev *dev, unsigned slot)
{
	int r;

	if (slot >= PCI_SLOTS)
		return log_fail(-EINVAL, "pci: slot %u: there are slots 1 to %u", slot,
				PCI_SLOTS - 1);
	if (host->slot[slot])
		return log_fail(-EEXIST, "pci: slot %u: taken by another device: choose another",
				slot);
	for (unsigned n = 0; n < PCI_BARS; n++) {
		r = assign(host, dev, n);
		if (r)
			return log_fail(r, "pci: slot %u: no room left for the device's registers",
					slot);
	}
	dev->host = host;
	memcpy(dev->initial, dev->config, sizeof(dev->initial));
	host->slot[slot] = dev;
	return 0;
}

void pci_host_reset(struct pci_host *host)
{
	host->address = 0;
	for (unsigned s = 0; s < PCI_SLOTS; s++)
		if (host->slot[s])
			pci_dev_reset(host->slot[s]);
}
