/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs load_kernel() for the fuzz targets and judges its result. One thread. */
#include "tests/lib/load_fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/le.h"
#include "tests/lib/said.h"

void load_fuzz_patch(struct kernel_bytes *b, const uint8_t *data, size_t size)
{
	for (; size >= 7 && b->len >= 8; data += 7, size -= 7) {
		/* Most of what is judged lies in the first 4 KiB or the last. */
		size_t where = le16_get(data + 1), width = 1u << (data[0] & 3);
		uint8_t value[8] = {0};

		if (data[0] & 4)
			where = b->len - 8 - where % (b->len - 7);
		else if (data[0] & 8)
			where = where % 4096;
		if (where > b->len - 8)
			where %= b->len - 7;
		le32_put(value, le32_get(data + 3));
		if (data[0] & 16)
			memset(value + 4, 0xff, 4);
		memcpy(b->data + where, value, width);
	}
}

static int in_ram(const struct mem *mem, uint64_t start, uint64_t end)
{
	return end > start && mem_at(mem, start, end - start) != NULL;
}

int load_fuzz_run(const struct kernel_bytes *b, const struct load_params *p, gpa_t base)
{
	const struct mem_range range = {base, LOAD_FUZZ_RAM};
	struct image img;
	struct mem mem;
	int fd = kernel_fd(b->data, b->len), r;

	said_start();
	if (mem_create(&mem, &range, 1) < 0)
		abort();
	r = load_kernel(fd, p, &mem, &img);
	close(fd);
	if (r > 0 || (r < 0 && said_count() != 1))
		abort();
	if (r == 0 && (!in_ram(&mem, img.start, img.end) || img.entry < img.start ||
		       img.entry >= img.end || img.setup_len > IMAGE_SETUP_HEADER_MAX ||
		       img.cmdline_max == 0 || (img.kaslr && !p->kaslr)))
		abort();
	mem_destroy(&mem);
	return r;
}

uint64_t load_fuzz_random(void *arg)
{
	uint64_t *s = arg;

	*s = *s * 6364136223846793005ull + 1442695040888963407ull;
	return *s >> 16;
}
