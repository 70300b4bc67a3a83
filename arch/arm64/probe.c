/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the micro-guest of probe_guest.S: a machine with 64 KiB of RAM, no interrupt controller and
 * one vCPU a step. Runs in the child process that check_guest.c makes, on its only thread, and may
 * hang where KVM does. Independent of the real machine, so that a mistake there cannot hide here.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arm64/ipa.h"
#include "arch/arm64/probe_guest.h"
#include "arch/host.h"
#include "vmm/kvm_report.h"
#include "vmm/log.h"

/* The guest's 64 KiB. */
#define RAM_LEN    0x10000
#define AT_CODE    0x1000
#define AT_SCRATCH 0x8000
/* Behind it, where there is nothing. */
#define AT_REPORT  0x100000

#define CORE_REG(field) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))

struct step {
	const char *name;
	const unsigned char *entry;
};

static const struct step steps[] = {
	{"64-bit code", probe_start}, {"registers", probe_sysreg}, {"brk", probe_brk},
	{"simd", probe_simd},         {"timer", probe_timer},      {"hvc", probe_hvc},
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))
_Static_assert(STEPS <= PROBE_STEPS_MAX, "struct probe has no room for every step");
_Static_assert(AT_CODE % PROBE_ALIGN == 0, "the vectors must be aligned");

struct bench {
	struct kvm *kvm;
	struct mem mem;
	uint8_t *ram;
};

static int set_reg(int fd, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	return kvm_ioctl(fd, KVM_SET_ONE_REG, &reg);
}

static int set_registers(const struct bench *b, int fd, const struct step *step)
{
	uint64_t entry = AT_CODE + (uint64_t)(step->entry - probe_guest);
	struct kvm_vcpu_init init;
	int r = kvm_ioctl(b->kvm->vm_fd, KVM_ARM_PREFERRED_TARGET, &init);

	if (r < 0)
		return r;
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	r = kvm_ioctl(fd, KVM_ARM_VCPU_INIT, &init);
	if (r == 0)
		r = set_reg(fd, CORE_REG(regs.regs[0]), AT_REPORT);
	if (r == 0)
		r = set_reg(fd, CORE_REG(regs.regs[1]), AT_SCRATCH);
	if (r == 0)
		r = set_reg(fd, CORE_REG(regs.pc), entry);
	return r;
}

/* The word that the guest said, or 0 if this exit is not the one that ends a step. */
static uint32_t heard(const struct kvm_run *run)
{
	uint32_t word;

	if (run->exit_reason != KVM_EXIT_MMIO || !run->mmio.is_write ||
	    run->mmio.phys_addr != AT_REPORT || run->mmio.len != sizeof(word))
		return 0;
	memcpy(&word, run->mmio.data, sizeof(word));
	return word;
}

/* Turns the exit that ended a step into its verdict. */
static void judge(const struct kvm_run *run, struct probe_step *out)
{
	uint32_t word = heard(run);
	const char *cause;

	out->state = PROBE_FAILED;
	switch (word & 0xff) {
	case PROBE_SAYS_RIGHT:
		out->state = PROBE_OK;
		return;
	case PROBE_SAYS_WRONG:
		snprintf(out->what, sizeof(out->what), "it ran, but its result is wrong");
		return;
	case PROBE_SAYS_TRAP:
		snprintf(out->what, sizeof(out->what),
			 "it raised an exception of class %#x at vector %#x in the guest",
			 word >> 8 & 0xff, word >> 16);
		return;
	}
	kvm_report_exit(run, NULL, out->what, sizeof(out->what));
	cause = kvm_report_cause(run);
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
		judge(run, out);

out_unmap:
	munmap(run, b->kvm->run_size);
}

static void run_step(struct bench *b, unsigned i, struct probe_step *out)
{
	int fd;

	out->state = PROBE_RUNNING;
	memset(b->ram, 0, RAM_LEN);
	memcpy(b->ram + AT_CODE, probe_guest, (size_t)(probe_guest_end - probe_guest));
	fd = kvm_ioctl_value(b->kvm->vm_fd, KVM_CREATE_VCPU, i);
	if (fd < 0) {
		fail_step(out, "KVM_CREATE_VCPU", fd);
		return;
	}
	run_vcpu(b, fd, &steps[i], out);
	close(fd);
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

	r = mem_create(&b.mem, &range, 1);
	if (r < 0)
		return r;
	b.ram = mem_at(&b.mem, 0, RAM_LEN);
	r = kvm_create_vm(kvm, ipa_vm_type(kvm, AT_REPORT));
	if (r < 0)
		goto out_mem;
	r = kvm_set_memory(kvm, &b.mem);
	for (unsigned i = 0; r == 0 && i < STEPS; i++)
		run_step(&b, i, &probe->step[i]);

	kvm_destroy_vm(kvm);
out_mem:
	mem_destroy(&b.mem);
	return r;
}
