/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device tree as a kernel reads it: what it names must be where the layout says, no two things
 * in one place, and all that one node says of another must hold.
 */
#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/arm64/fdt.h"
#include "arch/arm64/layout.h"
#include "tests/lib/said.h"

#define GIB (1ull << 30)

static uint8_t fdt[LAYOUT_FDT_LEN];
static struct mem mem;
static uint64_t mpidr[LAYOUT_CPUS_MAX];
static struct fdt_params params;

/* A machine of four CPUs and 2 GiB; tests change what they are about. */
static int setup(void **state)
{
	(void)state;
	said_start();
	mem = (struct mem){.region = {{LAYOUT_RAM, 2 * GIB, NULL}}, .count = 1};
	/* As KVM numbers them: sixteen to a cluster; bit 31 is always set. */
	for (unsigned i = 0; i < LAYOUT_CPUS_MAX; i++)
		mpidr[i] = 1u << 31 | (i >> 4) << 8 | (i & 15);
	params = (struct fdt_params){
		.mem = &mem,
		.cmdline = "console=ttyAMA0 quiet",
		.cpus = 4,
		.mpidr = mpidr,
		.gic_version = 3,
		.mmio64 = 3 * GIB,
	};
	return 0;
}

static void build(void)
{
	int len = fdt_build(fdt, sizeof(fdt), &params);

	assert_true(len > 0);
	assert_int_equal(fdt_check_full(fdt, (size_t)len), 0);
}

static int node(const char *path)
{
	int at = fdt_path_offset(fdt, path);

	if (at < 0)
		fail_msg("%s: %s", path, fdt_strerror(at));
	return at;
}

/* The @n-th cell of a property that must be there. */
static uint32_t cell(int at, const char *name, unsigned n)
{
	int len;
	const void *p = fdt_getprop(fdt, at, name, &len);

	if (!p || (unsigned)len < (n + 1) * 4)
		fail_msg("%s: no cell %u", name, n);
	return fdt32_ld((const fdt32_t *)p + n);
}

static uint64_t cell64(int at, const char *name, unsigned n)
{
	return (uint64_t)cell(at, name, n) << 32 | cell(at, name, n + 1);
}

static unsigned cells(int at, const char *name)
{
	int len;

	return fdt_getprop(fdt, at, name, &len) ? (unsigned)len / 4 : 0;
}

static int has(int at, const char *name)
{
	return fdt_getprop(fdt, at, name, NULL) != NULL;
}

static void says(int at, const char *name, const char *value)
{
	assert_string_equal(fdt_getprop(fdt, at, name, NULL), value);
}

static void test_chosen(void **state)
{
	int at;

	(void)state;
	build();
	at = node("/chosen");
	says(at, "bootargs", params.cmdline);
	assert_false(has(at, "linux,initrd-start"));
	assert_false(has(at, "kaslr-seed"));
	assert_false(has(at, "rng-seed"));
	/* The console's path goes by an alias. */
	says(at, "stdout-path", "serial0");
	at = node(fdt_get_alias(fdt, "serial0"));
	assert_int_equal(fdt_node_check_compatible(fdt, at, "arm,pl011"), 0);

	params.initrd = 0x123456000;
	params.initrd_len = 0x1001;
	params.has_seeds = 1;
	params.kaslr_seed = 0x1122334455667788;
	memset(params.rng_seed, 0xa5, sizeof(params.rng_seed));
	build();
	at = node("/chosen");
	assert_true(cell64(at, "linux,initrd-start", 0) == 0x123456000);
	assert_true(cell64(at, "linux,initrd-end", 0) == 0x123457001);
	assert_true(cell64(at, "kaslr-seed", 0) == 0x1122334455667788);
	assert_int_equal(cells(at, "rng-seed"), FDT_RNG_SEED_LEN / 4);
	assert_memory_equal(fdt_getprop(fdt, at, "rng-seed", NULL), params.rng_seed,
			    FDT_RNG_SEED_LEN);
}

static void test_memory(void **state)
{
	int at;

	(void)state;
	build();
	at = node("/memory@40000000");
	says(at, "device_type", "memory");
	assert_true(cell64(at, "reg", 0) == LAYOUT_RAM);
	assert_true(cell64(at, "reg", 2) == 2 * GIB);
	assert_int_equal(cells(at, "reg"), 4);
}

static void test_cpus(void **state)
{
	static const struct {
		unsigned cpus;
		const char *last;
		uint32_t reg;
	} table[] = {{1, "/cpus/cpu@0", 0},
		     {4, "/cpus/cpu@3", 3},
		     {17, "/cpus/cpu@100", 0x100},
		     {64, "/cpus/cpu@30f", 0x30f}};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		unsigned n = 0;
		int at;

		params.cpus = table[i].cpus;
		build();
		fdt_for_each_subnode(at, fdt, node("/cpus"))
		{
			n++;
			says(at, "device_type", "cpu");
			says(at, "enable-method", "psci");
		}
		assert_int_equal(n, table[i].cpus);
		assert_int_equal(cell(node(table[i].last), "reg", 0), table[i].reg);
	}
	assert_int_equal(fdt_node_check_compatible(fdt, node("/psci"), "arm,psci-1.0"), 0);
	says(node("/psci"), "method", "hvc");
}

