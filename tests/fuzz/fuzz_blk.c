/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-blk driver made of the input's bytes: mostly right, now and then wrong. The first byte
 * chooses between two guests:
 *
 *   even: one request at a time over a disk with a fault script. The oracle is a byte array and a
 *	   second reading of §5.2: status, used length, bytes read and the whole disk must agree.
 *   odd:  many requests under way, answered in any order; resets in between; ring words that read
 *	   differently from what is in memory. Nothing is predicted but that the device stays
 *	   inside its memory, never asks the disk for a range outside it (fake_disk aborts), keeps
 *	   used lengths inside buffers, and comes back after a reset.
 *
 * Bit 1 of the first byte makes the disk read-only: then not one byte of it may change.
 * Link queue.c built with RING_LOAD_HOOK.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio/ring.h"
#include "tests/lib/blk_rig.h"
#include "vmm/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define DISK    (64u << 10)
#define SECTORS (DISK / 512)
#define RAW_MAX 4096u /* the longest payload of one request */

struct bytes {
	const uint8_t *at, *end;
};

static struct bytes in;
static struct blk_rig rigs[2], *rig; /* one writable, one read-only */
static uint8_t model[DISK], before[DISK];

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_blk: %s\n", what);
	abort();
}

static uint8_t u8(void)
{
	return in.at < in.end ? *in.at++ : 0;
}

static uint32_t below(uint32_t n)
{
	return (u8() | (uint32_t)u8() << 8) % n;
}

static int rarely(void)
{
	return u8() >= 0xf0;
}

static void silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

/* --- a request and what should come of it ---------------------------------------------------- */

struct ask {
	uint32_t type;
	uint64_t sector;
	uint32_t out_len, in_len; /* payload; in_len without the status */
	gpa_t out_at, in_at;      /* header and out payload; in payload and status */
	uint8_t payload[RAW_MAX];
};

static uint64_t pick_sector(void)
{
	static const uint64_t odd[] = {SECTORS - 1, SECTORS,    SECTORS + 1,
				       UINT32_MAX,  1ull << 55, UINT64_MAX};

	return rarely() ? odd[below(6)] : below(SECTORS);
}

static uint32_t pick_len(void)
{
	return rarely() ? below(RAW_MAX) : 512 * below(RAW_MAX / 512);
}

static void make_segments(struct ask *a)
{
	unsigned n = rarely() ? below(12) : 1 + below(VBLK_SEGMENTS_MAX);

	for (unsigned i = 0; i < n; i++) {
		uint64_t sector = pick_sector();
		uint32_t sectors = rarely() ? UINT32_MAX - u8() : below(16), flags = 0;

		if (rarely())
			flags = u8();
		else if (a->type == VIRTIO_BLK_T_WRITE_ZEROES)
			flags = u8() & 1;
		memcpy(a->payload + 16 * i, &sector, 8);
		memcpy(a->payload + 16 * i + 8, &sectors, 4);
		memcpy(a->payload + 16 * i + 12, &flags, 4);
	}
	a->out_len = 16 * n - (rarely() && n ? 1 + below(15) : 0);
}

static void make_ask(struct ask *a)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN,          VIRTIO_BLK_T_OUT,
					 VIRTIO_BLK_T_OUT,         VIRTIO_BLK_T_FLUSH,
					 VIRTIO_BLK_T_GET_ID,      VIRTIO_BLK_T_DISCARD,
					 VIRTIO_BLK_T_WRITE_ZEROES};

	a->type = rarely() ? u8() : types[below(7)];
	a->sector = pick_sector();
	a->out_len = a->in_len = 0;
	switch (a->type) {
	case VIRTIO_BLK_T_IN:
		a->in_len = pick_len();
		break;
	case VIRTIO_BLK_T_OUT:
		a->out_len = pick_len();
		memset(a->payload, u8(), a->out_len);
		if (a->out_len)
			a->payload[below(a->out_len)] ^= 0x55;
		break;
	case VIRTIO_BLK_T_GET_ID:
		a->in_len = below(40);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		make_segments(a);
		break;
	default:
		break;
	}
	if (rarely())
		a->in_len += below(600);
}

