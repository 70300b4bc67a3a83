/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the device tree, node after node in the order of one table, by libfdt's sequential
 * functions. Main thread, before the guest runs. Knows the layout and the bindings; calls no KVM,
 * so that it compiles and is tested on any machine.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arch/arm64/fdt.h"
#include "arch/arm64/layout.h"
#include "vmm/log.h"

/* The tree under way. The first error stays and stops everything after it. */
struct tree {
	void *fdt;
	const struct fdt_params *p;
	int err; /* libfdt's */
};

enum { PHANDLE_GIC = 1, PHANDLE_ITS, PHANDLE_CLOCK };

/* interrupt-controller/arm,gic-v3.yaml: the three cells of an interrupt. */
enum { GIC_SPI, GIC_PPI };
enum { IRQ_LEVEL_HIGH = 4 };

/* pci/pci.txt (IEEE 1275 PCI bus binding §2.2.1.1): the space of a PCI address. */
#define PCI_SPACE_MEM32 0x02000000
#define PCI_SPACE_MEM64 0x03000000

/* MPIDR_EL1's affinity fields 0 to 2; KVM leaves the third empty. */
#define MPIDR_AFFINITY  0xffffff

static void note(struct tree *t, int r)
{
	if (t->err == 0)
		t->err = r;
}

__attribute__((format(printf, 2, 3))) static void begin(struct tree *t, const char *fmt, ...)
{
	char name[32];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (t->err == 0)
		note(t, fdt_begin_node(t->fdt, name));
}

static void end(struct tree *t)
{
	if (t->err == 0)
		note(t, fdt_end_node(t->fdt));
}

static void bytes(struct tree *t, const char *name, const void *value, size_t len)
{
	if (t->err == 0)
		note(t, fdt_property(t->fdt, name, value, (int)len));
}

static void flag(struct tree *t, const char *name)
{
	bytes(t, name, NULL, 0);
}

static void string(struct tree *t, const char *name, const char *value)
{
	bytes(t, name, value, strlen(value) + 1);
}

/* Several strings: a literal with a NUL between any two. */
#define strings(t, name, literal) bytes(t, name, literal, sizeof(literal))

static void cell_array(struct tree *t, const char *name, const uint32_t *value, size_t n)
{
	void *at = NULL;

	if (t->err == 0)
		note(t, fdt_property_placeholder(t->fdt, name, (int)(n * sizeof(*value)), &at));
	for (size_t i = 0; t->err == 0 && i < n; i++)
		fdt32_st((uint8_t *)at + i * sizeof(*value), value[i]);
}

