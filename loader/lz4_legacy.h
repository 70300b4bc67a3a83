/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_LZ4_LEGACY_H
#define LOADER_LZ4_LEGACY_H

#include <stddef.h>
#include <stdint.h>

#define LZ4_LEGACY_MAGIC 0x184c2102
#define LZ4_LEGACY_BLOCK (8 << 20) /* bytes of each block but the last, unpacked */

/*
 * decompress() for what `lz4 -l` writes. Its blocks know nothing of each other, so several
 * processors unpack them side by side: the calling thread and helpers, which are gone when it
 * returns.
 */
int lz4_legacy_unpack(const uint8_t *src, size_t len, uint8_t *dst, size_t cap, size_t *out);

#endif
