/* SPDX-License-Identifier: BSD-2-Clause */
/* The test machine of board.h: plain memory and counters where a real one has KVM. */
#include "tests/lib/board.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/container_of.h"

#define TURNS_MAX 100000

static void give_up(const char *why)
{
	fprintf(stderr, "board: %s\n", why);
	abort();
}

/* --- interrupts ---------------------------------------------------------------------------- */

static void msi_route(struct irq_msi *irq, unsigned vec, uint64_t addr, uint32_t data, int masked)
{
	struct board_msi *m = container_of(irq, struct board_msi, msi);

	m->routes++;
	m->dirty = 1;
	m->vec[vec].addr = addr;
	m->vec[vec].data = data;
	m->vec[vec].masked = masked;
}

static int msi_commit(struct irq_msi *irq)
{
	struct board_msi *m = container_of(irq, struct board_msi, msi);

	m->commits++;
	m->dirty = 0;
	return m->fail;
}

static void tell_driver(struct board_msi *m, unsigned vec)
{
	struct board_function *fn = container_of(m, struct board_function, msi);

	if (fn->drv && vec == 0)
		fn->drv->config_irqs++;
	else if (fn->drv)
		fn->drv->irqs[vec - 1]++;
}

static void msi_raise(struct irq_msi *irq, unsigned vec)
{
	struct board_msi *m = container_of(irq, struct board_msi, msi);

	if (vec >= irq->vectors || m->vec[vec].masked || m->dirty) {
		m->wrong++;
		return;
	}
	m->vec[vec].raised++;
}

/* The same for a function that has a driver. */
static void function_raise(struct irq_msi *irq, unsigned vec)
{
	msi_raise(irq, vec);
	tell_driver(container_of(irq, struct board_msi, msi), vec);
}

static const struct irq_msi_ops msi_ops = {msi_route, msi_commit, msi_raise};
static const struct irq_msi_ops function_msi_ops = {msi_route, msi_commit, function_raise};

void board_msi_init(struct board_msi *m, unsigned vectors)
{
	memset(m, 0, sizeof(*m));
	m->msi.ops = &msi_ops;
	m->msi.vectors = vectors;
	for (unsigned v = 0; v < BOARD_VECTORS; v++)
		m->vec[v].masked = 1;
}

static void line_set(struct irq_line *line, int level)
{
	struct board_line *l = container_of(line, struct board_line, line);

	l->sets++;
	l->changes += l->level != level;
	l->level = level;
}

void board_line_init(struct board_line *l)
{
	memset(l, 0, sizeof(*l));
	l->line.set = line_set;
}

/* --- the machine's side of the transport ---------------------------------------------------- */

static void later(struct virtio_pci *vp)
{
	struct board_function *fn = container_of(vp, struct board_function, vp);

	fn->later = 1;
	if (fn->drv)
		fn->drv->later = 1;
}

static void reset_done(struct virtio_pci *vp)
{
	struct board_function *fn = container_of(vp, struct board_function, vp);

	fn->resets_done++;
	if (fn->drv)
		fn->drv->resets_done++;
}

static void wait_reset(struct virtio_pci *vp)
{
	struct board_function *fn = container_of(vp, struct board_function, vp);

	fn->waits++;
	if (fn->wait)
		fn->wait(fn);
}

static int same_bell(const struct virtio_doorbell *x, const struct virtio_doorbell *y)
{
	return x->io == y->io && x->addr == y->addr && x->match == y->match &&
	       (!x->match || x->value == y->value);
}

static int doorbell(struct virtio_pci *vp, unsigned q, const struct virtio_doorbell *bell, int on)
{
	struct board *b = container_of(vp, struct board_function, vp)->board;
	unsigned i;

	b->bell_asks++;
	for (i = 0; i < b->n_bells; i++)
		if (same_bell(&b->bell[i].bell, bell))
			break;
	if ((i < b->n_bells) == on) {
		b->wrong_bells++;
		return -EEXIST;
	}
	if (!on) {
		b->bell[i] = b->bell[--b->n_bells];
		return 0;
	}
	if (b->bells_fail || b->n_bells == BOARD_BELLS)
		return b->bells_fail ? b->bells_fail : -ENOSPC;
	b->bell[b->n_bells++] = (struct board_bell){vp, q, *bell};
	return 0;
}

