/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_SIZE_H
#define VMM_SIZE_H

#include <stdint.h>

/* "512M" -> bytes: a decimal number and an optional K, M, G or T. 0 or -EINVAL, silent. */
int size_parse(const char *text, uint64_t *bytes);

#endif
