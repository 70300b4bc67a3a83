/* SPDX-License-Identifier: BSD-2-Clause */
/* The tests' driver (driver.h) on a virtio PCI function: discovery and registers of §4.1. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "devices/virtio/pci_spec.h"
#include "tests/lib/board.h"

static struct driver_pci *of(struct driver *drv)
{
	return drv->arg;
}

/* --- one register --------------------------------------------------------------------------- */

static void aim(struct driver_pci *p, const struct driver_pci_area *area, uint32_t off,
		unsigned size)
{
	unsigned cap = p->window.off;

	board_config_write(p->b, p->slot, cap + VIRTIO_PCI_CAP_AT_BAR, 1, area->bar);
	board_config_write(p->b, p->slot, cap + VIRTIO_PCI_CAP_AT_OFFSET, 4, area->off + off);
	board_config_write(p->b, p->slot, cap + VIRTIO_PCI_CAP_AT_LENGTH, 4, size);
}

uint64_t driver_pci_read(struct driver *drv, const struct driver_pci_area *area, uint32_t off,
			 unsigned size)
{
	struct driver_pci *p = of(drv);
	uint64_t at = p->bar[area->bar] + area->off + off;

	if (p->way == DRIVER_PCI_WINDOW) {
		aim(p, area, off, size);
		return board_config_read(p->b, p->slot, p->window.off + VIRTIO_PCI_CAP_AT_DATA,
					 size);
	}
	if (p->bar_is_io[area->bar])
		return board_in(p->b, (uint16_t)at, size);
	return board_load(p->b, at, size);
}

void driver_pci_write(struct driver *drv, const struct driver_pci_area *area, uint32_t off,
		      unsigned size, uint64_t v)
{
	struct driver_pci *p = of(drv);
	uint64_t at = p->bar[area->bar] + area->off + off;

	if (p->way == DRIVER_PCI_WINDOW) {
		aim(p, area, off, size);
		board_config_write(p->b, p->slot, p->window.off + VIRTIO_PCI_CAP_AT_DATA, size,
				   (uint32_t)v);
	} else if (p->bar_is_io[area->bar]) {
		board_out(p->b, (uint16_t)at, size, (uint32_t)v);
	} else {
		board_store(p->b, at, size, v);
	}
}

static uint32_t get(struct driver *drv, uint32_t off, unsigned size)
{
	return (uint32_t)driver_pci_read(drv, &of(drv)->common, off, size);
}

static void set(struct driver *drv, uint32_t off, unsigned size, uint32_t v)
{
	driver_pci_write(drv, &of(drv)->common, off, size, v);
}

static void set64(struct driver *drv, uint32_t off, uint64_t v)
{
	set(drv, off, 4, (uint32_t)v);
	set(drv, off + 4, 4, (uint32_t)(v >> 32));
}

/* --- modern --------------------------------------------------------------------------------- */

static uint8_t modern_status(struct driver *drv)
{
	return (uint8_t)get(drv, VIRTIO_COMMON_STATUS, 1);
}

static void modern_set_status(struct driver *drv, uint8_t status)
{
	set(drv, VIRTIO_COMMON_STATUS, 1, status);
	/* §4.1.5.1.2: vectors before the queues. */
	if (status == (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER) && of(drv)->msix)
		set(drv, VIRTIO_COMMON_CONFIG_VECTOR, 2, 0);
}

static uint64_t modern_offered(struct driver *drv)
{
	uint64_t low;

	set(drv, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 0);
	low = get(drv, VIRTIO_COMMON_DEVICE_FEATURE, 4);
	set(drv, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 1);
	return (uint64_t)get(drv, VIRTIO_COMMON_DEVICE_FEATURE, 4) << 32 | low;
}

static void modern_set_features(struct driver *drv, uint64_t features)
{
	for (unsigned sel = 0; sel < 2; sel++) {
		set(drv, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, sel);
		set(drv, VIRTIO_COMMON_DRIVER_FEATURE, 4, (uint32_t)(features >> (32 * sel)));
	}
}

static uint16_t modern_queue_size(struct driver *drv, unsigned q)
{
	set(drv, VIRTIO_COMMON_QUEUE_SELECT, 2, q);
	return (uint16_t)get(drv, VIRTIO_COMMON_QUEUE_SIZE, 2);
}

