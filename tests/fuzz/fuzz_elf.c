/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds the ELF loader with a vmlinux in which the input overwrites words; an input that starts
 * with 0xff is the file itself. Oracles: those of load_fuzz_run(), and a file that was left as it
 * is must load.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/load_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct kernel_spec spec = {.lead = 0x1000};
	struct load_params p = {.path = "fuzz"};
	struct kernel_bytes b;
	int r;

	if (size > 4 && data[0] == 0xff) {
		b = (struct kernel_bytes){malloc(size), size};
		if (b.data == NULL)
			abort();
		memcpy(b.data, data, size);
		memcpy(b.data, "\177ELF", 4);
	} else {
		b = kernel_elf(&spec);
		load_fuzz_patch(&b, data, size);
	}
	r = load_fuzz_run(&b, &p, 0);
	if (r < 0 && size < 7 && !(size > 4 && data[0] == 0xff))
		abort();
	free(b.data);
	return 0;
}
