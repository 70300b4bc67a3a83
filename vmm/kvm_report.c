/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts into words what KVM says when it gives a guest up. Pure functions over the struct kvm_run
 * of a stopped vCPU, for its owner thread; no system call, no log. The counts in that struct are
 * the kernel's, and bounded here all the same.
 */
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>

#include "vmm/kvm_report.h"

/* Intel SDM vol. 3 appendix C: bit 31 of the exit reason says that the entry failed. */
#define VMX_ENTRY_FAILED   0x80000000u
#define VMX_GUEST_STATE    33
#define VMX_MSR_LOADING    34
/* AMD APM vol. 2 appendix C: VMEXIT_INVALID. */
#define SVM_VMEXIT_INVALID UINT64_MAX

/* A line that grows, and stops growing at its end. */
struct line {
	char *out;
	size_t len;
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (l->used >= l->len)
		return;
	va_start(ap, fmt);
	n = vsnprintf(l->out + l->used, l->len - l->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->used += (size_t)n;
}

static const char *suberror_name(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "an instruction that KVM cannot emulate";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "exceptions that KVM cannot deliver together";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "an exit in the middle of delivering an event";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "a processor exit that KVM does not know";
	default:
		return "unknown";
	}
}

static void say_instruction(struct line *l, const struct kvm_run *run)
{
	/* flags is the first word of data, the bytes the next two (api.rst, struct kvm_run). */
	int given = run->emulation_failure.ndata >= 3 &&
		    (run->emulation_failure.flags &
		     KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);
	unsigned i, n = run->emulation_failure.insn_size;

	if (!given || n == 0) {
		say(l, ", instruction bytes not given by this kernel");
		return;
	}
	if (n > sizeof(run->emulation_failure.insn_bytes))
		n = sizeof(run->emulation_failure.insn_bytes);
	say(l, ", instruction bytes");
	for (i = 0; i < n; i++)
		say(l, " %02x", run->emulation_failure.insn_bytes[i]);
}

static void say_internal(struct line *l, const struct kvm_run *run)
{
	unsigned i, n = run->internal.ndata;

	say(l, "KVM internal error, suberror %u: %s", run->internal.suberror,
	    suberror_name(run->internal.suberror));
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
		say_instruction(l, run);
		return;
	}
	if (n > sizeof(run->internal.data) / sizeof(run->internal.data[0]))
		n = sizeof(run->internal.data) / sizeof(run->internal.data[0]);
	if (n)
		say(l, ", data");
	for (i = 0; i < n; i++)
		say(l, " %#" PRIx64, (uint64_t)run->internal.data[i]);
}

void kvm_report_exit(const struct kvm_run *run, const uint64_t *pc, char *out, size_t len)
{
	struct line l = {.out = out, .len = len};

	if (len)
		out[0] = '\0';
	switch (run->exit_reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		say_internal(&l, run);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		say(&l, "the processor refused to enter the guest, hardware reason %#" PRIx64,
		    (uint64_t)run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_SHUTDOWN:
		say(&l, "the guest shut down by a triple fault");
		break;
	case KVM_EXIT_UNKNOWN:
		say(&l, "an exit that KVM does not know, hardware reason %#" PRIx64,
		    (uint64_t)run->hw.hardware_exit_reason);
		break;
	default:
		say(&l, "KVM exit reason %u", run->exit_reason);
		break;
	}
	if (pc)
		say(&l, ", at %#" PRIx64, *pc);
}

static const char *cause_internal(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "this KVM runs guests by emulating their instructions (no VT-x or SVM behind "
		       "it), or the guest ran code where there is no memory: run `skiff check`";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "the guest's interrupt table or stack lies where there is no memory";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "the KVM below this one, or the processor, is newer or stranger than this "
		       "kernel knows: use a newer kernel";
	default:
		return NULL;
	}
}

static const char *cause_entry(uint64_t reason)
{
	if (reason == SVM_VMEXIT_INVALID || reason == (VMX_ENTRY_FAILED | VMX_GUEST_STATE))
		return "the guest's registers are in a state that this processor cannot run: an older "
		       "Intel processor without 'unrestricted guest', or a mistake of this program";
	if (reason == (VMX_ENTRY_FAILED | VMX_MSR_LOADING))
		return "a model-specific register holds a value that this processor does not take";
	return "a nested hypervisor that does this is broken: use another host, or its newer kernel";
}

const char *kvm_report_cause(const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		return cause_internal(run->internal.suberror);
	case KVM_EXIT_FAIL_ENTRY:
		return cause_entry(run->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_SHUTDOWN:
		return "the guest met a fault while it had no handler for one";
	default:
		return NULL;
	}
}
