/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_ELF_H
#define LOADER_ELF_H

#include "loader/file.h"
#include "loader/image.h"

/* What is read of an ELF64 file for x86-64; the fields of struct elf have been checked. */
#define ELF_HEADER_LEN   64
#define ELF_PHDR_LEN     56
#define ELF_SEGMENTS_MAX 64

struct elf_segment {
	uint64_t off, filesz;  /* inside the file */
	uint64_t paddr, memsz; /* does not wrap; memsz >= filesz, memsz > 0 */
};

struct elf {
	uint64_t entry;
	uint64_t phoff; /* @phnum headers there lie inside the file */
	unsigned phnum;
	unsigned loads, notes;
	struct elf_segment load[ELF_SEGMENTS_MAX]; /* PT_LOAD with memsz > 0, as in the file */
	struct elf_segment note[ELF_SEGMENTS_MAX]; /* PT_NOTE; only off and filesz count */
};

/*
 * Judges the ELF header at @bytes (@len of them are there) of a file of @size bytes and fills
 * @elf->entry, phoff and phnum. 0, or -EINVAL with *@why set to what is wrong, such as "is a
 * 32-bit ELF file; ...".
 */
int elf_header(const void *bytes, size_t len, uint64_t size, struct elf *elf, const char **why);

/*
 * Judges the elf->phnum program headers at @bytes and fills the rest of @elf. 0, or -EINVAL with
 * *@why set. At least one PT_LOAD is there after success, and no two overlap in memory.
 */
int elf_segments(const void *bytes, uint64_t size, struct elf *elf, const char **why);

/*
 * Where the ELF file at the start of @bytes ends by its own headers, sections included: beyond
 * that lies what was appended. 0, or -EINVAL with *@why set if that is not within @len.
 */
int elf_end(const void *bytes, size_t len, const struct elf *elf, size_t *end, const char **why);

/*
 * Loads an uncompressed x86-64 ELF kernel that is entered by its PVH note (Xen's PVH start-of-day
 * protocol). @head holds the file's first @head_len bytes. 0, or -errno; says why.
 */
int elf_load(const struct file *f, const uint8_t *head, size_t head_len, struct mem *mem,
	     struct image *img);

#endif
