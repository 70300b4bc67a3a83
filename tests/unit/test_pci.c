/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space, BARs, MSI-X, INTx and the host, with a function that is nothing but PCI. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "tests/lib/board.h"
#include "tests/lib/cases.h"
#include "tests/lib/said.h"

#define SLOT    3
#define VECTORS 4

/* A function with one BAR of each kind; its registers remember the last write. */
struct card {
	struct pci_dev pci;
	struct board_msi msi;
	struct board_line line;
	uint64_t last_off, last_value;
	unsigned last_size, moves[PCI_BARS];
};

static struct board *b;
static struct card card, other;

static uint64_t card_read(void *arg, uint64_t off, unsigned size)
{
	(void)arg;
	return 0x1122334455667700 + off + size;
}

static void card_write(void *arg, uint64_t off, unsigned size, uint64_t value)
{
	struct card *c = arg;

	c->last_off = off;
	c->last_size = size;
	c->last_value = value;
}

static const struct bus_ops registers = {card_read, card_write};

static void card_moved(struct pci_dev *dev, unsigned bar, int on)
{
	(void)on;
	((struct card *)dev)->moves[bar]++; /* pci is the first member */
}

static const struct pci_dev_ops card_ops = {.bar_moved = card_moved};
static const struct pci_ids card_ids = {0x1234, 0x5678, 9, 0x0a0b0c, 0x4321, 0x8765};

static void card_init(struct card *c, unsigned vectors)
{
	memset(c, 0, sizeof(*c));
	pci_dev_init(&c->pci, &card_ops, &card_ids);
	board_msi_init(&c->msi, VECTORS);
	board_line_init(&c->line);
	pci_dev_set_line(&c->pci, &c->line.line, 11);
	pci_bar_add(&c->pci, 0, PCI_BAR_IO, 64, &registers, c);
	pci_bar_add(&c->pci, 1, PCI_BAR_MEM32, 4096, &registers, c);
	pci_bar_add(&c->pci, 2, PCI_BAR_MEM64, 8192, &registers, c);
	if (vectors)
		assert_int_equal(pci_msix_add(&c->pci, &c->msi.msi, vectors, 1, 0, 0x800), 0);
}

static int up(void **state)
{
	(void)state;
	b = board_create();
	card_init(&card, VECTORS);
	assert_int_equal(pci_host_add(&b->host, &card.pci, SLOT), 0);
	said_start();
	return 0;
}

static int down(void **state)
{
	(void)state;
	assert_true(board_is_sound(b));
	assert_int_equal(card.msi.wrong, 0);
	board_destroy(b);
	return 0;
}

static uint32_t rd(unsigned off, unsigned size)
{
	return board_config_read(b, SLOT, off, size);
}

static void wr(unsigned off, unsigned size, uint32_t v)
{
	board_config_write(b, SLOT, off, size, v);
}

