/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wrong software against PCI itself: configuration space, BARs, the MSI-X table, the window of
 * §4.1.4.9 and the ports. Nothing moves that may not move, the bus map stays disjoint, and after
 * a reset everything works again. The virtio registers: test_hostile_registers.c.
 */
#include <errno.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "tests/lib/pci_rig.h"

static uint32_t lot;

static unsigned draw(unsigned n)
{
	lot = lot * 1664525u + 1013904223u;
	return (lot >> 16) % n;
}

static uint64_t ones(unsigned size)
{
	return UINT64_MAX >> (64 - 8 * size);
}

static void config_write(unsigned off, unsigned size, uint32_t v)
{
	board_config_write(rig.b, RIG_SLOT, off, size, v);
}

/* --- B18 ------------------------------------------------------------------------------------ */

static void test_b18_table_widths_and_offsets(void **state)
{
	const unsigned len = 16 * (RIG_QUEUES + 1);
	struct pci_msix_state *s = &rig.fn->vp.pci.msix.s;
	struct pci_msix_state before;

	(void)state;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	for (unsigned size = 1; size <= 8; size *= 2)
		for (unsigned off = 0; off < 0x1000; off += off < len + 40 ? 1 : 251) {
			uint64_t at = rig.pci.bar[1] + VIRTIO_PCI_TABLE + off, v;
			int proper = size >= 4 && off % size == 0 && off + size <= len;

			if (off + size > 0x1000)
				continue; /* the pending bits start there */
			case_begin("B18 table +%#x, %u bytes", off, size);
			before = *s;
			v = board_load(rig.b, at, size);
			CHECK(proper || v == ones(size));
			board_store(rig.b, at, size, 0x3c3c3c3c3c3c3c3cull);
			if (!proper)
				CHECK(!memcmp(&before, s, sizeof(before)));
			board_store(rig.b, at, size, v);
			CHECK(!memcmp(&before, s, sizeof(before)));
		}
	CHECK(rig_works(0));
	rig_revive();
}

static void test_b18_pending_bits_are_read_only(void **state)
{
	(void)state;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	config_write(rig.fn->vp.pci.msix.cap + PCI_MSIX_FLAGS, 2,
		     PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	virtio_config_changed(&rig.echo.dev);
	for (unsigned size = 1; size <= 8; size *= 2)
		for (unsigned off = 0; off + size <= 0x1000; off += off < 24 ? 1 : 251) {
			uint64_t at = rig.pci.bar[1] + VIRTIO_PCI_PBA + off, want = ones(size);

			if (size >= 4 && off % size == 0 && off + size <= 8)
				want = off == 0 ? 1 : 0;
			case_begin("B18 pending bits +%#x, %u bytes", off, size);
			board_store(rig.b, at, size, 0);
			CHECK(board_load(rig.b, at, size) == want);
		}
	rig_revive();
}

/* --- B19 ------------------------------------------------------------------------------------ */

static void test_b19_bars_go_everywhere(void **state)
{
	static const uint64_t places[] = {
		0,
		0x4000,
		BOARD_RAM - 0x4000,
		BOARD_RAM,
		0x20000000,
		BOARD_ECAM - 0x4000,
		BOARD_ECAM,
		BOARD_ECAM + 0x4000,
		BOARD_ECAM + 0x100000,
		BOARD_MEM32 - 0x4000,
		BOARD_MEM32,
		BOARD_MEM32 + 0x4000,
		BOARD_MEM32 + 0x8000,
		BOARD_MEM32 + BOARD_MEM32_LEN - 0x4000,
		BOARD_MEM32 + BOARD_MEM32_LEN,
		0xfec00000,
		0xfee00000,
		0xffffc000,
	};
	static const uint16_t ports[] = {0,      0x100,  0xc00,  0xd00,  0xf00, 0x1000,
					 0x1100, 0x1200, 0xef00, 0xf000, 0xff00};
	struct echo other;
	struct board_function *fn = test_calloc(1, sizeof(*fn));

	(void)state;
	echo_init(&other, &rig.b->mem, 1, 8, VIRTIO_ID_NET);
	board_plug(rig.b, fn, &other.dev, 5, 1, 2);
	board_config_write(rig.b, 5, PCI_COMMAND, 2, 3);
	CHECK(fn->vp.pci.bar[0].decoded && fn->vp.pci.bar[1].decoded);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		for (unsigned p = 0; p < sizeof(ports) / sizeof(ports[0]); p++)
			for (unsigned command = 0; command < 4; command++) {
				const struct pci_dev *d = &rig.fn->vp.pci;
				int mem = (command & 2) && places[i] >= BOARD_MEM32 &&
					  places[i] < BOARD_MEM32 + BOARD_MEM32_LEN &&
					  places[i] != fn->vp.pci.bar[1].base;
				int io = (command & 1) && ports[p] >= BOARD_IO &&
					 ports[p] < BOARD_IO + BOARD_IO_LEN &&
					 ports[p] != fn->vp.pci.bar[0].base;

				case_begin("B19 memory at %#llx, ports at %#x, command %u",
					   (unsigned long long)places[i], ports[p], command);
				/* Half of them with decoding on during the move. */
				if (i % 2)
					config_write(PCI_COMMAND, 2, command);
				config_write(PCI_BASE_ADDRESS_1, 4, (uint32_t)places[i]);
				config_write(PCI_BASE_ADDRESS_0, 4, ports[p]);
				config_write(PCI_COMMAND, 2, command);
				CHECK(d->bar[1].decoded == mem && d->bar[0].decoded == io);
				CHECK(board_is_sound(rig.b));
				/* The neighbour has not noticed. */
				CHECK(fn->vp.pci.bar[0].decoded && fn->vp.pci.bar[1].decoded);
				CHECK(board_load(rig.b, fn->vp.pci.bar[1].base + 0x12, 2) == 1);
			}
	board_config_write(rig.b, 5, PCI_COMMAND, 2, 0);
	rig_revive();
	echo_destroy(&other);
	rig.b->host.slot[5] = NULL;
	test_free(fn);
}

/* Any byte of the BAR registers at any time, with a driver at work. */
static void test_b19_storm(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		if (i % 100 == 0)
			case_begin("B19 moves, seed %#x", lot);
		if (i % 2000 == 0) {
			pci_host_reset(&rig.b->host);
			virtio_set_status(&rig.echo.dev, 0);
			CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
		}
		config_write(PCI_BASE_ADDRESS_0 + draw(24), 1u << draw(3), lot);
		if (!draw(3))
			config_write(PCI_COMMAND, 2, draw(8));
		if (!draw(3))
			config_write(PCI_BASE_ADDRESS_1, 4,
				     (uint32_t)BOARD_MEM32 + 0x4000 * draw(9));
		driver_add_request(&rig.drv, 0, "abc", 3, 3, NULL);
		rig.drv.heap_next = 0x200000; /* requests may lie on top of each other */
		rig.drv.transport->kick(&rig.drv, 0);
		CHECK(board_is_sound(rig.b));
	}
	driver_pump(&rig.drv);
	rig_revive();
}

