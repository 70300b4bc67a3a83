/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_DECOMPRESS_H
#define LOADER_DECOMPRESS_H

#include <stddef.h>
#include <stdint.h>

/* The formats a Linux kernel build packs its payload in, told apart by the first bytes. */
enum decompress_format {
	DECOMPRESS_UNKNOWN,
	DECOMPRESS_GZIP,
	DECOMPRESS_XZ,
	DECOMPRESS_LZMA,       /* the .lzma format that came before .xz */
	DECOMPRESS_LZ4_LEGACY, /* what `lz4 -l` writes and the kernel uses */
	DECOMPRESS_LZ4,
	DECOMPRESS_ZSTD,
	DECOMPRESS_BZIP2,
	DECOMPRESS_LZO, /* known by name only: decompress() does not unpack it */
};

enum decompress_format decompress_probe(const void *src, size_t len);

/* "gzip", "LZ4", ...: a name for messages. */
const char *decompress_name(enum decompress_format format);

/*
 * Unpacks @src into @dst, never past @cap bytes, and stores in *@out how many it holds; libraries
 * that copy in wide words may have written on the bytes after those, too, up to @cap. Bytes that
 * follow the end of the stream are not looked at; an LZ4 legacy stream has no end mark, so there
 * @src must hold the stream alone. Of a @cap above 4 GiB - 1 no more than that is used.
 *
 * 0; -ENOTSUP for a format that is unknown or not unpacked here; -EBADMSG for one that is corrupt
 * or cut short; -ENOSPC if it holds more than @cap bytes (for LZ4 legacy that looks the same as
 * -EBADMSG); -ENOMEM if there is no memory, or if the stream demands more than the limits here.
 * Says nothing: the caller knows whose bytes these are. After an error @dst holds anything.
 */
int decompress(const void *src, size_t len, void *dst, size_t cap, size_t *out);

#endif
