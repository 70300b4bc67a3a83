/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_DEV_H
#define DEVICES_VIRTIO_DEV_H

#include <stdint.h>

#include "devices/virtio/queue.h"
#include "devices/virtio/spec.h"

/*
 * What every virtio device is, whatever the transport: status, features, queues, configuration
 * space. A device (blk, net, ...) embeds struct virtio_dev and gives a const table; a transport
 * (pci) turns registers into the calls below. Neither knows of KVM, of file descriptors or of
 * time, so a test can be the guest.
 *
 *   transport:  virtio_set_status, virtio_set_features, queue setup, virtio_kick
 *      v                                                              ^ host->interrupt,
 * host->later dev.c: the rules of §2.1, §3.1, one failure funnel (virtio_broken) v ^ virtio_push,
 * virtio_broken, device:     ops->start, ops->kick, ops->reset virtio_reset_done ...
 *
 * Everything here is called with the lock of the device's loop held. ops->kick() runs on the
 * loop's thread and may submit I/O; start, reset and config_written answer a register access and
 * run on a vCPU's thread: what they want submitted they leave to the loop (virtio_kick_later, or
 * the loop's own means).
 */
#define VIRTIO_QUEUES_MAX 16

struct virtio_dev;

struct virtio_dev_ops {
	const char *name; /* for messages: "blk" */
	uint16_t type;    /* VIRTIO_ID_* */
	/*
	 * DRIVER_OK was set: features are settled and the enabled queues run. May be NULL. Each
	 * running queue is kicked once after it, on the loop, whether the driver kicked or not.
	 */
	void (*start)(struct virtio_dev *dev);
	/*
	 * Chains may be available on queue @q: drain it, at most VIRTIO_BUDGET chains, then
	 * virtio_kick_later() if there may be more. Only between start and reset, on the loop.
	 */
	void (*kick)(struct virtio_dev *dev, unsigned q);
	/*
	 * The driver resets the device, or one queue (@q >= 0, VIRTIO_F_RING_RESET). The queues
	 * are stopped already: no guest memory may be touched by new work, and when none is
	 * touched by old work either (I/O in flight is over), call virtio_reset_done(dev), at
	 * once or later. @q is -1 for the whole device. One question is open at a time: the next
	 * comes after the answer to this one. NULL: nothing is ever in flight.
	 */
	void (*reset)(struct virtio_dev *dev, int q);
	/* Configuration space was written (bytes already inside dev->config). May be NULL. */
	void (*config_written)(struct virtio_dev *dev, uint32_t off, uint32_t len);
};

#define VIRTIO_BUDGET 256 /* chains a turn and queue */

/* What the transport and the loop do for a device; set before the guest runs. */
struct virtio_host {
	/*
	 * Ask for virtio_run_later(dev) once, before this turn ends; asked for from inside
	 * virtio_run_later() it means the next turn. Any thread, lock held.
	 */
	void (*later)(struct virtio_dev *dev);
	/* Interrupt for queue @q (its MSI-X vector, or INTx); -1: configuration change. */
	void (*interrupt)(struct virtio_dev *dev, int q);
	/* A reset is over: the status register reads 0 from now on. May be NULL. */
	void (*reset_done)(struct virtio_dev *dev);
	/*
	 * For drivers that do not read the status back (the legacy interface): wait, on the vCPU's
	 * thread that wrote the register, until dev->resetting is 0. The lock is let go meanwhile
	 * (a condition variable that reset_done signals), so whoever calls this reads all state
	 * anew. NULL: the write returns at once and the driver has to poll.
	 */
	void (*wait_reset)(struct virtio_dev *dev);
};

struct virtio_dev {
	const struct virtio_dev_ops *ops;
	const struct virtio_host *host;
	void *transport; /* whose host table it is; how its functions find themselves again */
	const struct mem *mem;
	/* Guest-visible state. */
	uint64_t offered, features; /* bits; features: what the driver accepted */
	uint8_t status;
	uint8_t resetting; /* reset asked for, work still in flight */
	uint8_t started;   /* ops->start() was called since the last reset */
	uint8_t legacy;    /* the driver came through the legacy interface; set by the transport */
	uint8_t config_generation;
	uint8_t said; /* a complaint about this driver was logged since reset */
	uint16_t n_queues;
	uint32_t config_len;
	uint8_t *config;          /* device configuration, little-endian, the device's own struct */
	uint32_t config_writable; /* the first n bytes may be written by the driver; usually 0 */
	uint32_t push_pending;    /* bit per queue: pushed since the last publish */
	uint32_t kick_pending;    /* bit per queue: kick again before the turn ends */
	uint32_t input_queues;    /* bit per queue: its chains are room for input, not work */
	uint32_t queue_resetting; /* bit per queue: its reset is under way */
	int16_t reset_asked;      /* what ops->reset() has been asked and has not answered */
	uint8_t later_asked;      /* host->later() was called, or is running */
	uint8_t complaints;       /* messages about this device's drivers so far; they are few */
	struct vq vq[VIRTIO_QUEUES_MAX];
	/* Counters, for --stats. */
	uint64_t kicks, interrupts, chains;
};

