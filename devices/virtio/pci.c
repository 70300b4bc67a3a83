/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI function of a virtio device: identity, capabilities, which structure an access to a BAR
 * belongs to, doorbells, and the way of an interrupt. Registers run on vCPU threads, interrupts on
 * the loop's, all with the machine's lock held. The registers themselves are in pci_modern.c and
 * pci_legacy.c; what a device does with its queues is not known here.
 */
#include "devices/virtio/pci.h"

#include <linux/pci_regs.h>
#include <string.h>

#include "devices/virtio/pci_registers.h"
#include "devices/virtio/pci_spec.h"
#include "vmm/container_of.h"

#define NOTIFY_STRIDE 4 /* notify_off_multiplier */

/* §4.1.2: device types with a transitional identity, and the PCI class of those we have. */
static const struct identity {
	uint16_t type, transitional;
	uint32_t class_code;
} identities[] = {
	{VIRTIO_ID_NET, 0x1000, 0x020000},     /* Ethernet controller */
	{VIRTIO_ID_BLOCK, 0x1001, 0x018000},   /* mass storage, other */
	{VIRTIO_ID_CONSOLE, 0x1003, 0x078000}, /* communication, other */
	{VIRTIO_ID_RNG, 0x1005, 0x00ff00},     /* unclassified */
};

/* --- interrupts ---------------------------------------------------------------------------- */

uint16_t virtio_pci_judge_vector(const struct virtio_pci *vp, uint16_t vector)
{
	/* §4.1.5.1.2.1: what cannot be mapped reads back as NO_VECTOR. */
	return vector < vp->pci.msix.vectors ? vector : VIRTIO_PCI_NO_VECTOR;
}

uint8_t virtio_pci_take_isr(struct virtio_pci *vp)
{
	uint8_t isr = vp->s.isr;

	vp->s.isr = 0;
	pci_set_intx(&vp->pci, 0);
	return isr;
}

static void host_interrupt(struct virtio_dev *dev, int q)
{
	struct virtio_pci *vp = dev->transport;

	if (pci_msix_enabled(&vp->pci)) {
		/* NO_VECTOR is past the last vector: nothing is sent. */
		pci_msix_raise(&vp->pci, q < 0 ? vp->s.config_vector : vp->s.queue_vector[q]);
		return;
	}
	vp->s.isr |= q < 0 ? VIRTIO_PCI_ISR_CONFIG : VIRTIO_PCI_ISR_QUEUE;
	pci_set_intx(&vp->pci, 1);
}

/* --- what dev.c asks for ------------------------------------------------------------------- */

static void host_later(struct virtio_dev *dev)
{
	struct virtio_pci *vp = dev->transport;

	vp->machine->later(vp);
}

static void forget(struct virtio_pci *vp)
{
	memset(&vp->s, 0, sizeof(vp->s));
	vp->s.config_vector = VIRTIO_PCI_NO_VECTOR;
	for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
		vp->s.queue_vector[q] = VIRTIO_PCI_NO_VECTOR;
	pci_set_intx(&vp->pci, 0);
}

static void host_reset_done(struct virtio_dev *dev)
{
	struct virtio_pci *vp = dev->transport;

	forget(vp);
	if (vp->machine->reset_done)
		vp->machine->reset_done(vp);
}

static void host_wait_reset(struct virtio_dev *dev)
{
	struct virtio_pci *vp = dev->transport;

	if (vp->machine->wait_reset)
		vp->machine->wait_reset(vp);
}

static const struct virtio_host host = {
	.later = host_later,
	.interrupt = host_interrupt,
	.reset_done = host_reset_done,
	.wait_reset = host_wait_reset,
};

/* --- notifications ------------------------------------------------------------------------- */

static unsigned bell_bar(enum virtio_bell kind)
{
	return kind == VIRTIO_BELL_MEM ? VIRTIO_PCI_MEM_BAR : VIRTIO_PCI_IO_BAR;
}

static int set_doorbell(struct virtio_pci *vp, enum virtio_bell kind, unsigned q, int on)
{
	const struct pci_bar *bar = &vp->pci.bar[bell_bar(kind)];
	struct virtio_doorbell bell = {.io = kind != VIRTIO_BELL_MEM, .addr = bar->base};

	switch (kind) {
	case VIRTIO_BELL_LEGACY:
		bell.addr += VIRTIO_LEGACY_QUEUE_NOTIFY;
		bell.match = 1;
		bell.value = (uint16_t)q;
		break;
	case VIRTIO_BELL_IO:
		bell.addr += VIRTIO_PCI_IO_NOTIFY + NOTIFY_STRIDE * q;
		break;
	default:
		bell.addr += VIRTIO_PCI_NOTIFY + NOTIFY_STRIDE * q;
		break;
	}
	return vp->machine->doorbell(vp, q, &bell, on);
}

