/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables, found and read as a guest does: from the bytes in RAM, by the offsets that
 * ACPI 6.3 prints. Whether the AML means anything is for tests/lint/acpi.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/layout.h"
#include "devices/platform/acpi_pm.h"
#include "devices/platform/rtc_cmos.h"
#include "tests/lib/said.h"

#define MIB        (1ull << 20)
#define MMIO64     0x240000000
#define MMIO64_LEN 0x400000000

static struct mem mem;
static uint32_t apic_id[LAYOUT_CPUS_MAX];
static struct acpi_params params;

static int setup(void **state)
{
	const struct mem_range ram = {0, 2 * MIB};

	(void)state;
	for (unsigned i = 0; i < LAYOUT_CPUS_MAX; i++)
		apic_id[i] = 3 * i;
	params = (struct acpi_params){4, apic_id, MMIO64, MMIO64_LEN};
	return mem_create(&mem, &ram, 1);
}

static int teardown(void **state)
{
	(void)state;
	mem_destroy(&mem);
	return 0;
}

static uint64_t word(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s += *p++;
	return s;
}

/* A table at @gpa: in its place in RAM, whole, with the signature and a checksum that is right. */
static const uint8_t *table(uint64_t gpa, const char *signature)
{
	const uint8_t *p = mem_at(&mem, gpa, 36);
	uint32_t len;

	assert_non_null(p);
	assert_memory_equal(p, signature, 4);
	len = (uint32_t)word(p + 4, 4);
	assert_true(gpa >= LAYOUT_ACPI && gpa + len <= LAYOUT_ACPI + LAYOUT_ACPI_LEN);
	assert_int_equal(sum(p, len), 0);
	return p;
}

/* As §5.2.5.1 says: every 16 bytes from 0xE0000, by signature and checksum. */
static const uint8_t *find_rsdp(void)
{
	for (gpa_t gpa = 0xe0000; gpa < 0x100000; gpa += 16) {
		const uint8_t *p = mem_at(&mem, gpa, 36);

		if (memcmp(p, "RSD PTR ", 8) == 0 && sum(p, 20) == 0)
			return p;
	}
	return NULL;
}

/* The n-th table of the XSDT. */
static const uint8_t *entry(unsigned n, const char *signature)
{
	const uint8_t *xsdt = table(word(find_rsdp() + 24, 8), "XSDT");

	assert_true(36 + 8 * n + 8 <= word(xsdt + 4, 4));
	return table(word(xsdt + 36 + 8 * n, 8), signature);
}

static void build(void)
{
	gpa_t rsdp;

	assert_int_equal(acpi_build(&mem, &params, &rsdp), 0);
	assert_ptr_equal(mem_at(&mem, rsdp, 36), find_rsdp());
}

static void roots(void **state)
{
	const uint8_t *rsdp, *rsdt, *xsdt;

	(void)state;
	build();
	rsdp = find_rsdp();
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(word(rsdp + 20, 4), 36);
	assert_int_equal(sum(rsdp, 36), 0);
	rsdt = table(word(rsdp + 16, 4), "RSDT");
	xsdt = table(word(rsdp + 24, 8), "XSDT");
	assert_int_equal(word(rsdt + 4, 4), 36 + 3 * 4);
	assert_int_equal(word(xsdt + 4, 4), 36 + 3 * 8);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(word(rsdt + 36 + 4 * i, 4), word(xsdt + 36 + 8 * i, 8));
}

/* Generic address at @p: an I/O port of @bits. */
static void expect_port(const uint8_t *p, unsigned bits, uint64_t port)
{
	assert_int_equal(p[0], 1);
	assert_int_equal(p[1], bits);
	assert_int_equal(p[2], 0);
	assert_int_equal(word(p + 4, 8), port);
}

