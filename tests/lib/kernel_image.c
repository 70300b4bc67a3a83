/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes kernel files out of a description, and says what RAM must look like when one was loaded:
 * from the description, never by reading the file back. Any thread. Knows nothing of the loader
 * but the names of its formats.
 */
#include "tests/lib/kernel_image.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/le.h"
#include "tests/lib/compress.h"

#define MAP_BASE      0xffffffff80000000ull

#define SETUP_SECTORS 3
#define SETUP_LEN     ((SETUP_SECTORS + 1) * 512)
#define PAYLOAD_OFF   0x300 /* into the protected-mode code */

/* text, data, per-CPU, init with bss: offsets from the start, and from the lead in the file. */
static const struct {
	uint32_t mem_off, file_off, filesz, memsz;
	uint64_t vaddr;
} segments[] = {
	{0x00000, 0x00000, 0x18000, 0x18000, MAP_BASE + KERNEL_PREF},
	{0x20000, 0x20000, 0x08000, 0x08000, MAP_BASE + KERNEL_PREF + 0x20000},
	{0x30000, 0x40000, 0x02000, 0x02000, 0},
	{0x32000, 0x42000, 0x06000, 0x46000, MAP_BASE + KERNEL_PREF + 0x32000},
};

#define SEGMENTS (sizeof(segments) / sizeof(segments[0]))
#define MEM_END  0x38000 /* of what the segments bring along */
#define FILE_END 0x48000 /* from the lead; the section header follows */
#define NOTE_OFF 0x200   /* in the text */

/* Places to relocate, as offsets from the start. */
static const uint32_t add64[] = {KERNEL_ADD64_OFF, 0x1010, 0x17ff8, 0x20000, 0x33004};
static const uint32_t sub32[] = {0x30010, 0x31ffc};
static const uint32_t add32[] = {0x10, 0x2003, 0x27ffc, 0x37ffc};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void *must_alloc(size_t len)
{
	void *p = calloc(1, len);

	if (p == NULL)
		abort();
	return p;
}

static uint8_t pattern(uint32_t off)
{
	return (uint8_t)((off * 2654435761u) >> 24 | 1);
}

/* Writes the kernel's bytes where @at says each segment goes, moved by @distance. */
static void fill(uint8_t *base, const struct kernel_spec *spec, uint64_t distance,
		 uint32_t (*at)(unsigned))
{
	uint8_t *mem = must_alloc(MEM_END);

	for (unsigned i = 0; i < SEGMENTS; i++)
		for (uint32_t b = 0; b < segments[i].filesz; b++)
			mem[segments[i].mem_off + b] = pattern(segments[i].mem_off + b);
	if (!spec->no_note) {
		le32_put(mem + NOTE_OFF, 4);
		le32_put(mem + NOTE_OFF + 4, 8);
		le32_put(mem + NOTE_OFF + 8, 18);
		memcpy(mem + NOTE_OFF + 12, "Xen", 4);
		le64_put(mem + NOTE_OFF + 16, KERNEL_PREF + KERNEL_PVH_OFF);
	}
	for (unsigned i = 0; i < COUNT(add64); i++)
		le64_put(mem + add64[i], KERNEL_ADD64_VALUE + i + distance);
	for (unsigned i = 0; i < COUNT(add32); i++)
		le32_put(mem + add32[i], 0x81000100 + i + (uint32_t)distance);
	for (unsigned i = 0; i < COUNT(sub32); i++)
		le32_put(mem + sub32[i],
			 0x7e000000 + i -
				 (spec->relocs == KERNEL_RELOCS_OLD ? (uint32_t)distance : 0));
	for (unsigned i = 0; i < SEGMENTS; i++)
		memcpy(base + at(i), mem + segments[i].mem_off, segments[i].filesz);
	free(mem);
}

static uint32_t at_mem(unsigned i)
{
	return segments[i].mem_off;
}

static uint32_t at_file(unsigned i)
{
	return segments[i].file_off;
}

uint8_t *kernel_expected(const struct kernel_spec *spec, uint64_t distance)
{
	uint8_t *mem = must_alloc(KERNEL_INIT_SIZE);

	fill(mem, spec, distance, at_mem);
	return mem;
}

static void put_headers(uint8_t *file, const struct kernel_spec *spec)
{
	Elf64_Ehdr h = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = KERNEL_PREF + KERNEL_ENTRY_OFF,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_shoff = spec->lead + FILE_END,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = SEGMENTS + (spec->no_note ? 0 : 1),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 1,
	};
	Elf64_Phdr p[SEGMENTS + 1];

	for (unsigned i = 0; i < SEGMENTS; i++)
		p[i] = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_offset = spec->lead + segments[i].file_off,
			.p_vaddr = segments[i].vaddr,
			.p_paddr = KERNEL_PREF + segments[i].mem_off,
			.p_filesz = segments[i].filesz,
			.p_memsz = segments[i].memsz,
			.p_align = KERNEL_ALIGN,
		};
	p[SEGMENTS] = (Elf64_Phdr){
		.p_type = PT_NOTE,
		.p_offset = spec->lead + NOTE_OFF,
		.p_filesz = 24,
		.p_memsz = 24,
		.p_align = 4,
	};
	memcpy(file, &h, sizeof(h));
	memcpy(file + sizeof(h), p, h.e_phnum * sizeof(p[0]));
}

struct kernel_bytes kernel_elf(const struct kernel_spec *spec)
{
	Elf64_Shdr section = {.sh_type = SHT_PROGBITS, .sh_size = segments[0].filesz};
	struct kernel_bytes b = {.len = spec->lead + FILE_END + sizeof(Elf64_Shdr)};

