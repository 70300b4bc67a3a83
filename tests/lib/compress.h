/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_COMPRESS_H
#define TESTS_LIB_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "loader/decompress.h"

/*
 * Packs @len bytes as one stream of @format. malloc'ed, its length in *@out_len; aborts when a
 * library fails, so that no test goes on with nothing. Not for DECOMPRESS_LZO.
 */
uint8_t *compress_bytes(enum decompress_format format, const void *src, size_t len,
			size_t *out_len);

#endif
