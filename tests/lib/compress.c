/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other way round from loader/decompress.c, for tests: fast settings, one stream each. Any
 * thread. Knows nothing of kernels.
 */
#include "tests/lib/compress.h"

#include <bzlib.h>
#include <lz4.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "loader/le.h"

#define LZ4_BLOCK (8u << 20)

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "compress: %s failed\n", what);
	abort();
}

static size_t pack_gzip(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	z_stream z = {0};

	must(deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK,
	     "deflateInit2");
	z.next_in = (Bytef *)(uintptr_t)src;
	z.avail_in = (uInt)len;
	z.next_out = dst;
	z.avail_out = (uInt)cap;
	must(deflate(&z, Z_FINISH) == Z_STREAM_END, "deflate");
	deflateEnd(&z);
	return cap - z.avail_out;
}

static size_t pack_xz(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	size_t n = 0;

	must(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, src, len, dst, &n, cap) == LZMA_OK,
	     "xz");
	return n;
}

static size_t pack_lzma(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_options_lzma opt;

	must(!lzma_lzma_preset(&opt, 0), "LZMA preset");
	must(lzma_alone_encoder(&s, &opt) == LZMA_OK, "LZMA");
	s.next_in = src;
	s.avail_in = len;
	s.next_out = dst;
	s.avail_out = cap;
	must(lzma_code(&s, LZMA_FINISH) == LZMA_STREAM_END, "LZMA");
	lzma_end(&s);
	return cap - s.avail_out;
}

static size_t pack_lz4_legacy(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	size_t at = 4;

	le32_put(dst, 0x184c2102);
	while (len > 0) {
		size_t block = len < LZ4_BLOCK ? len : LZ4_BLOCK;
		int n = LZ4_compress_default((const char *)src, (char *)dst + at + 4, (int)block,
					     (int)(cap - at - 4));

		must(n > 0, "LZ4");
		le32_put(dst + at, (uint32_t)n);
		at += 4 + (size_t)n;
		src += block;
		len -= block;
	}
	return at;
}

static size_t pack_lz4(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	size_t n = LZ4F_compressFrame(dst, cap, src, len, NULL);

	must(!LZ4F_isError(n), "LZ4 frame");
	return n;
}

static size_t pack_zstd(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	size_t n = ZSTD_compress(dst, cap, src, len, 1);

	must(!ZSTD_isError(n), "zstd");
	return n;
}

static size_t pack_bzip2(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	unsigned n = (unsigned)cap;

	must(BZ2_bzBuffToBuffCompress((char *)dst, &n, (char *)(uintptr_t)src, (unsigned)len, 1, 0,
				      0) == BZ_OK,
	     "bzip2");
	return n;
}

uint8_t *compress_bytes(enum decompress_format format, const void *src, size_t len, size_t *out_len)
{
	size_t cap = len + len / 8 + 65536;
	uint8_t *dst = malloc(cap);

	must(dst != NULL, "malloc");
	switch (format) {
	case DECOMPRESS_GZIP:
		*out_len = pack_gzip(src, len, dst, cap);
		return dst;
	case DECOMPRESS_XZ:
		*out_len = pack_xz(src, len, dst, cap);
		return dst;
	case DECOMPRESS_LZMA:
		*out_len = pack_lzma(src, len, dst, cap);
		return dst;
	case DECOMPRESS_LZ4_LEGACY:
		*out_len = pack_lz4_legacy(src, len, dst, cap);
		return dst;
	case DECOMPRESS_LZ4:
		*out_len = pack_lz4(src, len, dst, cap);
		return dst;
	case DECOMPRESS_ZSTD:
		*out_len = pack_zstd(src, len, dst, cap);
		return dst;
	case DECOMPRESS_BZIP2:
		*out_len = pack_bzip2(src, len, dst, cap);
		return dst;
	case DECOMPRESS_LZO:
	case DECOMPRESS_UNKNOWN:
		break;
	}
	must(0, "a format that cannot be packed");
	return NULL;
}
