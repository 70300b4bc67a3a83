/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CHECK_GUEST_H
#define VMM_CHECK_GUEST_H

#include "vmm/check_report.h"
#include "vmm/kvm.h"

/*
 * Runs the architecture's micro-guest (arch/host.h) in a child process and adds an item for each
 * step. After @limit_ms milliseconds the child is killed and the step that hung is named. @kvm is
 * open and has no machine; the caller has no other threads.
 */
void check_guest(struct check_report *report, struct kvm *kvm, unsigned limit_ms);

#endif
