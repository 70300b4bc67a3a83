/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio over PCI as a driver sees it: discovery, both register files, doorbells, interrupts. */
#include <errno.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/pci_rig.h"

static const enum driver_pci_way ways[] = {DRIVER_PCI_MODERN, DRIVER_PCI_MODERN_MEM,
					   DRIVER_PCI_WINDOW, DRIVER_PCI_LEGACY};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void test_works_in_every_way(void **state)
{
	uint8_t c[ECHO_CONFIG];

	(void)state;
	for (unsigned msix = 0; msix < 2; msix++)
		for (unsigned i = 0; i < WAYS; i++) {
			case_begin("way %u msi-x %u", i, msix);
			CHECK(rig_start(ways[i], (int)msix) == 0);
			CHECK(rig.echo.dev.legacy == (ways[i] == DRIVER_PCI_LEGACY));
			for (unsigned n = 0; n < 3; n++)
				CHECK(rig_works(0) && rig_works(1));
			driver_config_read(&rig.drv, 0, c, sizeof(c));
			CHECK(!memcmp(c + 8, rig.echo.config + 8, sizeof(c) - 8));
			driver_config_write(&rig.drv, 2, "\x77", 1);
			CHECK(rig.echo.config[2] == 0x77);
			CHECK(driver_reset(&rig.drv) == 0);
			/* The next driver starts from a reset function. */
			pci_host_reset(&rig.b->host);
			CHECK(rig.b->n_bells == 0);
		}
}

/* §4.1.2 */
static void test_identity(void **state)
{
	static const struct {
		uint16_t type, device, subsystem;
		uint32_t class_revision;
		int has_io;
	} rows[] = {
		{VIRTIO_ID_NET, 0x1000, 1, 0x02000000, 1},
		{VIRTIO_ID_BLOCK, 0x1001, 2, 0x01800000, 1},
		{VIRTIO_ID_CONSOLE, 0x1003, 3, 0x07800000, 1},
		{VIRTIO_ID_RNG, 0x1005, 4, 0x00ff0000, 1},
		{VIRTIO_ID_NET, 0x1041, 0x40, 0x02000001, 0},
		{VIRTIO_ID_BLOCK, 0x1042, 0x40, 0x01800001, 0},
		{ECHO_TYPE, 0x1040 + ECHO_TYPE, 0x40, 0x00ff0001, 1},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		case_begin("type %u%s", rows[i].type, rows[i].has_io ? "" : " without I/O ports");
		rig_plug(rows[i].type, rows[i].has_io, RIG_QUEUES + 1);
		CHECK(board_config_read(rig.b, RIG_SLOT, 0, 4) == (rows[i].device << 16 | 0x1af4u));
		CHECK(board_config_read(rig.b, RIG_SLOT, 8, 4) == rows[i].class_revision);
		CHECK(board_config_read(rig.b, RIG_SLOT, 0x2c, 4) ==
		      (rows[i].subsystem << 16 | 0x1af4u));
		CHECK(rig_start(DRIVER_PCI_MODERN, 1) == 0 && rig_works(0));
		CHECK(rig.pci.notify.bar ==
		      (rows[i].has_io ? VIRTIO_PCI_IO_BAR : VIRTIO_PCI_MEM_BAR));
		if (!rig.fn->vp.transitional && rows[i].has_io) {
			CHECK(board_in(rig.b, (uint16_t)rig.pci.bar[0], 4) == UINT32_MAX);
			board_out(rig.b, (uint16_t)rig.pci.bar[0] + VIRTIO_LEGACY_STATUS, 1, 0);
			CHECK(rig_works(1));
		}
		CHECK((driver_attach_pci(&rig.drv, &rig.pci, rig.fn, RIG_SLOT, DRIVER_PCI_LEGACY,
					 0) == 0) == rows[i].has_io);
		rig_down(NULL);
	}
}