/* Lays the request out in guest memory and cuts it at up to three places on either side. */
static int offer(struct ask *a, unsigned q)
{
	struct driver_seg segs[10];
	uint32_t side[2] = {VBLK_HEADER_LEN + a->out_len, a->in_len + 1};
	unsigned n = 0;
	uint8_t *p;

	a->out_at = driver_alloc(&rig->drv, side[0], 16);
	a->in_at = driver_alloc(&rig->drv, side[1], 16);
	p = driver_ptr(&rig->drv, a->out_at, side[0]);
	memcpy(p, &a->type, 4);
	memcpy(p + 8, &a->sector, 8);
	memcpy(p + 16, a->payload, a->out_len);
	memset(driver_ptr(&rig->drv, a->in_at, side[1]), 0xee, side[1]);
	for (unsigned s = 0; s < 2; s++) {
		uint32_t at = 0;

		for (unsigned cuts = u8() % 4; cuts > 0 && at < side[s]; cuts--) {
			uint32_t piece = below(side[s] - at + 1);

			segs[n++] =
				(struct driver_seg){(s ? a->in_at : a->out_at) + at, piece, (int)s};
			at += piece;
		}
		if (at < side[s])
			segs[n++] = (struct driver_seg){(s ? a->in_at : a->out_at) + at,
							side[s] - at, (int)s};
	}
	return driver_add(&rig->drv, q, segs, n, u8() & 1 ? DRIVER_INDIRECT : 0);
}

/* --- even: the oracle --------------------------------------------------------------------------
 */

static struct fake_fault faults[9];

/* What a failed write has done is the disk's word; the model follows it. */
static void adopt(void)
{
	memcpy(model, rig->disk.bytes, DISK);
}

static int inside(uint64_t sector, uint64_t n)
{
	return (unsigned __int128)sector + n <= SECTORS;
}