static int modern_queue_start(struct driver *drv, unsigned q)
{
	const struct driver_queue *vq = &drv->q[q];
	struct driver_pci *p = of(drv);

	set(drv, VIRTIO_COMMON_QUEUE_SELECT, 2, q);
	set(drv, VIRTIO_COMMON_QUEUE_SIZE, 2, vq->size);
	set64(drv, VIRTIO_COMMON_QUEUE_DESC, vq->desc);
	set64(drv, VIRTIO_COMMON_QUEUE_AVAIL, vq->avail);
	set64(drv, VIRTIO_COMMON_QUEUE_USED, vq->used);
	if (p->msix) {
		set(drv, VIRTIO_COMMON_QUEUE_VECTOR, 2, q + 1);
		if (get(drv, VIRTIO_COMMON_QUEUE_VECTOR, 2) != q + 1)
			return -EBUSY;
	}
	p->notify_at[q] = get(drv, VIRTIO_COMMON_QUEUE_NOTIFY_OFF, 2) * (uint64_t)p->multiplier;
	set(drv, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	return get(drv, VIRTIO_COMMON_QUEUE_ENABLE, 2) == 1 ? 0 : -EPROTO;
}

static void modern_kick(struct driver *drv, unsigned q)
{
	struct driver_pci *p = of(drv);

	driver_pci_write(drv, &p->notify, (uint32_t)p->notify_at[q], 2, q);
}

static void config_read(struct driver *drv, uint32_t off, void *dst, uint32_t len)
{
	uint8_t *b = dst;

	for (uint32_t i = 0; i < len; i++)
		b[i] = (uint8_t)driver_pci_read(drv, &of(drv)->config, off + i, 1);
}

static void config_write(struct driver *drv, uint32_t off, const void *src, uint32_t len)
{
	const uint8_t *b = src;

	for (uint32_t i = 0; i < len; i++)
		driver_pci_write(drv, &of(drv)->config, off + i, 1, b[i]);
}

static const struct driver_transport modern = {
	.status = modern_status,
	.set_status = modern_set_status,
	.offered = modern_offered,
	.set_features = modern_set_features,
	.queue_size = modern_queue_size,
	.queue_start = modern_queue_start,
	.kick = modern_kick,
	.config_read = config_read,
	.config_write = config_write,
};

/* --- legacy --------------------------------------------------------------------------------- */

static uint8_t legacy_status(struct driver *drv)
{
	return (uint8_t)get(drv, VIRTIO_LEGACY_STATUS, 1);
}

static void legacy_set_status(struct driver *drv, uint8_t status)
{
	set(drv, VIRTIO_LEGACY_STATUS, 1, status);
	if (status == (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER) && of(drv)->msix)
		set(drv, VIRTIO_LEGACY_CONFIG_VECTOR, 2, 0);
}

static uint64_t legacy_offered(struct driver *drv)
{
	return get(drv, VIRTIO_LEGACY_DEVICE_FEATURES, 4);
}

static void legacy_set_features(struct driver *drv, uint64_t features)
{
	set(drv, VIRTIO_LEGACY_DRIVER_FEATURES, 4, (uint32_t)features);
}

static uint16_t legacy_queue_size(struct driver *drv, unsigned q)
{
	set(drv, VIRTIO_LEGACY_QUEUE_SELECT, 2, q);
	return (uint16_t)get(drv, VIRTIO_LEGACY_QUEUE_SIZE, 2);
}

static int legacy_queue_start(struct driver *drv, unsigned q)
{
	uint32_t pfn = (uint32_t)(drv->q[q].desc / VIRTIO_LEGACY_PAGE);

	set(drv, VIRTIO_LEGACY_QUEUE_SELECT, 2, q);
	set(drv, VIRTIO_LEGACY_QUEUE_PFN, 4, pfn);
	if (of(drv)->msix)
		set(drv, VIRTIO_LEGACY_QUEUE_VECTOR, 2, q + 1);
	return get(drv, VIRTIO_LEGACY_QUEUE_PFN, 4) == pfn ? 0 : -EPROTO;
}

static void legacy_kick(struct driver *drv, unsigned q)
{
	set(drv, VIRTIO_LEGACY_QUEUE_NOTIFY, 2, q);
}

static const struct driver_transport legacy = {
	.status = legacy_status,
	.set_status = legacy_set_status,
	.offered = legacy_offered,
	.set_features = legacy_set_features,
	.queue_size = legacy_queue_size,
	.queue_start = legacy_queue_start,
	.kick = legacy_kick,
	.config_read = config_read,
	.config_write = config_write,
};

/* --- discovery ------------------------------------------------------------------------------ */

static void read_bars(struct driver_pci *p)
{
	for (unsigned n = 0; n < PCI_BARS; n++) {
		uint32_t v = board_config_read(p->b, p->slot, PCI_BASE_ADDRESS_0 + 4 * n, 4);

		p->bar_is_io[n] = v & PCI_BASE_ADDRESS_SPACE_IO;
		p->bar[n] = v & (p->bar_is_io[n] ? ~3u : ~15u);
	}
}

/* The first of each type counts, as the specification wants it (§4.1.4.1). */
static void note(struct driver_pci *p, unsigned cap)
{
	struct driver_pci_area area = {.there = 1};
	unsigned type = board_config_read(p->b, p->slot, cap + VIRTIO_PCI_CAP_AT_TYPE, 1);

	area.bar = (uint8_t)board_config_read(p->b, p->slot, cap + VIRTIO_PCI_CAP_AT_BAR, 1);
	area.off = board_config_read(p->b, p->slot, cap + VIRTIO_PCI_CAP_AT_OFFSET, 4);
	area.len = board_config_read(p->b, p->slot, cap + VIRTIO_PCI_CAP_AT_LENGTH, 4);
	switch (type) {
	case VIRTIO_PCI_CAP_COMMON:
		p->common = p->common.there ? p->common : area;
		break;
	case VIRTIO_PCI_CAP_ISR:
		p->isr = p->isr.there ? p->isr : area;
		break;
	case VIRTIO_PCI_CAP_DEVICE:
		p->config = p->config.there ? p->config : area;
		break;
	case VIRTIO_PCI_CAP_NOTIFY:
		if (p->notify.there || (p->way != DRIVER_PCI_MODERN && p->bar_is_io[area.bar]))
			break;
		p->notify = area;
		p->multiplier =
			board_config_read(p->b, p->slot, cap + VIRTIO_PCI_CAP_AT_MULTIPLY, 4);
		break;
	case VIRTIO_PCI_CAP_PCI:
		p->window = (struct driver_pci_area){.off = cap, .there = 1};
		break;
	default:
		break;
	}
}

/* Table entries unmasked one by one, as Linux does it. */
static void enable_msix(struct driver_pci *p, unsigned cap)
{
	unsigned flags = board_config_read(p->b, p->slot, cap + PCI_MSIX_FLAGS, 2);
	uint32_t where = board_config_read(p->b, p->slot, cap + PCI_MSIX_TABLE, 4);
	uint64_t table = p->bar[where & PCI_MSIX_TABLE_BIR] + (where & PCI_MSIX_TABLE_OFFSET);

	flags |= PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL;
	board_config_write(p->b, p->slot, cap + PCI_MSIX_FLAGS, 2, flags);
	for (unsigned v = 0; v <= (flags & PCI_MSIX_FLAGS_QSIZE); v++) {
		board_store(p->b, table + 16 * v, 4, 0xfee00000);
		board_store(p->b, table + 16 * v + 4, 4, 0);
		board_store(p->b, table + 16 * v + 8, 4, 0x40 + v);
		board_store(p->b, table + 16 * v + 12, 4, 0);
	}
	flags &= ~(unsigned)PCI_MSIX_FLAGS_MASKALL;
	board_config_write(p->b, p->slot, cap + PCI_MSIX_FLAGS, 2, flags);
}

static void walk_capabilities(struct driver_pci *p)
{
	unsigned cap = board_config_read(p->b, p->slot, PCI_CAPABILITY_LIST, 1), id;

	/* Bounded: a list with a loop in it ends too. */
	for (unsigned n = 0; cap && n < 48; n++) {
		id = board_config_read(p->b, p->slot, cap, 1);
		if (id == PCI_CAP_ID_VNDR)
			note(p, cap);
		else if (id == PCI_CAP_ID_MSIX && p->msix)
			enable_msix(p, cap);
		cap = board_config_read(p->b, p->slot, cap + PCI_CAP_LIST_NEXT, 1);
	}
}

int driver_attach_pci(struct driver *drv, struct driver_pci *p, struct board_function *fn,
		      unsigned slot, enum driver_pci_way way, int msix)
{
	memset(p, 0, sizeof(*p));
	p->b = fn->board;
	p->slot = slot;
	p->way = way;
	p->msix = msix;
	if (board_config_read(p->b, slot, PCI_VENDOR_ID, 2) != VIRTIO_PCI_VENDOR)
		return -ENODEV;
	board_config_write(p->b, slot, PCI_COMMAND, 2,
			   PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	read_bars(p);
	walk_capabilities(p);

	memset(drv, 0, sizeof(*drv));
	drv->transport = way == DRIVER_PCI_LEGACY ? &legacy : &modern;
	drv->dev = fn->vp.dev;
	drv->mem = &p->b->mem;
	drv->arg = p;
	drv->heap = drv->heap_next = 0x100000;
	drv->heap_end = BOARD_RAM;
	drv->later = drv->dev->later_asked;
	fn->drv = drv;
	if (way == DRIVER_PCI_LEGACY) {
		if (!p->bar_is_io[VIRTIO_PCI_IO_BAR])
			return -ENODEV;
		p->common = (struct driver_pci_area){VIRTIO_PCI_IO_BAR, 0, 128, 1};
		p->config = p->common;
		p->config.off = msix ? VIRTIO_LEGACY_CONFIG_MSIX : VIRTIO_LEGACY_CONFIG;
		return 0;
	}
	if (!p->common.there || !p->isr.there || !p->notify.there)
		return -ENODEV;
	return way == DRIVER_PCI_WINDOW && !p->window.there ? -ENODEV : 0;
}