#define cells(t, name, ...)                                  \
	cell_array(t, name, (const uint32_t[]){__VA_ARGS__}, \
		   sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* A 64-bit number as two cells. */
#define CELLS64(v) (uint32_t)((uint64_t)(v) >> 32), (uint32_t)(v)

static void write_root(struct tree *t)
{
	string(t, "model", "Skiff VM");
	string(t, "compatible", "linux,dummy-virt");
	cells(t, "#address-cells", 2);
	cells(t, "#size-cells", 2);
	cells(t, "interrupt-parent", PHANDLE_GIC);
}

static void write_chosen(struct tree *t)
{
	begin(t, "chosen");
	string(t, "bootargs", t->p->cmdline);
	string(t, "stdout-path", "serial0");
	if (t->p->initrd_len) {
		cells(t, "linux,initrd-start", CELLS64(t->p->initrd));
		cells(t, "linux,initrd-end", CELLS64(t->p->initrd + t->p->initrd_len));
	}
	if (t->p->has_seeds) {
		cells(t, "kaslr-seed", CELLS64(t->p->kaslr_seed));
		bytes(t, "rng-seed", t->p->rng_seed, sizeof(t->p->rng_seed));
	}
	end(t);
}

static void write_aliases(struct tree *t)
{
	char path[32];

	snprintf(path, sizeof(path), "/serial@%x", LAYOUT_PL011);
	begin(t, "aliases");
	string(t, "serial0", path);
	end(t);
}

static void write_memory(struct tree *t)
{
	for (unsigned i = 0; i < t->p->mem->count; i++) {
		const struct mem_region *r = &t->p->mem->region[i];

		begin(t, "memory@%llx", (unsigned long long)r->base);
		string(t, "device_type", "memory");
		cells(t, "reg", CELLS64(r->base), CELLS64(r->len));
		end(t);
	}
}

static void write_cpus(struct tree *t)
{
	begin(t, "cpus");
	cells(t, "#address-cells", 1);
	cells(t, "#size-cells", 0);
	for (unsigned i = 0; i < t->p->cpus; i++) {
		uint32_t affinity = t->p->mpidr[i] & MPIDR_AFFINITY;

		begin(t, "cpu@%x", affinity);
		string(t, "device_type", "cpu");
		string(t, "compatible", "arm,armv8");
		string(t, "enable-method", "psci");
		cells(t, "reg", affinity);
		end(t);
	}
	end(t);
}

static void write_psci(struct tree *t)
{
	begin(t, "psci");
	strings(t, "compatible", "arm,psci-1.0\0arm,psci-0.2");
	string(t, "method", "hvc");
	end(t);
}

/* The last cell of a PPI. A GICv2 wants to know which CPUs it goes to as well. */
static uint32_t ppi_flags(const struct fdt_params *p)
{
	return IRQ_LEVEL_HIGH | (p->gic_version == 2 ? ((1u << p->cpus) - 1) << 8 : 0);
}

static void write_timer(struct tree *t)
{
	uint32_t flags = ppi_flags(t->p);

	begin(t, "timer");
	string(t, "compatible", "arm,armv8-timer");
	cells(t, "interrupts", GIC_PPI, LAYOUT_PPI_TIMER_SECURE, flags, GIC_PPI,
	      LAYOUT_PPI_TIMER_PHYS, flags, GIC_PPI, LAYOUT_PPI_TIMER_VIRT, flags, GIC_PPI,
	      LAYOUT_PPI_TIMER_HYP, flags);
	flag(t, "always-on");
	end(t);
}

static void write_pmu(struct tree *t)
{
	if (!t->p->has_pmu)
		return;
	begin(t, "pmu");
	string(t, "compatible", "arm,armv8-pmuv3");
	cells(t, "interrupts", GIC_PPI, LAYOUT_PPI_PMU, ppi_flags(t->p));
	end(t);
}

static void write_its(struct tree *t)
{
	begin(t, "msi-controller@%x", LAYOUT_ITS);
	string(t, "compatible", "arm,gic-v3-its");
	flag(t, "msi-controller");
	cells(t, "#msi-cells", 1);
	cells(t, "reg", 0, LAYOUT_ITS, 0, LAYOUT_ITS_LEN);
	cells(t, "phandle", PHANDLE_ITS);
	end(t);
}

static void write_gic(struct tree *t)
{
	begin(t, "interrupt-controller@%x", LAYOUT_GICD);
	flag(t, "interrupt-controller");
	cells(t, "#interrupt-cells", 3);
	cells(t, "#address-cells", 2);
	cells(t, "#size-cells", 2);
	flag(t, "ranges");
	cells(t, "phandle", PHANDLE_GIC);
	if (t->p->gic_version == 2) {
		string(t, "compatible", "arm,cortex-a15-gic");
		cells(t, "reg", 0, LAYOUT_GICD, 0, LAYOUT_GICD_LEN, 0, LAYOUT_GICC, 0,
		      LAYOUT_GICC_LEN);
	} else {
		string(t, "compatible", "arm,gic-v3");
		cells(t, "reg", 0, LAYOUT_GICD, 0, LAYOUT_GICD_LEN, 0, LAYOUT_GICR, 0,
		      t->p->cpus * LAYOUT_GICR_CPU_LEN);
		write_its(t);
	}
	end(t);
}

/* What the PrimeCells below count by; nothing here has a real speed. */
static void write_clock(struct tree *t)
{
	begin(t, "apb-pclk");
	string(t, "compatible", "fixed-clock");
	cells(t, "#clock-cells", 0);
	cells(t, "clock-frequency", 24000000);
	cells(t, "phandle", PHANDLE_CLOCK);
	end(t);
}

static void write_pl011(struct tree *t)
{
	begin(t, "serial@%x", LAYOUT_PL011);
	strings(t, "compatible", "arm,pl011\0arm,primecell");
	cells(t, "reg", 0, LAYOUT_PL011, 0, LAYOUT_PL011_LEN);
	cells(t, "interrupts", GIC_SPI, LAYOUT_SPI_PL011, IRQ_LEVEL_HIGH);
	cells(t, "clocks", PHANDLE_CLOCK, PHANDLE_CLOCK);
	strings(t, "clock-names", "uartclk\0apb_pclk");
	end(t);
}

static void write_pl031(struct tree *t)
{
	begin(t, "rtc@%x", LAYOUT_PL031);
	strings(t, "compatible", "arm,pl031\0arm,primecell");
	cells(t, "reg", 0, LAYOUT_PL031, 0, LAYOUT_PL031_LEN);
	cells(t, "interrupts", GIC_SPI, LAYOUT_SPI_PL031, IRQ_LEVEL_HIGH);
	cells(t, "clocks", PHANDLE_CLOCK);
	string(t, "clock-names", "apb_pclk");
	end(t);
}

/* INTA#, the only pin that a function of this machine has, of four slots: the others repeat. */
static void write_interrupt_map(struct tree *t)
{
	enum { SLOTS = 4, CELLS = 3 + 1 + 1 + 2 + 3 };
	uint32_t map[SLOTS * CELLS], *at = map;

	for (uint32_t slot = 0; slot < SLOTS; slot++, at += CELLS) {
		const uint32_t entry[CELLS] = {
			slot << 11,
			0,
			0,
			1, /* device and pin */
			PHANDLE_GIC,
			0,
			0, /* no address there */
			GIC_SPI,
			LAYOUT_SPI_INTX_OF(slot),
			IRQ_LEVEL_HIGH,
		};

		memcpy(at, entry, sizeof(entry));
	}
	cells(t, "interrupt-map-mask", (SLOTS - 1) << 11, 0, 0, 7);
	cell_array(t, "interrupt-map", map, SLOTS * CELLS);
}

static void write_pcie(struct tree *t)
{
	begin(t, "pcie@%x", LAYOUT_ECAM);
	string(t, "compatible", "pci-host-ecam-generic");
	string(t, "device_type", "pci");
	cells(t, "reg", 0, LAYOUT_ECAM, 0, LAYOUT_ECAM_LEN);
	cells(t, "bus-range", 0, 0);
	cells(t, "linux,pci-domain", 0);
	cells(t, "#address-cells", 3);
	cells(t, "#size-cells", 2);
	cells(t, "ranges", PCI_SPACE_MEM32, 0, LAYOUT_MMIO32, 0, LAYOUT_MMIO32, 0,
	      LAYOUT_MMIO32_LEN, PCI_SPACE_MEM64, CELLS64(t->p->mmio64), CELLS64(t->p->mmio64),
	      CELLS64(LAYOUT_MMIO64_LEN));
	cells(t, "#interrupt-cells", 1);
	write_interrupt_map(t);
	if (t->p->gic_version != 2)
		cells(t, "msi-map", 0, PHANDLE_ITS, 0, 0x10000);
	flag(t, "dma-coherent");
	end(t);
}

static void (*const nodes[])(struct tree *t) = {
	write_root, write_chosen, write_aliases, write_memory, write_cpus,  write_psci, write_timer,
	write_pmu,  write_gic,    write_clock,   write_pl011,  write_pl031, write_pcie,
};

int fdt_build(void *buf, size_t len, const struct fdt_params *params)
{
	struct tree t = {.fdt = buf, .p = params};

	t.err = fdt_create(buf, (int)len);
	if (t.err == 0)
		note(&t, fdt_finish_reservemap(buf));
	begin(&t, "%s", "");
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		nodes[i](&t);
	end(&t);
	if (t.err == 0)
		note(&t, fdt_finish(buf));
	if (t.err == -FDT_ERR_NOSPACE)
		return log_fail(-ENOSPC, "fdt: %zu bytes are too few for this machine", len);
	if (t.err < 0)
		return log_fail(-EINVAL, "fdt: %s", fdt_strerror(t.err));
	return (int)fdt_totalsize(buf);
}
