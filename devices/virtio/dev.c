/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules that all virtio devices share: status, features, queues and reset (virtio 1.2 §2, §3),
 * one funnel for drivers that break them, and the end of a turn, when used rings are published and
 * interrupts sent once each. Called with the lock of the device's loop held, from a vCPU's thread
 * for registers and from the loop's for kicks. It knows no transport and no kind of device.
 */
#include "devices/virtio/dev.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/log.h"

/* reset_asked, when it is not a queue. */
#define ASKED_DEVICE   -1
#define ASKED_NOTHING  -2

/* A guest can break its device and reset it as often as it likes; it may not fill our log. */
#define COMPLAINTS_MAX 16

void virtio_dev_init(struct virtio_dev *dev, const struct virtio_dev_ops *ops,
		     const struct mem *mem, unsigned n_queues, uint16_t size)
{
	assert(n_queues <= VIRTIO_QUEUES_MAX);
	assert(size && size <= VQ_SIZE_MAX && !(size & (size - 1)));

	memset(dev, 0, sizeof(*dev));
	dev->ops = ops;
	dev->mem = mem;
	dev->n_queues = (uint16_t)n_queues;
	dev->offered = VIRTIO_RING_FEATURES;
	dev->reset_asked = ASKED_NOTHING;
	for (unsigned q = 0; q < n_queues; q++)
		vq_init(&dev->vq[q], mem, size);
}

/* --- the end of the turn ------------------------------------------------------------------- */

static void ask_later(struct virtio_dev *dev)
{
	if (dev->later_asked)
		return;
	dev->later_asked = 1;
	dev->host->later(dev);
}

static void interrupt(struct virtio_dev *dev, int q)
{
	dev->interrupts++;
	dev->host->interrupt(dev, q);
}

void virtio_kick_later(struct virtio_dev *dev, unsigned q)
{
	if (q >= dev->n_queues || dev->resetting)
		return;
	dev->kick_pending |= 1u << q;
	ask_later(dev);
}

void virtio_run_later(struct virtio_dev *dev)
{
	uint32_t bits = dev->kick_pending;

	/* Pushes made by these kicks are published below: they need not ask again. */
	dev->later_asked = 1;
	dev->kick_pending = 0;
	for (; bits; bits &= bits - 1)
		virtio_kick(dev, (unsigned)__builtin_ctz(bits));

	bits = dev->push_pending;
	dev->push_pending = 0;
	for (; bits; bits &= bits - 1) {
		int q = __builtin_ctz(bits);

		if (vq_publish(&dev->vq[q]))
			interrupt(dev, q);
	}
	dev->later_asked = 0;
	if (dev->kick_pending)
		ask_later(dev);
}

/* --- for devices --------------------------------------------------------------------------- */

/* What came of popping @chain from queue @q. */
static int popped(struct virtio_dev *dev, unsigned q, const struct vq_chain *chain, int r)
{
	switch (r) {
	case 1:
		dev->chains++;
		return 1;
	case 0:
		return 0;
	case -E2BIG:
		virtio_broken(dev, "queue %u: chain of more than %u segments", q, chain->max);
		return 0;
	default:
		virtio_broken(dev, "queue %u: the ring breaks the rules of virtio 1.2 2.7", q);
		return 0;
	}
}

int virtio_pop(struct virtio_dev *dev, unsigned q, struct vq_chain *chain)
{
	return popped(dev, q, chain, vq_pop(&dev->vq[q], chain));
}

int virtio_pop_quietly(struct virtio_dev *dev, unsigned q, struct vq_chain *chain)
{
	return popped(dev, q, chain, vq_pop_quietly(&dev->vq[q], chain));
}

void virtio_push(struct virtio_dev *dev, unsigned q, uint16_t head, uint32_t written)
{
	vq_push(&dev->vq[q], head, written);
	dev->push_pending |= 1u << q;
	ask_later(dev);
}

static void complain(struct virtio_dev *dev, const char *fmt, va_list args)
{
	char what[160];

	if (dev->said || dev->complaints == COMPLAINTS_MAX)
		return;
	dev->said = 1;
	dev->complaints++;
	vsnprintf(what, sizeof(what), fmt, args);
	log_line(LOG_WARN, "virtio-%s: %s: the device waits for its driver to reset it%s",
		 dev->ops->name, what,
		 dev->complaints == COMPLAINTS_MAX ? "; nothing more will be said about it" : "");
}

