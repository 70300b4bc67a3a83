/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest and a host that play virtio-console by the input's bytes; the first byte chooses:
 *
 *   even: a guest that keeps the rules. The oracle is two counters: what the guest sends is the
 *	   sequence 0, 1, 2 ... and arrives without gap or repetition, and so the other way.
 *   odd:  a guest that breaks rings, resets at any time, and whose ring words read differently
 *	   from memory. The device keeps its rings inside their size and comes back after a reset.
 *
 * Link queue.c built with RING_LOAD_HOOK.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio/console.h"
#include "devices/virtio/ring.h"
#include "tests/lib/driver.h"
#include "vmm/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define RAM  (8u << 20)
#define HEAP (1u << 20)

static const uint8_t *at, *end;
static struct mem mem;
static struct virtio_console vc;
static struct driver drv;
static uint8_t sent, seen, typed, got; /* the next byte of each sequence */
static unsigned ready_calls, room_calls;
static gpa_t offered[VQ_SIZE_MAX]; /* where the buffer of each receiveq head lies */

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_console: %s\n", what);
	abort();
}

static uint8_t u8(void)
{
	return at < end ? *at++ : 0;
}

static uint32_t below(uint32_t n)
{
	return (u8() | (uint32_t)u8() << 8) % n;
}

static void silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void on_ready(void *arg)
{
	(void)arg;
	ready_calls++;
}

static void on_room(void *arg)
{
	(void)arg;
	room_calls++;
}

/* A chain of @len bytes in up to four pieces, some of them empty. */
static int offer(unsigned q, gpa_t buf, uint32_t len)
{
	struct driver_seg segs[6];
	unsigned n = 0;
	uint32_t pos = 0;

	for (unsigned cuts = u8() % 4; cuts > 0; cuts--) {
		uint32_t piece = below(len - pos + 1);

		segs[n++] = (struct driver_seg){buf + pos, piece, q == VIRTIO_CONSOLE_RX};
		pos += piece;
	}
	segs[n++] = (struct driver_seg){buf + pos, len - pos, q == VIRTIO_CONSOLE_RX};
	return driver_add(&drv, q, segs, n, u8() & 1 ? DRIVER_INDIRECT : 0);
}

static void guest_sends(int counted)
{
	uint32_t len = below(u8() & 1 ? 40000 : 100);
	uint8_t *p, old = sent;
	gpa_t buf;

	if (drv.heap_end - drv.heap_next < 128 << 10)
		return;
	buf = driver_alloc(&drv, len + 1, 1);
	p = driver_ptr(&drv, buf, len + 1);
	for (uint32_t i = 0; i < len; i++)
		p[i] = sent++;
	if (offer(VIRTIO_CONSOLE_TX, buf, len) < 0)
		sent = old;
	else if (counted || u8() & 1)
		virtio_kick(&vc.dev, VIRTIO_CONSOLE_TX);
}

static void guest_offers(void)
{
	uint32_t len = below(u8() & 1 ? 3000 : 20);
	gpa_t buf;
	int head;

	if (drv.heap_end - drv.heap_next < 128 << 10)
		return;
	buf = driver_alloc(&drv, len + 1, 1);
	head = offer(VIRTIO_CONSOLE_RX, buf, len);
	if (head < 0)
		return;
	offered[head] = buf;
	virtio_kick(&vc.dev, VIRTIO_CONSOLE_RX);
}

static void guest_takes(int counted)
{
	struct driver_used used;
	int r;

	while ((r = driver_take(&drv, VIRTIO_CONSOLE_TX, &used)) == 1)
		insist(!counted || used.len == 0, "wrote into what the guest sends");
	insist(!counted || r == 0, "a head that the guest never offered");
	while ((r = driver_take(&drv, VIRTIO_CONSOLE_RX, &used)) == 1) {
		const uint8_t *p;

		if (!counted || !used.len)
			continue;
		p = driver_ptr(&drv, offered[used.head], used.len);
		for (uint32_t i = 0; i < used.len; i++)
			insist(p[i] == got++, "input out of order");
	}
	insist(!counted || r == 0, "a head that the guest never offered");
}

