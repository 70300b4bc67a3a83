/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_STATS_H
#define VMM_STATS_H

struct machine;

/*
 * What --stats prints at the end, to standard error: exits by reason as KVM counted them (our own
 * counts where it does not), times since the process started, and the VMM's memory, which is PSS
 * of everything that is not guest RAM. Before machine_destroy().
 */
void stats_print(const struct machine *m);

#endif
