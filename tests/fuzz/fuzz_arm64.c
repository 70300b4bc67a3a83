/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds the arm64 loader with Images, packed Images and EFI zboot images. Input: options, words to
 * overwrite in the Image, words to overwrite in what is around it. Oracles: those of
 * load_fuzz_run(), and a file that was left as it is must load.
 */
#include <stdlib.h>

#include "tests/lib/compress.h"
#include "tests/lib/load_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum decompress_format formats[] = {DECOMPRESS_GZIP, DECOMPRESS_ZSTD,
							 DECOMPRESS_LZ4, DECOMPRESS_LZ4_LEGACY};
	struct load_params p = {.path = "fuzz", .arch = IMAGE_ARCH_ARM64};
	enum decompress_format format;
	struct kernel_bytes image, b;
	size_t inner;

	if (size < 2)
		return 0;
	format = formats[data[0] >> 2 & 3];
	image = kernel_arm64((uint64_t)(data[0] >> 4) << 17, 0x200000, 0xa, 20000);
	inner = data[1] % 16 * 7;
	if (inner > size - 2)
		inner = (size - 2) / 7 * 7;
	load_fuzz_patch(&image, data + 2, inner);
	switch (data[0] & 3) {
	case 0:
		b = image;
		image.data = NULL;
		break;
	case 1:
		b.data = compress_bytes(format, image.data, image.len, &b.len);
		break;
	default:
		b = kernel_zboot(&image, format);
		break;
	}
	free(image.data);
	load_fuzz_patch(&b, data + 2 + inner, size - 2 - inner);
	if (load_fuzz_run(&b, &p, 0x40000000) < 0 && size < 9)
		abort();
	free(b.data);
	return 0;
}
