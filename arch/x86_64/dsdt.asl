/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ACPI can tell of the machine that no other table does. `arch/x86_64/mkdsdt` turns this file into
 * dsdt.h; it passes through the C preprocessor, so that addresses come from layout.h.
 *
 * There is no processor object: the MADT lists the CPUs, and an object would only promise idle
 * and performance states that a virtual CPU does not have. There is no power button either: it is
 * fixed hardware, the FADT tells of it.
 */
#include "arch/x86_64/layout.h"

DefinitionBlock ("dsdt.aml", "DSDT", 2, "SKIFF ", "SKIFFVM ", 1)
{
	/* SLP_TYPa, SLP_TYPb: ACPI_PM_S5_TYPE of devices/platform/acpi_pm.h */
	Name (\_S5, Package () { 5, 5, 0, 0 })

	Scope (\_SB)
	{
		/* Conventional PCI: no function here has a PCI Express capability. */
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_SEG, 0)
			Name (_BBN, 0)

			/* acpi_build() writes the base and length of M64. */
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, LAYOUT_PORT_PCI, LAYOUT_PORT_PCI, 1, LAYOUT_PORT_PCI_LEN)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, LAYOUT_PCI_IO, LAYOUT_PCI_IO_LAST, 0,
					LAYOUT_PCI_IO_LEN)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite, 0, LAYOUT_MMIO32,
					LAYOUT_MMIO32_LAST, 0, LAYOUT_MMIO32_LEN)
				QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite, 0, 0, 0, 0, 1, , , M64)
			})

			/* INTA# of each slot, wired to the IOAPIC: LAYOUT_GSI_INTX(slot). */
#define INTA(slot, gsi) Package () { 0x00##slot##FFFF, 0, 0, gsi }
#define FOUR_SLOTS(a, b, c, d)                                            \
	INTA (a, LAYOUT_GSI_INTX0), INTA (b, LAYOUT_GSI_INTX1),           \
	INTA (c, LAYOUT_GSI_INTX2), INTA (d, LAYOUT_GSI_INTX3)
			Name (_PRT, Package ()
			{
				FOUR_SLOTS (00, 01, 02, 03), FOUR_SLOTS (04, 05, 06, 07),
				FOUR_SLOTS (08, 09, 0A, 0B), FOUR_SLOTS (0C, 0D, 0E, 0F),
				FOUR_SLOTS (10, 11, 12, 13), FOUR_SLOTS (14, 15, 16, 17),
				FOUR_SLOTS (18, 19, 1A, 1B), FOUR_SLOTS (1C, 1D, 1E, 1F)
			})
		}

		/* ECAM belongs to the motherboard, not to a window (PCI Firmware 3.2 §4.1.2). */
		Device (ECAM)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, LAYOUT_ECAM, LAYOUT_ECAM_LEN)
			})
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, LAYOUT_PORT_COM1, LAYOUT_PORT_COM1, 1, LAYOUT_PORT_COM1_LEN)
				IRQNoFlags () { LAYOUT_GSI_COM1 }
			})
		}

		Device (RTC0)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, LAYOUT_PORT_RTC, LAYOUT_PORT_RTC, 1, LAYOUT_PORT_RTC_LEN)
				IRQNoFlags () { LAYOUT_GSI_RTC }
			})
		}
	}
}