/* --- B20 ------------------------------------------------------------------------------------ */

static void test_b20_window(void **state)
{
	static const uint8_t bars[] = {0, 1, 2, 5, 6, 7, 0x40, 0x80, 0xff};
	static const uint32_t offs[] = {0,          1,    2,      3,      0x14,   0x100,
					0xfc,       0xff, 0x3ffc, 0x3ffe, 0x3fff, 0x4000,
					0x7fffffff, ~3u,  ~1u,    ~0u};
	static const uint32_t lens[] = {0, 1, 2, 3, 4, 5, 8, 16, 0x100, 0x80000000, ~0u};

	(void)state;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	for (unsigned x = 0; x < sizeof(bars); x++)
		for (unsigned o = 0; o < sizeof(offs) / 4; o++)
			for (unsigned l = 0; l < sizeof(lens) / 4; l++) {
				unsigned cap = rig.fn->vp.window;
				uint32_t size = bars[x] == 0 ? 0x100 : bars[x] == 1 ? 0x4000 : 0;
				int good = (lens[l] == 1 || lens[l] == 2 || lens[l] == 4) &&
					   (uint64_t)offs[o] + lens[l] <= size &&
					   offs[o] % lens[l] == 0;
				uint32_t v;

				case_begin("B20 BAR %u, +%#x, %#x bytes", bars[x], offs[o],
					   lens[l]);
				config_write(cap + VIRTIO_PCI_CAP_AT_BAR, 1, bars[x]);
				config_write(cap + VIRTIO_PCI_CAP_AT_OFFSET, 4, offs[o]);
				config_write(cap + VIRTIO_PCI_CAP_AT_LENGTH, 4, lens[l]);
				config_write(cap + VIRTIO_PCI_CAP_AT_DATA, 4, 0);
				v = board_config_read(rig.b, RIG_SLOT, cap + VIRTIO_PCI_CAP_AT_DATA,
						      4);
				if (!good)
					CHECK(v == UINT32_MAX);
				else if (bars[x] == 1 && offs[o] == 0x14 && lens[l] == 1)
					CHECK(v == 0); /* that was a reset */
				/* The rest of the capability cannot be written. */
				config_write(cap, 4, ~0u);
				CHECK(rig.fn->vp.pci.config[cap] == PCI_CAP_ID_VNDR);
				CHECK(rig.fn->vp.pci.config[cap + VIRTIO_PCI_CAP_AT_TYPE] ==
				      VIRTIO_PCI_CAP_PCI);
			}
	rig_revive();
}

/* The window reaches the registers while the BARs are not decoded, in every width of access. */
static void test_b20_window_without_decoding(void **state)
{
	unsigned cap = rig.fn->vp.window + VIRTIO_PCI_CAP_AT_BAR;

	(void)state;
	config_write(PCI_COMMAND, 2, 0);
	for (unsigned size = 1; size <= 4; size *= 2)
		for (unsigned at = 0; at + size <= 20; at++) {
			case_begin("B20 %u bytes at +%u of the capability", size, at);
			config_write(cap, 1, 1);
			config_write(cap + 4, 4, VIRTIO_COMMON_NUM_QUEUES);
			config_write(cap + 8, 4, 2);
			CHECK(board_config_read(rig.b, RIG_SLOT, cap + 12, 4) == RIG_QUEUES);
			config_write(cap - 4 + at, size, lot);
			board_config_read(rig.b, RIG_SLOT, cap - 4 + at, size);
		}
	rig_revive();
}

