/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds the bzImage loader with kernels that are mostly right. Input: options, then words to
 * overwrite in the ELF file and its relocation table before they are packed, and after them words
 * to overwrite in the bzImage. Oracles: those of load_fuzz_run(), and a kernel that was left as it
 * is must load.
 */
#include <stdlib.h>

#include "loader/le.h"
#include "tests/lib/load_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The first is cheap and has no checksum, so damage gets past it. */
	static const enum decompress_format formats[] = {
		DECOMPRESS_LZ4_LEGACY, DECOMPRESS_LZ4_LEGACY, DECOMPRESS_GZIP, DECOMPRESS_ZSTD};
	static const uint32_t leads[] = {0x1000, 0x2000, 0x11000, 0x200000};
	struct kernel_spec spec = {0};
	struct load_params p = {.path = "fuzz", .random = load_fuzz_random};
	struct kernel_bytes elf, b;
	uint64_t seed;
	size_t inner;
	int r;

	if (size < 4)
		return 0;
	spec.format = formats[data[0] & 3];
	spec.relocs = (data[0] >> 2 & 3) % 3;
	spec.lead = leads[(data[0] & 0xf0) == 0xf0 ? 3 : data[0] >> 4 & 1];
	p.mode = (data[1] & 3) % 3;
	p.kaslr = data[1] >> 2 & 1;
	p.initrd_len = (uint64_t)(data[1] >> 3) << 20;
	seed = data[2];
	p.random_arg = &seed;
	inner = data[3] % 16 * 7;
	data += 4;
	size -= 4;
	if (inner > size)
		inner = size / 7 * 7;

	elf = kernel_elf_relocs(&spec);
	load_fuzz_patch(&elf, data, inner);
	b = kernel_bzimage_of(spec.format, elf.data, elf.len);
	free(elf.data);
	load_fuzz_patch(&b, data + inner, size - inner);
	r = load_fuzz_run(&b, &p, 0);
	if (r < 0 && size < 7)
		abort();
	free(b.data);
	return 0;
}
