/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bench on which tests of virtio-blk stand. Single-threaded; knows the device through its
 * header and the guest's side through driver.h.
 */
#include "tests/lib/blk_rig.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The driver's heap begins here; RAM below is for tests that place things by hand. */
#define HEAP (8u << 20)

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "blk rig: %s\n", what);
	abort();
}

void blk_rig_up(struct blk_rig *rig, const struct blk_rig_params *params)
{
	static const struct blk_rig_params defaults;
	const struct blk_rig_params *p = params ? params : &defaults;
	struct virtio_blk_params vp = {
		.mem = &rig->mem,
		.disk = &rig->disk.blk,
		.serial = p->serial,
		.queues = p->queues ? p->queues : 1,
		.queue_size = p->queue_size ? p->queue_size : 64,
	};

	memset(rig, 0, sizeof(*rig));
	insist(!mem_create(&rig->mem, &(struct mem_range){0, BLK_RIG_RAM}, 1), "no memory");
	fake_disk_init(&rig->disk, p->bytes ? p->bytes : BLK_RIG_BYTES);
	rig->disk.blk.read_only = p->read_only;
	insist(!virtio_blk_create(&rig->vb, &vp), "no device");
	driver_attach(&rig->drv, virtio_blk_dev(rig->vb), &rig->mem, HEAP, BLK_RIG_RAM - HEAP);
}

void blk_rig_down(struct blk_rig *rig)
{
	fake_disk_answer_all(&rig->disk, 0);
	driver_pump(&rig->drv);
	insist(!driver_reset(&rig->drv), "a reset that does not end");
	insist(virtio_blk_in_flight(rig->vb) == 0, "requests in flight after reset");
	virtio_blk_destroy(rig->vb);
	fake_disk_free(&rig->disk);
	mem_destroy(&rig->mem);
}

gpa_t blk_rig_header(struct blk_rig *rig, uint32_t type, uint64_t sector)
{
	gpa_t at = driver_alloc(&rig->drv, VBLK_HEADER_LEN, 16);
	uint8_t *p = driver_ptr(&rig->drv, at, VBLK_HEADER_LEN);

	type = htole32(type);
	sector = htole64(sector);
	memcpy(p, &type, 4);
	memcpy(p + 8, &sector, 8);
	return at;
}

void blk_rig_ask(struct blk_rig *rig, unsigned q, struct blk_ask *ask)
{
	struct driver_seg segs[3];
	unsigned n = 0;

	segs[n++] = (struct driver_seg){blk_rig_header(rig, ask->type, ask->sector),
					VBLK_HEADER_LEN, 0};
	if (ask->len) {
		ask->data_at = driver_alloc(&rig->drv, ask->len, 512);
		if (ask->data)
			memcpy(driver_ptr(&rig->drv, ask->data_at, ask->len), ask->data, ask->len);
		segs[n++] = (struct driver_seg){ask->data_at, ask->len, ask->write};
	}
	ask->status_at = driver_alloc(&rig->drv, 1, 1);
	*(uint8_t *)driver_ptr(&rig->drv, ask->status_at, 1) = 0xee;
	segs[n++] = (struct driver_seg){ask->status_at, 1, 1};
	ask->head = driver_add(&rig->drv, q, segs, n, 0);
	driver_kick(&rig->drv, q);
}

uint8_t blk_rig_do(struct blk_rig *rig, struct blk_ask *ask, uint32_t *used)
{
	gpa_t heap = rig->drv.heap_next;
	struct driver_used u = {0};
	uint8_t status;

	blk_rig_ask(rig, 0, ask);
	fake_disk_answer_all(&rig->disk, 0);
	driver_pump(&rig->drv);
	if (driver_take(&rig->drv, 0, &u) != 1 || u.head != ask->head)
		return 0xfe; /* no answer, which no test expects */
	if (used)
		*used = u.len;
	status = *(uint8_t *)driver_ptr(&rig->drv, ask->status_at, 1);
	/* The request is over: its memory may serve the next one. */
	rig->drv.heap_next = heap;
	return status;
}

int blk_rig_alive(struct blk_rig *rig)
{
	static uint8_t count;
	uint8_t bytes[VBLK_SECTOR];
	struct blk_ask out = {VIRTIO_BLK_T_OUT, 7, bytes, sizeof(bytes), 0, 0, 0, 0};
	struct blk_ask in = {VIRTIO_BLK_T_IN, 7, NULL, sizeof(bytes), 1, 0, 0, 0};

	memset(bytes, ++count, sizeof(bytes));
	if (rig->disk.blk.read_only)
		memset(rig->disk.bytes + 7 * VBLK_SECTOR, count, sizeof(bytes));
	else if (blk_rig_do(rig, &out, NULL) != VIRTIO_BLK_S_OK)
		return 0;
	return blk_rig_do(rig, &in, NULL) == VIRTIO_BLK_S_OK &&
	       !memcmp(driver_ptr(&rig->drv, in.data_at, sizeof(bytes)), bytes, sizeof(bytes));
}