void virtio_broken(struct virtio_dev *dev, const char *fmt, ...)
{
	va_list args;

	if (dev->resetting || (dev->status & VIRTIO_STATUS_NEEDS_RESET))
		return;
	va_start(args, fmt);
	complain(dev, fmt, args);
	va_end(args);

	for (unsigned q = 0; q < dev->n_queues; q++)
		vq_stop(&dev->vq[q]);
	dev->push_pending = dev->kick_pending = 0;
	dev->status |= VIRTIO_STATUS_NEEDS_RESET;
	/* §2.1.2: told by a configuration interrupt, if the driver is ready for one. */
	if (dev->status & VIRTIO_STATUS_DRIVER_OK)
		interrupt(dev, -1);
}

void virtio_config_changed(struct virtio_dev *dev)
{
	dev->config_generation++;
	if (dev->started && !(dev->status & VIRTIO_STATUS_NEEDS_RESET))
		interrupt(dev, -1);
}

/* --- reset ----------------------------------------------------------------------------------- */

/* Asks the device about the next reset that is due, the whole device first. */
static void ask_reset(struct virtio_dev *dev)
{
	if (dev->reset_asked != ASKED_NOTHING)
		return;
	if (dev->resetting)
		dev->reset_asked = ASKED_DEVICE;
	else if (dev->queue_resetting)
		dev->reset_asked = (int16_t)__builtin_ctz(dev->queue_resetting);
	else
		return;
	if (dev->ops->reset)
		dev->ops->reset(dev, dev->reset_asked);
	else
		virtio_reset_done(dev);
}

/* Nothing touches guest memory any more: back to the state of §2.4.1. */
static void finish_reset(struct virtio_dev *dev)
{
	for (unsigned q = 0; q < dev->n_queues; q++)
		vq_init(&dev->vq[q], dev->mem, dev->vq[q].size_max);
	dev->features = 0;
	dev->status = 0;
	dev->legacy = 0;
	dev->said = 0;
	dev->queue_resetting = 0;
	dev->resetting = 0;
	if (dev->host->reset_done)
		dev->host->reset_done(dev);
}

void virtio_reset_done(struct virtio_dev *dev)
{
	int asked = dev->reset_asked;

	if (asked == ASKED_NOTHING)
		return;
	dev->reset_asked = ASKED_NOTHING;
	if (asked == ASKED_DEVICE) {
		finish_reset(dev);
		return;
	}
	/* If a reset of the whole device came meanwhile, that is the next question. */
	vq_init(&dev->vq[asked], dev->mem, dev->vq[asked].size_max);
	dev->queue_resetting &= ~(1u << asked);
	ask_reset(dev);
}

static void reset_device(struct virtio_dev *dev)
{
	if (dev->resetting)
		return;
	for (unsigned q = 0; q < dev->n_queues; q++)
		vq_stop(&dev->vq[q]);
	dev->push_pending = dev->kick_pending = 0;
	dev->started = 0;
	dev->resetting = 1;
	ask_reset(dev);
}

void virtio_queue_reset(struct virtio_dev *dev, unsigned q)
{
	if (q >= dev->n_queues || dev->resetting || !dev->vq[q].s.enabled)
		return;
	if (!virtio_has(dev, VIRTIO_F_RING_RESET) || (dev->status & VIRTIO_STATUS_NEEDS_RESET))
		return;
	vq_stop(&dev->vq[q]);
	dev->vq[q].s.enabled = 0;
	dev->push_pending &= ~(1u << q);
	dev->kick_pending &= ~(1u << q);
	dev->queue_resetting |= 1u << q;
	ask_reset(dev);
}

/* --- status and features ------------------------------------------------------------------- */

static int features_acceptable(const struct virtio_dev *dev)
{
	return !(dev->features & ~dev->offered) && virtio_has(dev, VIRTIO_F_VERSION_1);
}

static int start_queue(struct virtio_dev *dev, unsigned q)
{
	struct vq *vq = &dev->vq[q];

	vq->s.event_idx = (uint8_t)virtio_has(dev, VIRTIO_F_EVENT_IDX);
	vq->s.indirect = (uint8_t)virtio_has(dev, VIRTIO_F_INDIRECT_DESC);
	return vq_start(vq);
}

static void start_device(struct virtio_dev *dev)
{
	if (dev->started || (dev->status & VIRTIO_STATUS_NEEDS_RESET))
		return;
	for (unsigned q = 0; q < dev->n_queues; q++) {
		if (!dev->vq[q].s.enabled)
			continue;
		/* A legacy driver may have set its features after its queues. */
		if (dev->legacy)
			start_queue(dev, q);
		virtio_kick_later(dev, q);
	}
	dev->started = 1;
	if (dev->ops->start)
		dev->ops->start(dev);
}

/*
 * §3.1.1: ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, in this order; a bit that comes before its
 * turn does not stick. Bits are never taken back but by a reset. Legacy drivers know no
 * FEATURES_OK and some set DRIVER_OK alone.
 */
