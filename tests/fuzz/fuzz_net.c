/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio network device between a driver and a wire, both of which the input plays. Oracle: a
 * model of what the headers allow, written from virtio 1.2 §5.1.6, says for each frame whether it
 * arrives; all that arrive do so in order, with their bytes; every chain comes back or is kept.
 */
#include <endian.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio/net.h"
#include "devices/virtio/net_hdr.h"
#include "tests/lib/driver.h"
#include "tests/lib/fake_wire.h"
#include "vmm/log.h"

#define CHECK(cond)                                                        \
	do {                                                               \
		if (!(cond)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #cond); \
			abort();                                           \
		}                                                          \
	} while (0)

#define OPS_MAX 48
#define LEN_MAX 66000

static struct mem mem;
static struct fake_wire wire;
static struct virtio_net *vn;
static struct driver drv;
static uint8_t pattern[LEN_MAX];

struct input {
	const uint8_t *p;
	size_t left;
};

static uint8_t u8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static uint16_t u16(struct input *in)
{
	uint16_t v = u8(in);

	return (uint16_t)(v << 8 | u8(in));
}

/* Frame lengths: mostly ordinary, sometimes at an edge. */
static uint32_t length(struct input *in)
{
	static const uint32_t edge[] = {0,
					1,
					13,
					14,
					15,
					1514,
					65550,
					NET_FRAME_MAX - NET_HDR_LEN,
					NET_FRAME_MAX - NET_HDR_LEN + 1};
	uint8_t c = u8(in);

	if (c < 32)
		return edge[c % (sizeof(edge) / sizeof(edge[0]))];
	return c < 200 ? 14 + u8(in) : u16(in);
}

/* Mostly right: a proper TCP header's offsets, with one field in four replaced. */
static struct net_hdr header(struct input *in, uint32_t len)
{
	struct net_hdr hdr = {0};
	uint8_t c = u8(in);

	if (c & 1) {
		hdr.flags = 1;
		hdr.csum_start = 34;
		hdr.csum_offset = 16;
	}
	if ((c & 3) == 3) {
		hdr.gso_type = c & 4 ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
		hdr.gso_size = 1448;
		hdr.hdr_len = 54;
	}
	switch (c >> 3) {
	case 1:
		hdr.flags = u8(in);
		break;
	case 2:
		hdr.gso_type = u8(in);
		break;
	case 3:
		hdr.csum_start = u16(in);
		break;
	case 4:
		hdr.csum_offset = u16(in);
		break;
	case 5:
		hdr.gso_size = u16(in) & 3;
		break;
	case 6:
		hdr.hdr_len = u16(in);
		break;
	case 7:
		hdr.csum_start = (uint16_t)(len - u8(in) % 4);
		hdr.csum_offset = 0;
		break;
	default:
		break;
	}
	return hdr;
}

/* 1 if the frame is to arrive. @tx: the driver sends it. Fields are in host order. */
static int allowed(const struct net_hdr *h, uint32_t len, int tx)
{
	uint64_t f = virtio_net_dev(vn)->features;
	int csum = f >> (tx ? VIRTIO_NET_F_CSUM : VIRTIO_NET_F_GUEST_CSUM) & 1;
	int tso4 = f >> (tx ? VIRTIO_NET_F_HOST_TSO4 : VIRTIO_NET_F_GUEST_TSO4) & 1;
	int tso6 = f >> (tx ? VIRTIO_NET_F_HOST_TSO6 : VIRTIO_NET_F_GUEST_TSO6) & 1;
	int needs = h->flags & 1;

	if (len < 14 || len > NET_FRAME_MAX - 12)
		return 0;
	if (needs && tx && !csum)
		return 0;
	if (needs && (h->csum_start < 14 || (uint32_t)h->csum_start + h->csum_offset + 2 > len))
		return 0;
	if (!h->gso_type)
		return 1;
	return needs && csum && h->csum_offset == 16 && h->gso_size && h->hdr_len <= len &&
	       (uint32_t)h->csum_start + 20 <= len &&
	       ((h->gso_type == 1 && tso4) || (h->gso_type == 4 && tso6));
}

/* --- what should have been sent, in order --- */

static struct {
	uint32_t len;
	uint8_t first;
} model[OPS_MAX * 8];
static unsigned n_model, n_seen;

static void check_sent(void)
{
	for (; n_seen < wire.n_sent; n_seen++) {
		const struct fake_frame *f = &wire.sent[n_seen];
		struct net_hdr hdr;

		memcpy(&hdr, f->bytes, sizeof(hdr));
		CHECK(n_seen < n_model);
		CHECK(f->len == 12 + model[n_seen].len);
		CHECK(f->bytes[12] == model[n_seen].first);
		CHECK(!memcmp(f->bytes + 13, pattern + 1, f->len - 13));
		CHECK(!(hdr.flags & ~1) && !hdr.num_buffers);
	}
}