/* --- B21 ------------------------------------------------------------------------------------ */

/* Masks, messages and interrupts in any order: none is lost, none goes where it may not. */
static void test_b21_mask_storm(void **state)
{
	unsigned cap = rig.fn->vp.pci.msix.cap + PCI_MSIX_FLAGS;
	unsigned owed[RIG_QUEUES + 1] = {0}, sent[RIG_QUEUES + 1] = {0};
	unsigned last = 0;

	(void)state;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	for (unsigned i = 0; i < 30000; i++) {
		unsigned v = draw(RIG_QUEUES + 1);
		uint64_t entry = rig.pci.bar[1] + VIRTIO_PCI_TABLE + 16 * v;
		struct board_msi *m = &rig.fn->msi;

		if (i % 100 == 0)
			case_begin("B21 masks, seed %#x", lot);
		last = m->commits;
		switch (draw(6)) {
		case 0:
			board_store(rig.b, entry + 12, 4, draw(2));
			break;
		case 1:
			board_store(rig.b, entry + 4 * draw(3), 4, lot);
			break;
		case 2:
			config_write(cap, 2,
				     (draw(4) ? PCI_MSIX_FLAGS_ENABLE : 0) |
					     (draw(2) ? PCI_MSIX_FLAGS_MASKALL : 0));
			break;
		default:
			owed[v] |= (unsigned)pci_msix_enabled(&rig.fn->vp.pci);
			pci_msix_raise(&rig.fn->vp.pci, v);
			break;
		}
		/* One access, at most one new routing. */
		CHECK(m->commits - last <= 1 && !m->dirty && !m->wrong);
		for (v = 0; v <= RIG_QUEUES; v++) {
			if (m->vec[v].raised != sent[v])
				owed[v] = 0;
			sent[v] = m->vec[v].raised;
			CHECK((rig.fn->vp.pci.msix.s.pending >> v & 1) == owed[v]);
		}
	}
	config_write(cap, 2, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned v = 0; v <= RIG_QUEUES; v++)
		board_store(rig.b, rig.pci.bar[1] + VIRTIO_PCI_TABLE + 16 * v + 12, 4, 0);
	CHECK(rig.fn->vp.pci.msix.s.pending == 0);
	rig_revive();
}

/* --- B22 ------------------------------------------------------------------------------------ */

static void test_b22_ports(void **state)
{
	static const uint32_t values[] = {0, 0xff, 0x80001000, 0x80001004, 0x80ff1000, 0xffffffff};

	(void)state;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	for (unsigned off = 0; off < 8; off++)
		for (unsigned size = 1; size <= 4; size *= 2)
			for (unsigned a = 0; a < 6; a++)
				for (unsigned v = 0; v < 6; v++) {
					case_begin("B22 port +%u, %u bytes, address %#x, value %#x",
						   off, size, values[a], values[v]);
					board_out(rig.b, BOARD_PORTS, 4, values[a]);
					board_out(rig.b, (uint16_t)(BOARD_PORTS + off), size,
						  values[v]);
					/* Past the last port is nobody. */
					CHECK(off + size <= 8 ||
					      board_in(rig.b, (uint16_t)(BOARD_PORTS + off),
						       size) == ones(size));
					board_in(rig.b, (uint16_t)(BOARD_PORTS + off), size);
					CHECK(board_is_sound(rig.b));
				}
	rig_revive();
}

/* All of configuration space, bytewise, with everything: what must not change does not. */
static void test_b22_all_of_configuration_space(void **state)
{
	(void)state;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	for (unsigned size = 1; size <= 8; size *= 2)
		for (unsigned off = 0; off < 0x1000; off += off < 0x108 ? 1 : 97) {
			const struct pci_dev *d = &rig.fn->vp.pci;

			case_begin("B22 ECAM +%#x, %u bytes", off, size);
			board_store(rig.b, BOARD_ECAM + (RIG_SLOT << 15) + off, size, ~0ull);
			board_load(rig.b, BOARD_ECAM + (RIG_SLOT << 15) + off, size);
			CHECK(board_is_sound(rig.b));
			for (unsigned i = 0; i < 256; i++)
				CHECK(((d->config[i] ^ d->initial[i]) & ~d->writable[i]) == 0 ||
				      i == PCI_STATUS ||
				      (i >= d->cap_last + 16u && i < d->cap_last + 20u));
		}
	rig_revive();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_b18_table_widths_and_offsets),
		TEST(test_b18_pending_bits_are_read_only),
		TEST(test_b19_bars_go_everywhere),
		TEST(test_b19_storm),
		TEST(test_b20_window),
		TEST(test_b20_window_without_decoding),
		TEST(test_b21_mask_storm),
		TEST(test_b22_ports),
		TEST(test_b22_all_of_configuration_space),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
