/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_RELOCS_H
#define LOADER_RELOCS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The x86-64 kernel's own relocation table: what its build appends to the ELF file, before it packs
 * both, when the kernel can run at a random virtual address. 32-bit words, little-endian:
 *
 *   6.14 and before   0 [64-bit places] 0 [32-bit places that shrink] 0 [32-bit places]
 *   6.15 and later    0 [64-bit places] 0 [32-bit places]
 *
 * Each entry is the virtual address, cut to its low 32 bits, of a place to which the distance that
 * the kernel moves is added; from a place that shrinks it is subtracted (those were distances
 * between the kernel and its per-CPU section, which does not move). No entry is 0.
 */
struct relocs_list {
	const uint8_t *words;
	size_t count;
};

struct relocs {
	struct relocs_list add64, sub32, add32;
};

/*
 * Splits the @len bytes at @table, all that follows the end of the ELF file. 0; -ENOENT if there
 * are none, so the kernel has no table; -EINVAL if they have neither of the two forms. @relocs
 * points into @table.
 */
int relocs_parse(const void *table, size_t len, struct relocs *relocs);

/*
 * Adds @distance to every place. @image holds the kernel, @len bytes from the one that was linked
 * at physical address @link_base. 0, or -EINVAL at the first entry that is not the address of a
 * place in there, with the ones before it applied. The table may lie in @image: each word is
 * loaded once.
 */
int relocs_apply(const struct relocs *relocs, void *image, size_t len, uint64_t link_base,
		 uint64_t distance);

#endif
