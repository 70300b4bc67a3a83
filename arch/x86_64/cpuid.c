/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edits KVM's CPUID leaves into those of our one machine. Runs at start on the main thread; the
 * edits are pure functions over an array. Intel SDM vol. 2A "CPUID", AMD APM vol. 3 appendix E.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/cpuid.h"
#include "vmm/kvm.h"
#include "vmm/log.h"

#define BIT(n)             (1u << (n))

/* Leaf 1 */
#define ECX_MONITOR        BIT(3)
#define ECX_VMX            BIT(5)
#define ECX_PDCM           BIT(15)
#define ECX_X2APIC         BIT(21)
#define ECX_TSC_DEADLINE   BIT(24)
#define ECX_HYPERVISOR     BIT(31)
#define EDX_HTT            BIT(28)
/* Leaf 0x80000001 */
#define EXT_ECX_CMP_LEGACY BIT(1)
#define EXT_ECX_SVM        BIT(2)
#define EXT_ECX_PERFCTR    BIT(23)
#define EXT_ECX_PERFCTR_NB BIT(24)

static unsigned bits_for(unsigned n)
{
	unsigned bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

static void edit_leaf_1(struct kvm_cpuid_entry2 *e, unsigned n)
{
	e->ecx &= ~(ECX_VMX | ECX_MONITOR | ECX_PDCM);
	e->ecx |= ECX_HYPERVISOR | ECX_X2APIC | ECX_TSC_DEADLINE;
	e->edx = n > 1 ? e->edx | EDX_HTT : e->edx & ~EDX_HTT;
	e->ebx = (e->ebx & 0x0000ffff) | (n > 1 ? (1u << bits_for(n)) << 16 : 1u << 16);
}

/* Cache leaves (4, and AMD's 0x8000001d): L1 and L2 are a core's own, L3 is the socket's. */
static void edit_cache(struct kvm_cpuid_entry2 *e, unsigned n, int intel)
{
	unsigned level = e->eax >> 5 & 7;
	unsigned sharing = level >= 3 ? (1u << bits_for(n)) - 1 : 0;

	if ((e->eax & 0x1f) == 0)
		return;
	e->eax = (e->eax & 0x00003fff) | (sharing & 0xfff) << 14;
	if (intel)
		e->eax |= (((1u << bits_for(n)) - 1) & 0x3f) << 26;
}

static int is_topology(uint32_t function)
{
	return function == 0xb || function == 0x1f || function == 0x80000026;
}

/*
 * Extended topology, leaf 0xb: one thread a core, all cores in one package. KVM from Linux 6.2 on
 * reports one empty sub-leaf, so ours take the place of whatever it gave; its wider twins go, as
 * kernels would believe them first.
 */
static void replace_topology(struct kvm_cpuid2 *cpuid, unsigned n)
{
	struct kvm_cpuid_entry2 *e = cpuid->entries;
	unsigned kept = 0, had_0xb = 0;

	for (unsigned i = 0; i < cpuid->nent; i++) {
		had_0xb |= e[i].function == 0xb;
		if (!is_topology(e[i].function))
			e[kept++] = e[i];
	}
	cpuid->nent = kept;
	if (!had_0xb)
		return;
	e[kept] = (struct kvm_cpuid_entry2){
		.function = 0xb,
		.index = 0,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.ebx = 1,
		.ecx = 1 << 8, /* SMT */
	};
	e[kept + 1] = (struct kvm_cpuid_entry2){
		.function = 0xb,
		.index = 1,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = bits_for(n),
		.ebx = n,
		.ecx = 1 | 2 << 8, /* core */
	};
	cpuid->nent = kept + 2;
}

/* "AuthenticAMD" and "HygonGenuine", whose extended leaves say more of the topology. */
static int is_amd(const struct kvm_cpuid2 *cpuid)
{
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0)
			return cpuid->entries[i].ebx == 0x68747541 ||
			       cpuid->entries[i].ebx == 0x6f677948;
	return 0;
}

static void edit_extended(struct kvm_cpuid_entry2 *e, unsigned n, int amd)
{
	switch (e->function) {
	case 0x80000001:
		e->ecx &=
			~(EXT_ECX_SVM | EXT_ECX_PERFCTR | EXT_ECX_PERFCTR_NB | EXT_ECX_CMP_LEGACY);
		/* Without it, the logical processors of leaf 1 would be threads of one core. */
		if (amd && n > 1)
			e->ecx |= EXT_ECX_CMP_LEGACY;
		break;
	case 0x80000008: /* NC: cores - 1; ApicIdSize. Intel reserves them. */
		if (amd)
			e->ecx = (e->ecx & ~0xf0ffu) | (n - 1) | bits_for(n) << 12;
		break;
	case 0x8000000a: /* SVM */
	case 0x80000022: /* PerfMonV2 */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0x8000001d:
		edit_cache(e, n, 0);
		break;
	case 0x8000001e: /* one thread a core, one node */
		e->eax = e->ebx = e->ecx = 0;
		break;
	}
}

void cpuid_edit(struct kvm_cpuid2 *cpuid, unsigned n_cpus)
{
	int amd = is_amd(cpuid);

	for (unsigned i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		switch (e->function) {
		case 1:
			edit_leaf_1(e, n_cpus);
			break;
		case 4:
			edit_cache(e, n_cpus, 1);
			break;
		case 0xa: /* A PMU costs exits at boot and an NMI a second; nobody asked for it. */
			e->eax = e->ebx = e->ecx = e->edx = 0;
			break;
		default:
			if (e->function >= 0x80000000)
				edit_extended(e, n_cpus, amd);
		}
	}
	replace_topology(cpuid, n_cpus);
}

void cpuid_for_vcpu(struct kvm_cpuid2 *cpuid, uint32_t apic_id)
{
	for (unsigned i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 1)
			e->ebx = (e->ebx & 0x00ffffff) | apic_id << 24;
		else if (e->function == 0xb)
			e->edx = apic_id;
		else if (e->function == 0x8000001e) {
			e->eax = apic_id;
			e->ebx = apic_id & 0xff; /* core id */
		}
	}
}

uint32_t cpuid_phys_bits(const struct kvm_cpuid2 *cpuid)
{
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0x80000008)
			return cpuid->entries[i].eax & 0xff;
	return 36;
}

int cpuid_create(int kvm_fd, unsigned n_cpus, struct kvm_cpuid2 **out)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + (CPUID_ENTRIES_MAX + 1) * sizeof(cpuid->entries[0]));
	int r;

	if (!cpuid)
		return log_fail(-ENOMEM, "cpuid: out of memory");
	cpuid->nent = CPUID_ENTRIES_MAX;
	r = kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
	if (r < 0) {
		free(cpuid);
		return log_fail(r, "kvm: cannot read the CPUID that this host supports: %s",
				strerror(-r));
	}
	cpuid_edit(cpuid, n_cpus);
	*out = cpuid;
	return 0;
}