void virtio_pci_notify(struct virtio_pci *vp, enum virtio_bell kind, unsigned q, unsigned size)
{
	vp->notify_exits++;
	if (q >= vp->dev->n_queues)
		return;
	virtio_kick_later(vp->dev, q);
	/* Next time KVM rings: if the queue runs, at an address that the guest can write to. */
	if (size != 2 || !vp->pci.bar[bell_bar(kind)].decoded || !vp->dev->vq[q].desc)
		return;
	if ((vp->bell[kind] >> q & 1) || vp->no_doorbells || !vp->machine->doorbell)
		return;
	if (set_doorbell(vp, kind, q, 1))
		vp->no_doorbells = 1;
	else
		vp->bell[kind] |= 1u << q;
}

static void bar_moved(struct pci_dev *pci, unsigned bar, int on)
{
	struct virtio_pci *vp = container_of(pci, struct virtio_pci, pci);

	if (on)
		return;
	for (enum virtio_bell kind = 0; kind < VIRTIO_BELLS; kind++) {
		if (bell_bar(kind) != bar)
			continue;
		for (; vp->bell[kind]; vp->bell[kind] &= vp->bell[kind] - 1)
			set_doorbell(vp, kind, (unsigned)__builtin_ctz(vp->bell[kind]), 0);
	}
}

static void notify_area(struct virtio_pci *vp, enum virtio_bell kind, uint64_t off, unsigned size)
{
	/* The address says which queue; the value written says it again. */
	if (off < VIRTIO_PCI_NOTIFY_LEN && off % NOTIFY_STRIDE == 0)
		virtio_pci_notify(vp, kind, (unsigned)off / NOTIFY_STRIDE, size);
}

/* --- BARs ---------------------------------------------------------------------------------- */

uint64_t virtio_pci_config_read(struct virtio_pci *vp, uint32_t off, unsigned size)
{
	uint8_t b[8];
	uint64_t v = 0;

	virtio_config_read(vp->dev, off, b, size);
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)b[i] << (8 * i);
	return v;
}

void virtio_pci_config_write(struct virtio_pci *vp, uint32_t off, unsigned size, uint64_t value)
{
	uint8_t b[8];

	for (unsigned i = 0; i < size; i++)
		b[i] = (uint8_t)(value >> (8 * i));
	virtio_config_write(vp->dev, off, b, size);
}

static uint64_t io_read(void *arg, uint64_t off, unsigned size)
{
	struct virtio_pci *vp = arg;

	if (off >= VIRTIO_PCI_IO_NOTIFY)
		return 0;
	return vp->transitional ? virtio_legacy_read(vp, (uint32_t)off, size) : UINT64_MAX;
}

static void io_write(void *arg, uint64_t off, unsigned size, uint64_t value)
{
	struct virtio_pci *vp = arg;

	if (off >= VIRTIO_PCI_IO_NOTIFY)
		notify_area(vp, VIRTIO_BELL_IO, off - VIRTIO_PCI_IO_NOTIFY, size);
	else if (vp->transitional)
		virtio_legacy_write(vp, (uint32_t)off, size, value);
}

static const struct bus_ops io_ops = {.read = io_read, .write = io_write};

static uint64_t mem_bar_read(void *arg, uint64_t off, unsigned size)
{
	struct virtio_pci *vp = arg;

	if (off >= VIRTIO_PCI_PBA)
		return pci_msix_pba_read(&vp->pci, off - VIRTIO_PCI_PBA, size);
	if (off >= VIRTIO_PCI_TABLE)
		return pci_msix_table_read(&vp->pci, off - VIRTIO_PCI_TABLE, size);
	if (off >= VIRTIO_PCI_NOTIFY)
		return 0;
	if (off >= VIRTIO_PCI_CONFIG)
		return virtio_pci_config_read(vp, (uint32_t)off - VIRTIO_PCI_CONFIG, size);
	if (off >= VIRTIO_PCI_ISR)
		return off == VIRTIO_PCI_ISR ? virtio_pci_take_isr(vp) : 0;
	return virtio_common_read(vp, (uint32_t)off, size);
}