	section.sh_offset = spec->lead;
	b.data = must_alloc(b.len);
	put_headers(b.data, spec);
	memcpy(b.data + spec->lead + FILE_END, &section, sizeof(section));
	fill(b.data + spec->lead, spec, 0, at_file);
	return b;
}

static uint8_t *put_list(uint8_t *at, const uint32_t *places, size_t n)
{
	le32_put(at, 0);
	at += 4;
	for (size_t i = 0; i < n; i++, at += 4)
		le32_put(at, (uint32_t)MAP_BASE + KERNEL_PREF + places[i]);
	return at;
}

struct kernel_bytes kernel_elf_relocs(const struct kernel_spec *spec)
{
	struct kernel_bytes b = kernel_elf(spec);
	uint8_t *at;

	if (spec->relocs == KERNEL_RELOCS_NONE)
		return b;
	b.data = realloc(b.data, b.len + 4096);
	if (b.data == NULL)
		abort();
	at = put_list(b.data + b.len, add64, COUNT(add64));
	if (spec->relocs == KERNEL_RELOCS_OLD)
		at = put_list(at, sub32, COUNT(sub32));
	at = put_list(at, add32, COUNT(add32));
	b.len = (size_t)(at - b.data);
	return b;
}

struct kernel_bytes kernel_bzimage_around(const void *payload, size_t len)
{
	size_t code = (PAYLOAD_OFF + len + 15) / 16 * 16;
	struct kernel_bytes b = {.len = SETUP_LEN + code};
	uint8_t *h;

	h = b.data = must_alloc(b.len);
	h[0x1f1] = SETUP_SECTORS;
	le32_put(h + 0x1f4, (uint32_t)(code / 16));
	memcpy(h + 0x1fe, "\x55\xaa", 2);
	h[0x201] = 0x6a;
	memcpy(h + 0x202, "HdrS", 4);
	memcpy(h + 0x206, "\x0f\x02", 2);
	h[0x211] = 1; /* loadflags: LOADED_HIGH */
	le32_put(h + 0x22c, 0x7fffffff);
	le32_put(h + 0x230, KERNEL_ALIGN);
	h[0x234] = 1; /* relocatable_kernel */
	h[0x235] = 21;
	h[0x236] = 0x7f; /* xloadflags */
	le32_put(h + 0x238, KERNEL_CMDLINE);
	le32_put(h + 0x248, PAYLOAD_OFF);
	le32_put(h + 0x24c, (uint32_t)len);
	le64_put(h + 0x258, KERNEL_PREF);
	le32_put(h + 0x260, KERNEL_INIT_SIZE);
	for (size_t i = 0; i < PAYLOAD_OFF; i++)
		h[SETUP_LEN + i] = pattern((uint32_t)i);
	memcpy(h + SETUP_LEN + PAYLOAD_OFF, payload, len);
	return b;
}

struct kernel_bytes kernel_bzimage_of(enum decompress_format format, const void *content,
				      size_t len)
{
	struct kernel_bytes b;
	size_t n;
	uint8_t *payload = compress_bytes(format, content, len, &n);

	if (format != DECOMPRESS_GZIP) { /* gzip ends with it by itself */
		payload = realloc(payload, n + 4);
		if (payload == NULL)
			abort();
		le32_put(payload + n, (uint32_t)len);
		n += 4;
	}
	b = kernel_bzimage_around(payload, n);
	free(payload);
	return b;
}

struct kernel_bytes kernel_bzimage(const struct kernel_spec *spec)
{
	struct kernel_bytes elf = kernel_elf_relocs(spec), b;

	b = kernel_bzimage_of(spec->format, elf.data, elf.len);
	free(elf.data);
	return b;
}

struct kernel_bytes kernel_arm64(uint64_t text_offset, uint64_t image_size, uint64_t flags,
				 size_t file_len)
{
	struct kernel_bytes b = {.data = must_alloc(file_len), .len = file_len};
	uint8_t *pe = b.data + 64;

	for (size_t i = 256; i < file_len; i++)
		b.data[i] = pattern((uint32_t)i);
	memcpy(b.data, "MZ", 2);
	le64_put(b.data + 8, text_offset);
	le64_put(b.data + 16, image_size);
	le64_put(b.data + 24, flags);
	memcpy(b.data + 56, "ARM\x64", 4);
	le32_put(b.data + 60, 64);
	memcpy(pe, "PE\0\0", 4);
	memcpy(pe + 6, "\1\0", 2);                         /* one section */
	le32_put(pe + 24 + 16, (uint32_t)file_len - 4096); /* its length in the file */
	le32_put(pe + 24 + 20, 4096);                      /* and its place there */
	return b;
}

struct kernel_bytes kernel_zboot(const struct kernel_bytes *image, enum decompress_format format)
{
	struct kernel_bytes b;
	size_t n;
	uint8_t *packed = compress_bytes(format, image->data, image->len, &n);

	b.len = 512 + n + 100; /* the EFI program's own code follows */
	b.data = must_alloc(b.len);
	memcpy(b.data, "MZ", 2);
	memcpy(b.data + 4, "zimg", 4);
	le32_put(b.data + 8, 512);
	le32_put(b.data + 12, (uint32_t)n);
	le32_put(b.data + 56, 0x818223cd);
	memcpy(b.data + 512, packed, n);
	free(packed);
	return b;
}

int kernel_fd(const void *data, size_t len)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	if (fd < 0 || (len > 0 && write(fd, data, len) != (ssize_t)len))
		abort();
	return fd;
}
