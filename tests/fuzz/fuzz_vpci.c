/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Software that does anything to two virtio functions on a PCI bus, by the input's bytes:
 * configuration space through both mechanisms, BARs, MSI-X, both register files, kicks, resets.
 * Oracles after each step: the map of the buses is disjoint and is what the registers say; bytes
 * that may not change have not; no interrupt goes where it may not; what is pending is what a
 * model says; doorbells are where their BARs are. At the end a reset brings both back to work.
 */
#include <errno.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio/pci_spec.h"
#include "tests/lib/board.h"
#include "tests/lib/echo.h"
#include "vmm/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FUNCTIONS 2
#define SLOT      3 /* and the one after it */
#define STEPS     600

static const uint8_t *at, *end;
static struct board *b;

static struct function {
	struct board_function fn;
	struct echo echo;
	struct driver drv;
	struct driver_pci pci;
	unsigned vectors;
	uint64_t owed; /* raised and not delivered, by vector */
	unsigned sent[BOARD_VECTORS];
} f[FUNCTIONS];

static void insist(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_vpci: %s\n", what);
	abort();
}

static uint8_t u8(void)
{
	return at < end ? *at++ : 0;
}

static uint32_t u32(void)
{
	return u8() | (uint32_t)u8() << 8 | (uint32_t)u8() << 16 | (uint32_t)u8() << 24;
}

static int rarely(void)
{
	return (u8() & 15) == 15;
}

static void silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

/* A legacy driver's reset returns when it is over. */
static void wait_reset(struct board_function *fn)
{
	echo_finish(&((struct function *)fn)->echo, UINT_MAX); /* fn is the first member */
}

static void build(void)
{
	b = board_create();
	memset(f, 0, sizeof(f));
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		f[i].vectors = i ? 2 : 4;
		echo_init(&f[i].echo, &b->mem, i ? 1 : 3, 16, i ? ECHO_TYPE : VIRTIO_ID_NET);
		board_plug(b, &f[i].fn, &f[i].echo.dev, SLOT + i, 1, f[i].vectors);
		f[i].fn.wait = wait_reset;
	}
}

/* Everything as it was when it was built, so that an input alone says what happens. */
static void rewind_all(void)
{
	b->bells_fail = 0;
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		struct function *x = &f[i];

		virtio_set_status(&x->echo.dev, 0);
		echo_finish(&x->echo, UINT_MAX);
		if (x->echo.dev.later_asked)
			virtio_run_later(&x->echo.dev);
		x->echo.slow = 0;
		x->fn.vp.no_doorbells = 0;
		x->fn.drv = NULL;
		memset(&x->drv, 0, sizeof(x->drv));
		x->owed = 0;
		memset(x->echo.config, 0, sizeof(x->echo.config));
	}
	pci_host_reset(&b->host);
}

/* --- the model ------------------------------------------------------------------------------- */

/* PCI 3.0 §6.8.2.9, from the table and the control word alone. */
static int masked(const struct function *x, unsigned v)
{
	const struct pci_dev *d = &x->fn.vp.pci;
	uint16_t control = pci_get16(d, d->msix.cap + PCI_MSIX_FLAGS);

	return !(control & PCI_MSIX_FLAGS_ENABLE) || (control & PCI_MSIX_FLAGS_MASKALL) ||
	       (d->msix.s.table[v][3] & 1);
}

static void check_vectors(struct function *x)
{
	for (unsigned v = 0; v < x->vectors; v++) {
		if (x->fn.msi.vec[v].raised != x->sent[v])
			x->owed &= ~(1ull << v);
		x->sent[v] = x->fn.msi.vec[v].raised;
		insist(!(x->owed >> v & 1) || masked(x, v), "a vector kept although unmasked");
	}
	insist(!x->fn.msi.wrong, "raised without a route");
	insist(!(x->owed & ~x->fn.vp.pci.msix.s.pending), "a pending bit lost");
}

