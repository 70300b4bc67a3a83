/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_LOAD_FUZZ_H
#define TESTS_LIB_LOAD_FUZZ_H

#include "loader/load.h"
#include "tests/lib/kernel_image.h"

/* What the fuzz targets of the loaders share: RAM, a file, and what must hold after a load. */
#define LOAD_FUZZ_RAM (64ull << 20)

/* Overwrites words of @b as the input says: 7 bytes a word (how wide and where, then what). */
void load_fuzz_patch(struct kernel_bytes *b, const uint8_t *data, size_t size);

/*
 * Loads @b into fresh RAM at @base and aborts unless the result keeps its promises: an error was
 * told in one sentence; what was loaded lies in RAM, its entry included. The result of
 * load_kernel().
 */
int load_fuzz_run(const struct kernel_bytes *b, const struct load_params *p, gpa_t base);

/* A fixed sequence for load_params.random; @arg is a uint64_t. */
uint64_t load_fuzz_random(void *arg);

#endif
