/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_ARM64_H
#define LOADER_ARM64_H

#include "loader/file.h"
#include "loader/image.h"

/* How many bytes from the start of the file the functions below want to see. */
#define ARM64_HEAD_LEN 64

/* Whether @head starts a raw arm64 Image. */
int arm64_probe(const uint8_t *head, size_t head_len);

/* Whether @head starts an EFI zboot image: a compressed Image inside a small EFI program. */
int arm64_probe_zboot(const uint8_t *head, size_t head_len);

/*
 * Loads a raw Image, an Image compressed in any format that loader/decompress.h knows, or an EFI
 * zboot image, whose first @head_len bytes are @head, to the start of the first RAM region
 * (Documentation/arch/arm64/booting.rst, "Call the kernel image"). 0, or -errno; says why.
 */
int arm64_load(const struct file *f, const uint8_t *head, size_t head_len,
	       const struct load_params *p, struct mem *mem, struct image *img);

#endif