/* An enabled BAR inside a window is decoded unless something else is there. */
static void check_decoding(const struct pci_dev *d, unsigned n)
{
	const struct pci_bar *bar = &d->bar[n];
	uint64_t base = pci_bar_address(d, n);
	uint16_t command = pci_get16(d, PCI_COMMAND);
	int io = bar->type == PCI_BAR_IO;

	if (bar->type == PCI_BAR_NONE || bar->decoded)
		return;
	if (!(command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return;
	if (io ? base < BOARD_IO || base + bar->size > BOARD_IO + BOARD_IO_LEN
	       : base < BOARD_MEM32 || base + bar->size > BOARD_MEM32 + BOARD_MEM32_LEN)
		return;
	insist(!bus_is_free(io ? &b->io : &b->mmio, base, bar->size), "a BAR is not decoded");
}

static void check_function(struct function *x)
{
	const struct pci_dev *d = &x->fn.vp.pci;
	unsigned data = x->fn.vp.window + VIRTIO_PCI_CAP_AT_DATA;

	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		insist(!((d->config[i] ^ d->initial[i]) & ~d->writable[i]) || i == PCI_STATUS ||
			       i - data < 4,
		       "a read-only byte of configuration space changed");
	insist(!(d->config[PCI_STATUS] & PCI_STATUS_INTERRUPT) ==
		       !(d->intx && !pci_msix_enabled(d)),
	       "the status bit is not the interrupt");
	insist(x->fn.line.level == (d->intx && !pci_msix_enabled(d) &&
				    !(pci_get16(d, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE)),
	       "the line is not the interrupt");
	/* A reset of the bus takes the line down; the device's own follows when it is over. */
	if (!x->echo.dev.resetting)
		insist(!x->fn.vp.s.isr == !d->intx, "ISR is not the interrupt");
	for (unsigned n = 0; n < PCI_BARS; n++)
		check_decoding(d, n);
	check_vectors(x);
	insist(!x->echo.wrong_calls, "the device was called out of turn");
}

/* --- steps ----------------------------------------------------------------------------------- */

static void poke_config(void)
{
	unsigned slot = rarely() ? u8() % 32 : SLOT + (u8() & 1), size = 1u << (u8() % 3), off;
	uint32_t v = u32();

	switch (u8() & 7) {
	case 0:
		off = PCI_COMMAND;
		size = 2;
		v = u8() & 7;
		break;
	case 1:
		off = PCI_BASE_ADDRESS_0 + (u8() & 7);
		break;
	case 2: /* somewhere in the window, often where the other one is */
		off = PCI_BASE_ADDRESS_1;
		size = 4;
		v = (uint32_t)BOARD_MEM32 + 0x4000 * (u8() & 3);
		break;
	case 3:
		off = PCI_BASE_ADDRESS_0;
		size = 4;
		v = (uint32_t)BOARD_IO + 0x100 * (u8() & 3);
		break;
	case 4:
		off = f[u8() & 1].fn.vp.pci.msix.cap + PCI_MSIX_FLAGS;
		size = 2;
		v = (uint32_t)u8() << 8;
		break;
	case 5: /* the window of §4.1.4.9 */
		off = f[u8() & 1].fn.vp.window + 4 * (u8() % 5);
		size = 4;
		v = u8() & 1 ? 1u << (u8() % 3) : u8();
		break;
	default:
		off = u8();
		break;
	}
	if (u8() & 1)
		board_ecam_write(b, slot, off, size, v);
	else
		board_config_write(b, slot, off, size, v);
	board_config_read(b, slot, off, size);
}

static void poke_memory(struct function *x)
{
	static const uint32_t areas[] = {VIRTIO_PCI_COMMON, VIRTIO_PCI_ISR,   VIRTIO_PCI_CONFIG,
					 VIRTIO_PCI_NOTIFY, VIRTIO_PCI_TABLE, VIRTIO_PCI_PBA};
	uint64_t base = x->fn.vp.pci.bar[VIRTIO_PCI_MEM_BAR].base;
	uint32_t off = areas[u8() % 6] + u8();
	unsigned size = 1u << (u8() % 4);

	if (rarely())
		off = u32() % (VIRTIO_PCI_MEM_LEN + 8);
	else
		off &= ~(size - 1);
	board_store(b, base + off, size, rarely() ? u32() : u8());
	board_load(b, base + off, size);
}

static void poke_ports(struct function *x)
{
	uint16_t base = (uint16_t)x->fn.vp.pci.bar[VIRTIO_PCI_IO_BAR].base;
	unsigned size = 1u << (u8() % 3), off = rarely() ? u8() : u8() % 32;

	board_out(b, (uint16_t)(base + off), size, rarely() ? u32() : u8());
	board_in(b, (uint16_t)(base + off), size);
}

static void start(struct function *x, unsigned i)
{
	enum driver_pci_way way = (enum driver_pci_way)(u8() & 3);

	if (x->echo.n_held)
		return;
	if (driver_attach_pci(&x->drv, &x->pci, &x->fn, SLOT + i, way, u8() & 1))
		return;
	driver_start(&x->drv, rarely() ? u32() : DRIVER_ALL,
		     way == DRIVER_PCI_LEGACY ? DRIVER_LEGACY : 0);
}

static void work(struct function *x)
{
	unsigned q = u8() % x->echo.dev.n_queues;

	if (!x->drv.transport || !x->drv.q[q].size || x->drv.heap_next > BOARD_RAM / 2)
		return;
	driver_add_request(&x->drv, q, "abc", 3, 1 + u8() % 8, NULL);
	x->drv.transport->kick(&x->drv, q);
}

static void raise_vector(struct function *x)
{
	unsigned v = u8() % (x->vectors + 2);

	if (v < x->vectors && pci_msix_enabled(&x->fn.vp.pci) && masked(x, v))
		x->owed |= 1ull << v;
	pci_msix_raise(&x->fn.vp.pci, v);
}

static void pump(struct function *x)
{
	x->fn.later = x->drv.later = 0;
	if (x->echo.dev.later_asked)
		virtio_run_later(&x->echo.dev);
}

/* As for a reboot. What is pending is forgotten with it. */
static void reset_bus(void)
{
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		virtio_set_status(&f[i].echo.dev, 0);
		f[i].owed = 0;
	}
	pci_host_reset(&b->host);
}

static void step(void)
{
	unsigned i = u8() & 1;
	struct function *x = &f[i];

	switch (u8() % 12) {
	case 0:
	case 1:
		poke_config();
		break;
	case 2:
	case 3:
		poke_memory(x);
		break;
	case 4:
		poke_ports(x);
		break;
	case 5:
		start(x, i);
		break;
	case 6:
		work(x);
		break;
	case 7:
		pump(x);
		break;
	case 8:
		raise_vector(x);
		break;
	case 9:
		virtio_config_changed(&x->echo.dev);
		break;
	case 10:
		x->echo.slow = u8() & 1;
		echo_finish(&x->echo, u8() & 3);
		break;
	default:
		b->bells_fail = rarely() ? -ENOSPC : 0;
		if (rarely())
			reset_bus();
		break;
	}
	insist(board_is_sound(b), "the board is not sound");
	for (i = 0; i < FUNCTIONS; i++)
		check_function(&f[i]);
}

static void revive(struct function *x, unsigned i)
{
	struct driver_used used;

	virtio_set_status(&x->echo.dev, 0);
	echo_finish(&x->echo, UINT_MAX);
	x->echo.slow = 0;
	insist(!driver_attach_pci(&x->drv, &x->pci, &x->fn, SLOT + i, DRIVER_PCI_MODERN, 1),
	       "no device after a reset");
	insist(!driver_start(&x->drv, DRIVER_ALL, 0), "no start after a reset");
	driver_add_request(&x->drv, 0, "abc", 3, 3, NULL);
	driver_kick(&x->drv, 0);
	insist(driver_take(&x->drv, 0, &used) == 1 && used.len == 3, "no work after a reset");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	at = data;
	end = data + len;
	log_set_sink(silent, NULL);
	if (!b)
		build();
	rewind_all();
	for (unsigned i = 0; i < STEPS && at < end; i++)
		step();
	at = end;
	b->bells_fail = 0;
	pci_host_reset(&b->host);
	for (unsigned i = 0; i < FUNCTIONS; i++)
		revive(&f[i], i);
	insist(board_is_sound(b), "the board is not sound");
	return 0;
}