/* §4.1.4: every structure lies inside its BAR, aligned as the section wants it. */
static void test_structures(void **state)
{
	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 1), 0);
	assert_int_equal(rig.pci.common.len, VIRTIO_COMMON_LEN);
	assert_int_equal(rig.pci.common.off % 4, 0);
	assert_int_equal(rig.pci.config.len, ECHO_CONFIG);
	assert_int_equal(rig.pci.config.off % 4, 0);
	assert_in_range(rig.pci.notify.len, 2 + rig.pci.multiplier * (RIG_QUEUES - 1), 64);
	assert_int_equal(rig.pci.isr.len, 1);
	assert_in_range(rig.pci.config.off + rig.pci.config.len, 1, VIRTIO_PCI_MEM_LEN);
	/* The list ends, and leaves the header alone. */
	unsigned n = 0;

	for (unsigned at = rig.fn->vp.pci.config[PCI_CAPABILITY_LIST]; at;
	     at = rig.fn->vp.pci.config[at + 1], n++)
		assert_in_range(at, 0x40, 0xfc);
	assert_int_equal(n, 7);
}

/* The currency is exits: what a driver as frugal as Linux pays to find and start the device. */
static void test_exits_are_few(void **state)
{
	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 1), 0);
	printf("# %u exits, %u of them to configuration space\n", rig.b->exits,
	       (unsigned)rig.b->host.accesses);
	assert_in_range(rig.b->exits, 1, 240);
	assert_in_range(rig.b->host.accesses, 1, 100);
}

/* --- notifications -------------------------------------------------------------------------- */

static void test_first_kick_exits_the_others_ring(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		int window = ways[i] == DRIVER_PCI_WINDOW;

		case_begin("way %u", i);
		CHECK(rig_start(ways[i], 1) == 0);
		rig.fn->vp.notify_exits = 0;
		rig.b->bells_rung = 0;
		for (unsigned n = 0; n < 5; n++)
			CHECK(rig_works(0) && rig_works(1));
		/* Through the window no address is written: each one is an access. */
		CHECK(rig.fn->vp.notify_exits == (window ? 10 : 2));
		CHECK(rig.b->bells_rung == (window ? 0 : 8));
		CHECK(rig.b->n_bells == 2);
		CHECK(board_is_sound(rig.b));
		CHECK(driver_reset(&rig.drv) == 0);
		pci_host_reset(&rig.b->host);
	}
}

static void test_doorbells_follow_the_bar(void **state)
{
	uint64_t old;

	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 1), 0);
	assert_true(rig_works(0));
	assert_int_equal(rig.b->n_bells, 1);
	old = rig.b->bell[0].bell.addr;
	board_config_write(rig.b, RIG_SLOT, PCI_BASE_ADDRESS_0, 4, BOARD_IO + 0x2000);
	assert_int_equal(rig.b->n_bells, 0);
	rig.pci.bar[0] = BOARD_IO + 0x2000;
	assert_true(rig_works(0));
	assert_true(rig_works(0));
	assert_int_equal(rig.b->n_bells, 1);
	assert_int_equal(rig.b->bell[0].bell.addr - old, 0x2000);
	board_config_write(rig.b, RIG_SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(rig.b->n_bells, 0);
	assert_false(rig_works(0));
}

static void test_refused_doorbells_do_no_harm(void **state)
{
	(void)state;
	rig.b->bells_fail = -ENOSPC;
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 1), 0);
	for (unsigned n = 0; n < 5; n++)
		assert_true(rig_works(0) && rig_works(1));
	/* Asked once, and not again at every kick. */
	assert_int_equal(rig.b->bell_asks, 1);
}