static void fadt(void **state)
{
	const uint8_t *f, *facs;
	uint32_t flags;

	(void)state;
	build();
	f = entry(0, "FACP");
	assert_int_equal(word(f + 4, 4), 276);
	assert_int_equal(f[8], 6);
	table(word(f + 40, 4), "DSDT");
	assert_int_equal(word(f + 140, 8), word(f + 40, 4));
	assert_int_equal(word(f + 36, 4) % 64, 0);
	facs = mem_at(&mem, word(f + 36, 4), 64);
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal(word(facs + 4, 4), 64);
	assert_int_equal(word(f + 46, 2), LAYOUT_GSI_SCI);
	assert_int_equal(word(f + 48, 4), 0); /* no SMI command */
	assert_int_equal(word(f + 56, 4), LAYOUT_PORT_PM + ACPI_PM1_EVT);
	assert_int_equal(word(f + 64, 4), LAYOUT_PORT_PM + ACPI_PM1_CNT);
	assert_int_equal(f[88], 4);
	assert_int_equal(f[89], 2);
	expect_port(f + 148, 32, LAYOUT_PORT_PM + ACPI_PM1_EVT);
	expect_port(f + 172, 16, LAYOUT_PORT_PM + ACPI_PM1_CNT);
	assert_int_equal(word(f + 76, 4), 0); /* no PM timer */
	assert_int_equal(f[91], 0);
	assert_int_equal(f[108], RTC_FADT_CENTURY);
	assert_int_equal(word(f + 109, 2) & 0x23, 0x01); /* legacy devices, no 8042, an RTC */
	flags = (uint32_t)word(f + 112, 4);
	assert_int_equal(flags & 1 << 20, 0);     /* not hardware-reduced */
	assert_int_equal(flags & 3 << 4, 2 << 4); /* a fixed power button, no sleep button */
	assert_int_equal(flags & 1 << 10, 1 << 10);
	expect_port(f + 116, 8, LAYOUT_PORT_PM + ACPI_PM_RESET);
	assert_int_equal(f[128], ACPI_PM_RESET_VALUE);
}

static void mcfg(void **state)
{
	const uint8_t *m;

	(void)state;
	build();
	m = entry(2, "MCFG");
	assert_int_equal(word(m + 4, 4), 60);
	assert_int_equal(word(m + 44, 8), LAYOUT_ECAM);
	assert_int_equal(word(m + 52, 2), 0);
	assert_int_equal(m[54], 0);
	assert_int_equal(m[55], 0);
}

struct madt_seen {
	unsigned cpus, ioapics, nmis;
	uint32_t gsi[16]; /* by IRQ */
	uint16_t flags[16];
};

static struct madt_seen walk_madt(void)
{
	const uint8_t *m = entry(1, "APIC"), *p = m + 44, *end = m + word(m + 4, 4);
	struct madt_seen seen = {0};

	assert_int_equal(word(m + 36, 4), LAYOUT_LAPIC);
	assert_int_equal(word(m + 40, 4), 1);
	for (; p < end; p += p[1]) {
		assert_true(p[1] >= 2 && p + p[1] <= end);
		switch (p[0]) {
		case 0:
			assert_int_equal(p[1], 8);
			assert_int_equal(p[2], seen.cpus);
			assert_int_equal(p[3], apic_id[seen.cpus]);
			assert_int_equal(word(p + 4, 4), 1);
			seen.cpus++;
			break;
		case 1:
			assert_int_equal(p[1], 12);
			assert_int_equal(word(p + 4, 4), LAYOUT_IOAPIC);
			assert_int_equal(word(p + 8, 4), 0);
			seen.ioapics++;
			break;
		case 2:
			assert_int_equal(p[1], 10);
			assert_true(p[3] < 16);
			seen.gsi[p[3]] = (uint32_t)word(p + 4, 4);
			seen.flags[p[3]] = (uint16_t)word(p + 8, 2);
			break;
		case 4:
			assert_int_equal(p[1], 6);
			assert_int_equal(p[2], 0xff);
			assert_int_equal(p[5], 1);
			seen.nmis++;
			break;
		default:
			fail_msg("MADT entry of type %u", p[0]);
		}
	}
	return seen;
}

static void madt(void **state)
{
	static const unsigned counts[] = {1, 4, 64};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct madt_seen seen;

		params.cpus = counts[i];
		build();
		seen = walk_madt();
		assert_int_equal(seen.cpus, counts[i]);
		assert_int_equal(seen.ioapics, 1);
		assert_int_equal(seen.nmis, 1);
		assert_int_equal(seen.gsi[0], 2);
		assert_int_equal(seen.flags[0], 0);
		assert_int_equal(seen.gsi[LAYOUT_GSI_SCI], LAYOUT_GSI_SCI);
		assert_int_equal(seen.flags[LAYOUT_GSI_SCI], 0xf);
		for (unsigned slot = 0; slot < 4; slot++) {
			assert_int_equal(seen.gsi[LAYOUT_GSI_INTX(slot)], LAYOUT_GSI_INTX(slot));
			assert_int_equal(seen.flags[LAYOUT_GSI_INTX(slot)], 0xf);
		}
		assert_int_equal(seen.gsi[LAYOUT_GSI_COM1], 0); /* an edge, as ISA has it */
	}
}

static const uint8_t *find_bytes(const uint8_t *in, size_t len, const void *what, size_t n)
{
	return memmem(in, len, what, n);
}

