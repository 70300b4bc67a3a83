/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_KERNEL_IMAGE_H
#define TESTS_LIB_KERNEL_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "loader/decompress.h"

/*
 * Kernels for tests, made of nothing: files of the right shape whose "code" is a pattern. The ELF
 * file inside has the segments that Linux has, a per-CPU one linked at virtual address 0 and a bss
 * included, and the file keeps the usual oddity: the later segments lie farther into the file than
 * into memory.
 */
#define KERNEL_PREF      0x1000000u /* pref_address */
#define KERNEL_ALIGN     0x200000u
#define KERNEL_INIT_SIZE 0x800000u
#define KERNEL_ENTRY_OFF 0x40u /* of startup_64, from the start */
#define KERNEL_CMDLINE   2047u
#define KERNEL_PVH_OFF   0x80u     /* of the PVH entry, from the start */
#define KERNEL_LEAD      0x200000u /* what the linker puts before the first segment */

enum kernel_relocs {
	KERNEL_RELOCS_NONE,
	KERNEL_RELOCS_NEW, /* Linux 6.15 and later: two lists */
	KERNEL_RELOCS_OLD, /* three */
};

struct kernel_spec {
	enum decompress_format format; /* of the payload */
	enum kernel_relocs relocs;
	uint32_t lead;   /* bytes of ELF file before the first segment; at least 4096 */
	uint8_t no_note; /* leave the PVH note out */
};

struct kernel_bytes {
	uint8_t *data; /* malloc'ed */
	size_t len;
};

/* The ELF file: a vmlinux that can be entered by PVH. Without a relocation table. */
struct kernel_bytes kernel_elf(const struct kernel_spec *spec);

/* What the payload of a bzImage unpacks to: the ELF file and its relocation table. */
struct kernel_bytes kernel_elf_relocs(const struct kernel_spec *spec);

/* A bzImage around kernel_elf_relocs(), and one around any other content. */
struct kernel_bytes kernel_bzimage(const struct kernel_spec *spec);
struct kernel_bytes kernel_bzimage_of(enum decompress_format format, const void *content,
				      size_t len);

/* A bzImage around a payload that is already packed and ends as the kernel build ends it. */
struct kernel_bytes kernel_bzimage_around(const void *payload, size_t len);

/* What RAM must hold from the start of the kernel on: KERNEL_INIT_SIZE bytes, malloc'ed. */
uint8_t *kernel_expected(const struct kernel_spec *spec, uint64_t distance);

/* Where a 64-bit place lies in those, whose value unmoved is KERNEL_ADD64_VALUE. */
#define KERNEL_ADD64_OFF   0x1000u
#define KERNEL_ADD64_VALUE 0xffffffff81001234ull

/* An arm64 Image: header, EFI stub header with one section, pattern. */
struct kernel_bytes kernel_arm64(uint64_t text_offset, uint64_t image_size, uint64_t flags,
				 size_t file_len);

/* The same packed in an EFI zboot image. */
struct kernel_bytes kernel_zboot(const struct kernel_bytes *image, enum decompress_format format);

/* A file that holds @len bytes: a descriptor to close, or aborts. */
int kernel_fd(const void *data, size_t len);

#endif
