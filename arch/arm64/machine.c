/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arm64 side of the contract in arch/arch.h: memory, the in-kernel controllers, what vCPUs are,
 * and the hand-over to the kernel. Main thread. Devices are in platform.c.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/random.h>

#include "arch/arch.h"
#include "arch/arm64/fdt.h"
#include "arch/arm64/gic.h"
#include "arch/arm64/ipa.h"
#include "arch/arm64/layout.h"
#include "arch/arm64/platform.h"
#include "arch/arm64/registers.h"
#include "devices/pci/host.h"
#include "vmm/irqchip.h"
#include "vmm/log.h"
#include "vmm/machine.h"

const enum image_arch arch_image = IMAGE_ARCH_ARM64;
#define QUICK_WORDS \
	"cryptomgr.notests" /* its tests of its own ciphers; fips=1 has them all the same */
const char arch_default_cmdline[] = "console=ttyAMA0 panic=-1 " QUICK_WORDS;
const char arch_quick_words[] = QUICK_WORDS;
const int arch_wants_power_key = 1;

unsigned arch_mem_ranges(uint64_t size, struct mem_range out[MEM_REGIONS_MAX])
{
	out[0] = (struct mem_range){LAYOUT_RAM, size};
	return 1;
}

static uint64_t align_up(uint64_t n, uint64_t a)
{
	return (n + a - 1) & ~(a - 1);
}

static gpa_t fdt_address(const struct machine *m)
{
	return align_up(m->image.end, LAYOUT_FDT_LEN);
}

gpa_t arch_initrd_floor(const struct machine *m)
{
	return fdt_address(m) + LAYOUT_FDT_LEN;
}

/* The window for 64-bit BARs, behind the last byte of RAM. */
static gpa_t mmio64_base(const struct machine *m)
{
	gpa_t end = LAYOUT_RAM + mem_size(&m->mem);

	return align_up(end > LAYOUT_MMIO64_MIN ? end : LAYOUT_MMIO64_MIN, 1ull << 30);
}

static uint64_t last_address(const struct machine *m)
{
	return mmio64_base(m) + LAYOUT_MMIO64_LEN - 1;
}

unsigned long arch_vm_type(const struct machine *m)
{
	return ipa_vm_type(&m->kvm, last_address(m));
}

int arch_vcpu_pc(int vcpu_fd, uint64_t *pc)
{
	return registers_get_pc(vcpu_fd, pc);
}

/* The interrupt controller counts vCPUs: see arch_setup_vcpus(). */
int arch_setup_vm(struct machine *m)
{
	int most = kvm_has(&m->kvm, KVM_CAP_MAX_VCPUS); /* eight with a GICv2 */
	unsigned limit = ipa_limit(&m->kvm);

	if (limit < 64 && last_address(m) >> limit)
		return log_fail(
			-EINVAL,
			"--memory: this host's processor has %u address bits: %lluG is too much",
			limit, (unsigned long long)(mem_size(&m->mem) >> 30));
	if (most > 0 && m->n_vcpus > (unsigned)most)
		return log_fail(-EINVAL, "--cpus: %u: this host's KVM takes %d at most", m->n_vcpus,
				most);
	return 0;
}

/* A kernel built for a page size that the processor lacks would stand still without a word. */
static int check_granule(const struct machine *m)
{
	static const char *const name[] = {"", "4K", "16K", "64K"};
	uint64_t mmfr0;

	if (registers_get_mmfr0(m->vcpu[0].fd, &mmfr0) < 0 ||
	    ipa_has_granule(mmfr0, m->image.granule))
		return 0;
	return log_fail(-EINVAL,
			"kernel %s: is built for %s pages, which this host's processor lacks: give "
			"one built for another page size",
			m->config->kernel, name[m->image.granule]);
}

int arch_setup_vcpus(struct machine *m)
{
	struct cpu_features features = registers_host_features(&m->kvm);
	int r = 0;

	for (unsigned i = 0; i < m->n_vcpus && r == 0; i++)
		r = registers_init(&m->kvm, m->vcpu[i].fd, i, features);
	if (r == 0)
		r = check_granule(m);
	if (r == 0)
		r = gic_create(m->kvm.vm_fd);
	if (r < 0)
		return r;
	m->platform->gic_version = (unsigned)r;
	m->platform->has_pmu = features.pmu;
	r = 0;
	for (unsigned i = 0; i < m->n_vcpus && r == 0 && features.pmu; i++)
		r = registers_init_pmu(m->vcpu[i].fd);
	/* Messages alone are routed: wires are set by number. */
	return r == 0 ? irqchip_attach(m->irqchip, m->kvm.vm_fd, NULL, 0,
				       m->platform->gic_version == 3)
		      : r;
}

void arch_pci_params(const struct machine *m, struct pci_host_params *p)
{
	p->mem32_bars = (struct pci_window){LAYOUT_MMIO32, LAYOUT_MMIO32_LEN};
	p->mem64_bars = (struct pci_window){mmio64_base(m), LAYOUT_MMIO64_LEN};
	p->has_ecam = 1;
	p->ecam = LAYOUT_ECAM;
}

unsigned arch_pci_gsi(unsigned slot)
{
	return LAYOUT_SPI_INTX_OF(slot);
}

/* Early in a host's boot there may be none yet: the guest then begins without. */
static int get_random(void *out, size_t len)
{
	return getrandom(out, len, GRND_NONBLOCK) == (ssize_t)len;
}

int arch_setup_boot(struct machine *m)
{
	gpa_t at = fdt_address(m);
	void *fdt = mem_at(&m->mem, at, LAYOUT_FDT_LEN);
	uint64_t mpidr[LAYOUT_CPUS_MAX];
	struct fdt_params p = {
		.mem = &m->mem,
		.cmdline = machine_cmdline(m),
		.initrd = m->initrd,
		.initrd_len = m->initrd_len,
		.cpus = m->n_vcpus,
		.mpidr = mpidr,
		.gic_version = m->platform->gic_version,
		.has_pmu = m->platform->has_pmu,
		.mmio64 = mmio64_base(m),
	};
	int r;

	if (!fdt)
		return log_fail(-EINVAL,
				"--memory: the kernel leaves no room for the device tree: give the "
				"guest more");
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		r = registers_get_mpidr(m->vcpu[i].fd, &mpidr[i]);
		if (r < 0)
			return log_fail(r, "kvm: cannot read the MPIDR of vCPU %u: %s", i,
					strerror(-r));
	}
	p.has_seeds = get_random(&p.kaslr_seed, sizeof(p.kaslr_seed)) &&
		      get_random(p.rng_seed, sizeof(p.rng_seed));
	r = fdt_build(fdt, LAYOUT_FDT_LEN, &p);
	if (r < 0)
		return r;
	return registers_set_entry(m->vcpu[0].fd, m->image.entry, at);
}
