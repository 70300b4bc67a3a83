/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the firmware tables of a machine with a given number of CPUs to files of a directory, for
 * tests/lint/acpi: each ACPI table as SIGNATURE.dat, the SMBIOS tables as dmidecode's dump format,
 * and both 64 KiB areas as they lie in RAM.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/smbios.h"

#define GIB (1ull << 30)

static const char *dir;

static void save(const char *name, const void *bytes, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	if (!f || fwrite(bytes, 1, len, f) != len || fclose(f)) {
		perror(path);
		exit(1);
	}
}

static void save_table(const struct mem *mem, uint64_t gpa)
{
	const uint8_t *p = mem_at(mem, gpa, 8);
	char name[9];
	uint32_t len;

	memcpy(&len, p + 4, sizeof(len));
	snprintf(name, sizeof(name), "%.4s.dat", (const char *)p);
	save(name, p, len);
}

static void save_acpi(struct mem *mem, unsigned cpus)
{
	uint32_t apic_id[LAYOUT_CPUS_MAX], pointer;
	struct acpi_params p = {cpus, apic_id, 5 * GIB, 16 * GIB};
	const uint8_t *xsdt, *fadt;
	uint64_t gpa;
	gpa_t rsdp;

	for (unsigned i = 0; i < LAYOUT_CPUS_MAX; i++)
		apic_id[i] = i;
	if (acpi_build(mem, &p, &rsdp) < 0)
		exit(1);
	memcpy(&gpa, (uint8_t *)mem_at(mem, rsdp, 36) + 24, sizeof(gpa));
	save_table(mem, gpa);
	xsdt = mem_at(mem, gpa, 60);
	for (unsigned i = 0; i < 3; i++) {
		memcpy(&gpa, xsdt + 36 + 8 * i, sizeof(gpa));
		save_table(mem, gpa);
		if (i > 0)
			continue;
		fadt = mem_at(mem, gpa, 276);
		for (unsigned off = 36; off <= 40; off += 4) { /* FACS, DSDT */
			memcpy(&pointer, fadt + off, sizeof(pointer));
			save_table(mem, pointer);
		}
	}
	memcpy(&pointer, (uint8_t *)mem_at(mem, rsdp, 36) + 16, sizeof(pointer));
	save_table(mem, pointer);
	save("acpi.bin", mem_at(mem, LAYOUT_ACPI, LAYOUT_ACPI_LEN), LAYOUT_ACPI_LEN);
}

/* dmidecode --from-dump wants the tables at offset 32 and an entry point that says so. */
static void save_smbios(struct mem *mem, unsigned cpus)
{
	static const char *const oem[] = {"io.systemd.credential:test=1"};
	struct smbios_params p = {.version = "0.1",
				  .serial = "1234",
				  .uuid = {1, 2, 3},
				  .cpus = cpus,
				  .oem = oem,
				  .oem_count = 1};
	static uint8_t dump[32 + LAYOUT_SMBIOS_LEN];
	const uint8_t *area;
	uint64_t at = 32;
	uint32_t len;

	if (smbios_build(mem, &p) < 0)
		exit(1);
	area = mem_at(mem, LAYOUT_SMBIOS, LAYOUT_SMBIOS_LEN);
	save("smbios.bin", area, LAYOUT_SMBIOS_LEN);
	memcpy(&len, area + 12, sizeof(len));
	memcpy(dump, area, 24);
	memcpy(dump + 16, &at, sizeof(at));
	dump[5] = 0;
	for (unsigned i = 0; i < 24; i++)
		dump[5] -= i == 5 ? 0 : dump[i];
	memcpy(dump + 32, area + 24, len);
	save("dmi.dump", dump, 32 + len);
}

int main(int argc, char **argv)
{
	const struct mem_range ram[] = {{0, 3 * GIB}, {4 * GIB, GIB}};
	unsigned cpus;
	struct mem mem;

	if (argc != 3 || (cpus = (unsigned)strtoul(argv[2], NULL, 10)) == 0) {
		fprintf(stderr, "usage: dump_tables DIRECTORY CPUS\n");
		return 2;
	}
	dir = argv[1];
	if (mem_create(&mem, ram, 2) < 0)
		return 1;
	save_acpi(&mem, cpus);
	save_smbios(&mem, cpus);
	mem_destroy(&mem);
	return 0;
}
