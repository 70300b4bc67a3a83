/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the micro-guest of probe_guest.S: a machine with 64 KiB of RAM, no interrupt controller and
 * one vCPU a step, put straight into 64-bit mode. Runs in the child process that check_guest.c
 * makes, on its only thread, and may hang where KVM does. Independent of the real machine, so that
 * a mistake there cannot hide here.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/host.h"
#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/probe_guest.h"
#include "vmm/kvm_report.h"
#include "vmm/log.h"

/* The guest's 64 KiB. */
#define RAM_LEN        0x10000
#define AT_PML4        0x1000
#define AT_PDPT        0x2000
#define AT_PD          0x3000
#define AT_GDT         0x4000
#define AT_IDT         0x5000
#define AT_CODE        0x6000
#define AT_SCRATCH     0x8000
#define AT_STACK       0xf000 /* grows down */

/* Intel SDM vol. 3 §2.5 (control registers), §2.2.1 (EFER), §4.5 (paging). */
#define CR0_PE         (1ull << 0)
#define CR0_MP         (1ull << 1)
#define CR0_ET         (1ull << 4)
#define CR0_NE         (1ull << 5)
#define CR0_PG         (1ull << 31)
#define CR4_PAE        (1ull << 5)
#define CR4_OSFXSR     (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_OSXSAVE    (1ull << 18)
#define EFER_LME       (1ull << 8)
#define EFER_LMA       (1ull << 10)
#define PTE_P          (1ull << 0)
#define PTE_RW         (1ull << 1)
#define PTE_PS         (1ull << 7)

/* Vol. 3 §3.4.5: flat 64-bit code and flat data, both marked accessed. */
#define GDT_CODE       0x00af9b000000ffffull
#define GDT_DATA       0x00cf93000000ffffull
#define SEL_CODE       0x08
#define SEL_DATA       0x10
/* Vol. 3 §6.14.1: a present 64-bit interrupt gate. */
#define GATE_INTERRUPT 0x8e00
#define IDT_VECTORS    32

/* CPUID leaf 1, ECX. */
#define ECX_CX16       (1u << 13)
#define ECX_POPCNT     (1u << 23)
#define ECX_XSAVE      (1u << 26)

#define XCR0_X87_SSE   3
/* The XSAVE image's fields (Intel SDM vol. 1 §13.4). */
#define XSAVE_FCW      0
#define XSAVE_MXCSR    24
#define XSAVE_BV       512

struct step {
	const char *name;
	const unsigned char *entry;
	uint32_t with;    /* every one of these bits of CPUID leaf 1, ECX ... */
	uint32_t without; /* ... and none of these, or the step is left out */
};

static const struct step steps[] = {
	{"64-bit code", probe_start, 0, 0},
	{"int3", probe_int3, 0, 0},
	{"cmpxchg16b", probe_cmpxchg16b, ECX_CX16, 0},
	{"xsetbv", probe_xsetbv, ECX_XSAVE, 0},
	{"xrstor", probe_xrstor, ECX_XSAVE, 0},
	{"fxrstor", probe_fxrstor, 0, ECX_XSAVE},
	{"ldmxcsr", probe_ldmxcsr, 0, 0},
	{"popcnt", probe_popcnt, ECX_POPCNT, 0},
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))
_Static_assert(STEPS <= PROBE_STEPS_MAX, "struct probe has no room for every step");

struct bench {
	struct kvm *kvm;
	struct mem mem;
	uint8_t *ram;
	struct kvm_cpuid2 *cpuid;
	uint32_t ecx; /* of CPUID leaf 1, as the guest sees it */
};

static void put(struct bench *b, size_t at, const void *bytes, size_t len)
{
	memcpy(b->ram + at, bytes, len);
}

static void put_u64(struct bench *b, size_t at, uint64_t v)
{
	put(b, at, &v, sizeof(v));
}

static uint64_t guest_address(const unsigned char *label)
{
	return AT_CODE + (uint64_t)(label - probe_guest);
}

static void put_gate(struct bench *b, unsigned vector, const unsigned char *handler)
{
	uint64_t to = guest_address(handler);
	uint64_t low = (to & 0xffff) | (uint64_t)SEL_CODE << 16 | (uint64_t)GATE_INTERRUPT << 32 |
		       (to >> 16 & 0xffff) << 48;

	put_u64(b, AT_IDT + vector * 16, low);
	put_u64(b, AT_IDT + vector * 16 + 8, to >> 32);
}

