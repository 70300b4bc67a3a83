/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacks a compressed kernel from one buffer into another, by whichever library knows the format.
 * Input is hostile: each library is given exact bounds, and a limit where it allocates by what the
 * stream says. Runs on the main thread before any vCPU does. Knows nothing of kernels or guests.
 */
#include "loader/decompress.h"

#include <bzlib.h>
#include <errno.h>
#include <lz4frame.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "loader/lz4_legacy.h"

/* A dictionary of 128 MiB is the most that a kernel build asks of xz; the rest is the decoder. */
#define XZ_MEMORY_MAX   (160ULL << 20)

#define LZMA_HEADER_LEN 13

static const struct {
	enum decompress_format format;
	uint8_t magic[6];
	uint8_t magic_len;
	uint8_t min_len;
	const char *name;
} formats[] = {
	{DECOMPRESS_GZIP, {0x1f, 0x8b}, 2, 18, "gzip"},
	{DECOMPRESS_XZ, {0xfd, '7', 'z', 'X', 'Z', 0}, 6, 12, "xz"},
	{DECOMPRESS_LZMA, {0x5d, 0, 0}, 3, LZMA_HEADER_LEN, "LZMA"},
	{DECOMPRESS_LZ4_LEGACY, {0x02, 0x21, 0x4c, 0x18}, 4, 4, "LZ4"},
	{DECOMPRESS_LZ4, {0x04, 0x22, 0x4d, 0x18}, 4, 7, "LZ4"},
	{DECOMPRESS_ZSTD, {0x28, 0xb5, 0x2f, 0xfd}, 4, 5, "zstd"},
	{DECOMPRESS_BZIP2, {'B', 'Z', 'h'}, 3, 4, "bzip2"},
	{DECOMPRESS_LZO, {0x89, 'L', 'Z', 'O', 0}, 5, 9, "LZO"},
};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

enum decompress_format decompress_probe(const void *src, size_t len)
{
	for (size_t i = 0; i < FORMATS; i++)
		if (len >= formats[i].min_len &&
		    memcmp(src, formats[i].magic, formats[i].magic_len) == 0)
			return formats[i].format;
	return DECOMPRESS_UNKNOWN;
}

const char *decompress_name(enum decompress_format format)
{
	for (size_t i = 0; i < FORMATS; i++)
		if (formats[i].format == format)
			return formats[i].name;
	return "unknown";
}

/* A library stopped before the end of the stream: because @dst is full, or because @src is short?
 */
static int stopped(size_t room_left, size_t input_left)
{
	return room_left == 0 && input_left > 0 ? -ENOSPC : -EBADMSG;
}

static int unpack_gzip(const uint8_t *src, size_t len, uint8_t *dst, size_t cap, size_t *out)
{
	z_stream z = {0};
	int r;

	/* 16 asks for gzip's header and its CRC-32 check (zlib.h, inflateInit2). */
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	z.next_in = (Bytef *)(uintptr_t)src;
	z.avail_in = (uInt)len;
	z.next_out = dst;
	z.avail_out = (uInt)cap;
	r = inflate(&z, Z_FINISH);
	*out = cap - z.avail_out;
	inflateEnd(&z);
	if (r == Z_STREAM_END)
		return 0;
	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	return r == Z_BUF_ERROR || r == Z_OK ? stopped(z.avail_out, z.avail_in) : -EBADMSG;
}

/* Serves .xz and .lzma: @s is the decoder for one of them. */
static int unpack_lzma(lzma_stream *s, const uint8_t *src, size_t len, uint8_t *dst, size_t cap,
		       size_t *out)
{
	lzma_ret r;

	s->next_in = src;
	s->avail_in = len;
	s->next_out = dst;
	s->avail_out = cap;
	do {
		r = lzma_code(s, LZMA_FINISH); /* two calls without progress: LZMA_BUF_ERROR */
	} while (r == LZMA_OK);
	*out = cap - s->avail_out;
	lzma_end(s);
	switch (r) {
	case LZMA_STREAM_END:
		return 0;
	case LZMA_MEM_ERROR:
	case LZMA_MEMLIMIT_ERROR:
		return -ENOMEM;
	case LZMA_BUF_ERROR:
		return stopped(s->avail_out, s->avail_in);
	default:
		return -EBADMSG;
	}
}

