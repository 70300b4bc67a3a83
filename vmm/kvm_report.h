/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_KVM_REPORT_H
#define VMM_KVM_REPORT_H

#include <stddef.h>
#include <stdint.h>

struct kvm_run;

/*
 * What a vCPU's last exit was, for a person: written when KVM gives a guest up. The exits that
 * mean so are KVM_EXIT_INTERNAL_ERROR (with the suberror's name, the instruction's bytes where the
 * kernel hands them over, other data as numbers), KVM_EXIT_FAIL_ENTRY, KVM_EXIT_SHUTDOWN and
 * KVM_EXIT_UNKNOWN; any other is given by number.
 *
 * Writes one line into @out[0..len), cut to fit and NUL-terminated. @pc is where the guest stood,
 * or NULL where that is not known.
 */
void kvm_report_exit(const struct kvm_run *run, const uint64_t *pc, char *out, size_t len);

/* The likely cause of the same exit and what to do, or NULL if there is none to give. */
const char *kvm_report_cause(const struct kvm_run *run);

#endif
