/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_TABLE_H
#define VMM_BENCH_TABLE_H

#include <stdio.h>

struct bench;

/* Prints, for people, what was measured and where. */
void table_print(const struct bench *b, FILE *out);

#endif
