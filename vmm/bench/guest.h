/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_GUEST_H
#define VMM_BENCH_GUEST_H

/*
 * This program as a virtual machine's first process. GUEST_ORDER names the modules below
 * GUEST_MODULES, one a line, in the order in which they are loaded; GUEST_DISK holds the root file
 * system.
 */
#define GUEST_MODULES "/modules"
#define GUEST_ORDER   GUEST_MODULES "/order"
#define GUEST_DISK    "/dev/vda"
#define GUEST_ADDRESS "10.0.2.15" /* the one that both user-mode networks hand out */
#define GUEST_HOST    "10.0.2.2"  /* this host, seen from there */

/* As /init of the initramfs: does not return. */
_Noreturn void guest_init(void);

/* As first process on the disk: serves as the agent on the console, then turns the machine off. */
_Noreturn void guest_serve(void);

#endif
