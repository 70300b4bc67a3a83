/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_JAIL_H
#define VMM_JAIL_H

#include <stdint.h>
#include <sys/types.h>

/*
 * What a program beside skiff gives up before it reads its first untrusted byte. In two steps,
 * since something may have to be opened between them. What is 0 is not limited.
 */
struct jail {
	const char *who;     /* begins messages */
	int last_fd;         /* descriptors above it are closed */
	unsigned files;      /* descriptors that may be open */
	uint64_t memory;     /* bytes of address space; no program under ASan can live with it */
	uint64_t file_bytes; /* of any file it writes to */
	unsigned cpu_seconds;
};

/*
 * First: keeps only the descriptors 0 to last_fd (standard input becomes /dev/null), leaves the
 * terminal's session, and bounds what it can use. 0, or -errno after one sentence.
 */
int jail_begin(const struct jail *jail);

/*
 * Then: no privileges and no way to new ones; if @parent is not 0, the process also ends with that
 * one. 0, or -errno after one sentence.
 */
int jail_enter(const struct jail *jail, pid_t parent);

#endif