static void test_odd_notifications(void **state)
{
	uint16_t io;

	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 1), 0);
	io = (uint16_t)(rig.pci.bar[0] + VIRTIO_PCI_IO_NOTIFY);
	/* Between the addresses and behind them is nothing. */
	rig.echo.kicks = 0;
	for (unsigned off = 1; off < 4; off++)
		board_out(rig.b, (uint16_t)(io + off), 1, 0);
	board_out(rig.b, io + 4 * RIG_QUEUES, 2, 0);
	driver_pump(&rig.drv);
	assert_int_equal(rig.echo.kicks, 0);
	/* Any width kicks; only two bytes become a doorbell. */
	board_out(rig.b, io, 4, 0);
	board_out(rig.b, io, 1, 0);
	board_out(rig.b, io + 4, 2, 77);
	driver_pump(&rig.drv);
	assert_int_equal(rig.echo.kicks, 2);
	assert_int_equal(rig.b->n_bells, 1);
	assert_int_equal(rig.b->bell[0].q, 1);
	assert_int_equal(board_in(rig.b, io, 2), 0);
	/* The other BAR has nothing to do with it. */
	board_config_write(rig.b, RIG_SLOT, PCI_BASE_ADDRESS_1, 4, BOARD_MEM32 + 0x8000);
	assert_int_equal(rig.b->n_bells, 1);
	/* A queue that does not run needs no doorbell. */
	pci_host_reset(&rig.b->host);
	virtio_set_status(&rig.echo.dev, 0);
	board_config_write(rig.b, RIG_SLOT, PCI_COMMAND, 2, 3);
	board_out(rig.b, io, 2, 0);
	assert_int_equal(rig.b->n_bells, 0);
}

/* --- interrupts ----------------------------------------------------------------------------- */

static void test_msix_vectors(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		case_begin("way %u", i);
		CHECK(rig_start(ways[i], 1) == 0);
		rig.drv.irqs[0] = rig.drv.irqs[1] = rig.drv.config_irqs = 0;
		CHECK(rig_works(0));
		CHECK(rig.drv.irqs[0] == 1 && rig.drv.irqs[1] == 0);
		CHECK(rig_works(1));
		CHECK(rig.drv.irqs[0] == 1 && rig.drv.irqs[1] == 1);
		virtio_config_changed(&rig.echo.dev);
		CHECK(rig.drv.config_irqs == 1);
		CHECK(rig.fn->line.changes == 0);
		CHECK(driver_reset(&rig.drv) == 0);
		pci_host_reset(&rig.b->host);
	}
}

/* §4.1.5.3, §4.1.4.5: without MSI-X the line, and ISR says why; reading it takes it down. */
static void test_intx_and_isr(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		struct driver_pci_area isr;

		case_begin("way %u", i);
		CHECK(rig_start(ways[i], 0) == 0);
		isr = rig.pci.isr;
		if (ways[i] == DRIVER_PCI_LEGACY)
			isr = (struct driver_pci_area){0, VIRTIO_LEGACY_ISR, 1, 1};
		CHECK(rig.fn->line.level == 0);
		CHECK(rig_works(1));
		CHECK(rig.fn->line.level == 1);
		CHECK(driver_pci_read(&rig.drv, &isr, 0, 1) == VIRTIO_PCI_ISR_QUEUE);
		CHECK(rig.fn->line.level == 0);
		CHECK(driver_pci_read(&rig.drv, &isr, 0, 1) == 0);
		CHECK(rig_works(0));
		virtio_config_changed(&rig.echo.dev);
		CHECK(driver_pci_read(&rig.drv, &isr, 0, 1) ==
		      (VIRTIO_PCI_ISR_QUEUE | VIRTIO_PCI_ISR_CONFIG));
		CHECK(rig_works(0));
		CHECK(rig.fn->line.level == 1);
		CHECK(driver_reset(&rig.drv) == 0);
		CHECK(rig.fn->line.level == 0);
		pci_host_reset(&rig.b->host);
	}
}

static void test_vectors_that_are_not_there(void **state)
{
	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 1), 0);
	for (unsigned v = RIG_QUEUES + 1; v < 0x10000; v += 0x333) {
		driver_pci_write(&rig.drv, &rig.pci.common, VIRTIO_COMMON_CONFIG_VECTOR, 2, v);
		assert_int_equal(
			driver_pci_read(&rig.drv, &rig.pci.common, VIRTIO_COMMON_CONFIG_VECTOR, 2),
			VIRTIO_PCI_NO_VECTOR);
		driver_pci_write(&rig.drv, &rig.pci.common, VIRTIO_COMMON_QUEUE_SELECT, 2, 0);
		driver_pci_write(&rig.drv, &rig.pci.common, VIRTIO_COMMON_QUEUE_VECTOR, 2, v);
		assert_int_equal(
			driver_pci_read(&rig.drv, &rig.pci.common, VIRTIO_COMMON_QUEUE_VECTOR, 2),
			VIRTIO_PCI_NO_VECTOR);
	}
	virtio_config_changed(&rig.echo.dev);
	assert_true(rig_works(0));
	assert_int_equal(rig.drv.config_irqs + rig.drv.irqs[0], 0);
}

