/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The common configuration structure of virtio over PCI (virtio 1.2 §4.1.4.3), for modern drivers.
 * Runs on a vCPU's thread with the machine's lock held. Each field is accessed in its own width,
 * 64-bit fields as two halves (§4.1.3.1); what order is right is dev.c's to say.
 */
#include <stddef.h>

#include "devices/virtio/pci_registers.h"
#include "devices/virtio/pci_spec.h"

/* A field and its width as one case label. */
#define FIELD(off, size) ((off) << 4 | (size))

/* The queue that queue_select names, or NULL: all its fields then read as 0. */
static const struct vq *selected(const struct virtio_pci *vp)
{
	unsigned q = vp->s.queue_select;

	return q < vp->dev->n_queues ? &vp->dev->vq[q] : NULL;
}

static uint32_t half(uint64_t v, unsigned high)
{
	return (uint32_t)(high ? v >> 32 : v);
}

static void set_half(uint64_t *v, unsigned high, uint32_t value)
{
	if (high)
		*v = (uint64_t)value << 32 | (uint32_t)*v;
	else
		*v = (*v & ~(uint64_t)UINT32_MAX) | value;
}

static uint32_t queue_read(const struct virtio_pci *vp, uint32_t off, unsigned size)
{
	const struct vq *vq = selected(vp);
	unsigned q = vp->s.queue_select;

	if (!vq)
		return 0;
	switch (FIELD(off, size)) {
	case FIELD(VIRTIO_COMMON_QUEUE_SIZE, 2):
		return vq->s.size;
	case FIELD(VIRTIO_COMMON_QUEUE_VECTOR, 2):
		return vp->s.queue_vector[q];
	case FIELD(VIRTIO_COMMON_QUEUE_ENABLE, 2):
		return vq->s.enabled;
	case FIELD(VIRTIO_COMMON_QUEUE_NOTIFY_OFF, 2):
		return q;
	case FIELD(VIRTIO_COMMON_QUEUE_DESC, 4):
	case FIELD(VIRTIO_COMMON_QUEUE_DESC + 4, 4):
		return half(vq->s.desc, off & 4);
	case FIELD(VIRTIO_COMMON_QUEUE_AVAIL, 4):
	case FIELD(VIRTIO_COMMON_QUEUE_AVAIL + 4, 4):
		return half(vq->s.avail, off & 4);
	case FIELD(VIRTIO_COMMON_QUEUE_USED, 4):
	case FIELD(VIRTIO_COMMON_QUEUE_USED + 4, 4):
		return half(vq->s.used, off & 4);
	case FIELD(VIRTIO_COMMON_QUEUE_RESET, 2):
		return vp->dev->queue_resetting >> q & 1;
	default:
		return 0;
	}
}

uint64_t virtio_common_read(struct virtio_pci *vp, uint32_t off, unsigned size)
{
	const struct virtio_dev *dev = vp->dev;

	switch (FIELD(off, size)) {
	case FIELD(VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4):
		return vp->s.device_feature_select;
	case FIELD(VIRTIO_COMMON_DEVICE_FEATURE, 4):
		return virtio_offered(dev, vp->s.device_feature_select);
	case FIELD(VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4):
		return vp->s.driver_feature_select;
	case FIELD(VIRTIO_COMMON_DRIVER_FEATURE, 4):
		return vp->s.driver_feature_select > 1
			       ? 0
			       : half(dev->features, vp->s.driver_feature_select);
	case FIELD(VIRTIO_COMMON_CONFIG_VECTOR, 2):
		return vp->s.config_vector;
	case FIELD(VIRTIO_COMMON_NUM_QUEUES, 2):
		return dev->n_queues;
	case FIELD(VIRTIO_COMMON_STATUS, 1):
		return virtio_get_status(dev);
	case FIELD(VIRTIO_COMMON_GENERATION, 1):
		return dev->config_generation;
	case FIELD(VIRTIO_COMMON_QUEUE_SELECT, 2):
		return vp->s.queue_select;
	default:
		return queue_read(vp, off, size);
	}
}

/* Size and addresses: only while the driver may set the queue up. */
static void queue_setup(struct virtio_pci *vp, uint32_t off, unsigned size, uint32_t value)
{
	struct vq_state *s = virtio_queue_setup(vp->dev, vp->s.queue_select);

	if (!s)
		return;
	switch (FIELD(off, size)) {
	case FIELD(VIRTIO_COMMON_QUEUE_SIZE, 2):
		s->size = (uint16_t)value;
		break;
	case FIELD(VIRTIO_COMMON_QUEUE_DESC, 4):
	case FIELD(VIRTIO_COMMON_QUEUE_DESC + 4, 4):
		set_half(&s->desc, off & 4, value);
		break;
	case FIELD(VIRTIO_COMMON_QUEUE_AVAIL, 4):
	case FIELD(VIRTIO_COMMON_QUEUE_AVAIL + 4, 4):
		set_half(&s->avail, off & 4, value);
		break;
	case FIELD(VIRTIO_COMMON_QUEUE_USED, 4):
	case FIELD(VIRTIO_COMMON_QUEUE_USED + 4, 4):
		set_half(&s->used, off & 4, value);
		break;
	default:
		break;
	}
}

void virtio_common_write(struct virtio_pci *vp, uint32_t off, unsigned size, uint64_t value)
{
	struct virtio_dev *dev = vp->dev;
	unsigned q = vp->s.queue_select;

	/* A driver that came through the legacy interface has this one for a reset only. */
	if (dev->legacy && !(off == VIRTIO_COMMON_STATUS && size == 1 && (uint8_t)value == 0))
		return;
	switch (FIELD(off, size)) {
	case FIELD(VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4):
		vp->s.device_feature_select = (uint32_t)value;
		break;
	case FIELD(VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4):
		vp->s.driver_feature_select = (uint32_t)value;
		break;
	case FIELD(VIRTIO_COMMON_DRIVER_FEATURE, 4):
		virtio_set_features(dev, vp->s.driver_feature_select, (uint32_t)value);
		break;
	case FIELD(VIRTIO_COMMON_CONFIG_VECTOR, 2):
		vp->s.config_vector = virtio_pci_judge_vector(vp, (uint16_t)value);
		break;
	case FIELD(VIRTIO_COMMON_STATUS, 1):
		virtio_set_status(dev, (uint8_t)value);
		break;
	case FIELD(VIRTIO_COMMON_QUEUE_SELECT, 2):
		vp->s.queue_select = (uint16_t)value;
		break;
	case FIELD(VIRTIO_COMMON_QUEUE_VECTOR, 2):
		if (q < dev->n_queues)
			vp->s.queue_vector[q] = virtio_pci_judge_vector(vp, (uint16_t)value);
		break;
	case FIELD(VIRTIO_COMMON_QUEUE_ENABLE, 2):
		/* §4.1.4.3.2: the driver may not write 0. */
		if ((uint16_t)value == 1)
			virtio_queue_enable(dev, q);
		break;
	case FIELD(VIRTIO_COMMON_QUEUE_RESET, 2):
		if ((uint16_t)value == 1)
			virtio_queue_reset(dev, q);
		break;
	default:
		queue_setup(vp, off, size, (uint32_t)value);
		break;
	}
}
