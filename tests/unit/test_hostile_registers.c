/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wrong drivers against the virtio registers behind the BARs: every register in every state, every
 * offset in every width, numbers out of range, resets with I/O in flight. The device may be
 * broken, the board stays sound, and after a reset everything works again. PCI itself:
 * test_hostile_pci.c.
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

static uint64_t get(uint32_t off, unsigned size)
{
	return driver_pci_read(&rig.drv, &rig.pci.common, off, size);
}

static void set(uint32_t off, unsigned size, uint64_t v)
{
	driver_pci_write(&rig.drv, &rig.pci.common, off, size, v);
}

/* --- B10 ------------------------------------------------------------------------------------ */

enum state { RESET, ACKED, DRIVER, FEATURES, ENABLED, RUNNING, BROKEN, RESETTING, STATES };
static const char *const state_name[] = {"reset",   "ACKNOWLEDGE", "DRIVER", "FEATURES_OK",
					 "enabled", "DRIVER_OK",   "broken", "resetting"};

/* Brings the device to a state through its registers; without RING_RESET. */
static void bring_to(enum state state)
{
	rig.echo.slow = 0;
	echo_finish(&rig.echo, UINT_MAX);
	CHECK(driver_attach_pci(&rig.drv, &rig.pci, rig.fn, RIG_SLOT, DRIVER_PCI_MODERN, 1) == 0);
	if (state >= RUNNING) {
		CHECK(driver_start(&rig.drv, ~(1ull << VIRTIO_F_RING_RESET), 0) == 0);
		if (state == RESETTING) {
			rig_hold_one();
			set(VIRTIO_COMMON_STATUS, 1, 0);
		} else if (state == BROKEN) {
			driver_offer(&rig.drv, 0, 999);
			driver_kick(&rig.drv, 0);
		}
		return;
	}
	CHECK(driver_reset(&rig.drv) == 0);
	if (state >= ACKED)
		set(VIRTIO_COMMON_STATUS, 1, 1);
	if (state >= DRIVER) {
		set(VIRTIO_COMMON_STATUS, 1, 3);
		set(VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
		set(VIRTIO_COMMON_DRIVER_FEATURE, 4, 1);
	}
	if (state >= FEATURES)
		set(VIRTIO_COMMON_STATUS, 1, 11);
	set(VIRTIO_COMMON_QUEUE_SELECT, 2, 0);
	if (state >= ENABLED) {
		set(VIRTIO_COMMON_QUEUE_DESC, 4, 0x1000);
		set(VIRTIO_COMMON_QUEUE_AVAIL, 4, 0x2000);
		set(VIRTIO_COMMON_QUEUE_USED, 4, 0x3000);
		set(VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
		CHECK(get(VIRTIO_COMMON_QUEUE_ENABLE, 2) == 1);
	}
}

static const struct {
	const char *name;
	uint32_t off;
	unsigned size;
	uint64_t value;
	/* States in which the write shows, a bit each. */
	unsigned shows;
} writes[] = {
	{"queue_size", VIRTIO_COMMON_QUEUE_SIZE, 2, 8, 1 << FEATURES},
	{"queue_size 0", VIRTIO_COMMON_QUEUE_SIZE, 2, 0, 1 << FEATURES},
	{"queue_size 65535", VIRTIO_COMMON_QUEUE_SIZE, 2, 0xffff, 1 << FEATURES},
	{"queue_desc", VIRTIO_COMMON_QUEUE_DESC, 4, 0x5550, 1 << FEATURES},
	{"queue_desc high", VIRTIO_COMMON_QUEUE_DESC + 4, 4, 0x5550, 1 << FEATURES},
	{"queue_driver", VIRTIO_COMMON_QUEUE_AVAIL, 4, 0x5550, 1 << FEATURES},
	{"queue_driver high", VIRTIO_COMMON_QUEUE_AVAIL + 4, 4, 0x5550, 1 << FEATURES},
	{"queue_device", VIRTIO_COMMON_QUEUE_USED, 4, 0x5550, 1 << FEATURES},
	{"queue_device high", VIRTIO_COMMON_QUEUE_USED + 4, 4, 0x5550, 1 << FEATURES},
	{"queue_enable 0", VIRTIO_COMMON_QUEUE_ENABLE, 2, 0, 0},
	{"queue_enable 2", VIRTIO_COMMON_QUEUE_ENABLE, 2, 2, 0},
	{"queue_notify_off", VIRTIO_COMMON_QUEUE_NOTIFY_OFF, 2, 7, 0},
	{"queue_notify_data", VIRTIO_COMMON_QUEUE_NOTIFY_DATA, 2, 7, 0},
	{"queue_reset", VIRTIO_COMMON_QUEUE_RESET, 2, 1, 0},
	{"num_queues", VIRTIO_COMMON_NUM_QUEUES, 2, 9, 0},
	{"config_generation", VIRTIO_COMMON_GENERATION, 1, 9, 0},
	{"device_feature", VIRTIO_COMMON_DEVICE_FEATURE, 4, ~0u, 0},
	{"driver_feature", VIRTIO_COMMON_DRIVER_FEATURE, 4, 0x10000001,
	 1 << RESET | 1 << ACKED | 1 << DRIVER},
	{"device_feature_select", VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 0x12345678, ~0u},
	{"config_msix_vector", VIRTIO_COMMON_CONFIG_VECTOR, 2, 2, ~0u},
	{"queue_msix_vector", VIRTIO_COMMON_QUEUE_VECTOR, 2, 2, ~0u},
};

static void snapshot(uint32_t regs[VIRTIO_COMMON_LEN / 2])
{
	memset(regs, 0, 4 * (VIRTIO_COMMON_LEN / 2));
	set(VIRTIO_COMMON_QUEUE_SELECT, 2, 0);
	for (unsigned off = 0; off < VIRTIO_COMMON_LEN; off += 2) {
		unsigned size = off < 0x10 || (off >= 0x20 && off < 0x38) ? 4 : 2;

		if (off % size)
			continue;
		regs[off / 2] = (uint32_t)get(off, off == 0x14 ? 1 : size);
	}
}

static void test_b10_registers_in_states(void **state)
{
	uint32_t before[VIRTIO_COMMON_LEN / 2], after[VIRTIO_COMMON_LEN / 2];

	(void)state;
	for (enum state s = RESET; s < STATES; s++)
		for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
			unsigned at = writes[i].off / 2;

			case_begin("B10 %s written in state %s", writes[i].name, state_name[s]);
			bring_to(s);
			snapshot(before);
			set(writes[i].off, writes[i].size, writes[i].value);
			snapshot(after);
			/* The register itself, and no other; the feature window may show it too. */
			if (writes[i].shows >> s & 1)
				CHECK(after[at] == (uint32_t)writes[i].value);
			else
				CHECK(after[at] == before[at]);
			before[at] = after[at];
			before[VIRTIO_COMMON_DEVICE_FEATURE / 2] =
				after[VIRTIO_COMMON_DEVICE_FEATURE / 2];
			CHECK(!memcmp(before, after, sizeof(before)));
			if (s == RUNNING && writes[i].off != VIRTIO_COMMON_QUEUE_VECTOR)
				CHECK(rig_works(0) && rig_works(1));
			if (s == RESETTING) {
				echo_finish(&rig.echo, UINT_MAX);
				CHECK(get(VIRTIO_COMMON_STATUS, 1) == 0);
			}
		}
	rig_revive();
}

/* Every value of the status register in every state: bits only ever come, or all go. */
static void test_b10_status_in_states(void **state)
{
	(void)state;
	for (enum state s = RESET; s < STATES; s++)
		for (unsigned v = 0; v < 256; v++) {
			uint8_t old, now;

			case_begin("B10 status %#x written in state %s", v, state_name[s]);
			bring_to(s);
			old = (uint8_t)get(VIRTIO_COMMON_STATUS, 1);
			set(VIRTIO_COMMON_STATUS, 1, v);
			now = (uint8_t)get(VIRTIO_COMMON_STATUS, 1);
			if (s == RESETTING)
				CHECK(now == old && now);
			else if (!v)
				CHECK(now == 0);
			else
				CHECK((now & old) == old && !(now & ~(old | v)));
			/* What the device alone sets, and what never starts before its turn. */
			CHECK((now & 0x40) == (s == BROKEN && v ? 0x40 : 0) || s == RESETTING);
			CHECK(rig.echo.dev.started == (now & 4 && s != RESETTING ? 1 : 0));
			CHECK(!(now & 4) || (now & 8));
		}
	rig_revive();
}

/* --- B11 ------------------------------------------------------------------------------------ */

static void test_b11_queue_select(void **state)
{
	(void)state;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	for (unsigned q = RIG_QUEUES; q < 0x10000; q += q < 300 ? 1 : 257) {
		case_begin("B11 queue_select %u", q);
		set(VIRTIO_COMMON_QUEUE_SELECT, 2, q);
		CHECK(get(VIRTIO_COMMON_QUEUE_SELECT, 2) == q);
		for (unsigned off = 0x18; off < VIRTIO_COMMON_LEN; off += 2) {
			unsigned size = off >= 0x20 && off < 0x38 ? 4 : 2;

			if (off % size)
				continue;
			set(off, size, 1);
			CHECK(get(off, size) == 0);
		}
	}
	CHECK(rig_works(0) && rig_works(1));
	rig_revive();
}

static void test_b11_notify_index(void **state)
{
	uint16_t io;

	(void)state;
	case_begin("B11 modern notifications, values 0..65535");
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	rig.echo.kicks = 0;
	for (unsigned v = 0; v < 0x10000; v++)
		board_store(rig.b, rig.pci.bar[1] + VIRTIO_PCI_NOTIFY + 4 * RIG_QUEUES, 2, v);
	for (unsigned off = 4 * RIG_QUEUES; off < 0x1000; off++)
		board_store(rig.b, rig.pci.bar[1] + VIRTIO_PCI_NOTIFY + off, 2, 0);
	driver_pump(&rig.drv);
	CHECK(rig.echo.kicks == 0 && rig.b->n_bells == 0);
	rig_revive();

	case_begin("B11 legacy notifications of queues 0..65535");
	pci_host_reset(&rig.b->host);
	CHECK(rig_start(DRIVER_PCI_LEGACY, 1) == 0);
	io = (uint16_t)rig.pci.bar[0];
	rig.echo.kicks = 0;
	for (unsigned v = RIG_QUEUES; v < 0x10000; v++)
		board_out(rig.b, io + VIRTIO_LEGACY_QUEUE_NOTIFY, 2, v);
	driver_pump(&rig.drv);
	CHECK(rig.echo.kicks == 0 && rig.b->n_bells == 0);
	for (unsigned v = 0; v < RIG_QUEUES; v++)
		board_out(rig.b, io + VIRTIO_LEGACY_QUEUE_NOTIFY, 2, v);
	driver_pump(&rig.drv);
	CHECK(rig.echo.kicks == RIG_QUEUES && rig.b->n_bells == RIG_QUEUES);
	rig_revive();
}

/* --- B12 ------------------------------------------------------------------------------------ */

static void check_config_access(uint64_t base, unsigned off, unsigned size)
{
	uint8_t want[8] = {0};
	uint64_t v;

	for (unsigned i = 0; i < size; i++)
		if (off + i < ECHO_CONFIG)
			want[i] = rig.echo.config[off + i];
	v = board_load(rig.b, base + off, size);
	CHECK(!memcmp(&v, want, size));
	/* Only the first eight bytes may change. */
	board_store(rig.b, base + off, size, 0x5a5a5a5a5a5a5a5aull);
	for (unsigned i = 0; i < ECHO_CONFIG; i++)
		CHECK(rig.echo.config[i] ==
		      (i < 8 && i >= off && i < off + size ? 0x5a : 0xc0 + i));
	for (unsigned i = 0; i < ECHO_CONFIG; i++)
		rig.echo.config[i] = (uint8_t)(0xc0 + i);
}

static void test_b12_device_configuration(void **state)
{
	(void)state;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	for (unsigned size = 1; size <= 8; size *= 2)
		for (unsigned off = 0; off <= VIRTIO_PCI_CONFIG_LEN - size;
		     off += off < 40 ? 1 : 509) {
			case_begin("B12 configuration +%#x, %u bytes", off, size);
			check_config_access(rig.pci.bar[1] + VIRTIO_PCI_CONFIG, off, size);
		}
	/* Across the end of the structure, and of the BAR. */
	for (unsigned size = 2; size <= 8; size *= 2)
		for (unsigned back = 1; back < size; back++) {
			case_begin("B12 %u bytes, %u before the end of the BAR", size, back);
			CHECK(board_load(rig.b, rig.pci.bar[1] + VIRTIO_PCI_MEM_LEN - back, size) ==
			      UINT64_MAX >> (64 - 8 * size));
			board_store(rig.b, rig.pci.bar[1] + VIRTIO_PCI_MEM_LEN - back, size, 0);
			board_store(rig.b, rig.pci.bar[1] + VIRTIO_PCI_NOTIFY - back, size, 0);
		}
	rig_revive();
}

/* Every offset of both BARs in every width, written with several values, then read. */
static void test_b12_all_offsets_all_widths(void **state)
{
	static const uint64_t values[] = {0, 1, 0xff, 0xffff, ~0ull};

	(void)state;
	for (unsigned legacy = 0; legacy < 2; legacy++)
		for (unsigned size = 1; size <= 8; size *= 2)
			for (unsigned v = 0; v < 5; v++) {
				case_begin("B12 %s driver, all offsets, %u bytes of %#llx",
					   legacy ? "legacy" : "modern", size,
					   (unsigned long long)values[v]);
				CHECK(rig_start(legacy ? DRIVER_PCI_LEGACY : DRIVER_PCI_MODERN,
						1) == 0);
				for (unsigned off = 0; off < VIRTIO_PCI_MEM_LEN; off++) {
					board_store(rig.b, rig.pci.bar[1] + off, size, values[v]);
					board_load(rig.b, rig.pci.bar[1] + off, size);
				}
				for (unsigned off = 0; off < VIRTIO_PCI_IO_LEN && size < 8; off++) {
					board_out(rig.b, (uint16_t)(rig.pci.bar[0] + off), size,
						  (uint32_t)values[v]);
					board_in(rig.b, (uint16_t)(rig.pci.bar[0] + off), size);
				}
				driver_pump(&rig.drv);
				CHECK(board_is_sound(rig.b));
				rig_revive();
			}
}

/* A field accessed in another width than its own reads as 0 and does not change (§4.1.3.1). */
static void test_b12_wrong_widths(void **state)
{
	uint32_t before[VIRTIO_COMMON_LEN / 2], after[VIRTIO_COMMON_LEN / 2];

	(void)state;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	for (unsigned off = 0; off < 0x100; off++)
		for (unsigned size = 1; size <= 8; size *= 2) {
			int four = off < 0x10 || (off >= 0x20 && off < 0x38);
			int one = off == 0x14 || off == 0x15;
			int proper =
				off < VIRTIO_COMMON_LEN && (one    ? size == 1
							    : four ? size == 4 && off % 4 == 0
								   : size == 2 && off % 2 == 0);

			if (proper)
				continue;
			case_begin("B12 common configuration +%#x, %u bytes", off, size);
			snapshot(before);
			CHECK(board_load(rig.b, rig.pci.bar[1] + off, size) == 0);
			board_store(rig.b, rig.pci.bar[1] + off, size, 0x0101010101010101ull);
			snapshot(after);
			CHECK(!memcmp(before, after, sizeof(before)));
		}
	CHECK(rig_works(0) && rig_works(1));
	rig_revive();
}

/* --- B13, through the legacy interface ------------------------------------------------------- */

static void test_b13_legacy_pfn(void **state)
{
	static const uint32_t pfns[] = {1,
					BOARD_RAM / 4096 - 2,
					BOARD_RAM / 4096 - 1,
					BOARD_RAM / 4096,
					0xb0000,
					0xe0000,
					0xfffff,
					0x100000,
					0x7fffffff,
					0xfffffffe,
					0xffffffff};

	(void)state;
	for (unsigned i = 0; i < sizeof(pfns) / sizeof(pfns[0]); i++) {
		int good = (pfns[i] + 2ull) * 4096 <= BOARD_RAM;
		uint16_t io;

		case_begin("B13 legacy PFN %#x", pfns[i]);
		CHECK(rig_start(DRIVER_PCI_LEGACY, 0) == 0);
		CHECK(driver_reset(&rig.drv) == 0);
		io = (uint16_t)rig.pci.bar[0];
		board_out(rig.b, io + VIRTIO_LEGACY_STATUS, 1, 3);
		board_out(rig.b, io + VIRTIO_LEGACY_QUEUE_SELECT, 2, 0);
		board_out(rig.b, io + VIRTIO_LEGACY_QUEUE_PFN, 4, pfns[i]);
		CHECK(board_in(rig.b, io + VIRTIO_LEGACY_QUEUE_PFN, 4) == (good ? pfns[i] : 0));
		CHECK(!!(board_in(rig.b, io + VIRTIO_LEGACY_STATUS, 1) & 0x40) == !good);
		board_out(rig.b, io + VIRTIO_LEGACY_STATUS, 1, 7);
		board_out(rig.b, io + VIRTIO_LEGACY_QUEUE_NOTIFY, 2, 0);
		driver_pump(&rig.drv);
		rig_revive();
	}
}

/* --- B15 ------------------------------------------------------------------------------------ */

static void finish(struct board_function *fn)
{
	(void)fn;
	echo_finish(&rig.echo, UINT_MAX);
}

/* Resets of both kinds at any moment; the memory is the driver's when the driver thinks so. */
static void test_b15_reset_storm(void **state)
{
	(void)state;
	rig.fn->wait = finish;
	for (unsigned round = 0; round < 400; round++) {
		enum driver_pci_way way = (enum driver_pci_way)draw(4);
		unsigned steps = draw(16);
		uint8_t *p;
		size_t len;

		case_begin("B15 way %d, reset after %u steps, seed %#x", way, steps, lot);
		CHECK(rig_start(way, (int)draw(2)) == 0);
		for (unsigned i = 0; i < steps; i++) {
			rig.echo.slow = (int)draw(4);
			if (draw(3))
				driver_add_request(&rig.drv, draw(2), "abc", 3, 3, NULL);
			if (draw(2))
				rig.drv.transport->kick(&rig.drv, draw(2));
			if (!draw(4))
				driver_pump(&rig.drv);
			if (!draw(4))
				echo_finish(&rig.echo, draw(3));
		}
		rig.drv.transport->set_status(&rig.drv, 0);
		if (way != DRIVER_PCI_LEGACY && rig.echo.n_held) {
			CHECK(driver_status(&rig.drv) != 0);
			echo_finish(&rig.echo, UINT_MAX);
		}
		CHECK(driver_status(&rig.drv) == 0 && rig.echo.n_held == 0);
		len = rig.drv.heap_next - rig.drv.heap;
		p = driver_ptr(&rig.drv, rig.drv.heap, len);
		memset(p, 0xe5, len);
		driver_pump(&rig.drv);
		for (size_t i = 0; i < len; i++)
			CHECK(p[i] == 0xe5);
		if (draw(2))
			pci_host_reset(&rig.b->host);
		CHECK(board_is_sound(rig.b));
	}
	rig_revive();
}

/* --- B17 ------------------------------------------------------------------------------------ */

/* Two drivers that fight over one device through both interfaces. */
static void test_b17_both_interfaces_at_once(void **state)
{
	static const uint32_t offs[] = {0x00, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x16, 0x18,
					0x1a, 0x1c, 0x20, 0x24, 0x28, 0x30, 0x34, 0x3a};
	static const unsigned sizes[] = {4, 4, 4, 4, 2, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 2};
	static const uint32_t legacy_offs[] = {4, 8, 14, 16, 18, 18, 19, 20, 22, 24};
	static const unsigned legacy_sizes[] = {4, 4, 2, 2, 1, 1, 1, 2, 2, 4};

	(void)state;
	CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0);
	for (unsigned i = 0; i < 60000; i++) {
		unsigned n = draw(16), l = draw(10);
		uint32_t v = draw(4) ? draw(16) : lot;

		if (i % 200 == 0)
			case_begin("B17 both interfaces, seed %#x", lot);
		if (draw(2)) {
			board_store(rig.b, rig.pci.bar[1] + offs[n], sizes[n], v);
			board_load(rig.b, rig.pci.bar[1] + offs[n], sizes[n]);
		} else {
			board_out(rig.b, (uint16_t)(rig.pci.bar[0] + legacy_offs[l]),
				  legacy_sizes[l], v);
			board_in(rig.b, (uint16_t)(rig.pci.bar[0] + legacy_offs[l]),
				 legacy_sizes[l]);
		}
		if (!draw(8))
			driver_pump(&rig.drv);
		CHECK(!(rig.echo.dev.legacy && (rig.echo.dev.status & 8)));
		CHECK(rig.echo.wrong_calls == 0);
	}
	rig_revive();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_b10_registers_in_states),  TEST(test_b10_status_in_states),
		TEST(test_b11_queue_select),         TEST(test_b11_notify_index),
		TEST(test_b12_device_configuration), TEST(test_b12_all_offsets_all_widths),
		TEST(test_b12_wrong_widths),         TEST(test_b13_legacy_pfn),
		TEST(test_b15_reset_storm),          TEST(test_b17_both_interfaces_at_once),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