static void test_without_msix(void **state)
{
	(void)state;
	rig_plug(VIRTIO_ID_NET, 1, 0);
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 0), 0);
	assert_true(rig_works(0));
	assert_int_equal(rig.fn->line.level, 1);
	rig_down(NULL);
	/* Fewer vectors than queues: those that are there work. */
	rig_plug(VIRTIO_ID_NET, 1, 2);
	assert_int_equal(
		driver_attach_pci(&rig.drv, &rig.pci, rig.fn, RIG_SLOT, DRIVER_PCI_MODERN, 1), 0);
	assert_int_equal(rig.fn->vp.pci.msix.vectors, 2);
	assert_int_equal(driver_start(&rig.drv, DRIVER_ALL, 0), -EPROTO);
	rig_down(NULL);
}

/* --- the two register files ----------------------------------------------------------------- */

static void test_legacy_layout_moves_with_msix(void **state)
{
	uint16_t io;

	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_LEGACY, 0), 0);
	io = (uint16_t)rig.pci.bar[0];
	assert_int_equal(board_in(rig.b, io + 20 + 8, 4), 0xcbcac9c8);
	assert_int_equal(
		driver_attach_pci(&rig.drv, &rig.pci, rig.fn, RIG_SLOT, DRIVER_PCI_LEGACY, 1), 0);
	assert_int_equal(board_in(rig.b, io + 20, 2), VIRTIO_PCI_NO_VECTOR);
	assert_int_equal(board_in(rig.b, io + 24 + 8, 4), 0xcbcac9c8);
	assert_int_equal(board_in(rig.b, io + 24 + 8, 1), 0xc8);
}

static void test_legacy_registers(void **state)
{
	uint16_t io;

	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_LEGACY, 0), 0);
	io = (uint16_t)rig.pci.bar[0];
	assert_int_equal(board_in(rig.b, io, 4), 1u << VIRTIO_F_INDIRECT_DESC |
							 1u << VIRTIO_F_EVENT_IDX |
							 1u << VIRTIO_F_ANY_LAYOUT);
	assert_int_equal(board_in(rig.b, io + 4, 4), rig.drv.features);
	board_out(rig.b, io + 14, 2, 1);
	assert_int_equal(board_in(rig.b, io + 14, 2), 1);
	assert_int_equal(board_in(rig.b, io + 12, 2), RIG_SIZE);
	assert_int_equal(board_in(rig.b, io + 8, 4), rig.drv.q[1].desc >> 12);
	board_out(rig.b, io + 14, 2, RIG_QUEUES);
	assert_int_equal(board_in(rig.b, io + 12, 2), 0);
	assert_int_equal(board_in(rig.b, io + 8, 4), 0);
	/* An enabled queue does not move. */
	board_out(rig.b, io + 14, 2, 1);
	board_out(rig.b, io + 8, 4, 0x500);
	assert_int_equal(board_in(rig.b, io + 8, 4), rig.drv.q[1].desc >> 12);
	assert_true(rig_works(1));
	/* Taking one away resets the device: nothing is in flight afterwards. */
	board_out(rig.b, io + 8, 4, 0);
	assert_int_equal(board_in(rig.b, io + 18, 1), 0);
	assert_int_equal(driver_start(&rig.drv, DRIVER_ALL, DRIVER_LEGACY), 0);
	assert_true(rig_works(0));
}

