/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CHECK_HOST_H
#define VMM_CHECK_HOST_H

#include "vmm/check_report.h"

/* io_uring: whether a ring can be made, and if not who forbids it; the operations the loop uses. */
void check_io_uring(struct check_report *report);

/* Kernel, processors, memory and its limits; also the report's numbers for machines. */
void check_host(struct check_report *report);

#endif