/* As unikernels without an interpreter look for it: the name, a package, a byte. */
static void s5_can_be_found_by_bytes(void **state)
{
	const uint8_t *dsdt, *p;

	(void)state;
	build();
	dsdt = table(word(entry(0, "FACP") + 40, 4), "DSDT");
	p = find_bytes(dsdt, word(dsdt + 4, 4), "_S5_", 4);
	assert_non_null(p);
	assert_int_equal(p[-1], 0x08); /* Name */
	assert_int_equal(p[4], 0x12);  /* Package */
	assert_int_equal(p[5] >> 6, 0);
	assert_int_equal(p[7], 0x0a); /* a byte */
	assert_int_equal(p[8], ACPI_PM_S5_TYPE);
}

/* The QWord descriptor (§6.4.3.5.1) with the window of this machine, and no other. */
static void mmio64_window(void **state)
{
	static const uint8_t head[] = {0x8a, 0x2b, 0x00};
	const uint8_t *dsdt, *p, *end;

	(void)state;
	build();
	dsdt = table(word(entry(0, "FACP") + 40, 4), "DSDT");
	end = dsdt + word(dsdt + 4, 4);
	p = find_bytes(dsdt, (size_t)(end - dsdt), head, sizeof(head));
	assert_non_null(p);
	assert_int_equal(p[3], 0); /* memory */
	assert_int_equal(word(p + 14, 8), MMIO64);
	assert_int_equal(word(p + 22, 8), MMIO64 + MMIO64_LEN - 1);
	assert_int_equal(word(p + 30, 8), 0);
	assert_int_equal(word(p + 38, 8), MMIO64_LEN);
	assert_null(find_bytes(p + 46, (size_t)(end - p) - 46, head, sizeof(head)));
}

/* _PRT: slot n, INTA#, GSI, as the PCI functions' interrupt line registers say it. */
static void intx_routing(void **state)
{
	const uint8_t *dsdt;
	size_t len;

	(void)state;
	build();
	dsdt = table(word(entry(0, "FACP") + 40, 4), "DSDT");
	len = word(dsdt + 4, 4);
	for (unsigned slot = 1; slot < 32; slot++) {
		const uint8_t want[] = {0x0c, 0xff, 0xff, (uint8_t)slot,        0,
					0,    0,    0x0a, LAYOUT_GSI_INTX(slot)};

		assert_non_null(find_bytes(dsdt, len, want, sizeof(want)));
	}
}

static void twice_is_the_same(void **state)
{
	static uint8_t first[LAYOUT_ACPI_LEN];

	(void)state;
	build();
	memcpy(first, mem_at(&mem, LAYOUT_ACPI, sizeof(first)), sizeof(first));
	memset(mem_at(&mem, LAYOUT_ACPI, sizeof(first)), 0xa5, sizeof(first));
	build();
	assert_memory_equal(first, mem_at(&mem, LAYOUT_ACPI, sizeof(first)), sizeof(first));
}

static void bad_parameters(void **state)
{
	const struct mem_range small = {0, MIB / 2};
	struct acpi_params p;
	struct mem little;
	gpa_t rsdp;

	(void)state;
	said_start();
	p = params, p.cpus = 0;
	assert_int_equal(acpi_build(&mem, &p, &rsdp), -EINVAL);
	p = params, p.cpus = LAYOUT_CPUS_MAX + 1;
	assert_int_equal(acpi_build(&mem, &p, &rsdp), -EINVAL);
	p = params, apic_id[3] = 255;
	assert_int_equal(acpi_build(&mem, &p, &rsdp), -EINVAL);
	apic_id[3] = 9;
	p = params, p.mmio64_len = 0;
	assert_int_equal(acpi_build(&mem, &p, &rsdp), -EINVAL);
	p = params, p.mmio64 = UINT64_MAX - 5;
	assert_int_equal(acpi_build(&mem, &p, &rsdp), -EINVAL);
	assert_int_equal(mem_create(&little, &small, 1), 0);
	assert_int_equal(acpi_build(&little, &params, &rsdp), -EINVAL);
	mem_destroy(&little);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(roots, setup, teardown),
		cmocka_unit_test_setup_teardown(fadt, setup, teardown),
		cmocka_unit_test_setup_teardown(mcfg, setup, teardown),
		cmocka_unit_test_setup_teardown(madt, setup, teardown),
		cmocka_unit_test_setup_teardown(s5_can_be_found_by_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(mmio64_window, setup, teardown),
		cmocka_unit_test_setup_teardown(intx_routing, setup, teardown),
		cmocka_unit_test_setup_teardown(twice_is_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_parameters, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
