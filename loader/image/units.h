/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_UNITS_H
#define LOADER_IMAGE_UNITS_H

#include <stdint.h>

/* Numbers for people. */
#define UNITS_TEXT_MAX 24

/* "593.2 MiB", "17 B". Returns @out. */
const char *units_bytes(uint64_t bytes, char out[UNITS_TEXT_MAX]);

/* "0:31", "1:02:03". */
const char *units_seconds(uint64_t seconds, char out[UNITS_TEXT_MAX]);

/* "2026-04-23 17:05" in local time. */
const char *units_date(uint64_t seconds_since_1970, char out[UNITS_TEXT_MAX]);

#endif
