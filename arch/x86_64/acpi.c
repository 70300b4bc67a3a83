/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lays out the ACPI tables once, before the first vCPU runs. Knows the machine from layout.h and
 * the device rooms' registers from their headers; knows no device and not how the guest is booted.
 * Table and section numbers are those of ACPI 6.3.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/dsdt.h"
#include "arch/x86_64/layout.h"
#include "devices/platform/acpi_pm.h"
#include "devices/platform/rtc_cmos.h"
#include "vmm/log.h"

/* The fields are little-endian, and so is every host that builds this architecture. */
#define PACKED __attribute__((packed))

struct rsdp { /* table 5-27 */
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} PACKED;

struct header { /* table 5-28 */
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;

struct gas { /* table 5-25 */
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} PACKED;

#define GAS_IO   1
#define GAS_BYTE 1
#define GAS_WORD 2

struct fadt { /* table 5-33 */
	struct header h;
	uint32_t facs, dsdt;
	uint8_t reserved0, pm_profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	uint16_t p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alrm, mon_alrm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt;
	struct gas x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
	struct gas sleep_control, sleep_status;
	uint64_t hypervisor;
} PACKED;

_Static_assert(sizeof(struct fadt) == 276, "FADT of ACPI 6.3");

/* Table 5-34 */
#define FADT_WBINVD         (1 << 0)
#define FADT_PROC_C1        (1 << 2)
#define FADT_SLP_BUTTON     (1 << 5) /* no fixed sleep button; a clear bit 4: a fixed power button */
#define FADT_FIX_RTC        (1 << 6) /* no RTC wake status in fixed registers */
#define FADT_RESET_REG      (1 << 10)
#define FADT_HEADLESS       (1 << 12)

/* Table 5-35. Clear: bit 1, an 8042 to look for; bit 5, no CMOS RTC. */
#define BOOT_LEGACY_DEVICES (1 << 0)
#define BOOT_NO_VGA         (1 << 2)

/* A C-state with a latency above this does not exist (table 5-33, P_LVLx_LAT). */
#define NO_C2               101
#define NO_C3               1001

struct facs { /* table 5-39 */
	char signature[4];
	uint32_t length, hardware_signature, waking_vector, global_lock, flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved0[3];
	uint32_t ospm_flags;
	uint8_t reserved1[24];
} PACKED;

_Static_assert(sizeof(struct facs) == 64, "FACS");

struct madt { /* table 5-43 */
	struct header h;
	uint32_t lapic, flags;
} PACKED;

#define MADT_PCAT_COMPAT 1 /* there are 8259s too */

struct madt_lapic { /* table 5-46 */
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} PACKED;

struct madt_ioapic { /* table 5-48 */
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} PACKED;

struct madt_override { /* table 5-49 */
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} PACKED;

#define OVERRIDE_AS_BUS    0
#define OVERRIDE_LEVEL_LOW 0xf /* table 5-50: level-triggered, active low */

struct madt_lapic_nmi { /* table 5-52 */
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
} PACKED;

struct mcfg { /* PCI Firmware 3.2 tables 4-2 and 4-3, one segment */
	struct header h;
	uint64_t reserved0;
	uint64_t base;
	uint16_t segment;
	uint8_t bus_start, bus_end;
	uint32_t reserved1;
} PACKED;

#define ROOT_ENTRIES 3 /* FADT, MADT, MCFG */

struct rsdt {
	struct header h;
	uint32_t entry[ROOT_ENTRIES];
} PACKED;

struct xsdt {
	struct header h;
	uint64_t entry[ROOT_ENTRIES];
} PACKED;

/* Room for tables, handed out from the start. */
struct area {
	uint8_t *host;
	size_t used;
};

/* @len zeroed bytes at a multiple of @align; their guest address goes to @gpa. */
static void *place(struct area *area, size_t len, size_t align, gpa_t *gpa)
{
	size_t at = (area->used + align - 1) & ~(align - 1);

	assert(at + len <= LAYOUT_ACPI_LEN);
	area->used = at + len;
	*gpa = LAYOUT_ACPI + at;
	return area->host + at;
}

static uint8_t checksum(const void *p, size_t len)
{
	const uint8_t *byte = p;
	uint8_t sum = 0;

	while (len--)
		sum += *byte++;
	return (uint8_t)-sum;
}

/* The last thing done to a table. */
static void seal(struct header *h, const char *signature, uint8_t revision, size_t len)
{
	memcpy(h->signature, signature, 4);
	h->length = (uint32_t)len;
	h->revision = revision;
	memcpy(h->oem_id, "SKIFF ", 6);
	memcpy(h->oem_table_id, "SKIFFVM ", 8);
	h->oem_revision = 1;
	memcpy(h->creator_id, "SKIF", 4);
	h->creator_revision = 1;
	h->checksum = 0;
	h->checksum = checksum(h, len);
}

static gpa_t build_facs(struct area *area)
{
	gpa_t gpa;
	struct facs *facs = place(area, sizeof(*facs), 64, &gpa);

	memcpy(facs->signature, "FACS", 4);
	facs->length = sizeof(*facs);
	facs->version = 2;
	return gpa;
}

/* The compiled DSDT, with the MMIO64 window written into its descriptor (table 6-43). */
static gpa_t build_dsdt(struct area *area, const struct acpi_params *p)
{
	gpa_t gpa;
	uint8_t *aml = place(area, sizeof(dsdt_aml), 16, &gpa);
	struct {
		uint8_t head[14]; /* tag, length, flags, granularity */
		uint64_t min, max, translation, len;
	} PACKED window;

	memcpy(aml, dsdt_aml, sizeof(dsdt_aml));
	memcpy(&window, aml + DSDT_M64, sizeof(window));
	window.min = p->mmio64;
	window.max = p->mmio64 + (p->mmio64_len - 1);
	window.len = p->mmio64_len;
	memcpy(aml + DSDT_M64, &window, sizeof(window));
	((struct header *)aml)->checksum = 0;
	((struct header *)aml)->checksum = checksum(aml, sizeof(dsdt_aml));
	return gpa;
}

static struct gas io_register(uint8_t len, uint8_t access, uint16_t port)
{
	return (struct gas){GAS_IO, len * 8, 0, access, port};
}

static gpa_t build_fadt(struct area *area, gpa_t facs, gpa_t dsdt)
{
	gpa_t gpa;
	struct fadt *f = place(area, sizeof(*f), 16, &gpa);

	f->facs = (uint32_t)facs;
	f->dsdt = (uint32_t)dsdt;
	f->x_dsdt = dsdt;
	f->sci_int = LAYOUT_GSI_SCI;
	f->pm1a_evt = LAYOUT_PORT_PM + ACPI_PM1_EVT;
	f->pm1_evt_len = ACPI_PM1_EVT_LEN;
	f->x_pm1a_evt = io_register(ACPI_PM1_EVT_LEN, GAS_WORD, LAYOUT_PORT_PM + ACPI_PM1_EVT);
	f->pm1a_cnt = LAYOUT_PORT_PM + ACPI_PM1_CNT;
	f->pm1_cnt_len = ACPI_PM1_CNT_LEN;
	f->x_pm1a_cnt = io_register(ACPI_PM1_CNT_LEN, GAS_WORD, LAYOUT_PORT_PM + ACPI_PM1_CNT);
	f->reset_reg = io_register(1, GAS_BYTE, LAYOUT_PORT_PM + ACPI_PM_RESET);
	f->reset_value = ACPI_PM_RESET_VALUE;
	f->p_lvl2_lat = NO_C2;
	f->p_lvl3_lat = NO_C3;
	f->century = RTC_FADT_CENTURY;
	f->boot_arch = BOOT_LEGACY_DEVICES | BOOT_NO_VGA;
	f->flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC | FADT_RESET_REG |
		   FADT_HEADLESS;
	f->minor = 3;
	seal(&f->h, "FACP", 6, sizeof(*f));
	return gpa;
}

static void add_override(struct area *area, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	gpa_t gpa;
	struct madt_override *o = place(area, sizeof(*o), 1, &gpa);

	*o = (struct madt_override){2, sizeof(*o), 0, irq, gsi, flags};
}

static gpa_t build_madt(struct area *area, const struct acpi_params *p)
{
	static const uint8_t level_irqs[] = {LAYOUT_GSI_SCI, LAYOUT_GSI_INTX0, LAYOUT_GSI_INTX1,
					     LAYOUT_GSI_INTX2, LAYOUT_GSI_INTX3};
	gpa_t gpa, end;
	struct madt *madt = place(area, sizeof(*madt), 16, &gpa);
	struct madt_ioapic *ioapic;
	struct madt_lapic_nmi *nmi;

	madt->lapic = LAYOUT_LAPIC;
	madt->flags = MADT_PCAT_COMPAT;
	for (unsigned i = 0; i < p->cpus; i++) {
		struct madt_lapic *lapic = place(area, sizeof(*lapic), 1, &end);

		*lapic = (struct madt_lapic){0, sizeof(*lapic), (uint8_t)i, (uint8_t)p->apic_id[i],
					     1};
	}
	ioapic = place(area, sizeof(*ioapic), 1, &end);
	*ioapic = (struct madt_ioapic){1, sizeof(*ioapic), LAYOUT_IOAPIC_ID, 0, LAYOUT_IOAPIC, 0};
	add_override(area, 0, LAYOUT_GSI_PIT, OVERRIDE_AS_BUS);
	for (size_t i = 0; i < sizeof(level_irqs); i++)
		add_override(area, level_irqs[i], level_irqs[i], OVERRIDE_LEVEL_LOW);
	/* LINT1 of every CPU is where an NMI arrives on a PC. */
	nmi = place(area, sizeof(*nmi), 1, &end);
	*nmi = (struct madt_lapic_nmi){4, sizeof(*nmi), 0xff, OVERRIDE_AS_BUS, 1};
	seal(&madt->h, "APIC", 5, LAYOUT_ACPI + area->used - gpa);
	return gpa;
}

static gpa_t build_mcfg(struct area *area)
{
	gpa_t gpa;
	struct mcfg *mcfg = place(area, sizeof(*mcfg), 16, &gpa);

	mcfg->base = LAYOUT_ECAM;
	seal(&mcfg->h, "MCFG", 1, sizeof(*mcfg));
	return gpa;
}

static void build_roots(struct area *area, struct rsdp *rsdp, const gpa_t entry[ROOT_ENTRIES])
{
	gpa_t rsdt_gpa, xsdt_gpa;
	struct rsdt *rsdt = place(area, sizeof(*rsdt), 16, &rsdt_gpa);
	struct xsdt *xsdt = place(area, sizeof(*xsdt), 16, &xsdt_gpa);

	for (unsigned i = 0; i < ROOT_ENTRIES; i++) {
		rsdt->entry[i] = (uint32_t)entry[i];
		xsdt->entry[i] = entry[i];
	}
	seal(&rsdt->h, "RSDT", 1, sizeof(*rsdt));
	seal(&xsdt->h, "XSDT", 1, sizeof(*xsdt));

	memcpy(rsdp->signature, "RSD PTR ", 8);
	memcpy(rsdp->oem_id, "SKIFF ", 6);
	rsdp->revision = 2;
	rsdp->rsdt = (uint32_t)rsdt_gpa;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = xsdt_gpa;
	rsdp->checksum = checksum(rsdp, offsetof(struct rsdp, length));
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}

static int check(const struct acpi_params *p)
{
	if (p->cpus < 1 || p->cpus > LAYOUT_CPUS_MAX)
		return log_fail(-EINVAL, "acpi: %u CPUs: give 1 to %d", p->cpus, LAYOUT_CPUS_MAX);
	for (unsigned i = 0; i < p->cpus; i++)
		if (p->apic_id[i] >= 255)
			return log_fail(-EINVAL, "acpi: CPU %u: APIC id %u is not below 255", i,
					p->apic_id[i]);
	if (p->mmio64_len == 0 || p->mmio64 + (p->mmio64_len - 1) < p->mmio64)
		return log_fail(-EINVAL, "acpi: the window for 64-bit BARs is empty or wraps");
	return 0;
}

int acpi_build(struct mem *mem, const struct acpi_params *p, gpa_t *rsdp)
{
	struct area area = {.host = mem_at(mem, LAYOUT_ACPI, LAYOUT_ACPI_LEN)};
	gpa_t entry[ROOT_ENTRIES], facs, dsdt;
	struct rsdp *root;
	int r = check(p);

	if (r)
		return r;
	if (!area.host)
		return log_fail(-EINVAL, "acpi: guest RAM ends below 1 MiB: give the guest more");
	memset(area.host, 0, LAYOUT_ACPI_LEN);
	root = place(&area, sizeof(*root), 16, rsdp);
	facs = build_facs(&area);
	dsdt = build_dsdt(&area, p);
	entry[0] = build_fadt(&area, facs, dsdt);
	entry[1] = build_madt(&area, p);
	entry[2] = build_mcfg(&area);
	build_roots(&area, root, entry);
	return 0;
}