static void mem_bar_write(void *arg, uint64_t off, unsigned size, uint64_t value)
{
	struct virtio_pci *vp = arg;

	if (off >= VIRTIO_PCI_PBA)
		return;
	if (off >= VIRTIO_PCI_TABLE)
		pci_msix_table_write(&vp->pci, off - VIRTIO_PCI_TABLE, size, value);
	else if (off >= VIRTIO_PCI_NOTIFY)
		notify_area(vp, VIRTIO_BELL_MEM, off - VIRTIO_PCI_NOTIFY, size);
	else if (off >= VIRTIO_PCI_CONFIG)
		virtio_pci_config_write(vp, (uint32_t)off - VIRTIO_PCI_CONFIG, size, value);
	else if (off < VIRTIO_PCI_ISR)
		virtio_common_write(vp, (uint32_t)off, size, value);
}

static const struct bus_ops mem_ops = {.read = mem_bar_read, .write = mem_bar_write};

/* --- configuration space ------------------------------------------------------------------- */

/*
 * §4.1.4.9: a window in configuration space onto the BARs, for software that cannot map them. The
 * driver writes where and how much; touching the data does the access. The BAR need not be
 * decoded. NULL if the driver has set it to nothing that is there.
 */
static const struct pci_bar *window_target(struct virtio_pci *vp, uint32_t *off, uint32_t *size)
{
	const struct pci_bar *bar;
	unsigned n = vp->pci.config[vp->window + VIRTIO_PCI_CAP_AT_BAR];

	*off = pci_get32(&vp->pci, vp->window + VIRTIO_PCI_CAP_AT_OFFSET);
	*size = pci_get32(&vp->pci, vp->window + VIRTIO_PCI_CAP_AT_LENGTH);
	if (n >= PCI_BARS || vp->pci.bar[n].type == PCI_BAR_NONE)
		return NULL;
	bar = &vp->pci.bar[n];
	if ((*size != 1 && *size != 2 && *size != 4) || *off % *size)
		return NULL;
	return *off < bar->size && *size <= bar->size - *off ? bar : NULL;
}

static int touches_window(const struct virtio_pci *vp, unsigned off, unsigned size)
{
	unsigned data = vp->window + VIRTIO_PCI_CAP_AT_DATA;

	return off < data + 4 && data < off + size;
}

static void config_read(struct pci_dev *pci, unsigned off, unsigned size)
{
	struct virtio_pci *vp = container_of(pci, struct virtio_pci, pci);
	const struct pci_bar *bar;
	uint32_t at, len;

	if (!touches_window(vp, off, size))
		return;
	bar = window_target(vp, &at, &len);
	pci_put32(pci, vp->window + VIRTIO_PCI_CAP_AT_DATA,
		  bar ? (uint32_t)bar->ops->read(bar->arg, at, len) : UINT32_MAX);
}

static void config_written(struct pci_dev *pci, unsigned off, unsigned size)
{
	struct virtio_pci *vp = container_of(pci, struct virtio_pci, pci);
	const struct pci_bar *bar;
	uint32_t at, len, value;

	if (!touches_window(vp, off, size))
		return;
	bar = window_target(vp, &at, &len);
	if (!bar)
		return;
	value = pci_get32(pci, vp->window + VIRTIO_PCI_CAP_AT_DATA);
	bar->ops->write(bar->arg, at, len, len < 4 ? value & ((1u << (8 * len)) - 1) : value);
}

static const struct pci_dev_ops pci_ops = {
	.config_read = config_read,
	.config_written = config_written,
	.bar_moved = bar_moved,
};

/* --- construction -------------------------------------------------------------------------- */

/* One structure's place: the capability's offset, or -ENOSPC. */
static int add_structure(struct virtio_pci *vp, uint8_t type, uint8_t bar, uint32_t off,
			 uint32_t len)
{
	unsigned size = type == VIRTIO_PCI_CAP_NOTIFY || type == VIRTIO_PCI_CAP_PCI
				? VIRTIO_PCI_CAP_LONG
				: VIRTIO_PCI_CAP_LEN;
	int at = pci_add_capability(&vp->pci, PCI_CAP_ID_VNDR, size);

	if (at < 0)
		return at;
	vp->pci.config[at + VIRTIO_PCI_CAP_AT_CAP_LEN] = (uint8_t)size;
	vp->pci.config[at + VIRTIO_PCI_CAP_AT_TYPE] = type;
	vp->pci.config[at + VIRTIO_PCI_CAP_AT_BAR] = bar;
	pci_put32(&vp->pci, (unsigned)at + VIRTIO_PCI_CAP_AT_OFFSET, off);
	pci_put32(&vp->pci, (unsigned)at + VIRTIO_PCI_CAP_AT_LENGTH, len);
	if (type == VIRTIO_PCI_CAP_NOTIFY)
		pci_put32(&vp->pci, (unsigned)at + VIRTIO_PCI_CAP_AT_MULTIPLY, NOTIFY_STRIDE);
	return at;
}