static void enable(void)
{
	wr(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
}

/* --- header and access mechanisms ----------------------------------------------------------- */

static void test_header(void **state)
{
	(void)state;
	assert_int_equal(rd(PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(rd(PCI_CLASS_REVISION, 4), 0x0a0b0c09);
	assert_int_equal(rd(PCI_SUBSYSTEM_VENDOR_ID, 4), 0x87654321);
	assert_int_equal(rd(PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(rd(PCI_INTERRUPT_LINE, 1), 11);
	assert_int_equal(rd(PCI_COMMAND, 2), 0);
	assert_int_equal(rd(PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(rd(PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(rd(PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(board_config_read(b, 0, PCI_CLASS_REVISION, 4), 0x06000000);
	assert_int_equal(board_config_read(b, 0, PCI_STATUS, 2), 0);
	assert_int_equal(board_config_read(b, 4, PCI_VENDOR_ID, 4), 0xffffffff);
	assert_int_equal(board_config_read(b, 4, PCI_VENDOR_ID, 2), 0xffff);
}

/* Every byte through every mechanism in every width says the same. */
static void test_widths_agree(void **state)
{
	(void)state;
	for (unsigned off = 0; off < 256; off++)
		for (unsigned size = 1; size <= 4 && off % size == 0; size *= 2) {
			uint32_t v = 0;

			case_begin("read %u bytes at %#x", size, off);
			for (unsigned i = 0; i < size; i++)
				v |= (uint32_t)card.pci.config[off + i] << (8 * i);
			CHECK(rd(off, size) == v);
			CHECK(board_ecam_read(b, SLOT, off, size) == v);
		}
}

static void test_what_is_not_there_reads_as_ones(void **state)
{
	static const struct {
		const char *name;
		uint32_t address;
	} rows[] = {
		{"disabled", 0x00001800},   {"bus 1", 0x80011800},      {"bus 255", 0x80ff1800},
		{"function 1", 0x80001900}, {"function 7", 0x80001f00}, {"slot 31", 0x8000f800},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		case_begin("ports: %s", rows[i].name);
		board_out(b, BOARD_PORTS, 4, rows[i].address);
		CHECK(board_in(b, BOARD_PORTS, 4) == (rows[i].address & 0x80fffffc));
		CHECK(board_in(b, BOARD_PORTS + 4, 4) == 0xffffffff);
		CHECK(board_in(b, BOARD_PORTS + 5, 1) == 0xff);
		board_out(b, BOARD_PORTS + 4, 4, 0);
	}
	/* Conventional PCI behind ECAM: nothing past 256 bytes, nothing in quadwords. */
	assert_int_equal(board_ecam_read(b, SLOT, 0x100, 4), 0xffffffff);
	assert_int_equal(board_ecam_read(b, SLOT, 0xffc, 4), 0xffffffff);
	assert_int_equal(board_ecam_read(b, SLOT, 0x1000, 4), 0xffffffff);
	assert_true(board_load(b, BOARD_ECAM + (SLOT << 15), 8) == UINT64_MAX);
	board_ecam_write(b, SLOT, 0x100, 4, 0);
	board_store(b, BOARD_ECAM + (SLOT << 15) + PCI_COMMAND, 8, 0);
}

/* Sizes that no mechanism lets through. */
static void test_odd_sizes(void **state)
{
	static const unsigned sizes[] = {0, 3, 5, 8, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_true(pci_config_read(&card.pci, 0, sizes[i]) == UINT32_MAX);
		pci_config_write(&card.pci, PCI_COMMAND, sizes[i], 3);
		assert_int_equal(card.pci.config[PCI_COMMAND], 0);
	}
	assert_true(pci_config_read(&card.pci, 253, 4) == UINT32_MAX);
	assert_true(pci_config_read(&card.pci, UINT32_MAX, 4) == UINT32_MAX);
}

/* §3.2.2.3.2: only doublewords reach the address port; the data port in any width and offset. */
static void test_address_port(void **state)
{
	(void)state;
	board_out(b, BOARD_PORTS, 4, 0x80001800);
	for (unsigned size = 1; size <= 2; size++)
		for (unsigned off = 0; off < 4; off++) {
			board_out(b, (uint16_t)(BOARD_PORTS + off), size, 0x55);
			assert_int_equal(board_in(b, (uint16_t)(BOARD_PORTS + off), size),
					 size == 1 ? 0xff : 0xffff);
		}
	assert_int_equal(board_in(b, BOARD_PORTS, 4), 0x80001800);
	assert_int_equal(board_in(b, BOARD_PORTS + 5, 2), 0x7812);
	/* An access that leaves the data port is nobody's. */
	assert_int_equal(board_in(b, BOARD_PORTS + 7, 2), 0xffff);
	assert_int_equal(board_in(b, BOARD_PORTS + 6, 4), 0xffffffff);
}

static void test_read_only_bytes(void **state)
{
	uint8_t before[256];

	(void)state;
	memcpy(before, card.pci.config, 256);
	for (unsigned off = 0; off < 256; off++) {
		case_begin("write to %#x", off);
		wr(off, 1, 0xff);
		CHECK((card.pci.config[off] & ~card.pci.writable[off]) ==
		      (before[off] & ~card.pci.writable[off]));
		wr(off, 1, before[off]);
		CHECK(card.pci.config[off] == before[off]);
	}
	assert_int_equal(rd(PCI_COMMAND, 2), 0);
}

static void test_capabilities_are_a_list(void **state)
{
	struct card c;
	unsigned at, n = 0;

	(void)state;
	card_init(&c, 0);
	assert_int_equal(c.pci.config[PCI_CAPABILITY_LIST], 0);
	/* 17 bytes take up 20; nine fit behind the header. */
	for (unsigned i = 0; i < 11; i++)
		assert_int_equal(pci_add_capability(&c.pci, (uint8_t)(i + 1), 17),
				 i < 9 ? (int)(0x40 + 20 * i) : -ENOSPC);
	for (at = c.pci.config[PCI_CAPABILITY_LIST]; at; at = c.pci.config[at + 1])
		assert_int_equal(c.pci.config[at], ++n);
	assert_int_equal(n, 9);
}

/* --- BARs ----------------------------------------------------------------------------------- */

/* PCI 3.0 §6.2.5.1: write ones, read back size and type. */
static void test_sizing(void **state)
{
	static const uint32_t expected[7] = {0xffffffc1, 0xfffff000, 0xffffe004, 0xffffffff,
					     0,          0,          0};

	(void)state;
	for (unsigned with = 0; with < 2; with++) {
		if (with)
			enable();
		for (unsigned n = 0; n < 6; n++) {
			uint32_t before = rd(PCI_BASE_ADDRESS_0 + 4 * n, 4);

			wr(PCI_BASE_ADDRESS_0 + 4 * n, 4, 0xffffffff);
			assert_int_equal(rd(PCI_BASE_ADDRESS_0 + 4 * n, 4), expected[n]);
			assert_true(board_is_sound(b));
			wr(PCI_BASE_ADDRESS_0 + 4 * n, 4, before);
			assert_int_equal(rd(PCI_BASE_ADDRESS_0 + 4 * n, 4), before);
		}
	}
	assert_int_equal(
		card.pci.bar[0].decoded + card.pci.bar[1].decoded + card.pci.bar[2].decoded, 3);
}

static void test_addresses_are_assigned_and_not_decoded(void **state)
{
	(void)state;
	assert_int_equal(pci_bar_address(&card.pci, 0), BOARD_IO);
	assert_int_equal(pci_bar_address(&card.pci, 1), BOARD_MEM32);
	assert_true(pci_bar_address(&card.pci, 2) == BOARD_MEM64);
	assert_int_equal(board_in(b, BOARD_IO, 4), 0xffffffff);
	wr(PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_int_equal(board_in(b, BOARD_IO + 8, 4), 0x5566770c);
	assert_int_equal(board_load(b, BOARD_MEM32, 4), 0xffffffff);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(board_in(b, BOARD_IO, 4), 0xffffffff);
	assert_int_equal(board_load(b, BOARD_MEM32 + 8, 4), 0x5566770c);
	board_store(b, BOARD_MEM64 + 0x1ff8, 8, 7);
	assert_int_equal(card.last_off, 0x1ff8);
	assert_int_equal(card.last_size, 8);
	assert_int_equal(card.moves[0], 2);
	assert_int_equal(card.moves[1], 1);
}

static void test_a_bar_moves(void **state)
{
	(void)state;
	enable();
	wr(PCI_BASE_ADDRESS_1, 4, BOARD_MEM32 + 0x5000);
	assert_int_equal(board_load(b, BOARD_MEM32, 4), 0xffffffff);
	board_store(b, BOARD_MEM32 + 0x5004, 4, 1);
	assert_int_equal(card.last_off, 4);
	/* Byte by byte, through addresses that may not be decoded. */
	for (unsigned i = 0; i < 8; i++)
		wr(PCI_BASE_ADDRESS_2 + i, 1, (uint8_t)((BOARD_MEM64 + 0x12340000) >> (8 * i)));
	assert_int_equal(card.pci.bar[2].decoded, 1);
	assert_true(card.pci.bar[2].base == BOARD_MEM64 + 0x12340000);
}

/* The first one there stays; the other appears when the place is free. */
static void test_conflicts(void **state)
{
	(void)state;
	card_init(&other, 0);
	assert_int_equal(pci_host_add(&b->host, &other.pci, 4), 0);
	enable();
	board_config_write(b, 4, PCI_BASE_ADDRESS_1, 4, BOARD_MEM32);
	board_config_write(b, 4, PCI_COMMAND, 2, 3);
	assert_int_equal(other.pci.bar[1].decoded, 0);
	assert_int_equal(other.pci.bar[0].decoded, 1);
	board_store(b, BOARD_MEM32, 4, 0);
	assert_int_equal(card.last_size, 4);
	assert_int_equal(other.last_size, 0);
	wr(PCI_BASE_ADDRESS_1, 4, BOARD_MEM32 + 0x10000);
	assert_int_equal(other.pci.bar[1].decoded, 1);
	assert_int_equal(card.pci.bar[1].decoded, 1);
	/* Swapping places needs a free moment, and ends with both. */
	wr(PCI_BASE_ADDRESS_1, 4, BOARD_MEM32);
	assert_int_equal(card.pci.bar[1].decoded, 0);
	board_config_write(b, 4, PCI_BASE_ADDRESS_1, 4, BOARD_MEM32 + 0x10000);
	assert_int_equal(card.pci.bar[1].decoded, 1);
	assert_int_equal(other.pci.bar[1].decoded, 1);
}

/* Windows that the machine has chosen badly do no harm either. */
static void test_windows_are_not_everything(void **state)
{
	(void)state;
	/* RAM in the window. */
	b->host.p.mem32_bars = (struct pci_window){BOARD_RAM - 0x4000, 0x8000};
	enable();
	for (uint32_t at = BOARD_RAM - 0x5000; at <= BOARD_RAM + 0x4000; at += 0x1000) {
		wr(PCI_BASE_ADDRESS_1, 4, at);
		assert_int_equal(card.pci.bar[1].decoded,
				 at >= BOARD_RAM && at < BOARD_RAM + 0x4000);
	}
	/* A window that ends inside a BAR. */
	b->host.p.mem32_bars = (struct pci_window){BOARD_MEM32, 0x1800};
	wr(PCI_BASE_ADDRESS_1, 4, BOARD_MEM32 + 0x1000);
	assert_int_equal(card.pci.bar[1].decoded, 0);
	wr(PCI_BASE_ADDRESS_1, 4, BOARD_MEM32);
	assert_int_equal(card.pci.bar[1].decoded, 1);
	card_init(&other, 0);
	b->host.next_mem32 = BOARD_MEM32;
	b->host.p.mem64_bars = (struct pci_window){BOARD_MEM64 + 0x10000000, 0x1000};
	b->host.next_mem64 = BOARD_MEM64 + 0x10000000;
	assert_int_equal(pci_host_add(&b->host, &other.pci, 7), -ENOSPC);
	b->host.p.mem32_bars = (struct pci_window){BOARD_MEM32, BOARD_MEM32_LEN};
	b->host.p.mem64_bars = (struct pci_window){BOARD_MEM64, BOARD_MEM64_LEN};
}

static void test_plugging(void **state)
{
	(void)state;
	card_init(&other, 0);
	assert_int_equal(pci_host_add(&b->host, &other.pci, SLOT), -EEXIST);
	assert_int_equal(pci_host_add(&b->host, &other.pci, 0), -EEXIST);
	assert_int_equal(pci_host_add(&b->host, &other.pci, 32), -EINVAL);
	assert_int_equal(said_count(), 3);
	/* A second host finds its places on the bus taken. */
	struct pci_host *second = test_calloc(1, sizeof(*second));

	assert_int_equal(pci_host_init(second, &b->host.p), -EEXIST);
	test_free(second);
	/* The 64-bit window is a wish: a BAR that does not fit there goes below 4 GiB. */
	b->host.p.mem64_bars.len = 0;
	assert_int_equal(pci_host_add(&b->host, &other.pci, 5), 0);
	assert_in_range(pci_bar_address(&other.pci, 2), BOARD_MEM32, BOARD_MEM32 + 0x10000);
	b->host.p.mem32_bars.len = 0x5000;
	card_init(&other, 0);
	assert_int_equal(pci_host_add(&b->host, &other.pci, 6), -ENOSPC);
	b->host.p.mem32_bars.len = BOARD_MEM32_LEN;
	b->host.p.mem64_bars.len = BOARD_MEM64_LEN;
}

static void test_reboot(void **state)
{
	uint8_t before[256];

	(void)state;
	memcpy(before, card.pci.config, 256);
	enable();
	wr(PCI_BASE_ADDRESS_1, 4, BOARD_MEM32 + 0x5000);
	wr(PCI_INTERRUPT_LINE, 1, 77);
	wr(card.pci.msix.cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	board_store(b, BOARD_MEM32 + 0x5000 + 12, 4, 0);
	pci_set_intx(&card.pci, 1);
	pci_host_reset(&b->host);
	assert_memory_equal(card.pci.config, before, 256);
	assert_int_equal(card.pci.bar[1].decoded, 0);
	assert_int_equal(card.msi.vec[0].masked, 1);
	assert_int_equal(card.pci.msix.s.table[0][3], 1);
	assert_int_equal(board_in(b, BOARD_PORTS, 4), 0);
	enable();
	assert_int_equal(board_load(b, BOARD_MEM32, 1), 0x01);
}

/* --- INTx ----------------------------------------------------------------------------------- */

static void test_intx_is_a_level(void **state)
{
	(void)state;
	pci_set_intx(&card.pci, 1);
	pci_set_intx(&card.pci, 1);
	assert_int_equal(card.line.level, 1);
	assert_int_equal(card.line.changes, 1);
	assert_true(rd(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	wr(PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(card.line.level, 0);
	/* The wire is touched when it changes and not otherwise: it costs a system call. */
	wr(PCI_INTERRUPT_LINE, 1, 5);
	assert_int_equal(card.line.sets, 2);
	assert_true(rd(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	wr(PCI_COMMAND, 2, 0);
	assert_int_equal(card.line.level, 1);
	wr(card.pci.msix.cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(card.line.level, 0);
	wr(card.pci.msix.cap + PCI_MSIX_FLAGS, 2, 0);
	assert_int_equal(card.line.level, 1);
	pci_set_intx(&card.pci, 0);
	assert_int_equal(card.line.level, 0);
	assert_false(rd(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

/* --- MSI-X ---------------------------------------------------------------------------------- */

static void table(unsigned v, unsigned word, uint32_t value)
{
	pci_msix_table_write(&card.pci, 16 * v + 4 * word, 4, value);
}

static void control(uint16_t flags)
{
	wr(card.pci.msix.cap + PCI_MSIX_FLAGS, 2, flags);
}

static void test_msix_capability(void **state)
{
	unsigned cap = rd(PCI_CAPABILITY_LIST, 1);

	(void)state;
	assert_int_equal(rd(cap, 1), PCI_CAP_ID_MSIX);
	assert_int_equal(rd(cap + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	assert_int_equal(rd(cap + PCI_MSIX_TABLE, 4), 1);
	assert_int_equal(rd(cap + PCI_MSIX_PBA, 4), 0x801);
	control(0xffff);
	assert_int_equal(rd(cap + PCI_MSIX_FLAGS, 2),
			 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL | (VECTORS - 1));
	control(0);
}

static void test_msix_starts_masked(void **state)
{
	(void)state;
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(pci_msix_table_read(&card.pci, 16 * v + 12, 4), 1);
	pci_msix_raise(&card.pci, 0);
	assert_int_equal(pci_msix_pba_read(&card.pci, 0, 8), 0);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(card.msi.commits, 0);
	pci_msix_raise(&card.pci, 1);
	pci_msix_raise(&card.pci, VECTORS);
	pci_msix_raise(&card.pci, 0xffff);
	assert_int_equal(pci_msix_pba_read(&card.pci, 0, 8), 2);
	assert_int_equal(pci_msix_pba_read(&card.pci, 0, 4), 2);
	assert_int_equal(pci_msix_pba_read(&card.pci, 4, 4), 0);
}

/* What Linux does: enable with all masked, fill in, unmask one by one. */
static void test_msix_routes_once_a_vector(void **state)
{
	(void)state;
	control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned v = 0; v < VECTORS; v++)
		table(v, 3, 1);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(card.msi.commits, 0);
	for (unsigned v = 0; v < VECTORS; v++) {
		table(v, 0, 0xfee01000 + 16 * v);
		table(v, 1, v);
		table(v, 2, 0x4000 + v);
		table(v, 3, 0);
		assert_int_equal(card.msi.commits, v + 1);
		assert_true(card.msi.vec[v].addr == ((uint64_t)v << 32 | (0xfee01000 + 16 * v)));
		assert_int_equal(card.msi.vec[v].data, 0x4000 + v);
		assert_int_equal(card.msi.vec[v].masked, 0);
	}
	pci_msix_raise(&card.pci, 2);
	assert_int_equal(card.msi.vec[2].raised, 1);
	/* Masking, and unmasking what has not changed, costs nothing. */
	for (unsigned i = 0; i < 1000; i++) {
		table(2, 3, 1);
		table(2, 3, 0);
	}
	assert_int_equal(card.msi.commits, VECTORS);
	table(2, 3, 1);
	table(2, 2, 0x99);
	assert_int_equal(card.msi.commits, VECTORS);
	table(2, 3, 0);
	assert_int_equal(card.msi.commits, VECTORS + 1);
	assert_int_equal(card.msi.vec[2].data, 0x99);
}

static void test_msix_one_commit_for_all(void **state)
{
	(void)state;
	control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned v = 0; v < VECTORS; v++) {
		table(v, 2, v);
		table(v, 3, 0);
	}
	assert_int_equal(card.msi.commits, 0);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(card.msi.commits, 1);
	assert_int_equal(card.msi.routes, VECTORS);
	control(0);
	assert_int_equal(card.msi.commits, 2);
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(card.msi.vec[v].masked, 1);
}

/* §6.8.2.9: what happens while masked is delivered once, when the mask goes. */
static void test_msix_pending(void **state)
{
	(void)state;
	control(PCI_MSIX_FLAGS_ENABLE);
	pci_msix_raise(&card.pci, 1);
	pci_msix_raise(&card.pci, 1);
	table(1, 2, 5);
	table(1, 3, 0);
	assert_int_equal(card.msi.vec[1].raised, 1);
	assert_int_equal(pci_msix_pba_read(&card.pci, 0, 8), 0);
	control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_msix_raise(&card.pci, 1);
	assert_int_equal(card.msi.vec[1].raised, 1);
	assert_int_equal(pci_msix_pba_read(&card.pci, 0, 8), 2);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(card.msi.vec[1].raised, 2);
}

static void test_msix_table_in_quadwords(void **state)
{
	(void)state;
	pci_msix_table_write(&card.pci, 16, 8, 0x00000012fee0100full);
	pci_msix_table_write(&card.pci, 24, 8, 0xfffffffe00000034ull);
	assert_true(pci_msix_table_read(&card.pci, 16, 8) == 0x12fee0100cull);
	assert_true(pci_msix_table_read(&card.pci, 24, 8) == 0x34);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(card.msi.vec[1].data, 0x34);
	assert_true(card.msi.vec[1].addr == 0x12fee0100cull);
}

static void test_msix_refused_routing_is_said_once(void **state)
{
	(void)state;
	card.msi.fail = -EINVAL;
	control(PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i < 10; i++) {
		table(0, 3, 1);
		table(0, 2, i + 1);
		table(0, 3, 0);
	}
	assert_int_equal(said_count(), 1);
	card.msi.fail = 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_header),
		TEST(test_widths_agree),
		TEST(test_what_is_not_there_reads_as_ones),
		TEST(test_odd_sizes),
		TEST(test_address_port),
		TEST(test_read_only_bytes),
		TEST(test_capabilities_are_a_list),
		TEST(test_sizing),
		TEST(test_addresses_are_assigned_and_not_decoded),
		TEST(test_a_bar_moves),
		TEST(test_conflicts),
		TEST(test_windows_are_not_everything),
		TEST(test_plugging),
		TEST(test_reboot),
		TEST(test_intx_is_a_level),
		TEST(test_msix_capability),
		TEST(test_msix_starts_masked),
		TEST(test_msix_routes_once_a_vector),
		TEST(test_msix_one_commit_for_all),
		TEST(test_msix_pending),
		TEST(test_msix_table_in_quadwords),
		TEST(test_msix_refused_routing_is_said_once),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
