/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three 16-bit registers and a byte that resets. Guest accesses come on vCPU threads, presses of
 * the button from the loop, both under the machine's lock. It may not know what powering off is.
 */
#include <errno.h>
#include <string.h>

#include "devices/platform/acpi_pm.h"

/* ACPI 6.3 tables 4-13 and 4-14: PM1_STS and PM1_EN share the numbers of their bits. */
#define PM1_TMR      (1 << 0)
#define PM1_BM       (1 << 4)
#define PM1_GBL      (1 << 5)
#define PM1_PWRBTN   (1 << 8)
#define PM1_SLPBTN   (1 << 9)
#define PM1_RTC      (1 << 10)
#define PM1_PCIEXP   (1 << 14)
#define PM1_EN_BITS  (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC | PM1_PCIEXP)
#define PM1_SCI_BITS (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC)

/* Table 4-15. SLP_EN and GBL_RLS read as 0; SCI_EN is always 1 because there is no SMI command. */
#define CNT_SCI_EN   (1 << 0)
#define CNT_BM_RLD   (1 << 1)
#define CNT_SLP_TYP  (7 << 10)
#define CNT_SLP_EN   (1 << 13)
#define CNT_BITS     (CNT_BM_RLD | CNT_SLP_TYP)
#define CNT_TYP_BIT0 10

static void update_sci(struct acpi_pm *pm)
{
	int level = (pm->s.sts & pm->s.en & PM1_SCI_BITS) != 0;

	if (level != pm->sci_level) {
		pm->sci_level = level;
		irq_set(pm->sci, level);
	}
}

/* The only sleep state is S5: any other type has no state to sleep in and is ignored. */
static void cnt_write(struct acpi_pm *pm, uint16_t value)
{
	pm->s.cnt = value & CNT_BITS;
	if ((value & CNT_SLP_EN) && (value & CNT_SLP_TYP) >> CNT_TYP_BIT0 == ACPI_PM_S5_TYPE &&
	    pm->power_off)
		pm->power_off(pm->arg);
}

/* The registers as bytes: drivers may take them by the byte, by the word, or as a 32-bit block. */
static uint8_t byte_read(const struct acpi_pm_state *s, uint64_t off)
{
	const uint16_t reg[4] = {s->sts, s->en, s->cnt | CNT_SCI_EN, 0};

	return (uint8_t)(reg[off / 2 & 3] >> (off % 2 * 8));
}

static void byte_write(struct acpi_pm *pm, uint64_t off, uint8_t value)
{
	struct acpi_pm_state *s = &pm->s;
	unsigned shift = off % 2 * 8;
	uint16_t bits = (uint16_t)(value << shift);
	uint16_t others = (uint16_t) ~(0xff << shift);

	switch (off / 2) {
	case 0:
		s->sts &= ~bits;
		break;
	case 1:
		s->en = ((s->en & others) | bits) & PM1_EN_BITS;
		break;
	case 2:
		cnt_write(pm, (s->cnt & others) | bits);
		break;
	case 3:
		if (off == ACPI_PM_RESET && value == ACPI_PM_RESET_VALUE && pm->reset)
			pm->reset(pm->arg);
		break;
	}
}

static uint64_t acpi_pm_read(void *dev, uint64_t off, unsigned size)
{
	const struct acpi_pm *pm = dev;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)byte_read(&pm->s, off + i) << (8 * i);
	return value;
}

static void acpi_pm_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct acpi_pm *pm = dev;

	for (unsigned i = 0; i < size; i++)
		byte_write(pm, off + i, (uint8_t)(value >> (8 * i)));
	update_sci(pm);
}

const struct bus_ops acpi_pm_ops = {.read = acpi_pm_read, .write = acpi_pm_write};

void acpi_pm_reset(struct acpi_pm *pm)
{
	memset(&pm->s, 0, sizeof(pm->s));
	update_sci(pm);
}

void acpi_pm_init(struct acpi_pm *pm, struct irq_line *sci)
{
	memset(pm, 0, sizeof(*pm));
	pm->sci = sci;
}

int acpi_pm_press(struct acpi_pm *pm)
{
	pm->s.sts |= PM1_PWRBTN;
	update_sci(pm);
	return pm->s.en & PM1_PWRBTN ? 0 : -EAGAIN;
}