static const struct virtio_pci_machine machine = {
	.later = later,
	.doorbell = doorbell,
	.reset_done = reset_done,
	.wait_reset = wait_reset,
};

/* --- construction --------------------------------------------------------------------------- */

struct board *board_create(void)
{
	struct board *b = calloc(1, sizeof(*b));
	struct pci_host_params params = {
		.io_bars = {BOARD_IO, BOARD_IO_LEN},
		.mem32_bars = {BOARD_MEM32, BOARD_MEM32_LEN},
		.mem64_bars = {BOARD_MEM64, BOARD_MEM64_LEN},
		.has_ports = 1,
		.ports = BOARD_PORTS,
		.has_ecam = 1,
		.ecam = BOARD_ECAM,
	};

	if (!b || mem_create(&b->mem, &(struct mem_range){0, BOARD_RAM}, 1))
		give_up("no memory");
	params.io = &b->io;
	params.mem = &b->mmio;
	params.ram = &b->mem;
	if (pci_host_init(&b->host, &params))
		give_up("no host bridge");
	return b;
}

void board_destroy(struct board *b)
{
	mem_destroy(&b->mem);
	free(b);
}

void board_plug(struct board *b, struct board_function *fn, struct virtio_dev *dev, unsigned slot,
		int has_io, unsigned vectors)
{
	struct virtio_pci_params params = {
		.dev = dev,
		.machine = &machine,
		.line = &fn->line.line,
		.line_number = (uint8_t)(16 + slot),
		.msi = vectors ? &fn->msi.msi : NULL,
		.has_io = has_io,
	};

	memset(fn, 0, sizeof(*fn));
	fn->board = b;
	board_msi_init(&fn->msi, vectors);
	fn->msi.msi.ops = &function_msi_ops;
	board_line_init(&fn->line);
	if (virtio_pci_init(&fn->vp, &params) || pci_host_add(&b->host, &fn->vp.pci, slot))
		give_up("no room on the bus");
}

/* --- the guest's instructions --------------------------------------------------------------- */

static int ring(struct board *b, int io, uint64_t addr, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < b->n_bells; i++) {
		const struct board_bell *x = &b->bell[i];

		if (x->bell.io != io || x->bell.addr != addr || size != 2)
			continue;
		if (x->bell.match && x->bell.value != (uint16_t)value)
			continue;
		b->bells_rung++;
		virtio_kick(x->vp->dev, x->q);
		return 1;
	}
	b->exits++;
	return 0;
}

/* An instruction takes as many bytes as it asked for, whatever the device's function returned. */
static uint64_t cut(uint64_t value, unsigned size)
{
	return size < 8 ? value & ((1ull << (8 * size)) - 1) : value;
}

uint32_t board_in(struct board *b, uint16_t port, unsigned size)
{
	b->exits++;
	return (uint32_t)cut(bus_read(&b->io, port, size), size);
}

void board_out(struct board *b, uint16_t port, unsigned size, uint32_t value)
{
	if (!ring(b, 1, port, size, value))
		bus_write(&b->io, port, size, value);
}

uint64_t board_load(struct board *b, uint64_t addr, unsigned size)
{
	b->exits++;
	return cut(bus_read(&b->mmio, addr, size), size);
}

void board_store(struct board *b, uint64_t addr, unsigned size, uint64_t value)
{
	if (!ring(b, 0, addr, size, value))
		bus_write(&b->mmio, addr, size, value);
}

static void address(struct board *b, unsigned slot, unsigned off)
{
	board_out(b, BOARD_PORTS, 4, 0x80000000u | slot << 11 | (off & 0xfc));
}

uint32_t board_config_read(struct board *b, unsigned slot, unsigned off, unsigned size)
{
	address(b, slot, off);
	return board_in(b, (uint16_t)(BOARD_PORTS + 4 + off % 4), size);
}