/* Only one kind of driver at a time; the other register file can still reset. */
static void test_one_driver_at_a_time(void **state)
{
	uint16_t io;
	uint8_t modern;

	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 0), 0);
	io = (uint16_t)rig.pci.bar[0];
	modern = driver_status(&rig.drv);
	board_out(rig.b, io + 18, 1, 0xff);
	board_out(rig.b, io + 4, 4, 0);
	board_out(rig.b, io + 14, 2, 0);
	board_out(rig.b, io + 8, 4, 0x300);
	assert_int_equal(driver_status(&rig.drv), modern);
	assert_false(rig.echo.dev.legacy);
	assert_true(rig_works(0));
	board_out(rig.b, io + 18, 1, 0);
	assert_int_equal(driver_status(&rig.drv), 0);

	assert_int_equal(rig_start(DRIVER_PCI_LEGACY, 0), 0);
	struct driver_pci_area common = {VIRTIO_PCI_MEM_BAR, VIRTIO_PCI_COMMON, VIRTIO_COMMON_LEN,
					 1};

	uint8_t legacy = driver_status(&rig.drv);

	driver_pci_write(&rig.drv, &common, VIRTIO_COMMON_STATUS, 1, 0xff);
	assert_int_equal(driver_status(&rig.drv), legacy);
	driver_pci_write(&rig.drv, &common, VIRTIO_COMMON_CONFIG_VECTOR, 2, 0);
	assert_int_equal(rig.fn->vp.s.config_vector, VIRTIO_PCI_NO_VECTOR);
	driver_pci_write(&rig.drv, &common, VIRTIO_COMMON_QUEUE_SELECT, 2, 1);
	driver_pci_write(&rig.drv, &common, VIRTIO_COMMON_QUEUE_RESET, 2, 1);
	assert_true(rig_works(1));
	driver_pci_write(&rig.drv, &common, VIRTIO_COMMON_STATUS, 1, 0);
	assert_int_equal(driver_pci_read(&rig.drv, &common, VIRTIO_COMMON_STATUS, 1), 0);
}

/* --- reset ---------------------------------------------------------------------------------- */

/* §4.1.4.3.1: a modern driver polls. */
static void test_modern_reset_in_flight(void **state)
{
	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 1), 0);
	rig_hold_one();
	assert_int_equal(driver_reset(&rig.drv), -EBUSY);
	assert_int_equal(rig.fn->waits, 0);
	/* Its vectors are as they were until it is over. */
	assert_int_equal(driver_pci_read(&rig.drv, &rig.pci.common, VIRTIO_COMMON_CONFIG_VECTOR, 2),
			 0);
	echo_finish(&rig.echo, UINT_MAX);
	assert_int_equal(driver_status(&rig.drv), 0);
	assert_int_equal(driver_pci_read(&rig.drv, &rig.pci.common, VIRTIO_COMMON_CONFIG_VECTOR, 2),
			 VIRTIO_PCI_NO_VECTOR);
	rig.echo.slow = 0;
	assert_int_equal(driver_start(&rig.drv, DRIVER_ALL, 0), 0);
	assert_true(rig_works(0));
}

static void finish(struct board_function *f)
{
	(void)f;
	echo_finish(&rig.echo, UINT_MAX);
}

/* A legacy driver does not look: its write returns when the reset is over. */
static void test_legacy_reset_in_flight(void **state)
{
	(void)state;
	rig.fn->wait = finish;
	assert_int_equal(rig_start(DRIVER_PCI_LEGACY, 0), 0);
	rig_hold_one();
	board_out(rig.b, (uint16_t)rig.pci.bar[0] + VIRTIO_LEGACY_STATUS, 1, 0);
	assert_int_equal(rig.fn->waits, 1);
	assert_int_equal(driver_status(&rig.drv), 0);
	rig.echo.slow = 0;
	assert_int_equal(driver_start(&rig.drv, DRIVER_ALL, DRIVER_LEGACY), 0);
	rig_hold_one();
	board_out(rig.b, (uint16_t)rig.pci.bar[0] + VIRTIO_LEGACY_QUEUE_SELECT, 2, 0);
	board_out(rig.b, (uint16_t)rig.pci.bar[0] + VIRTIO_LEGACY_QUEUE_PFN, 4, 0);
	assert_int_equal(rig.fn->waits, 2);
	assert_int_equal(driver_status(&rig.drv), 0);
}

