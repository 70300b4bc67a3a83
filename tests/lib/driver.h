/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_DRIVER_H
#define TESTS_LIB_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "devices/virtio/dev.h"
#include "vmm/mem.h"

/*
 * A virtio driver that plays the guest, right or wrong, against a device in the same process. It
 * reaches the device through the functions of dev.h (driver_attach), or through the registers of
 * a PCI function (driver_pci.h). A test of a device reads
 *
 *	struct mem mem = {0};
 *	struct driver drv;
 *
 *	mem_create(&mem, &(struct mem_range){0, 16 << 20}, 1);
 *	rng_init(&rng, &mem, ...);
 *	driver_attach(&drv, &rng.dev, &mem, 0x10000, 8 << 20);   (takes dev->host)
 *	assert_int_equal(driver_start(&drv, DRIVER_ALL, 0), 0);
 *	gpa_t buf = driver_alloc(&drv, 64, 1);
 *	driver_add(&drv, 0, (struct driver_seg[]){{buf, 64, 1}}, 1, 0);
 *	driver_kick(&drv, 0);                                    (and the loop's turn)
 *	assert_int_equal(driver_take(&drv, 0, &used), 1);
 *
 * Work that the device finishes by itself (a disk's completion) is made visible by driver_pump(),
 * which plays the end of the loop's turn. Everything a guest could get wrong is done with the
 * functions under "by hand".
 */
#define DRIVER_ALL      UINT64_MAX /* all features that are offered */

/* flags of driver_start() */
#define DRIVER_LEGACY   1u /* legacy interface: 32 feature bits, one contiguous ring layout */

/* flags of driver_add() */
#define DRIVER_INDIRECT 1u /* the chain goes into an indirect table */

struct driver_seg {
	gpa_t addr;
	uint32_t len;
	int write; /* the device may write it */
};

struct driver_used {
	uint16_t head;
	uint32_t len;
};

struct driver_queue {
	gpa_t desc, avail, used;
	uint16_t size;         /* 0: the device has no such queue */
	uint16_t avail_idx;    /* as published */
	uint16_t avail_kicked; /* avail_idx at the last look at "does it want a kick" */
	uint16_t used_seen;
	uint16_t free, n_free;       /* head of the free list */
	uint16_t next[VQ_SIZE_MAX];  /* free list, and the links of chains under way */
	uint16_t count[VQ_SIZE_MAX]; /* descriptors of the chain at this head; 0: not under way */
	gpa_t table[VQ_SIZE_MAX];    /* its indirect table, kept for reuse */
};

struct driver;

/* How the driver reaches the device; dev.h's functions, or a PCI function's registers. */
struct driver_transport {
	uint8_t (*status)(struct driver *drv);
	void (*set_status)(struct driver *drv, uint8_t status);
	uint64_t (*offered)(struct driver *drv);
	void (*set_features)(struct driver *drv, uint64_t features);
	uint16_t (*queue_size)(struct driver *drv, unsigned q); /* offered; 0: no such queue */
	int (*queue_start)(struct driver *drv, unsigned q); /* as drv->q[q] says; 0 if enabled */
	void (*kick)(struct driver *drv, unsigned q);
	void (*config_read)(struct driver *drv, uint32_t off, void *dst, uint32_t len);
	void (*config_write)(struct driver *drv, uint32_t off, const void *src, uint32_t len);
};

struct driver {
	const struct driver_transport *transport;
	struct virtio_dev *dev;
	struct mem *mem;
	void *arg; /* the transport's */
	gpa_t heap, heap_end, heap_next;
	uint64_t features; /* negotiated */
	unsigned flags;    /* of driver_start() */
	int later;         /* the device asked for the end of the turn */
	unsigned laters;   /* how often */
	unsigned resets_done;
	unsigned irqs[VIRTIO_QUEUES_MAX]; /* interrupts so far, by queue */
	unsigned config_irqs;
	struct driver_queue q[VIRTIO_QUEUES_MAX];
};