void board_config_write(struct board *b, unsigned slot, unsigned off, unsigned size, uint32_t v)
{
	address(b, slot, off);
	board_out(b, (uint16_t)(BOARD_PORTS + 4 + off % 4), size, v);
}

uint32_t board_ecam_read(struct board *b, unsigned slot, unsigned off, unsigned size)
{
	return (uint32_t)board_load(b, BOARD_ECAM + (slot << 15) + off, size);
}

void board_ecam_write(struct board *b, unsigned slot, unsigned off, unsigned size, uint32_t v)
{
	board_store(b, BOARD_ECAM + (slot << 15) + off, size, v);
}

void board_pump(struct board_function *fn)
{
	for (unsigned turn = 0; fn->later; turn++) {
		if (turn == TURNS_MAX)
			give_up("the device never rests");
		fn->later = 0;
		virtio_run_later(fn->vp.dev);
	}
}

/* --- invariants ----------------------------------------------------------------------------- */

static int bus_is_sound(const struct bus *bus)
{
	for (unsigned i = 1; i < bus->count; i++)
		if (bus->range[i - 1].base + (bus->range[i - 1].len - 1) >= bus->range[i].base)
			return 0;
	return 1;
}

static int has_range(const struct bus *bus, uint64_t base, uint64_t len)
{
	for (unsigned i = 0; i < bus->count; i++)
		if (bus->range[i].base == base && bus->range[i].len == len)
			return 1;
	return 0;
}

static int within(uint64_t at, uint64_t len, uint64_t base, uint64_t window)
{
	return at >= base && len <= window && at - base <= window - len;
}

static int bar_is_sound(const struct board *b, const struct pci_dev *dev, unsigned n)
{
	const struct pci_bar *bar = &dev->bar[n];
	uint16_t command = pci_get16(dev, PCI_COMMAND);

	if (!bar->decoded)
		return 1;
	if (bar->base != pci_bar_address(dev, n) || bar->base % bar->size)
		return 0;
	if (bar->type == PCI_BAR_IO)
		return (command & PCI_COMMAND_IO) && has_range(&b->io, bar->base, bar->size) &&
		       within(bar->base, bar->size, BOARD_IO, BOARD_IO_LEN);
	return (command & PCI_COMMAND_MEMORY) && has_range(&b->mmio, bar->base, bar->size) &&
	       (within(bar->base, bar->size, BOARD_MEM32, BOARD_MEM32_LEN) ||
		within(bar->base, bar->size, BOARD_MEM64, BOARD_MEM64_LEN)) &&
	       bar->base >= BOARD_RAM;
}

static int bell_is_sound(const struct board_bell *x)
{
	const struct pci_bar *bar =
		&x->vp->pci.bar[x->bell.io ? VIRTIO_PCI_IO_BAR : VIRTIO_PCI_MEM_BAR];

	return bar->decoded && within(x->bell.addr, 2, bar->base, bar->size) &&
	       x->q < x->vp->dev->n_queues;
}

int board_is_sound(const struct board *b)
{
	unsigned io = 1, mem = 1; /* the ports, ECAM */

	if (!bus_is_sound(&b->io) || !bus_is_sound(&b->mmio) || b->wrong_bells)
		return 0;
	for (unsigned s = 0; s < PCI_SLOTS; s++)
		for (unsigned n = 0; b->host.slot[s] && n < PCI_BARS; n++) {
			const struct pci_bar *bar = &b->host.slot[s]->bar[n];

			if (!bar_is_sound(b, b->host.slot[s], n))
				return 0;
			io += bar->decoded && bar->type == PCI_BAR_IO;
			mem += bar->decoded && bar->type != PCI_BAR_IO;
		}
	/* Nothing is on a bus that no decoded BAR accounts for. */
	if (b->io.count != io || b->mmio.count != mem)
		return 0;
	for (unsigned i = 0; i < b->n_bells; i++)
		if (!bell_is_sound(&b->bell[i]))
			return 0;
	return 1;
}