static int unpack_xz(const uint8_t *src, size_t len, uint8_t *dst, size_t cap, size_t *out)
{
	lzma_stream s = LZMA_STREAM_INIT;

	if (lzma_stream_decoder(&s, XZ_MEMORY_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	return unpack_lzma(&s, src, len, dst, cap, out);
}

static int unpack_lzma_alone(const uint8_t *src, size_t len, uint8_t *dst, size_t cap, size_t *out)
{
	lzma_stream s = LZMA_STREAM_INIT;

	if (lzma_alone_decoder(&s, XZ_MEMORY_MAX) != LZMA_OK)
		return -ENOMEM;
	return unpack_lzma(&s, src, len, dst, cap, out);
}

static int unpack_lz4(const uint8_t *src, size_t len, uint8_t *dst, size_t cap, size_t *out)
{
	const LZ4F_decompressOptions_t opt = {.stableDst = 1};
	LZ4F_dctx *ctx;
	int r;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)))
		return -ENOMEM;
	*out = 0;
	for (;;) {
		size_t wrote = cap - *out, took = len;
		size_t hint = LZ4F_decompress(ctx, dst + *out, &wrote, src, &took, &opt);

		if (LZ4F_isError(hint)) {
			r = -EBADMSG;
			break;
		}
		*out += wrote;
		src += took;
		len -= took;
		if (hint == 0) {
			r = 0;
			break;
		}
		if (wrote == 0 && took == 0) {
			r = *out == cap ? -ENOSPC : -EBADMSG;
			break;
		}
	}
	LZ4F_freeDecompressionContext(ctx);
	return r;
}

/*
 * All of the input and all of the output are there, so the library needs no window of its own and
 * the stream's window size, whatever it claims, allocates nothing.
 */
static int unpack_zstd(const uint8_t *src, size_t len, uint8_t *dst, size_t cap, size_t *out)
{
	size_t frame = ZSTD_findFrameCompressedSize(src, len);
	ZSTD_DCtx *ctx;
	size_t n;

	*out = 0;
	if (ZSTD_isError(frame))
		return -EBADMSG;
	ctx = ZSTD_createDCtx();
	if (ctx == NULL)
		return -ENOMEM;
	n = ZSTD_decompressDCtx(ctx, dst, cap, src, frame);
	ZSTD_freeDCtx(ctx);
	if (ZSTD_isError(n))
		return ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall ? -ENOSPC : -EBADMSG;
	*out = n;
	return 0;
}

static int unpack_bzip2(const uint8_t *src, size_t len, uint8_t *dst, size_t cap, size_t *out)
{
	bz_stream b = {0};
	unsigned in_left, room_left;
	int r;

	if (BZ2_bzDecompressInit(&b, 0, 0) != BZ_OK)
		return -ENOMEM;
	b.next_in = (char *)(uintptr_t)src;
	b.avail_in = (unsigned)len;
	b.next_out = (char *)dst;
	b.avail_out = (unsigned)cap;
	do {
		in_left = b.avail_in;
		room_left = b.avail_out;
		r = BZ2_bzDecompress(&b);
	} while (r == BZ_OK && (b.avail_in < in_left || b.avail_out < room_left));
	*out = cap - b.avail_out;
	BZ2_bzDecompressEnd(&b);
	if (r == BZ_STREAM_END)
		return 0;
	if (r == BZ_MEM_ERROR)
		return -ENOMEM;
	return r == BZ_OK && b.avail_out == 0 ? -ENOSPC : -EBADMSG;
}

int decompress(const void *src, size_t len, void *dst, size_t cap, size_t *out)
{
	*out = 0;
	if (len > UINT32_MAX) /* the libraries count in 32 bits, and no kernel is so large */
		return -ENOTSUP;
	if (cap > UINT32_MAX)
		cap = UINT32_MAX;
	switch (decompress_probe(src, len)) {
	case DECOMPRESS_GZIP:
		return unpack_gzip(src, len, dst, cap, out);
	case DECOMPRESS_XZ:
		return unpack_xz(src, len, dst, cap, out);
	case DECOMPRESS_LZMA:
		return unpack_lzma_alone(src, len, dst, cap, out);
	case DECOMPRESS_LZ4_LEGACY:
		return lz4_legacy_unpack(src, len, dst, cap, out);
	case DECOMPRESS_LZ4:
		return unpack_lz4(src, len, dst, cap, out);
	case DECOMPRESS_ZSTD:
		return unpack_zstd(src, len, dst, cap, out);
	case DECOMPRESS_BZIP2:
		return unpack_bzip2(src, len, dst, cap, out);
	case DECOMPRESS_LZO:
	case DECOMPRESS_UNKNOWN:
		break;
	}
	return -ENOTSUP;
}