static void host_reads(int counted)
{
	size_t len, take;
	const uint8_t *p = virtio_console_tx_peek(&vc, &len);

	take = len ? below((uint32_t)len + 1) : 0;
	for (size_t i = 0; i < take && counted; i++)
		insist(p[i] == seen++, "output out of order");
	virtio_console_tx_consume(&vc, take);
}

static void host_types(void)
{
	uint8_t bytes[2048];
	uint32_t len = below(sizeof(bytes));
	size_t n;

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(typed + i);
	n = virtio_console_rx_put(&vc, bytes, len);
	insist(n <= len, "took more than it was given");
	typed = (uint8_t)(typed + n);
}

static void play(int counted)
{
	switch (u8() % 8) {
	case 0:
	case 1:
		guest_sends(counted);
		break;
	case 2:
	case 3:
		guest_offers();
		break;
	case 4:
		host_reads(counted);
		break;
	case 5:
		host_types();
		break;
	case 6:
		virtio_console_resize(&vc, u8(), u8());
		break;
	default:
		guest_takes(counted);
	}
}

static void misbehave(void)
{
	unsigned q = u8() & 1;

	switch (u8() % 6) {
	case 0:
		driver_offer(&drv, q, (uint16_t)below(70));
		break;
	case 1:
		driver_desc(&drv, q, (uint16_t)below(64),
			    (struct vring_desc){(uint64_t)u8() << (u8() & 56), below(65536),
						u8() & 7, (uint16_t)below(70)});
		break;
	case 2:
		virtio_set_status(&vc.dev, u8() & 1 ? 0 : u8());
		break;
	case 3:
		driver_set_avail_idx(&drv, q, (uint16_t)below(65536));
		break;
	default:
		driver_start(&drv, DRIVER_ALL & ~((uint64_t)u8() << 24), 0);
	}
	virtio_kick(&vc.dev, below(4));
}

static uint64_t other_value(const void *word, unsigned size, uint64_t value)
{
	(void)word;
	(void)size;
	return u8() >= 0xf8 ? value ^ (1ull << (u8() & 63)) : value;
}

/* All that the guest sent arrives when the host reads, and all that was typed when it offers. */
static void settle(void)
{
	for (unsigned i = 0; i < 1000 && (vc.tx.count || vc.held || vc.rx.count); i++) {
		size_t len;
		const uint8_t *p = virtio_console_tx_peek(&vc, &len);

		for (size_t k = 0; k < len; k++)
			insist(p[k] == seen++, "output out of order at the end");
		virtio_console_tx_consume(&vc, len);
		virtio_kick(&vc.dev, VIRTIO_CONSOLE_TX);
		driver_pump(&drv);
		guest_takes(1);
		if (vc.rx.count)
			guest_offers();
	}
	driver_pump(&drv);
	guest_takes(1);
	insist(seen == sent, "output was lost");
	insist(vc.rx.count || got == typed, "input was lost");
	insist(vc.rx.count || !vc.rx_refused, "rx_room was not called");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t mode;

	at = data;
	end = data + len;
	log_set_sink(silent, NULL);
	if (!mem.count && mem_create(&mem, &(struct mem_range){0, RAM}, 1))
		abort();
	virtio_console_init(&vc, &mem);
	vc.tx_ready = on_ready;
	vc.rx_room = on_room;
	driver_attach(&drv, &vc.dev, &mem, HEAP, RAM - HEAP);
	insist(!driver_start(&drv, DRIVER_ALL, 0), "does not start");
	sent = seen = typed = got = 0;
	mode = u8();
	ring_load_hook = (mode & 3) == 3 ? other_value : NULL;
	while (at < end) {
		if ((mode & 1) && u8() >= 0xc0)
			misbehave();
		else
			play(!(mode & 1));
		driver_pump(&drv);
		insist(vc.tx.count <= CONSOLE_TX_RING_LEN && vc.rx.count <= CONSOLE_RX_RING_LEN,
		       "a ring beyond its size");
	}
	ring_load_hook = NULL;
	if (mode & 1) {
		insist(!driver_start(&drv, DRIVER_ALL, 0), "a reset does not bring it back");
		virtio_console_tx_consume(&vc, vc.tx.count);
		virtio_console_tx_consume(&vc, vc.tx.count);
		sent = seen = 0;
		vc.rx.count = 0;
		vc.rx_refused = 0;
		typed = got = 0;
	}
	guest_sends(1);
	settle();
	return 0;
}