static void op_send(struct input *in, unsigned hdr_len, uint8_t mark)
{
	uint32_t len = length(in), cut = 1 + u16(in), n = 0;
	struct net_hdr hdr = header(in, len), le;
	struct driver_seg seg[16];
	gpa_t buf = driver_alloc(&drv, hdr_len + len, 1);
	uint8_t *p = driver_ptr(&drv, buf, hdr_len + len);

	le = (struct net_hdr){hdr.flags,
			      hdr.gso_type,
			      htole16(hdr.hdr_len),
			      htole16(hdr.gso_size),
			      htole16(hdr.csum_start),
			      htole16(hdr.csum_offset),
			      0};
	memcpy(p, &le, hdr_len);
	memcpy(p + hdr_len, pattern, len);
	if (len)
		p[hdr_len] = mark;
	for (uint32_t at = 0; at < hdr_len + len; n++) {
		uint32_t left = hdr_len + len - at, part = n < 15 && cut < left ? cut : left;

		seg[n] = (struct driver_seg){buf + at, part, 0};
		at += part;
	}
	if (driver_add(&drv, 1, seg, n, cut & 1 ? DRIVER_INDIRECT : 0) < 0)
		return;
	if (allowed(&hdr, len, 1)) {
		model[n_model].len = len;
		model[n_model++].first = mark;
	}
}

static void op_give(struct input *in)
{
	uint32_t len = length(in);
	struct net_hdr hdr = header(in, len), le;

	le = (struct net_hdr){hdr.flags,
			      hdr.gso_type,
			      htole16(hdr.hdr_len),
			      htole16(hdr.gso_size),
			      htole16(hdr.csum_start),
			      htole16(hdr.csum_offset),
			      0};
	fake_wire_give(&wire, &le, pattern, len);
}

static void op_post(struct input *in)
{
	unsigned n = 1 + u8(in) % 40;
	uint32_t len = u8(in) & 1 ? 1536 : 1 + u16(in);

	while (n--) {
		gpa_t buf;

		if (drv.heap_end - drv.heap_next < 4u << 20)
			return;
		buf = driver_alloc(&drv, len, 1);
		driver_add(&drv, 0, (struct driver_seg[]){{buf, len, 1}}, 1, 0);
	}
}

/* Used entries on the receive queue: lengths that frames of the wire can have. */
static void check_received(void)
{
	struct driver_used used;
	int r;

	while ((r = driver_take(&drv, 0, &used)) == 1)
		CHECK(used.len <= 65536 + 64);
	CHECK(r == 0);
	while ((r = driver_take(&drv, 1, &used)) == 1)
		CHECK(used.len == 0);
	CHECK(r == 0);
}

static void silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void set_up_once(void)
{
	struct virtio_net_params params = {.mem = &mem, .wire = &wire.net, .mac = {2}};

	if (vn)
		return;
	log_set_sink(silent, NULL);
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 11 + i / 256);
	CHECK(!mem_create(&mem, &(struct mem_range){0, 32 << 20}, 1));
	fake_wire_init(&wire, NET_WIRE_CSUM | NET_WIRE_TSO, 0);
	CHECK(!virtio_net_create(&vn, &params));
	driver_attach(&drv, virtio_net_dev(vn), &mem, 0x10000, 31 << 20);
}

static void finish(void)
{
	struct virtio_net_stats s;

	fake_wire_make_room(&wire, UINT_MAX);
	driver_pump(&drv);
	check_sent();
	check_received();
	/* All that was allowed has gone out once the wire had room. */
	CHECK(n_seen == n_model);
	virtio_net_get_stats(vn, &s);
	CHECK(s.tx_frames >= n_model);
	fake_wire_forget(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = {bytes, size};
	uint64_t features;
	unsigned hdr_len;

	set_up_once();
	features = ~(uint64_t)u8(&in) | 1ull << 32;
	features &= ~((uint64_t)(u8(&in) & 0x9b) << 8);
	CHECK(!driver_start(&drv, features, 0));
	hdr_len = 12;
	n_model = n_seen = 0;
	wire.busy = 0;
	fake_wire_make_room(&wire, UINT_MAX);
	for (unsigned op = 0; op < OPS_MAX && in.left; op++) {
		switch (u8(&in) % 8) {
		case 0:
		case 1:
			if (drv.heap_end - drv.heap_next > 4u << 20)
				op_send(&in, hdr_len, (uint8_t)op);
			break;
		case 2:
			op_give(&in);
			break;
		case 3:
			op_post(&in);
			break;
		case 4:
			driver_kick(&drv, 0);
			break;
		case 5:
			driver_kick(&drv, 1);
			break;
		case 6:
			fake_wire_make_room(&wire, u8(&in) % 5);
			driver_pump(&drv);
			break;
		default:
			fake_wire_ring(&wire);
			driver_pump(&drv);
		}
		check_sent();
		check_received();
	}
	driver_kick(&drv, 1);
	finish();
	return 0;
}
