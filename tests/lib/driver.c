/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio driver of the tests: what §3 of the specification asks of a guest, and means to do
 * otherwise. Single-threaded: the test is guest, vCPU and loop in turn.
 */
#include "tests/lib/driver.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A device that still asks for more after so many turns does not rest. */
#define TURNS_MAX 100000

static void give_up(const char *why)
{
	fprintf(stderr, "driver: %s\n", why);
	abort();
}

static uint16_t get16(struct driver *drv, gpa_t at)
{
	uint16_t *p = driver_ptr(drv, at, 2);

	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static void put16(struct driver *drv, gpa_t at, uint16_t v)
{
	uint16_t *p = driver_ptr(drv, at, 2);

	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

static int has(const struct driver *drv, unsigned bit)
{
	return drv->features >> bit & 1;
}

/* --- dev.h as the transport ---------------------------------------------------------------- */

static void host_later(struct virtio_dev *dev)
{
	struct driver *drv = dev->transport;

	drv->later = 1;
	drv->laters++;
}

static void host_interrupt(struct virtio_dev *dev, int q)
{
	struct driver *drv = dev->transport;

	if (q < 0)
		drv->config_irqs++;
	else
		drv->irqs[q]++;
}

static void host_reset_done(struct virtio_dev *dev)
{
	struct driver *drv = dev->transport;

	drv->resets_done++;
}

static const struct virtio_host host = {
	.later = host_later,
	.interrupt = host_interrupt,
	.reset_done = host_reset_done,
};

static uint8_t direct_status(struct driver *drv)
{
	return virtio_get_status(drv->dev);
}

static void direct_set_status(struct driver *drv, uint8_t status)
{
	if (status && (drv->flags & DRIVER_LEGACY))
		drv->dev->legacy = 1;
	virtio_set_status(drv->dev, status);
}

static uint64_t direct_offered(struct driver *drv)
{
	uint64_t low = virtio_offered(drv->dev, 0), high = virtio_offered(drv->dev, 1);

	return drv->flags & DRIVER_LEGACY ? low : high << 32 | low;
}

static void direct_set_features(struct driver *drv, uint64_t features)
{
	virtio_set_features(drv->dev, 0, (uint32_t)features);
	/* The legacy interface has one register of 32 bits. */
	if (!(drv->flags & DRIVER_LEGACY))
		virtio_set_features(drv->dev, 1, (uint32_t)(features >> 32));
}

static uint16_t direct_queue_size(struct driver *drv, unsigned q)
{
	return q < drv->dev->n_queues ? drv->dev->vq[q].size_max : 0;
}

static int direct_queue_start(struct driver *drv, unsigned q)
{
	struct vq_state *s = virtio_queue_setup(drv->dev, q);

	if (!s)
		return -EBUSY;
	s->size = drv->q[q].size;
	s->desc = drv->q[q].desc;
	s->avail = drv->q[q].avail;
	s->used = drv->q[q].used;
	return virtio_queue_enable(drv->dev, q);
}

static void direct_kick(struct driver *drv, unsigned q)
{
	virtio_kick(drv->dev, q);
}

static void direct_config_read(struct driver *drv, uint32_t off, void *dst, uint32_t len)
{
	virtio_config_read(drv->dev, off, dst, len);
}

static void direct_config_write(struct driver *drv, uint32_t off, const void *src, uint32_t len)
{
	virtio_config_write(drv->dev, off, src, len);
}

static const struct driver_transport direct = {
	.status = direct_status,
	.set_status = direct_set_status,
	.offered = direct_offered,
	.set_features = direct_set_features,
	.queue_size = direct_queue_size,
	.queue_start = direct_queue_start,
	.kick = direct_kick,
	.config_read = direct_config_read,
	.config_write = direct_config_write,
};

void driver_attach(struct driver *drv, struct virtio_dev *dev, struct mem *mem, gpa_t heap,
		   uint64_t len)
{
	memset(drv, 0, sizeof(*drv));
	drv->transport = &direct;
	drv->dev = dev;
	drv->mem = mem;
	drv->heap = drv->heap_next = heap;
	drv->heap_end = heap + len;
	dev->host = &host;
	dev->transport = drv;
}

/* --- memory -------------------------------------------------------------------------------- */

void *driver_ptr(struct driver *drv, gpa_t gpa, uint64_t len)
{
	void *p = mem_at(drv->mem, gpa, len);

	if (!p)
		give_up("the test used an address outside RAM");
	return p;
}

gpa_t driver_alloc(struct driver *drv, uint64_t len, uint64_t align)
{
	gpa_t at = (drv->heap_next + align - 1) & ~(align - 1);

	if (at > drv->heap_end || len > drv->heap_end - at)
		give_up("the heap is full");
	drv->heap_next = at + len;
	if (len)
		memset(driver_ptr(drv, at, len), 0, len);
	return at;
}

/* --- start and reset ----------------------------------------------------------------------- */

/* §2.7, and for the legacy interface the one layout of §2.7.2. */
static void make_rings(struct driver *drv, unsigned q)
{
	struct driver_queue *vq = &drv->q[q];
	uint64_t size = vq->size, used_at;

	if (drv->flags & DRIVER_LEGACY) {
		used_at = (16 * size + 6 + 2 * size + 4095) & ~4095ull;
		vq->desc = driver_alloc(drv, used_at + 6 + 8 * size, 4096);
		vq->avail = vq->desc + 16 * size;
		vq->used = vq->desc + used_at;
	} else {
		vq->desc = driver_alloc(drv, 16 * size, 16);
		vq->avail = driver_alloc(drv, 6 + 2 * size, 2);
		vq->used = driver_alloc(drv, 6 + 8 * size, 4);
	}
	for (unsigned i = 0; i < size; i++)
		vq->next[i] = (uint16_t)(i + 1);
	vq->n_free = (uint16_t)size;
}

int driver_reset(struct driver *drv)
{
	drv->transport->set_status(drv, 0);
	driver_pump(drv);
	if (drv->transport->status(drv))
		return -EBUSY;
	memset(drv->q, 0, sizeof(drv->q));
	drv->heap_next = drv->heap;
	drv->features = 0;
	return 0;
}

int driver_start_sized(struct driver *drv, uint64_t features, unsigned flags, uint16_t size)
{
	const struct driver_transport *t = drv->transport;
	uint8_t status = VIRTIO_STATUS_ACKNOWLEDGE;
	int r;

	drv->flags = flags;
	r = driver_reset(drv);
	if (r)
		return r;
	t->set_status(drv, status);
	t->set_status(drv, status |= VIRTIO_STATUS_DRIVER);
	drv->features = features & t->offered(drv);
	t->set_features(drv, drv->features);
	if (!(flags & DRIVER_LEGACY)) {
		t->set_status(drv, status |= VIRTIO_STATUS_FEATURES_OK);
		if (!(t->status(drv) & VIRTIO_STATUS_FEATURES_OK))
			return -EPROTO;
	}
	for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++) {
		uint16_t offered = t->queue_size(drv, q);

		drv->q[q].size = offered < size || (flags & DRIVER_LEGACY) ? offered : size;
		if (!offered)
			continue;
		make_rings(drv, q);
		if (t->queue_start(drv, q))
			return -EPROTO;
	}
	t->set_status(drv, status | VIRTIO_STATUS_DRIVER_OK);
	driver_pump(drv);
	return t->status(drv) == (status | VIRTIO_STATUS_DRIVER_OK) ? 0 : -EPROTO;
}

int driver_start(struct driver *drv, uint64_t features, unsigned flags)
{
	return driver_start_sized(drv, features, flags, VQ_SIZE_MAX);
}

uint8_t driver_status(struct driver *drv)
{
	return drv->transport->status(drv);
}

/* --- chains -------------------------------------------------------------------------------- */

void driver_table(struct driver *drv, gpa_t table, unsigned at, struct vring_desc desc)
{
	struct vring_desc le = {
		.addr = htole64(desc.addr),
		.len = htole32(desc.len),
		.flags = htole16(desc.flags),
		.next = htole16(desc.next),
	};

	memcpy(driver_ptr(drv, table + at * sizeof(le), sizeof(le)), &le, sizeof(le));
}

void driver_desc(struct driver *drv, unsigned q, uint16_t at, struct vring_desc desc)
{
	driver_table(drv, drv->q[q].desc, at, desc);
}

void driver_set_avail_idx(struct driver *drv, unsigned q, uint16_t idx)
{
	drv->q[q].avail_idx = idx;
	put16(drv, drv->q[q].avail + 2, idx);
}

void driver_offer(struct driver *drv, unsigned q, uint16_t head)
{
	struct driver_queue *vq = &drv->q[q];

	put16(drv, vq->avail + 4 + 2u * (vq->avail_idx & (vq->size - 1u)), head);
	driver_set_avail_idx(drv, q, (uint16_t)(vq->avail_idx + 1));
}

uint16_t driver_used_idx(struct driver *drv, unsigned q)
{
	return get16(drv, drv->q[q].used + 2);
}

static uint16_t take_free(struct driver_queue *vq)
{
	uint16_t at = vq->free;

	vq->free = vq->next[at];
	vq->n_free--;
	return at;
}

static struct vring_desc seg_desc(const struct driver_seg *seg, int more, uint16_t next)
{
	return (struct vring_desc){
		.addr = seg->addr,
		.len = seg->len,
		.flags = (uint16_t)((seg->write ? VRING_DESC_F_WRITE : 0) |
				    (more ? VRING_DESC_F_NEXT : 0)),
		.next = next,
	};
}

static int add_indirect(struct driver *drv, unsigned q, const struct driver_seg *segs, unsigned n)
{
	struct driver_queue *vq = &drv->q[q];
	uint16_t head = take_free(vq);

	if (!vq->table[head])
		vq->table[head] = driver_alloc(drv, 16u * vq->size, 16);
	for (unsigned i = 0; i < n; i++)
		driver_table(drv, vq->table[head], i,
			     seg_desc(&segs[i], i + 1 < n, (uint16_t)(i + 1)));
	driver_desc(drv, q, head,
		    (struct vring_desc){vq->table[head], 16 * n, VRING_DESC_F_INDIRECT, 0});
	vq->count[head] = 1;
	return head;
}

int driver_add(struct driver *drv, unsigned q, const struct driver_seg *segs, unsigned n,
	       unsigned flags)
{
	struct driver_queue *vq = &drv->q[q];
	uint16_t at;
	int head;

	if (!n || !vq->n_free || n > vq->size || (!(flags & DRIVER_INDIRECT) && n > vq->n_free))
		return -ENOSPC;
	if (flags & DRIVER_INDIRECT) {
		head = add_indirect(drv, q, segs, n);
	} else {
		head = vq->free;
		vq->count[head] = (uint16_t)n;
		for (unsigned i = 0; i < n; i++) {
			at = take_free(vq);
			driver_desc(drv, q, at, seg_desc(&segs[i], i + 1 < n, vq->free));
		}
	}
	driver_offer(drv, q, (uint16_t)head);
	return head;
}

int driver_add_request(struct driver *drv, unsigned q, const void *out, uint32_t out_len,
		       uint32_t in_len, gpa_t *in)
{
	struct driver_seg segs[2];
	unsigned n = 0;

	if (out_len) {
		segs[n] = (struct driver_seg){driver_alloc(drv, out_len, 16), out_len, 0};
		memcpy(driver_ptr(drv, segs[n].addr, out_len), out, out_len);
		n++;
	}
	if (in_len) {
		segs[n] = (struct driver_seg){driver_alloc(drv, in_len, 16), in_len, 1};
		if (in)
			*in = segs[n].addr;
		n++;
	}
	return driver_add(drv, q, segs, n, 0);
}

int driver_take(struct driver *drv, unsigned q, struct driver_used *used)
{
	struct driver_queue *vq = &drv->q[q];
	uint32_t elem[2], id;
	uint16_t last;

	if (driver_used_idx(drv, q) == vq->used_seen)
		return 0;
	memcpy(elem, driver_ptr(drv, vq->used + 4 + 8u * (vq->used_seen & (vq->size - 1u)), 8), 8);
	vq->used_seen++;
	if (has(drv, VIRTIO_F_EVENT_IDX))
		put16(drv, vq->avail + 4 + 2u * vq->size, vq->used_seen);
	id = le32toh(elem[0]);
	if (id >= vq->size || !vq->count[id])
		return -EPROTO;
	used->head = (uint16_t)id;
	used->len = le32toh(elem[1]);

	last = used->head;
	for (unsigned i = 1; i < vq->count[id]; i++)
		last = vq->next[last];
	vq->next[last] = vq->free;
	vq->free = used->head;
	vq->n_free = (uint16_t)(vq->n_free + vq->count[id]);
	vq->count[id] = 0;
	return 1;
}

/* --- kicks and interrupts ------------------------------------------------------------------ */

void driver_pump(struct driver *drv)
{
	for (unsigned turn = 0; drv->later; turn++) {
		if (turn == TURNS_MAX)
			give_up("the device never rests");
		drv->later = 0;
		virtio_run_later(drv->dev);
	}
}

void driver_kick(struct driver *drv, unsigned q)
{
	drv->transport->kick(drv, q);
	driver_pump(drv);
}

int driver_kick_wanted(struct driver *drv, unsigned q)
{
	struct driver_queue *vq = &drv->q[q];
	uint16_t old = vq->avail_kicked, idx = vq->avail_idx, event;

	vq->avail_kicked = idx;
	if (!has(drv, VIRTIO_F_EVENT_IDX))
		return !(get16(drv, vq->used) & VRING_USED_F_NO_NOTIFY) && idx != old;
	event = get16(drv, vq->used + 4 + 8u * vq->size);
	return (uint16_t)(idx - event - 1) < (uint16_t)(idx - old);
}

void driver_want_irq(struct driver *drv, unsigned q, int wanted)
{
	struct driver_queue *vq = &drv->q[q];

	if (has(drv, VIRTIO_F_EVENT_IDX))
		put16(drv, vq->avail + 4 + 2u * vq->size,
		      (uint16_t)(wanted ? vq->used_seen : vq->used_seen - 1));
	else
		put16(drv, vq->avail, wanted ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
}

void driver_config_read(struct driver *drv, uint32_t off, void *dst, uint32_t len)
{
	drv->transport->config_read(drv, off, dst, len);
}

void driver_config_write(struct driver *drv, uint32_t off, const void *src, uint32_t len)
{
	drv->transport->config_write(drv, off, src, len);
}
