/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot parameters of Linux and of PVH, written into guest RAM before the guest runs. Main thread.
 * Knows the layout and the two protocols; registers are in registers.c.
 */
#include <asm/bootparam.h>
#include <asm/e820.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "arch/x86_64/boot.h"
#include "arch/x86_64/layout.h"
#include "vmm/log.h"

/* x86/HVM direct boot ABI, version 1: the structures behind %ebx. */
#define PVH_MAGIC 0x336ec578

struct pvh_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct pvh_module {
	uint64_t addr, size, cmdline, reserved;
};

struct pvh_memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

struct map_entry {
	uint64_t addr, size;
	uint32_t type; /* E820_RAM, E820_RESERVED */
};

#define MAP_MAX 8

/*
 * The memory map that the kernel is told. ACPI tables lie in the reserved range below 1 MiB; ECAM
 * must be reserved or Linux does not trust the MCFG table.
 */
static unsigned memory_map(const struct mem *mem, struct map_entry map[MAP_MAX])
{
	uint64_t low = mem->region[0].len;
	unsigned n = 0;

	map[n++] = (struct map_entry){0, LAYOUT_EBDA, E820_RAM};
	map[n++] = (struct map_entry){LAYOUT_EBDA, LAYOUT_VGA_HOLE - LAYOUT_EBDA, E820_RESERVED};
	map[n++] = (struct map_entry){LAYOUT_ACPI, LAYOUT_1MIB - LAYOUT_ACPI, E820_RESERVED};
	map[n++] = (struct map_entry){LAYOUT_1MIB, low - LAYOUT_1MIB, E820_RAM};
	map[n++] = (struct map_entry){LAYOUT_ECAM, LAYOUT_ECAM_LEN, E820_RESERVED};
	for (unsigned i = 1; i < mem->count; i++)
		map[n++] = (struct map_entry){mem->region[i].base, mem->region[i].len, E820_RAM};
	return n;
}

static int write_cmdline(struct mem *mem, const struct boot_info *info)
{
	size_t len = strlen(info->cmdline);
	uint32_t max = info->image->cmdline_max;

	if (max > LAYOUT_CMDLINE_MAX - 1)
		max = LAYOUT_CMDLINE_MAX - 1;
	if (len > max)
		return log_fail(
			-E2BIG,
			"--append: the command line has %zu bytes and this kernel takes %u: "
			"shorten it",
			len, max);
	return mem_write(mem, LAYOUT_CMDLINE, info->cmdline, len + 1);
}

static int write_boot_params(struct mem *mem, const struct boot_info *info)
{
	struct boot_params *bp = mem_at(mem, LAYOUT_BOOT_PARAMS, sizeof(*bp));
	struct map_entry map[MAP_MAX];
	unsigned n = memory_map(mem, map);

	memset(bp, 0, sizeof(*bp));
	memcpy((uint8_t *)bp + IMAGE_SETUP_HEADER_OFF, info->image->setup, info->image->setup_len);
	bp->hdr.type_of_loader = 0xff; /* a loader without a number */
	bp->hdr.loadflags |= LOADED_HIGH;
	if (info->image->kaslr)
		bp->hdr.loadflags |= KASLR_FLAG;
	else
		bp->hdr.loadflags &= (uint8_t)~KASLR_FLAG;
	bp->hdr.vid_mode = 0xffff; /* "normal" */
	bp->hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	bp->hdr.ramdisk_image = (uint32_t)info->initrd;
	bp->hdr.ramdisk_size = (uint32_t)info->initrd_len;
	bp->ext_ramdisk_image = (uint32_t)(info->initrd >> 32);
	bp->ext_ramdisk_size = (uint32_t)(info->initrd_len >> 32);
	bp->acpi_rsdp_addr = info->rsdp;
	for (unsigned i = 0; i < n; i++)
		bp->e820_table[i] = (struct boot_e820_entry){map[i].addr, map[i].size, map[i].type};
	bp->e820_entries = (uint8_t)n;
	return 0;
}

static int write_pvh(struct mem *mem, const struct boot_info *info)
{
	struct {
		struct pvh_start_info info;
		struct pvh_module module;
		struct pvh_memmap_entry map[MAP_MAX];
	} pvh = {
		.info =
			{
				.magic = PVH_MAGIC,
				.version = 1,
				.nr_modules = info->initrd_len != 0,
				.cmdline = LAYOUT_CMDLINE,
				.rsdp = info->rsdp,
			},
		.module = {.addr = info->initrd, .size = info->initrd_len},
	};
	struct map_entry map[MAP_MAX];
	unsigned n = memory_map(mem, map);

	for (unsigned i = 0; i < n; i++)
		pvh.map[i] = (struct pvh_memmap_entry){map[i].addr, map[i].size, map[i].type, 0};
	pvh.info.modlist = LAYOUT_PVH_START_INFO + offsetof(__typeof__(pvh), module);
	pvh.info.memmap = LAYOUT_PVH_START_INFO + offsetof(__typeof__(pvh), map);
	pvh.info.memmap_entries = n;
	return mem_write(mem, LAYOUT_PVH_START_INFO, &pvh, sizeof(pvh));
}

int boot_write(struct mem *mem, const struct boot_info *info)
{
	int r = write_cmdline(mem, info);

	if (r < 0)
		return r;
	return info->image->kind == IMAGE_PVH ? write_pvh(mem, info) : write_boot_params(mem, info);
}
