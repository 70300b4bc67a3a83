/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_X86_64_LAYOUT_H
#define ARCH_X86_64_LAYOUT_H

/*
 * Every address of the x86-64 machine, once. Only constants: C and the ASL of the DSDT read it.
 *
 *   0x0000_0000  RAM: boot structures, EBDA, hole of the old video memory, tables, kernel ...
 *   0xC000_0000  MMIO32 window: 32-bit memory BARs
 *   0xE000_0000  ECAM, one bus
 *   0xFEC0_0000  IOAPIC        0xFEE0_0000  local APICs        0xFFFB_C000  KVM's own pages
 *   0x1_0000_0000  RAM above 3 GiB; after it the MMIO64 window
 */

/* Guest RAM. What does not fit below LOW_RAM_MAX goes on at HIGH_RAM. */
#define LAYOUT_LOW_RAM_MAX     0xC0000000
#define LAYOUT_HIGH_RAM        0x100000000

/*
 * Boot structures, in RAM that the E820 map gives to the kernel: they are read once at the entry.
 * Page 0 stays empty: the real-mode vectors and the BIOS data area would lie there.
 */
#define LAYOUT_GDT             0x1000
#define LAYOUT_PVH_START_INFO  0x2000 /* start info, module list and memory map: one page */
#define LAYOUT_BOOT_PARAMS     0x3000 /* one page */
#define LAYOUT_BOOT_STACK      0x5000 /* grows down, one page */
#define LAYOUT_PAGE_TABLES     0x6000 /* PML4, PDPT and 4 page directories: 4 GiB by 2 MiB pages */
#define LAYOUT_PAGE_TABLES_LEN 0x6000
#define LAYOUT_CMDLINE         0x20000
#define LAYOUT_CMDLINE_MAX     0x10000 /* with its NUL */

/* Reserved in the E820 map from here up to 1 MiB; it is RAM all the same. */
#define LAYOUT_EBDA            0x9FC00
#define LAYOUT_VGA_HOLE        0xA0000
#define LAYOUT_ACPI            0xE0000 /* the RSDP is searched for from here (ACPI 6.3 §5.2.5.1) */
#define LAYOUT_ACPI_LEN        0x10000
#define LAYOUT_SMBIOS          0xF0000 /* the anchor is searched for from here (SMBIOS 3.0 §5.2.2) */
#define LAYOUT_SMBIOS_LEN      0x10000
#define LAYOUT_1MIB            0x100000

/* Physical addresses that are not RAM. ECAM is reserved in the E820 map too. */
#define LAYOUT_MMIO32          0xC0000000
#define LAYOUT_MMIO32_LAST     0xDFFFFFFF
#define LAYOUT_MMIO32_LEN      0x20000000
#define LAYOUT_ECAM            0xE0000000
#define LAYOUT_ECAM_LEN        0x100000 /* bus 0 only */
#define LAYOUT_IOAPIC          0xFEC00000
#define LAYOUT_LAPIC           0xFEE00000
#define LAYOUT_KVM_IDENTITY    0xFFFBC000 /* KVM_SET_IDENTITY_MAP_ADDR, one page */
#define LAYOUT_KVM_TSS         0xFFFBD000 /* KVM_SET_TSS_ADDR, three pages */

/* Ports. 8259s, PIT and port 0x61 are in the kernel. */
#define LAYOUT_PORT_I8042_DATA 0x60
#define LAYOUT_PORT_I8042_CMD  0x64
#define LAYOUT_PORT_RTC        0x70
#define LAYOUT_PORT_RTC_LEN    2
#define LAYOUT_PORT_COM1       0x3F8
#define LAYOUT_PORT_COM1_LEN   8
#define LAYOUT_PORT_PM         0x600 /* devices/platform/acpi_pm.h has the registers */
#define LAYOUT_PORT_PM_LEN     8
#define LAYOUT_PORT_PCI        0xCF8 /* address and data of configuration mechanism 1 */
#define LAYOUT_PORT_PCI_LEN    8
#define LAYOUT_PCI_IO          0x1000 /* I/O BARs: from here to the last port */
#define LAYOUT_PCI_IO_LAST     0xFFFF
#define LAYOUT_PCI_IO_LEN      0xF000

/*
 * GSIs. Everything lies below 16, where the 8259s and the IOAPIC share the lines, because
 * unikernels drive the 8259s. The PIT is IRQ 0 and reaches IOAPIC pin 2, as on any PC.
 */
#define LAYOUT_GSI_PIT         2
#define LAYOUT_GSI_COM1        4
#define LAYOUT_GSI_RTC         8
#define LAYOUT_GSI_SCI         9
#define LAYOUT_GSI_INTX0       10 /* INTA# of slots 0, 4, 8 ... */
#define LAYOUT_GSI_INTX1       11 /* INTA# of slots 1, 5, 9 ... */
#define LAYOUT_GSI_INTX2       5  /* INTA# of slots 2, 6, 10 ... */
#define LAYOUT_GSI_INTX3       12 /* INTA# of slots 3, 7, 11 ... */

/* The GSI of a slot's INTA#, the only pin that a function of this machine has. */
#define LAYOUT_GSI_INTX(slot)                 \
	(((slot)&3) == 0   ? LAYOUT_GSI_INTX0 \
	 : ((slot)&3) == 1 ? LAYOUT_GSI_INTX1 \
	 : ((slot)&3) == 2 ? LAYOUT_GSI_INTX2 \
			   : LAYOUT_GSI_INTX3)

/* What an 8259 in level mode must know of these lines: bit n of ELCR1 and ELCR2 is IRQ n. */
#define LAYOUT_ELCR                                                            \
	(1 << LAYOUT_GSI_SCI | 1 << LAYOUT_GSI_INTX0 | 1 << LAYOUT_GSI_INTX1 | \
	 1 << LAYOUT_GSI_INTX2 | 1 << LAYOUT_GSI_INTX3)

#define LAYOUT_IOAPIC_ID 0 /* KVM's IOAPIC comes up with id 0 */
#define LAYOUT_CPUS_MAX  64

#endif