/* §2.6.1, §4.1.4.3.1: queue_reset reads 1 while it lasts, then 0, and queue_enable 0. */
static void test_queue_reset_registers(void **state)
{
	const struct driver_pci_area *c = &rig.pci.common;

	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 1), 0);
	rig_hold_one();
	driver_pci_write(&rig.drv, c, VIRTIO_COMMON_QUEUE_SELECT, 2, 0);
	driver_pci_write(&rig.drv, c, VIRTIO_COMMON_QUEUE_RESET, 2, 1);
	assert_int_equal(driver_pci_read(&rig.drv, c, VIRTIO_COMMON_QUEUE_RESET, 2), 1);
	driver_pci_write(&rig.drv, c, VIRTIO_COMMON_QUEUE_SIZE, 2, 8);
	driver_pci_write(&rig.drv, c, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	assert_int_equal(driver_pci_read(&rig.drv, c, VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
	echo_finish(&rig.echo, UINT_MAX);
	rig.echo.slow = 0;
	assert_int_equal(driver_pci_read(&rig.drv, c, VIRTIO_COMMON_QUEUE_RESET, 2), 0);
	assert_int_equal(driver_pci_read(&rig.drv, c, VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
	assert_int_equal(driver_pci_read(&rig.drv, c, VIRTIO_COMMON_QUEUE_SIZE, 2), RIG_SIZE);
	assert_true(rig_works(1));
	memset(&rig.drv.q[0], 0, sizeof(rig.drv.q[0]));
	rig.drv.q[0].size = 8;
	rig.drv.q[0].n_free = 8;
	for (unsigned i = 0; i < 8; i++)
		rig.drv.q[0].next[i] = (uint16_t)(i + 1);
	rig.drv.q[0].desc = driver_alloc(&rig.drv, 128, 16);
	rig.drv.q[0].avail = driver_alloc(&rig.drv, 22, 2);
	rig.drv.q[0].used = driver_alloc(&rig.drv, 70, 4);
	assert_int_equal(rig.drv.transport->queue_start(&rig.drv, 0), 0);
	assert_true(rig_works(0));
}

static void test_generation_and_counts(void **state)
{
	(void)state;
	assert_int_equal(rig_start(DRIVER_PCI_MODERN, 1), 0);
	assert_int_equal(driver_pci_read(&rig.drv, &rig.pci.common, VIRTIO_COMMON_NUM_QUEUES, 2),
			 RIG_QUEUES);
	assert_int_equal(driver_pci_read(&rig.drv, &rig.pci.common, VIRTIO_COMMON_GENERATION, 1),
			 0);
	virtio_config_changed(&rig.echo.dev);
	assert_int_equal(driver_pci_read(&rig.drv, &rig.pci.common, VIRTIO_COMMON_GENERATION, 1),
			 1);
	driver_pci_write(&rig.drv, &rig.pci.common, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	assert_int_equal(
		driver_pci_read(&rig.drv, &rig.pci.common, VIRTIO_COMMON_DRIVER_FEATURE, 4),
		rig.drv.features >> 32);
	driver_pci_write(&rig.drv, &rig.pci.common, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 2);
	assert_int_equal(
		driver_pci_read(&rig.drv, &rig.pci.common, VIRTIO_COMMON_DRIVER_FEATURE, 4), 0);
	driver_pci_write(&rig.drv, &rig.pci.common, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4,
			 0xffffffff);
	assert_int_equal(
		driver_pci_read(&rig.drv, &rig.pci.common, VIRTIO_COMMON_DEVICE_FEATURE, 4), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_works_in_every_way),
		cmocka_unit_test(test_identity),
		TEST(test_structures),
		TEST(test_exits_are_few),
		TEST(test_first_kick_exits_the_others_ring),
		TEST(test_doorbells_follow_the_bar),
		TEST(test_refused_doorbells_do_no_harm),
		TEST(test_odd_notifications),
		TEST(test_msix_vectors),
		TEST(test_intx_and_isr),
		TEST(test_vectors_that_are_not_there),
		cmocka_unit_test(test_without_msix),
		TEST(test_legacy_layout_moves_with_msix),
		TEST(test_legacy_registers),
		TEST(test_one_driver_at_a_time),
		TEST(test_modern_reset_in_flight),
		TEST(test_legacy_reset_in_flight),
		TEST(test_queue_reset_registers),
		TEST(test_generation_and_counts),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
