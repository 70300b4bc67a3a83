/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_FUZZ_CHECK_H
#define TESTS_LIB_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

/* What must hold in a fuzzer, whatever the input: else it ends there, and the input is kept. */
#define CHECK(cond)                                                                \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

#endif
