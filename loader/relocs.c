/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves an unpacked x86-64 kernel to another virtual address by the table that came with it. The
 * table is hostile input: no entry may make us write outside the image. Runs on the main thread
 * before any vCPU does. Does not know where the table came from, or why the address was chosen.
 */
#include "loader/relocs.h"

#include <errno.h>

#include "loader/le.h"

/* Where the kernel maps physical address 0 of its own image (arch/x86 page_64_types.h). */
#define START_KERNEL_MAP 0xffffffff80000000ULL

#define WORD             4
#define LISTS_MAX        3

int relocs_parse(const void *table, size_t len, struct relocs *relocs)
{
	struct relocs_list list[LISTS_MAX] = {{0}};
	const uint8_t *word = table;
	size_t lists = 0;

	*relocs = (struct relocs){0};
	if (len == 0)
		return -ENOENT;
	if (len % WORD != 0 || le32_get(word) != 0)
		return -EINVAL;
	for (const uint8_t *end = word + len; word < end; word += WORD) {
		if (le32_get(word) != 0) {
			list[lists - 1].count++;
			continue;
		}
		if (lists == LISTS_MAX)
			return -EINVAL;
		list[lists++].words = word + WORD;
	}
	if (lists < 2)
		return -EINVAL;
	relocs->add64 = list[0];
	relocs->add32 = list[lists - 1];
	if (lists == LISTS_MAX)
		relocs->sub32 = list[1];
	return 0;
}

/* The place that entry @i speaks of, or NULL unless all @size bytes of it lie in the image. */
static uint8_t *place(const struct relocs_list *list, size_t i, size_t size, uint8_t *image,
		      size_t len, uint64_t link_base)
{
	uint64_t addr = (uint64_t)(int64_t)(int32_t)le32_get(list->words + i * WORD);
	uint64_t off = addr - START_KERNEL_MAP - link_base;

	return off > len || size > len - off ? NULL : image + off;
}

static int shift32(const struct relocs_list *list, uint8_t *image, size_t len, uint64_t link_base,
		   uint32_t distance)
{
	for (size_t i = 0; i < list->count; i++) {
		uint8_t *p = place(list, i, sizeof(uint32_t), image, len, link_base);

		if (p == NULL)
			return -EINVAL;
		le32_put(p, le32_get(p) + distance);
	}
	return 0;
}

static int shift64(const struct relocs_list *list, uint8_t *image, size_t len, uint64_t link_base,
		   uint64_t distance)
{
	for (size_t i = 0; i < list->count; i++) {
		uint8_t *p = place(list, i, sizeof(uint64_t), image, len, link_base);

		if (p == NULL)
			return -EINVAL;
		le64_put(p, le64_get(p) + distance);
	}
	return 0;
}

int relocs_apply(const struct relocs *relocs, void *image, size_t len, uint64_t link_base,
		 uint64_t distance)
{
	int r;

	r = shift32(&relocs->add32, image, len, link_base, (uint32_t)distance);
	if (r < 0)
		return r;
	r = shift32(&relocs->sub32, image, len, link_base, (uint32_t)(0 - distance));
	if (r < 0)
		return r;
	return shift64(&relocs->add64, image, len, link_base, distance);
}
