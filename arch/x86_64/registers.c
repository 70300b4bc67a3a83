/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of vCPU 0 at the kernel's entry, and the GDT and page tables that they name. Main
 * thread, before the guest runs. Intel SDM vol. 3A §3.4.5, §4.5; AMD APM vol. 2 §5.3.
 */
#include <asm/processor-flags.h>
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/registers.h"
#include "vmm/kvm.h"
#include "vmm/log.h"

#define EFER_LME          (1u << 8)
#define EFER_LMA          (1u << 10)
#define PTE_PRESENT_WRITE 0x003
#define PTE_HUGE          0x083
#define HUGE_PAGE         (2ull << 20)

/* Segments as Linux wants them: __BOOT_CS 0x10 and __BOOT_DS 0x18, and a TSS for VM entry. */
enum { GDT_CODE = 2, GDT_DATA = 3, GDT_TSS = 4, GDT_ENTRIES = 5 };

static struct kvm_segment segment(unsigned index, uint8_t type, int is_code64, int is_system)
{
	return (struct kvm_segment){
		.base = 0,
		.limit = 0xffffffff,
		.selector = (uint16_t)(index * 8),
		.type = type,
		.present = 1,
		.db = !is_code64 && !is_system,
		.s = !is_system,
		.l = (uint8_t)is_code64,
		.g = !is_system,
	};
}

/* The descriptor in memory that the cached segment corresponds to (SDM vol. 3A figure 3-8). */
static uint64_t descriptor(const struct kvm_segment *s)
{
	uint64_t limit = s->g ? s->limit >> 12 : s->limit;

	return (limit & 0xffff) | (s->base & 0xffffff) << 16 | (uint64_t)s->type << 40 |
	       (uint64_t)s->s << 44 | (uint64_t)s->dpl << 45 | (uint64_t)s->present << 47 |
	       (limit >> 16 & 0xf) << 48 | (uint64_t)s->l << 53 | (uint64_t)s->db << 54 |
	       (uint64_t)s->g << 55 | (s->base >> 24 & 0xff) << 56;
}

static void write_page_tables(struct mem *mem)
{
	uint64_t *table = mem_at(mem, LAYOUT_PAGE_TABLES, LAYOUT_PAGE_TABLES_LEN);
	uint64_t *pml4 = table, *pdpt = table + 512, *pd = table + 1024;

	memset(table, 0, LAYOUT_PAGE_TABLES_LEN);
	pml4[0] = (LAYOUT_PAGE_TABLES + 0x1000) | PTE_PRESENT_WRITE;
	for (unsigned i = 0; i < 4; i++)
		pdpt[i] = (LAYOUT_PAGE_TABLES + 0x2000 + i * 0x1000) | PTE_PRESENT_WRITE;
	for (unsigned i = 0; i < 4 * 512; i++)
		pd[i] = i * HUGE_PAGE | PTE_HUGE;
}

int registers_set_entry(int vcpu_fd, struct mem *mem, const struct image *image)
{
	int is64 = image->kind == IMAGE_LINUX64;
	uint64_t *gdt = mem_at(mem, LAYOUT_GDT, GDT_ENTRIES * sizeof(*gdt));
	struct kvm_segment code = segment(GDT_CODE, 0xb, is64, 0);
	struct kvm_segment data = segment(GDT_DATA, 0x3, 0, 0);
	struct kvm_segment tss = segment(GDT_TSS, 0xb, 0, 1);
	struct kvm_regs regs = {.rip = image->entry, .rflags = X86_EFLAGS_FIXED};
	struct kvm_sregs sregs;
	int r = kvm_ioctl(vcpu_fd, KVM_GET_SREGS, &sregs);

	if (r < 0)
		return log_fail(r, "kvm: cannot read a vCPU's registers: %s", strerror(-r));
	tss.limit = 0x67;
	gdt[0] = gdt[1] = 0;
	gdt[GDT_CODE] = descriptor(&code);
	gdt[GDT_DATA] = descriptor(&data);
	gdt[GDT_TSS] = descriptor(&tss);
	sregs.gdt.base = LAYOUT_GDT;
	sregs.gdt.limit = GDT_ENTRIES * sizeof(*gdt) - 1;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.tr = tss;
	sregs.cr0 = X86_CR0_PE | X86_CR0_ET;
	if (is64) {
		write_page_tables(mem);
		sregs.cr3 = LAYOUT_PAGE_TABLES;
		sregs.cr4 = X86_CR4_PAE;
		sregs.cr0 |= X86_CR0_PG;
		sregs.efer = EFER_LME | EFER_LMA;
		regs.rsi = LAYOUT_BOOT_PARAMS;
		regs.rsp = LAYOUT_BOOT_STACK;
	} else {
		regs.rbx = LAYOUT_PVH_START_INFO;
	}
	r = kvm_ioctl(vcpu_fd, KVM_SET_SREGS, &sregs);
	if (r == 0)
		r = kvm_ioctl(vcpu_fd, KVM_SET_REGS, &regs);
	if (r < 0)
		return log_fail(r, "kvm: cannot set a vCPU's registers: %s", strerror(-r));
	return 0;
}

/*
 * MTRRs as firmware leaves them: on, everything write-back. Without this Linux switches the PAT
 * off. String operations on, as every processor comes up.
 */
int registers_set_msrs(int vcpu_fd)
{
	enum { MSR_MISC_ENABLE = 0x1a0, MSR_MTRR_DEF_TYPE = 0x2ff };
	union {
		struct kvm_msrs msrs;
		uint8_t room[sizeof(struct kvm_msrs) + 2 * sizeof(struct kvm_msr_entry)];
	} u = {.room = {0}};
	int r;

	u.msrs.nmsrs = 2;
	u.msrs.entries[0] = (struct kvm_msr_entry){.index = MSR_MTRR_DEF_TYPE, .data = 1 << 11 | 6};
	u.msrs.entries[1] = (struct kvm_msr_entry){.index = MSR_MISC_ENABLE, .data = 1};
	r = kvm_ioctl(vcpu_fd, KVM_SET_MSRS, &u.msrs);

	/* The answer is how many were set: a host may refuse MISC_ENABLE, which is Intel's. */
	if (r < 1)
		return log_fail(r < 0 ? r : -EIO, "kvm: cannot set a vCPU's MTRRs");
	return 0;
}