static void test_gicv3(void **state)
{
	int gic, its;

	(void)state;
	build();
	gic = node("/interrupt-controller@2000000");
	its = node("/interrupt-controller@2000000/msi-controller@2020000");
	assert_int_equal(fdt_node_check_compatible(fdt, gic, "arm,gic-v3"), 0);
	assert_true(has(gic, "interrupt-controller"));
	assert_int_equal(cell(node("/"), "interrupt-parent", 0), fdt_get_phandle(fdt, gic));
	assert_true(cell64(gic, "reg", 0) == LAYOUT_GICD);
	assert_true(cell64(gic, "reg", 4) == LAYOUT_GICR);
	assert_true(cell64(gic, "reg", 6) == 4 * LAYOUT_GICR_CPU_LEN);
	assert_int_equal(fdt_node_check_compatible(fdt, its, "arm,gic-v3-its"), 0);
	assert_true(has(its, "msi-controller"));
	/* Every requester id is the ITS's device id as it is. */
	assert_int_equal(cells(node("/pcie@3000000"), "msi-map"), 4);
	assert_int_equal(cell(node("/pcie@3000000"), "msi-map", 0), 0);
	assert_int_equal(cell(node("/pcie@3000000"), "msi-map", 1), fdt_get_phandle(fdt, its));
	assert_int_equal(cell(node("/pcie@3000000"), "msi-map", 2), 0);
	/* PPIs have no CPU mask. */
	assert_int_equal(cell(node("/timer"), "interrupts", 2), 4);
}

static void test_gicv2(void **state)
{
	int gic;

	(void)state;
	params.gic_version = 2;
	params.cpus = 8;
	params.has_pmu = 1;
	build();
	gic = node("/interrupt-controller@2000000");
	assert_int_equal(fdt_node_check_compatible(fdt, gic, "arm,cortex-a15-gic"), 0);
	assert_true(cell64(gic, "reg", 4) == LAYOUT_GICC);
	assert_int_equal(fdt_first_subnode(fdt, gic), -FDT_ERR_NOTFOUND);
	assert_false(has(node("/pcie@3000000"), "msi-map"));
	assert_int_equal(cell(node("/timer"), "interrupts", 2), 0xff04);
	assert_int_equal(cell(node("/pmu"), "interrupts", 2), 0xff04);
}

static void test_pmu_where_there_is_one(void **state)
{
	(void)state;
	build();
	assert_int_equal(fdt_path_offset(fdt, "/pmu"), -FDT_ERR_NOTFOUND);
	params.has_pmu = 1;
	build();
	assert_int_equal(cell(node("/pmu"), "interrupts", 0), 1);
	assert_int_equal(cell(node("/pmu"), "interrupts", 1), LAYOUT_PPI_PMU);
}

/* A PrimeCell's driver does not start without its clocks. */
static void test_primecells(void **state)
{
	static const char *const path[] = {"/serial@1000000", "/rtc@1010000"};
	static const uint32_t spi[] = {LAYOUT_SPI_PL011, LAYOUT_SPI_PL031};
	uint32_t clock;

	(void)state;
	build();
	clock = fdt_get_phandle(fdt, node("/apb-pclk"));
	for (unsigned i = 0; i < 2; i++) {
		int at = node(path[i]);

		assert_int_equal(fdt_node_check_compatible(fdt, at, "arm,primecell"), 0);
		assert_int_equal(cell(at, "interrupts", 0), 0);
		assert_int_equal(cell(at, "interrupts", 1), spi[i]);
		assert_true(cells(at, "clocks") > 0);
		assert_int_equal(fdt_stringlist_count(fdt, at, "clock-names"), cells(at, "clocks"));
		for (unsigned k = 0; k < cells(at, "clocks"); k++)
			assert_int_equal(cell(at, "clocks", k), clock);
		assert_true(fdt_stringlist_search(fdt, at, "clock-names", "apb_pclk") >= 0);
	}
}