/* The status that §5.2.6 gives this request if the disk does not fail. */
static uint8_t predict(const struct ask *a)
{
	int ro = rig->disk.blk.read_only, discard = a->type == VIRTIO_BLK_T_DISCARD;
	uint32_t len = a->type == VIRTIO_BLK_T_IN ? a->in_len : a->out_len;

	switch (a->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		if ((a->type == VIRTIO_BLK_T_OUT && ro) || len % 512 ||
		    !inside(a->sector, len / 512))
			return VIRTIO_BLK_S_IOERR;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_GET_ID:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		if (ro)
			return VIRTIO_BLK_S_UNSUPP;
		if (a->out_len % 16 || a->out_len / 16 > VBLK_SEGMENTS_MAX)
			return VIRTIO_BLK_S_IOERR;
		for (uint32_t i = 0; i < a->out_len; i += 16) {
			uint32_t sectors, flags;
			uint64_t sector;

			memcpy(&sector, a->payload + i, 8);
			memcpy(&sectors, a->payload + i + 8, 4);
			memcpy(&flags, a->payload + i + 12, 4);
			if (flags > (discard ? 0 : 1))
				return VIRTIO_BLK_S_UNSUPP;
			if (!inside(sector, sectors))
				return VIRTIO_BLK_S_IOERR;
		}
		return VIRTIO_BLK_S_OK;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static void apply(const struct ask *a)
{
	if (a->type == VIRTIO_BLK_T_OUT)
		memcpy(model + a->sector * 512, a->payload, a->out_len);
	if (a->type != VIRTIO_BLK_T_DISCARD && a->type != VIRTIO_BLK_T_WRITE_ZEROES)
		return;
	for (uint32_t i = 0; i < a->out_len; i += 16) {
		uint64_t sector;
		uint32_t sectors;

		memcpy(&sector, a->payload + i, 8);
		memcpy(&sectors, a->payload + i + 8, 4);
		memset(model + sector * 512,
		       a->type == VIRTIO_BLK_T_DISCARD ? FAKE_DISK_DISCARDED : 0, sectors * 512ull);
	}
}

static uint32_t predict_used(const struct ask *a, uint8_t status)
{
	uint32_t filled = 0;

	if (status == VIRTIO_BLK_S_OK && a->type == VIRTIO_BLK_T_IN)
		filled = a->in_len;
	if (status == VIRTIO_BLK_S_OK && a->type == VIRTIO_BLK_T_GET_ID)
		filled = a->in_len < 20 ? a->in_len : 20;
	return filled == a->in_len ? filled + 1 : filled;
}

static void oracle_step(void)
{
	static struct ask a;
	uint8_t status, want;
	const uint8_t *got;
	struct driver_used used;
	unsigned requests;
	int head;

	if (rig->drv.heap_end - rig->drv.heap_next < 64 << 10)
		insist(!driver_start(&rig->drv, DRIVER_ALL, 0), "a reset fails");
	make_ask(&a);
	want = predict(&a);
	head = offer(&a, 0);
	insist(head >= 0, "the ring is full of answered requests");
	if (want == VIRTIO_BLK_S_OK && !rig->disk.faults)
		apply(&a);
	requests = rig->disk.requests;
	driver_kick(&rig->drv, 0);
	insist(driver_take(&rig->drv, 0, &used) == 1 && used.head == head, "no answer");
	got = driver_ptr(&rig->drv, a.in_at, a.in_len + 1);
	status = got[a.in_len];
	if (rig->disk.faults) {
		/* With faults about the disk decides; refusals must still be refusals. */
		insist(want == VIRTIO_BLK_S_OK ? status <= VIRTIO_BLK_S_IOERR : status == want,
		       "status under faults");
		insist(want == VIRTIO_BLK_S_OK || rig->disk.requests == requests,
		       "a refused request reached the disk");
		if (want == VIRTIO_BLK_S_OK)
			adopt();
	} else {
		insist(status == want, "status");
	}
	insist(used.len == predict_used(&a, status), "used length");
	if (status == VIRTIO_BLK_S_OK && a.type == VIRTIO_BLK_T_IN)
		insist(!memcmp(got, model + a.sector * 512, a.in_len), "bytes read");
	insist(!memcmp(model, rig->disk.bytes, DISK), "the disk is not what was written");
}

static void make_faults(void)
{
	memset(faults, 0, sizeof(faults));
	for (unsigned i = 0; i < 8; i++)
		faults[i] = (struct fake_fault){1 + below(24), below(RAW_MAX), -5};
	rig->disk.faults = faults;
}

/* --- odd: chaos ----------------------------------------------------------------------------------
 */

static uint64_t other_value(const void *at, unsigned size, uint64_t value)
{
	(void)at;
	(void)size;
	if (!rarely())
		return value;
	return value ^ (1ull << (u8() & 63));
}

static void chaos_add(unsigned q)
{
	static struct ask a;

	if (!rig->drv.q[q].size || rig->drv.heap_end - rig->drv.heap_next < 64 << 10)
		return;
	make_ask(&a);
	offer(&a, q);
	if (rarely())
		driver_offer(&rig->drv, q, below(70));
	if (rarely())
		driver_desc(&rig->drv, q, (uint16_t)below(32),
			    (struct vring_desc){(uint64_t)u8() << (u8() & 56), below(65536),
						u8() & 7, (uint16_t)below(40)});
	virtio_kick(virtio_blk_dev(rig->vb), q);
}

static void chaos_step(void)
{
	unsigned q = u8() & 1;
	struct driver_used used;
	int r;

	switch (u8() % 16) {
	case 0:
		virtio_queue_reset(virtio_blk_dev(rig->vb), q);
		break;
	case 1:
		driver_start(&rig->drv, DRIVER_ALL & ~((uint64_t)u8() << 8), 0);
		break;
	case 2:
		virtio_set_status(virtio_blk_dev(rig->vb), u8() & 1 ? 0 : u8());
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		if (rig->disk.n_pending)
			fake_disk_answer(&rig->disk, below(rig->disk.n_pending));
		break;
	default:
		chaos_add(q);
	}
	driver_pump(&rig->drv);
	for (q = 0; q < 2; q++)
		while (rig->drv.q[q].size && (r = driver_take(&rig->drv, q, &used)) != 0)
			if (r < 0)
				break;
}

/* The two rigs are built once and left clean by each input. */
static void choose_rig(uint8_t read_only)
{
	rig = &rigs[read_only];
	if (rig->vb)
		return;
	blk_rig_up(rig,
		   &(struct blk_rig_params){
			   .queues = 2, .queue_size = 32, .read_only = read_only, .bytes = DISK});
	for (unsigned i = 0; i < DISK; i++)
		before[i] = (uint8_t)(i * 13 + (i >> 9));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t mode;

	in = (struct bytes){data, data + len};
	mode = u8();
	log_set_sink(silent, NULL);
	choose_rig(mode >> 1 & 1);
	memcpy(rig->disk.bytes, before, DISK);
	memcpy(model, before, DISK);
	insist(!driver_start(&rig->drv, DRIVER_ALL, 0), "the device does not start");
	if (mode & 1) {
		rig->disk.async = 1;
		ring_load_hook = mode & 4 ? other_value : NULL;
		while (in.at < in.end)
			chaos_step();
		ring_load_hook = NULL;
		fake_disk_answer_all(&rig->disk, 0);
		rig->disk.async = 0;
	} else {
		if (mode & 4)
			make_faults();
		while (in.at < in.end)
			oracle_step();
		rig->disk.faults = NULL;
	}
	if (rig->disk.blk.read_only)
		insist(!memcmp(before, rig->disk.bytes, DISK), "a read-only disk changed");
	insist(!driver_start(&rig->drv, DRIVER_ALL, 0), "a reset does not bring the device back");
	insist(blk_rig_alive(rig), "the device is dead");
	rig->disk.requests = 0;
	return 0;
}
