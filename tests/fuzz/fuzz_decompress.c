/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds decompress() with streams that are mostly right: the input says which format, how large a
 * buffer, where to cut and which bytes to flip; the rest is what gets packed. Oracles: ASan sees
 * every byte past the buffer, an undamaged stream comes back as it was, a short buffer is an error.
 */
#include <stdlib.h>
#include <string.h>

#include "loader/decompress.h"
#include "loader/le.h"
#include "tests/lib/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum decompress_format formats[] = {
	DECOMPRESS_GZIP, DECOMPRESS_XZ,   DECOMPRESS_LZMA,  DECOMPRESS_LZ4_LEGACY,
	DECOMPRESS_LZ4,  DECOMPRESS_ZSTD, DECOMPRESS_BZIP2,
};

#define HEAD 12

/* The input as it is: whatever its magic makes of it. */
static void raw(const uint8_t *data, size_t size)
{
	size_t cap = size < 2 ? 0 : le16_get(data), got;
	uint8_t *dst = malloc(cap + 1), *buf;

	if (size < 2 || dst == NULL) {
		free(dst);
		return;
	}
	buf = realloc(dst, cap ? cap : 1);
	decompress(data + 2, size - 2, buf, cap, &got);
	if (got > cap)
		abort();
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t plain_len, len, cap, got, cut;
	uint8_t *packed, *exact, *dst;
	int whole, r;

	if (size <= HEAD)
		return 0;
	if (data[0] >= 7 * 32) {
		raw(data + 1, size - 1);
		return 0;
	}
	plain_len = size - HEAD;
	packed = compress_bytes(formats[data[0] % 7], data + HEAD, plain_len, &len);
	cap = data[1] & 1 ? plain_len : le16_get(data + 2);
	cut = data[1] & 2 ? le16_get(data + 4) % len : 0;
	if (data[1] & 4)
		packed[le16_get(data + 6) % len] ^= data[8];
	if (data[1] & 8)
		packed[le16_get(data + 9) % len] ^= data[11];
	whole = cut == 0 && (data[1] & 12) == 0;
	exact = malloc(len - cut);
	dst = malloc(cap ? cap : 1);
	if (exact == NULL || dst == NULL)
		abort();
	memcpy(exact, packed, len - cut);
	r = decompress(exact, len - cut, dst, cap, &got);
	if (got > cap)
		abort();
	if (whole && (r == 0) != (cap >= plain_len))
		abort();
	if (whole && r == 0 && (got != plain_len || memcmp(dst, data + HEAD, got) != 0))
		abort();
	free(dst);
	free(exact);
	free(packed);
	return 0;
}
