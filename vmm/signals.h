/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_SIGNALS_H
#define VMM_SIGNALS_H

#include <signal.h>
#include <stddef.h>

/*
 * Whoever started us wants the signal ignored: nohup, a shell that runs us in the background. It
 * stays so.
 */
static inline int signal_is_ignored(int sig)
{
	struct sigaction now;

	return sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

#endif