/* Everything a step finds in memory, anew for each. */
static void fill_ram(struct bench *b)
{
	const uint32_t mxcsr = 0x1f80;
	const uint16_t fcw = 0x37f;

	memset(b->ram, 0, RAM_LEN);
	put_u64(b, AT_PML4, AT_PDPT | PTE_P | PTE_RW);
	put_u64(b, AT_PDPT, AT_PD | PTE_P | PTE_RW);
	put_u64(b, AT_PD, 0 | PTE_P | PTE_RW | PTE_PS);
	put_u64(b, AT_GDT + SEL_CODE, GDT_CODE);
	put_u64(b, AT_GDT + SEL_DATA, GDT_DATA);
	put_gate(b, 3, probe_on_bp);
	put_gate(b, 6, probe_on_ud);
	put_gate(b, 8, probe_on_df);
	put_gate(b, 13, probe_on_gp);
	put_gate(b, 14, probe_on_pf);
	put(b, AT_CODE, probe_guest, (size_t)(probe_guest_end - probe_guest));

	put(b, AT_SCRATCH + XSAVE_FCW, &fcw, sizeof(fcw));
	put(b, AT_SCRATCH + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
	put_u64(b, AT_SCRATCH + PROBE_XMM0_OFF, PROBE_PATTERN);
	put_u64(b, AT_SCRATCH + XSAVE_BV, XCR0_X87_SSE);
}

static int set_sregs(const struct bench *b, int fd)
{
	struct kvm_segment code = {.limit = 0xffffffff,
				   .selector = SEL_CODE,
				   .type = 0xb,
				   .present = 1,
				   .s = 1,
				   .l = 1,
				   .g = 1};
	struct kvm_segment data = {.limit = 0xffffffff,
				   .selector = SEL_DATA,
				   .type = 0x3,
				   .present = 1,
				   .db = 1,
				   .s = 1,
				   .g = 1};
	struct kvm_sregs s;
	int r = kvm_ioctl(fd, KVM_GET_SREGS, &s);

	if (r < 0)
		return r;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.gdt.base = AT_GDT;
	s.gdt.limit = 3 * 8 - 1;
	s.idt.base = AT_IDT;
	s.idt.limit = IDT_VECTORS * 16 - 1;
	s.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_PG;
	s.cr3 = AT_PML4;
	s.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | (b->ecx & ECX_XSAVE ? CR4_OSXSAVE : 0);
	s.efer = EFER_LME | EFER_LMA;
	return kvm_ioctl(fd, KVM_SET_SREGS, &s);
}

static int set_registers(const struct bench *b, int fd, const struct step *step)
{
	struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = XCR0_X87_SSE}}};
	struct kvm_regs regs = {
		.rip = guest_address(step->entry), .rsp = AT_STACK, .rdi = AT_SCRATCH, .rflags = 2};
	int r;

	/* CPUID first: KVM judges CR4 and XCR0 by it. */
	r = kvm_ioctl(fd, KVM_SET_CPUID2, b->cpuid);
	if (r < 0)
		return r;
	r = set_sregs(b, fd);
	if (r < 0)
		return r;
	/* The xsetbv step does this by itself. */
	if ((b->ecx & ECX_XSAVE) && step->entry != probe_xsetbv) {
		r = kvm_ioctl(fd, KVM_SET_XCRS, &xcrs);
		if (r < 0)
			return r;
	}
	return kvm_ioctl(fd, KVM_SET_REGS, &regs);
}

/* The word that the guest said, or 0 if this exit is not the one that ends a step. */
static uint16_t heard(const struct kvm_run *run)
{
	uint16_t word;

	if (run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT ||
	    run->io.port != PROBE_PORT || run->io.size != sizeof(word) || run->io.count != 1)
		return 0;
	memcpy(&word, (const uint8_t *)run + run->io.data_offset, sizeof(word));
	return word;
}

