/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_CONTAINER_H
#define VMM_BENCH_CONTAINER_H

#include "vmm/bench/words.h"

struct bench;

/* The ways to make a container, the best known first; NULL ends them. */
extern const char *const container_runtimes[];

/* Is @name one of them? */
int container_known(const char *name);

/* Is it installed? `namespaces` needs nothing. */
int container_installed(const char *name);

/* Writes what the runtime of @b reads (an OCI bundle). 0, or -errno after one sentence. */
int container_build(const struct bench *b);

/* The command with which the agent runs in a container. */
void container_command(const struct bench *b, struct words *w);

/* Forgets a container that was killed. Silent. */
void container_clean(const struct bench *b);

/* What limits its memory, in a phrase. */
const char *container_memory_note(const struct bench *b);

#endif
