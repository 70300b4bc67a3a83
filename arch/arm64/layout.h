/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_ARM64_LAYOUT_H
#define ARCH_ARM64_LAYOUT_H

/*
 * Every address of the arm64 machine, once. Only constants.
 *
 *   0x0100_0000  PL011, PL031
 *   0x0200_0000  interrupt controller: distributor, CPU interface or ITS, redistributors
 *   0x0300_0000  ECAM, one bus
 *   0x1000_0000  MMIO32 window: 32-bit memory BARs
 *   0x4000_0000  RAM in one piece: kernel, FDT, ... initrd; after it the MMIO64 window
 *
 * The kernel is told of all this by the FDT alone, so no address is known to any guest.
 */
#define LAYOUT_PL011             0x01000000
#define LAYOUT_PL011_LEN         0x1000
#define LAYOUT_PL031             0x01010000
#define LAYOUT_PL031_LEN         0x1000

/* KVM's interrupt controllers. Frames begin at 64 KiB, where pages of any size do. */
#define LAYOUT_GICD              0x02000000
#define LAYOUT_GICD_LEN          0x10000
#define LAYOUT_GICC              0x02010000 /* GICv2 alone */
#define LAYOUT_GICC_LEN          0x2000
#define LAYOUT_ITS               0x02020000 /* GICv3 alone, as all below */
#define LAYOUT_ITS_LEN           0x20000
#define LAYOUT_GICR              0x02100000
#define LAYOUT_GICR_CPU_LEN      0x20000 /* for each vCPU */

#define LAYOUT_ECAM              0x03000000
#define LAYOUT_ECAM_LEN          0x100000 /* bus 0 only */
#define LAYOUT_MMIO32            0x10000000
#define LAYOUT_MMIO32_LEN        0x30000000

/*
 * Guest RAM; the MMIO64 window follows it, from LAYOUT_MMIO64_MIN at the earliest. Linux has doubts
 * about a window of 4 GiB or more that is not prefetchable.
 */
#define LAYOUT_RAM               0x40000000
#define LAYOUT_MMIO64_MIN        0x100000000
#define LAYOUT_MMIO64_LEN        0x80000000

/*
 * The FDT lies behind the kernel, at the next multiple of its greatest length (Linux takes 2 MiB at
 * an 8-byte boundary: Documentation/arch/arm64/booting.rst). 64 vCPUs and the longest command line
 * make 11 KiB.
 */
#define LAYOUT_FDT_LEN           0x10000

/*
 * Shared peripheral interrupts; as an INTID each is 32 more. Lines of PCI slots are shared by every
 * fourth slot.
 */
#define LAYOUT_SPI_PL011         1
#define LAYOUT_SPI_PL031         2
#define LAYOUT_SPI_INTX          4 /* to 7 */
#define LAYOUT_SPI_INTX_OF(slot) (LAYOUT_SPI_INTX + ((slot)&3))
#define LAYOUT_SPI_FIRST_INTID   32
/* What KVM is told to make: 64 INTIDs, 32 of them SPIs (KVM_DEV_ARM_VGIC_GRP_NR_IRQS). */
#define LAYOUT_INTIDS            64

/* Private peripheral interrupts, as numbers behind the 16 software-generated ones. */
#define LAYOUT_PPI_TIMER_SECURE  13
#define LAYOUT_PPI_TIMER_PHYS    14
#define LAYOUT_PPI_TIMER_VIRT    11
#define LAYOUT_PPI_TIMER_HYP     10
#define LAYOUT_PPI_PMU           7

#define LAYOUT_CPUS_MAX          64

#endif
