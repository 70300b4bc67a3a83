/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_BZIMAGE_H
#define LOADER_BZIMAGE_H

#include "loader/file.h"
#include "loader/image.h"

/* How many bytes from the start of the file bzimage_load() wants to see, if the file has them. */
#define BZIMAGE_HEAD_LEN 1024

/* Whether @head is the start of an x86 bzImage, of whatever age and width. */
int bzimage_probe(const uint8_t *head, size_t head_len);

/*
 * Loads the bzImage @f, whose first @head_len bytes are @head, into @mem as p->mode says:
 *
 * direct   the payload is unpacked into RAM and its ELF segments are put where they belong, by
 *          p->random if p->kaslr asks for it; img->entry is the kernel's own startup_64
 * bzimage  the protected-mode code is read to where it prefers to lie; img->entry is its 64-bit
 *          entry, and the guest unpacks and relocates for itself
 * auto     direct, or bzimage where this payload cannot be unpacked here (and says so)
 *
 * 0, or -errno; says why.
 */
int bzimage_load(const struct file *f, const uint8_t *head, size_t head_len,
		 const struct load_params *p, struct mem *mem, struct image *img);

#endif
