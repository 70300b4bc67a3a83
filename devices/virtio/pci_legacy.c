/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy register file of virtio over PCI (virtio 1.2 §4.1.4.10 and the "Legacy Interface"
 * sections), which unikernels and old guests speak. Runs on a vCPU's thread with the machine's
 * lock held. Device configuration is little-endian like the guests we run.
 */
#include <stddef.h>

#include "devices/virtio/pci_registers.h"
#include "devices/virtio/pci_spec.h"

/* A field and its width as one case label. */
#define FIELD(off, size) ((off) << 4 | (size))

/* Where the device's configuration starts moves with MSI-X (§4.1.4.10). */
static uint32_t config_start(const struct virtio_pci *vp)
{
	return pci_msix_enabled(&vp->pci) ? VIRTIO_LEGACY_CONFIG_MSIX : VIRTIO_LEGACY_CONFIG;
}

static const struct vq *selected(const struct virtio_pci *vp)
{
	unsigned q = vp->s.queue_select;

	return q < vp->dev->n_queues ? &vp->dev->vq[q] : NULL;
}

/*
 * A driver is a legacy driver once it has changed something through these registers. While a
 * modern driver has the device, they are there for a reset only.
 */
static int claim(struct virtio_pci *vp)
{
	if (!vp->dev->legacy && vp->dev->status)
		return 0;
	if (vp->dev->resetting)
		return 0;
	vp->dev->legacy = 1;
	return 1;
}

/* §3.1, §2.4.2: the driver writes 0, does not look again, and takes its memory back. */
static void reset(struct virtio_pci *vp)
{
	struct virtio_dev *dev = vp->dev;

	virtio_set_status(dev, 0);
	if (dev->resetting && dev->host->wait_reset)
		dev->host->wait_reset(dev);
}

/* §2.7.2: the three parts of the queue in one piece, the used ring on a page of its own. */
static void set_pfn(struct virtio_pci *vp, uint32_t pfn)
{
	struct virtio_dev *dev = vp->dev;
	unsigned q = vp->s.queue_select;
	struct vq_state *s;

	if (q >= dev->n_queues)
		return;
	if (!pfn) {
		/* "Stop using the queue": with the others at rest too, or I/O would go on. */
		if (dev->vq[q].s.enabled)
			reset(vp);
		return;
	}
	if (!claim(vp))
		return;
	s = virtio_queue_setup(dev, q);
	if (!s)
		return;
	s->desc = (gpa_t)pfn * VIRTIO_LEGACY_PAGE;
	s->avail = s->desc + 16u * s->size;
	s->used = (s->avail + 6u + 2u * s->size + VIRTIO_LEGACY_PAGE - 1) &
		  ~(gpa_t)(VIRTIO_LEGACY_PAGE - 1);
	virtio_queue_enable(dev, q);
}

uint64_t virtio_legacy_read(struct virtio_pci *vp, uint32_t off, unsigned size)
{
	const struct virtio_dev *dev = vp->dev;
	const struct vq *vq = selected(vp);

	if (off >= config_start(vp))
		return virtio_pci_config_read(vp, off - config_start(vp), size);
	switch (FIELD(off, size)) {
	case FIELD(VIRTIO_LEGACY_DEVICE_FEATURES, 4):
		/* Whoever reads here may be a legacy driver: what it would be offered. */
		return virtio_offered(dev, 0) | 1u << VIRTIO_F_ANY_LAYOUT;
	case FIELD(VIRTIO_LEGACY_DRIVER_FEATURES, 4):
		return (uint32_t)dev->features;
	case FIELD(VIRTIO_LEGACY_QUEUE_PFN, 4):
		return vq && vq->s.enabled ? vq->s.desc / VIRTIO_LEGACY_PAGE : 0;
	case FIELD(VIRTIO_LEGACY_QUEUE_SIZE, 2):
		return vq ? vq->size_max : 0;
	case FIELD(VIRTIO_LEGACY_QUEUE_SELECT, 2):
		return vp->s.queue_select;
	case FIELD(VIRTIO_LEGACY_STATUS, 1):
		return virtio_get_status(dev);
	case FIELD(VIRTIO_LEGACY_ISR, 1):
		return virtio_pci_take_isr(vp);
	case FIELD(VIRTIO_LEGACY_CONFIG_VECTOR, 2):
		return vp->s.config_vector;
	case FIELD(VIRTIO_LEGACY_QUEUE_VECTOR, 2):
		return vq ? vp->s.queue_vector[vp->s.queue_select] : VIRTIO_PCI_NO_VECTOR;
	default:
		return 0;
	}
}

void virtio_legacy_write(struct virtio_pci *vp, uint32_t off, unsigned size, uint64_t value)
{
	unsigned q = vp->s.queue_select;

	if (off >= config_start(vp)) {
		if (claim(vp))
			virtio_pci_config_write(vp, off - config_start(vp), size, value);
		return;
	}
	switch (FIELD(off, size)) {
	case FIELD(VIRTIO_LEGACY_DRIVER_FEATURES, 4):
		if (claim(vp))
			virtio_set_features(vp->dev, 0, (uint32_t)value);
		break;
	case FIELD(VIRTIO_LEGACY_QUEUE_PFN, 4):
		set_pfn(vp, (uint32_t)value);
		break;
	case FIELD(VIRTIO_LEGACY_QUEUE_SELECT, 2):
		vp->s.queue_select = (uint16_t)value;
		break;
	case FIELD(VIRTIO_LEGACY_QUEUE_NOTIFY, 2):
		virtio_pci_notify(vp, VIRTIO_BELL_LEGACY, (uint16_t)value, size);
		break;
	case FIELD(VIRTIO_LEGACY_STATUS, 1):
		if (!(uint8_t)value)
			reset(vp);
		else if (claim(vp))
			virtio_set_status(vp->dev, (uint8_t)value);
		break;
	case FIELD(VIRTIO_LEGACY_CONFIG_VECTOR, 2):
		vp->s.config_vector = virtio_pci_judge_vector(vp, (uint16_t)value);
		break;
	case FIELD(VIRTIO_LEGACY_QUEUE_VECTOR, 2):
		if (q < vp->dev->n_queues)
			vp->s.queue_vector[q] = virtio_pci_judge_vector(vp, (uint16_t)value);
		break;
	default:
		break;
	}
}