/* --- for devices ------------------------------------------------------------------------- */

/*
 * @size: queue size offered for each queue, a power of two up to VQ_SIZE_MAX. Zeroes @dev and sets
 * offered to VIRTIO_RING_FEATURES; the device adds its own bits with |= and fills in config and
 * config_len. A device whose ops->reset() can reset one queue may add VIRTIO_F_RING_RESET.
 */
#define VIRTIO_RING_FEATURES \
	(1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX | 1ull << VIRTIO_F_VERSION_1)
void virtio_dev_init(struct virtio_dev *dev, const struct virtio_dev_ops *ops,
		     const struct mem *mem, unsigned n_queues, uint16_t size);

static inline int virtio_has(const struct virtio_dev *dev, unsigned bit)
{
	return dev->features >> bit & 1;
}

/*
 * vq_pop on queue @q, with the failure funnel: 1 a chain, 0 nothing (empty, not running, or the
 * driver broke the ring and the device is now waiting for a reset). A chain with more segments
 * than chain->max is a broken ring too: give room for what you offered.
 */
int virtio_pop(struct virtio_dev *dev, unsigned q, struct vq_chain *chain);
/* The same without asking for a kick when there is nothing: vq_ask_kick() is the device's to call.
 */
int virtio_pop_quietly(struct virtio_dev *dev, unsigned q, struct vq_chain *chain);

/* vq_push, and the interrupt that may be due is sent once, when the turn ends. */
void virtio_push(struct virtio_dev *dev, unsigned q, uint16_t head, uint32_t written);

/* Ask that ops->kick(dev, q) is called again before the turn ends. */
void virtio_kick_later(struct virtio_dev *dev, unsigned q);

/*
 * The driver broke a rule: says so once per reset, sets DEVICE_NEEDS_RESET (§2.1.2), stops the
 * queues and sends a configuration interrupt. The VMM goes on; a reset brings the device back.
 */
void virtio_broken(struct virtio_dev *dev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Configuration changed by the device: new generation (§2.5.3) and interrupt. */
void virtio_config_changed(struct virtio_dev *dev);

/* Answers ops->reset(). */
void virtio_reset_done(struct virtio_dev *dev);

/* --- for transports ---------------------------------------------------------------------- */

/* Status register write (§2.1, §3.1.1): 0 resets. Breaking the order is ignored or refused. */
void virtio_set_status(struct virtio_dev *dev, uint8_t status);
uint8_t virtio_get_status(const struct virtio_dev *dev);
/* One 32-bit half of the features that the driver is offered; @sel past 1 reads as 0. */
uint32_t virtio_offered(const struct virtio_dev *dev, unsigned sel);
/* One 32-bit half (@sel 0 or 1) of the driver's features; ignored after FEATURES_OK. */
void virtio_set_features(struct virtio_dev *dev, unsigned sel, uint32_t value);
/* Queue @q was kicked: on the loop's thread. Out-of-range or not running: ignored. */
void virtio_kick(struct virtio_dev *dev, unsigned q);
/*
 * The size and addresses of queue @q if the driver may write them now, else NULL: no such queue,
 * enabled already, not yet FEATURES_OK, past DRIVER_OK (unless the queue was reset), or a reset is
 * under way. What a transport writes without it would bypass the rules of §3.1.1.
 */
struct vq_state *virtio_queue_setup(struct virtio_dev *dev, unsigned q);
/*
 * Starts queue @q as described in vq[q].s (queue_enable = 1, or legacy PFN): 0, -EBUSY if
 * virtio_queue_setup() would say NULL, -EINVAL if size or addresses are wrong (the device then
 * needs a reset).
 */
int virtio_queue_enable(struct virtio_dev *dev, unsigned q);
/* Resets one queue (VIRTIO_F_RING_RESET, §2.6.1); under way while its queue_resetting bit is set.
 */
void virtio_queue_reset(struct virtio_dev *dev, unsigned q);
/* The work asked for by host->later: pending kicks, then publish and interrupt, once each. */
void virtio_run_later(struct virtio_dev *dev);
/* Configuration space access, bounds checked: outside reads as 0 and ignores writes. */
void virtio_config_read(const struct virtio_dev *dev, uint32_t off, void *dst, uint32_t len);
void virtio_config_write(struct virtio_dev *dev, uint32_t off, const void *src, uint32_t len);

#endif