void virtio_set_status(struct virtio_dev *dev, uint8_t status)
{
	uint8_t added = status & (uint8_t)~dev->status;

	if (!status) {
		reset_device(dev);
		return;
	}
	if (dev->resetting)
		return;
	dev->status |= added & (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_FAILED);
	if ((added & VIRTIO_STATUS_DRIVER) && (dev->status & VIRTIO_STATUS_ACKNOWLEDGE))
		dev->status |= VIRTIO_STATUS_DRIVER;
	if ((added & VIRTIO_STATUS_FEATURES_OK) && (dev->status & VIRTIO_STATUS_DRIVER) &&
	    !dev->legacy && features_acceptable(dev))
		dev->status |= VIRTIO_STATUS_FEATURES_OK;
	if ((added & VIRTIO_STATUS_DRIVER_OK) &&
	    (dev->legacy || (dev->status & VIRTIO_STATUS_FEATURES_OK)) &&
	    !(dev->status & VIRTIO_STATUS_NEEDS_RESET)) {
		dev->status |= VIRTIO_STATUS_DRIVER_OK;
		start_device(dev);
	}
}

uint8_t virtio_get_status(const struct virtio_dev *dev)
{
	return dev->status;
}

/* No shape is assumed of a chain, which the legacy interface calls ANY_LAYOUT (§6.3). */
uint32_t virtio_offered(const struct virtio_dev *dev, unsigned sel)
{
	uint64_t offered = dev->offered;

	if (dev->legacy)
		offered |= 1u << VIRTIO_F_ANY_LAYOUT;
	return sel > 1 ? 0 : (uint32_t)(offered >> (32 * sel));
}

void virtio_set_features(struct virtio_dev *dev, unsigned sel, uint32_t value)
{
	if (sel > 1 || dev->resetting || dev->started || (dev->status & VIRTIO_STATUS_FEATURES_OK))
		return;
	/* A legacy driver cannot be refused: what it was not offered it does not get. */
	if (dev->legacy)
		dev->features = sel ? 0 : value & virtio_offered(dev, 0);
	else if (sel)
		dev->features = (uint64_t)value << 32 | (uint32_t)dev->features;
	else
		dev->features = (dev->features & ~(uint64_t)UINT32_MAX) | value;
}

/* --- queues -------------------------------------------------------------------------------- */

struct vq_state *virtio_queue_setup(struct virtio_dev *dev, unsigned q)
{
	uint8_t status = dev->status;

	if (q >= dev->n_queues || dev->resetting || (dev->queue_resetting >> q & 1))
		return NULL;
	if (dev->vq[q].s.enabled || (status & VIRTIO_STATUS_NEEDS_RESET))
		return NULL;
	if (!dev->legacy) {
		if (!(status & VIRTIO_STATUS_FEATURES_OK))
			return NULL;
		if (dev->started && !virtio_has(dev, VIRTIO_F_RING_RESET))
			return NULL;
	}
	return &dev->vq[q].s;
}

int virtio_queue_enable(struct virtio_dev *dev, unsigned q)
{
	struct vq_state *s = virtio_queue_setup(dev, q);
	int r;

	if (!s)
		return -EBUSY;
	r = start_queue(dev, q);
	if (r) {
		virtio_broken(dev, "queue %u: size %u with its rings at %#llx %#llx %#llx", q,
			      s->size, (unsigned long long)s->desc, (unsigned long long)s->avail,
			      (unsigned long long)s->used);
		return r;
	}
	s->enabled = 1;
	return 0;
}

void virtio_kick(struct virtio_dev *dev, unsigned q)
{
	if (q >= dev->n_queues || !dev->vq[q].desc)
		return;
	/* §3.1.2: many legacy drivers use the device before they set DRIVER_OK. */
	if (!dev->started && dev->legacy && dev->status)
		start_device(dev);
	if (!dev->started)
		return;
	dev->kicks++;
	dev->ops->kick(dev, q);
}

/* --- configuration space ------------------------------------------------------------------- */

void virtio_config_read(const struct virtio_dev *dev, uint32_t off, void *dst, uint32_t len)
{
	memset(dst, 0, len);
	if (off >= dev->config_len)
		return;
	memcpy(dst, dev->config + off, len < dev->config_len - off ? len : dev->config_len - off);
}

void virtio_config_write(struct virtio_dev *dev, uint32_t off, const void *src, uint32_t len)
{
	uint32_t room = dev->config_writable;

	if (off >= room || !len || dev->resetting)
		return;
	if (len > room - off)
		len = room - off;
	memcpy(dev->config + off, src, len);
	if (dev->ops->config_written)
		dev->ops->config_written(dev, off, len);
}