/* Turns the exit that ended a step into its verdict. */
static void judge(const struct kvm_run *run, int fd, struct probe_step *out)
{
	uint16_t word = heard(run);
	const char *cause;
	struct kvm_regs regs;
	uint64_t pc = 0;
	int known;

	out->state = PROBE_FAILED;
	switch (word & 0xff) {
	case PROBE_SAYS_RIGHT:
		out->state = PROBE_OK;
		return;
	case PROBE_SAYS_WRONG:
		snprintf(out->what, sizeof(out->what), "it ran, but its result is wrong");
		return;
	case PROBE_SAYS_TRAP:
		snprintf(out->what, sizeof(out->what), "it raised exception %u in the guest",
			 word >> 8);
		return;
	}
	known = kvm_ioctl(fd, KVM_GET_REGS, &regs) == 0;
	if (known)
		pc = regs.rip;
	kvm_report_exit(run, known ? &pc : NULL, out->what, sizeof(out->what));
	cause = kvm_report_cause(run);
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	    run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
		/* We know what the guest did, so there is only one cause left. */
		cause = "this KVM runs guests by emulating their instructions: there is no VT-x or "
			"SVM behind it";
	if (cause)
		snprintf(out->cause, sizeof(out->cause), "%s", cause);
}

static void fail_step(struct probe_step *out, const char *call, int err)
{
	snprintf(out->what, sizeof(out->what), "%s: %s", call, strerror(-err));
	out->state = PROBE_FAILED;
}

static void run_vcpu(const struct bench *b, int fd, const struct step *step, struct probe_step *out)
{
	struct kvm_run *run;
	int r;

	run = mmap(NULL, b->kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run == MAP_FAILED) {
		fail_step(out, "mapping the vCPU", -errno);
		return;
	}
	r = set_registers(b, fd, step);
	if (r < 0) {
		fail_step(out, "setting the vCPU's registers", r);
		goto out_unmap;
	}
	do
		r = kvm_ioctl_value(fd, KVM_RUN, 0);
	while (r == -EINTR);
	if (r < 0)
		fail_step(out, "KVM_RUN", r);
	else
		judge(run, fd, out);

out_unmap:
	munmap(run, b->kvm->run_size);
}

static void run_step(struct bench *b, unsigned i, struct probe_step *out)
{
	const struct step *step = &steps[i];
	int fd;

	if (b->ecx & step->without)
		return;
	if ((b->ecx & step->with) != step->with) {
		out->state = PROBE_ABSENT;
		return;
	}
	out->state = PROBE_RUNNING;
	fill_ram(b);
	fd = kvm_ioctl_value(b->kvm->vm_fd, KVM_CREATE_VCPU, i);
	if (fd < 0) {
		fail_step(out, "KVM_CREATE_VCPU", fd);
		return;
	}
	run_vcpu(b, fd, step, out);
	close(fd);
}

/* Where older Intel processors keep what they need for real mode; others take no notice. */
static int set_vm_pages(const struct kvm *kvm)
{
	uint64_t identity = LAYOUT_KVM_IDENTITY;
	int r = kvm_ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);

	if (r < 0)
		return log_fail(r, "probe: KVM_SET_IDENTITY_MAP_ADDR: %s", strerror(-r));
	r = kvm_ioctl_value(kvm->vm_fd, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS);
	if (r < 0)
		return log_fail(r, "probe: KVM_SET_TSS_ADDR: %s", strerror(-r));
	return 0;
}

static uint32_t leaf1_ecx(const struct kvm_cpuid2 *cpuid)
{
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			return cpuid->entries[i].ecx;
	return 0;
}

int arch_probe(struct kvm *kvm, struct probe *probe)
{
	const struct mem_range range = {.base = 0, .len = RAM_LEN};
	struct bench b = {.kvm = kvm};
	int r;

	memset(probe, 0, sizeof(*probe));
	for (unsigned i = 0; i < STEPS; i++)
		snprintf(probe->step[i].name, sizeof(probe->step[i].name), "%s", steps[i].name);
	probe->n = STEPS;

	r = cpuid_create(kvm->fd, 1, &b.cpuid);
	if (r < 0)
		return r;
	b.ecx = leaf1_ecx(b.cpuid);
	r = mem_create(&b.mem, &range, 1);
	if (r < 0)
		goto out_cpuid;
	b.ram = mem_at(&b.mem, 0, RAM_LEN);
	r = kvm_create_vm(kvm, 0);
	if (r < 0)
		goto out_mem;
	r = set_vm_pages(kvm);
	if (r == 0)
		r = kvm_set_memory(kvm, &b.mem);
	for (unsigned i = 0; r == 0 && i < STEPS; i++)
		run_step(&b, i, &probe->step[i]);

	kvm_destroy_vm(kvm);
out_mem:
	mem_destroy(&b.mem);
out_cpuid:
	free(b.cpuid);
	return r;
}