/* What a slot's INTA# is by the tree is what the machine gives the device. */
static void test_interrupt_map(void **state)
{
	enum { ENTRY = 10 };
	uint32_t mask, gic;
	int at;

	(void)state;
	build();
	at = node("/pcie@3000000");
	gic = fdt_get_phandle(fdt, node("/interrupt-controller@2000000"));
	mask = cell(at, "interrupt-map-mask", 0);
	assert_int_equal(cell(at, "interrupt-map-mask", 3), 7);
	for (unsigned slot = 1; slot < 32; slot++) {
		unsigned found = 0;

		for (unsigned e = 0; e < cells(at, "interrupt-map") / ENTRY; e++) {
			if (cell(at, "interrupt-map", e * ENTRY) != (slot << 11 & mask) ||
			    cell(at, "interrupt-map", e * ENTRY + 3) != 1)
				continue;
			found++;
			assert_int_equal(cell(at, "interrupt-map", e * ENTRY + 4), gic);
			assert_int_equal(cell(at, "interrupt-map", e * ENTRY + 7), 0);
			assert_int_equal(cell(at, "interrupt-map", e * ENTRY + 8),
					 LAYOUT_SPI_INTX_OF(slot));
			assert_int_equal(cell(at, "interrupt-map", e * ENTRY + 9), 4);
		}
		assert_int_equal(found, 1);
	}
}

static void test_pci_windows(void **state)
{
	int at;

	(void)state;
	params.mmio64 = 0x1280000000;
	build();
	at = node("/pcie@3000000");
	assert_true(cell64(at, "reg", 0) == LAYOUT_ECAM);
	assert_true(cell64(at, "reg", 2) == LAYOUT_ECAM_LEN);
	assert_int_equal(cell(at, "bus-range", 0), 0);
	assert_int_equal(cell(at, "bus-range", 1), 0);
	assert_int_equal(cells(at, "ranges"), 2 * 7);
	assert_int_equal(cell(at, "ranges", 0) >> 24, 2);
	assert_true(cell64(at, "ranges", 1) == LAYOUT_MMIO32);
	assert_true(cell64(at, "ranges", 3) == LAYOUT_MMIO32);
	assert_true(cell64(at, "ranges", 5) == LAYOUT_MMIO32_LEN);
	assert_int_equal(cell(at, "ranges", 7) >> 24, 3);
	assert_true(cell64(at, "ranges", 8) == 0x1280000000);
	assert_true(cell64(at, "ranges", 10) == 0x1280000000);
	assert_true(cell64(at, "ranges", 12) == LAYOUT_MMIO64_LEN);
	assert_true(has(at, "dma-coherent"));
}

/* No two things at one address, with as many CPUs as there can be. */
static void test_layout_does_not_overlap(void **state)
{
	static const struct {
		uint64_t base, len;
	} range[] = {
		{LAYOUT_PL011, LAYOUT_PL011_LEN},
		{LAYOUT_PL031, LAYOUT_PL031_LEN},
		{LAYOUT_GICD, LAYOUT_GICD_LEN},
		{LAYOUT_GICC, LAYOUT_GICC_LEN},
		{LAYOUT_ITS, LAYOUT_ITS_LEN},
		{LAYOUT_GICR, LAYOUT_CPUS_MAX * LAYOUT_GICR_CPU_LEN},
		{LAYOUT_ECAM, LAYOUT_ECAM_LEN},
		{LAYOUT_MMIO32, LAYOUT_MMIO32_LEN},
		{LAYOUT_RAM, LAYOUT_MMIO64_MIN - LAYOUT_RAM},
	};

	(void)state;
	for (size_t i = 1; i < sizeof(range) / sizeof(range[0]); i++)
		assert_true(range[i - 1].base + range[i - 1].len <= range[i].base);
}

/* The largest machine fits into the room that the layout gives it. */
static void test_largest(void **state)
{
	static char cmdline[2048];

	(void)state;
	memset(cmdline, 'x', sizeof(cmdline) - 1);
	params.cmdline = cmdline;
	params.cpus = LAYOUT_CPUS_MAX;
	params.initrd_len = 1;
	params.has_seeds = params.has_pmu = 1;
	build();
	assert_true(fdt_totalsize(fdt) < LAYOUT_FDT_LEN / 2);
}

/* Any room that is too small is an error and nothing worse. */
static void test_no_room(void **state)
{
	int len;

	(void)state;
	build();
	len = (int)fdt_totalsize(fdt);
	for (int room = 0; room < len; room++) {
		uint8_t *buf = malloc((size_t)room);

		assert_int_equal(fdt_build(buf, (size_t)room, &params), -ENOSPC);
		free(buf);
	}
	assert_int_equal(said_count(), len);
	assert_true(fdt_build(fdt, (size_t)len, &params) > 0);
}

#define FDT_TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FDT_TEST(test_chosen),      FDT_TEST(test_memory),
		FDT_TEST(test_cpus),        FDT_TEST(test_gicv3),
		FDT_TEST(test_gicv2),       FDT_TEST(test_pmu_where_there_is_one),
		FDT_TEST(test_primecells),  FDT_TEST(test_interrupt_map),
		FDT_TEST(test_pci_windows), FDT_TEST(test_layout_does_not_overlap),
		FDT_TEST(test_largest),     FDT_TEST(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