/*
 * Plays the guest for @dev by calling dev.h directly; takes dev->host. Rings and buffers are made
 * in [heap, heap + len) of @mem, which is the driver's alone.
 */
void driver_attach(struct driver *drv, struct virtio_dev *dev, struct mem *mem, gpa_t heap,
		   uint64_t len);

/*
 * §3.1.1: resets, acknowledges, negotiates @features (those offered of them), sets up every queue
 * at the size offered, sets DRIVER_OK and plays the turn. 0; -EBUSY if the reset is not over;
 * -EPROTO if the device refused. Forgets all earlier chains and buffers.
 */
int driver_start(struct driver *drv, uint64_t features, unsigned flags);
/* The same with queue sizes cut to @size. */
int driver_start_sized(struct driver *drv, uint64_t features, unsigned flags, uint16_t size);

/* Resets and plays the turn: 0 once status reads 0, -EBUSY while I/O is in flight. */
int driver_reset(struct driver *drv);
uint8_t driver_status(struct driver *drv);

/* Zeroed guest memory from the heap; aborts the test when there is none left. */
gpa_t driver_alloc(struct driver *drv, uint64_t len, uint64_t align);
/* Its bytes; aborts the test outside RAM. */
void *driver_ptr(struct driver *drv, gpa_t gpa, uint64_t len);

/*
 * Makes a chain of @n segments available: its head, or -ENOSPC. No kick. Segments are used as
 * they are, wrong or not.
 */
int driver_add(struct driver *drv, unsigned q, const struct driver_seg *segs, unsigned n,
	       unsigned flags);
/* A chain of one request: @out_len bytes copied from @out, and room for @in_len; @in gets where. */
int driver_add_request(struct driver *drv, unsigned q, const void *out, uint32_t out_len,
		       uint32_t in_len, gpa_t *in);

/* Kicks unasked, then driver_pump(). */
void driver_kick(struct driver *drv, unsigned q);
/* Plays the end of the turn until the device has nothing more to do; aborts if it never rests. */
void driver_pump(struct driver *drv);
/* True if the device wants a kick for what was added since the last call (§2.7.7, §2.7.10). */
int driver_kick_wanted(struct driver *drv, unsigned q);

/* 1 and the next used entry, 0 if there is none, -EPROTO if it names no chain under way. */
int driver_take(struct driver *drv, unsigned q, struct driver_used *used);
/* Sets when the driver wants its next interrupt: used_event, or the flag (§2.7.7, §2.7.10). */
void driver_want_irq(struct driver *drv, unsigned q, int wanted);

void driver_config_read(struct driver *drv, uint32_t off, void *dst, uint32_t len);
void driver_config_write(struct driver *drv, uint32_t off, const void *src, uint32_t len);

/* --- by hand ----------------------------------------------------------------------------- */

/* Writes one descriptor of the queue's table, or of the table at @table. */
void driver_desc(struct driver *drv, unsigned q, uint16_t at, struct vring_desc desc);
void driver_table(struct driver *drv, gpa_t table, unsigned at, struct vring_desc desc);
/* Puts @head into the available ring and publishes it. Any value. */
void driver_offer(struct driver *drv, unsigned q, uint16_t head);
/* Publishes @idx as avail.idx. */
void driver_set_avail_idx(struct driver *drv, unsigned q, uint16_t idx);
uint16_t driver_used_idx(struct driver *drv, unsigned q);

/*
 * What the specification says about the next chain of a queue, worked out here from guest memory
 * by other means than queue.c's: DRIVER_EMPTY, DRIVER_VALID with its numbers, or DRIVER_WRONG.
 * @last_avail is what the device has taken so far; heads in flight are the caller's to know.
 */
enum driver_verdict { DRIVER_EMPTY, DRIVER_VALID, DRIVER_WRONG };
struct driver_chain {
	uint16_t head;
	unsigned out, in;
	uint64_t out_len, in_len;
};
enum driver_verdict driver_judge(const struct mem *mem, const struct vq_state *s,
				 struct driver_chain *chain);

#endif