static int add_window(struct virtio_pci *vp)
{
	int at = add_structure(vp, VIRTIO_PCI_CAP_PCI, 0, 0, 0);

	if (at < 0)
		return at;
	vp->window = (uint8_t)at;
	vp->pci.writable[at + VIRTIO_PCI_CAP_AT_BAR] = 0xff;
	memset(&vp->pci.writable[at + VIRTIO_PCI_CAP_AT_OFFSET], 0xff, 12);
	return 0;
}

/*
 * In the order in which Linux looks for them: a walk of the list costs it three reads for each
 * capability that it passes.
 */
static int add_capabilities(struct virtio_pci *vp, const struct virtio_pci_params *params)
{
	const struct virtio_dev *dev = vp->dev;
	uint32_t notify = NOTIFY_STRIDE * dev->n_queues;
	uint32_t config =
		dev->config_len < VIRTIO_PCI_CONFIG_LEN ? dev->config_len : VIRTIO_PCI_CONFIG_LEN;
	unsigned vectors = dev->n_queues + 1;
	int r;

	if (params->msi && params->msi->vectors) {
		if (vectors > params->msi->vectors)
			vectors = params->msi->vectors;
		r = pci_msix_add(&vp->pci, params->msi, vectors, VIRTIO_PCI_MEM_BAR,
				 VIRTIO_PCI_TABLE, VIRTIO_PCI_PBA);
		if (r < 0)
			return r;
	}
	r = add_structure(vp, VIRTIO_PCI_CAP_COMMON, VIRTIO_PCI_MEM_BAR, VIRTIO_PCI_COMMON,
			  VIRTIO_COMMON_LEN);
	if (r >= 0)
		r = add_structure(vp, VIRTIO_PCI_CAP_ISR, VIRTIO_PCI_MEM_BAR, VIRTIO_PCI_ISR, 1);
	if (r >= 0 && params->has_io)
		r = add_structure(vp, VIRTIO_PCI_CAP_NOTIFY, VIRTIO_PCI_IO_BAR,
				  VIRTIO_PCI_IO_NOTIFY, notify);
	/* §4.1.4.6.1: none if the device has no configuration. */
	if (r >= 0 && config)
		r = add_structure(vp, VIRTIO_PCI_CAP_DEVICE, VIRTIO_PCI_MEM_BAR, VIRTIO_PCI_CONFIG,
				  config);
	if (r >= 0)
		r = add_structure(vp, VIRTIO_PCI_CAP_NOTIFY, VIRTIO_PCI_MEM_BAR, VIRTIO_PCI_NOTIFY,
				  notify);
	return r < 0 ? r : add_window(vp);
}

static void identify(struct virtio_pci *vp, int has_io)
{
	uint16_t type = vp->dev->ops->type;
	/* §4.1.2.1: revision 1 and a subsystem of 0x40 or more say "not transitional". */
	struct pci_ids ids = {
		.vendor = VIRTIO_PCI_VENDOR,
		.device = (uint16_t)VIRTIO_PCI_DEVICE(type),
		.revision = 1,
		.class_code = 0x00ff00,
		.subsystem_vendor = VIRTIO_PCI_VENDOR,
		.subsystem = 0x40,
	};

	for (unsigned i = 0; i < sizeof(identities) / sizeof(identities[0]); i++) {
		if (identities[i].type != type)
			continue;
		ids.class_code = identities[i].class_code;
		if (!has_io)
			break;
		ids.device = identities[i].transitional;
		ids.revision = 0;
		ids.subsystem = type;
		vp->transitional = 1;
	}
	pci_dev_init(&vp->pci, &pci_ops, &ids);
}

int virtio_pci_init(struct virtio_pci *vp, const struct virtio_pci_params *params)
{
	memset(vp, 0, sizeof(*vp));
	vp->dev = params->dev;
	vp->machine = params->machine;
	vp->dev->host = &host;
	vp->dev->transport = vp;
	identify(vp, params->has_io);
	if (params->line)
		pci_dev_set_line(&vp->pci, params->line, params->line_number);
	if (params->has_io)
		pci_bar_add(&vp->pci, VIRTIO_PCI_IO_BAR, PCI_BAR_IO, VIRTIO_PCI_IO_LEN, &io_ops,
			    vp);
	pci_bar_add(&vp->pci, VIRTIO_PCI_MEM_BAR, PCI_BAR_MEM32, VIRTIO_PCI_MEM_LEN, &mem_ops, vp);
	forget(vp);
	return add_capabilities(vp, params);
}
