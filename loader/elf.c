/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads ELF64 headers, for the kernel inside a bzImage as for one on its own, and loads the latter.
 * Every number in the file is hostile and is checked before it is used. Runs on the main thread
 * before any vCPU does. Does not know what an ELF file is packed in.
 */
#include "loader/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "loader/le.h"
#include "vmm/log.h"

_Static_assert(sizeof(Elf64_Ehdr) == ELF_HEADER_LEN, "ELF64 header");
_Static_assert(sizeof(Elf64_Phdr) == ELF_PHDR_LEN, "ELF64 program header");

/* The note that holds the physical address of the 32-bit PVH entry (Xen, elfnote.h). */
#define NOTE_OWNER        "Xen"
#define NOTE_PHYS32_ENTRY 18
#define NOTE_SEGMENT_MAX  (64 << 10)

/* Below 1 MiB lie the tables a kernel is entered with, and what a PC has there. */
#define LOAD_MIN          (1 << 20)
#define FOUR_GIB          (1ULL << 32)

/* Linux's COMMAND_LINE_SIZE on x86 is 2048, its NUL included. */
#define CMDLINE_MAX       2047

static int bad(const char **why, const char *reason)
{
	*why = reason;
	return -EINVAL;
}

int elf_header(const void *bytes, size_t len, uint64_t size, struct elf *elf, const char **why)
{
	Elf64_Ehdr h;

	*elf = (struct elf){0};
	if (len >= EI_NIDENT && memcmp(bytes, ELFMAG, SELFMAG) == 0 &&
	    ((const uint8_t *)bytes)[EI_CLASS] == ELFCLASS32)
		return bad(why, "is a 32-bit ELF file; build the kernel for x86-64");
	if (len < sizeof(h) || size < sizeof(h))
		return bad(why, "is an ELF file cut short; fetch or build it again");
	memcpy(&h, bytes, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
		return bad(why, "is not an ELF file");
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB)
		return bad(why, "is not a little-endian ELF64 file; build the kernel for x86-64");
	if (le16toh(h.e_machine) == EM_AARCH64)
		return bad(why, "is an arm64 ELF file, but this machine is x86-64");
	if (le16toh(h.e_machine) != EM_X86_64)
		return bad(why, "is an ELF file for a processor other than x86-64");
	if (le16toh(h.e_type) != ET_EXEC && le16toh(h.e_type) != ET_DYN)
		return bad(why, "is an ELF file but no program; give the linked vmlinux");
	if (le16toh(h.e_phentsize) != sizeof(Elf64_Phdr))
		return bad(why, "has ELF program headers of a strange size; it is damaged");
	elf->entry = le64toh(h.e_entry);
	elf->phoff = le64toh(h.e_phoff);
	elf->phnum = le16toh(h.e_phnum);
	if (elf->phnum == 0)
		return bad(why, "has no ELF program headers; give a linked vmlinux");
	if (elf->phnum > ELF_SEGMENTS_MAX)
		return bad(why, "has more than 64 ELF program headers; no kernel has");
	if (elf->phoff > size || elf->phnum * sizeof(Elf64_Phdr) > size - elf->phoff)
		return bad(why, "has its ELF program headers outside the file; it is cut short");
	return 0;
}

static int overlaps_earlier(const struct elf *elf, const struct elf_segment *s)
{
	for (unsigned i = 0; i < elf->loads; i++) {
		const struct elf_segment *e = &elf->load[i];

		if (s->paddr < e->paddr + e->memsz && e->paddr < s->paddr + s->memsz)
			return 1;
	}
	return 0;
}

int elf_segments(const void *bytes, uint64_t size, struct elf *elf, const char **why)
{
	for (unsigned i = 0; i < elf->phnum; i++) {
		struct elf_segment s;
		Elf64_Phdr h;

		memcpy(&h, (const uint8_t *)bytes + i * sizeof(h), sizeof(h));
		if (le32toh(h.p_type) != PT_LOAD && le32toh(h.p_type) != PT_NOTE)
			continue;
		s.off = le64toh(h.p_offset);
		s.filesz = le64toh(h.p_filesz);
		s.paddr = le64toh(h.p_paddr);
		s.memsz = le64toh(h.p_memsz);
		if (s.off > size || s.filesz > size - s.off)
			return bad(why, "has an ELF segment outside the file; it is cut short");
		if (le32toh(h.p_type) == PT_NOTE) {
			elf->note[elf->notes++] = s;
			continue;
		}
		if (s.filesz > s.memsz)
			return bad(why, "has an ELF segment larger in the file than in memory");
		if (s.memsz == 0)
			continue;
		if (s.memsz > UINT64_MAX - s.paddr)
			return bad(why, "has an ELF segment that wraps around the address space");
		if (overlaps_earlier(elf, &s))
			return bad(why, "has ELF segments that overlap in memory");
		elf->load[elf->loads++] = s;
	}
	if (elf->loads == 0)
		return bad(why, "has nothing to load in its ELF program headers");
	return 0;
}

int elf_end(const void *bytes, size_t len, const struct elf *elf, size_t *end, const char **why)
{
	const uint8_t *b = bytes;
	uint64_t last = elf->phoff + elf->phnum * sizeof(Elf64_Phdr);
	uint64_t shoff, shlen;
	Elf64_Ehdr h;

	memcpy(&h, b, sizeof(h));
	shoff = le64toh(h.e_shoff);
	shlen = (uint64_t)le16toh(h.e_shnum) * sizeof(Elf64_Shdr);
	if (shlen > 0 && le16toh(h.e_shentsize) != sizeof(Elf64_Shdr))
		return bad(why, "has ELF section headers of a strange size; it is damaged");
	if (shlen > 0 && (shoff > len || shlen > len - shoff))
		return bad(why, "has its ELF section headers outside the file; it is damaged");
	if (shlen > 0 && shoff + shlen > last)
		last = shoff + shlen;
	for (unsigned i = 0; i < elf->loads; i++)
		if (elf->load[i].off + elf->load[i].filesz > last)
			last = elf->load[i].off + elf->load[i].filesz;
	for (uint64_t at = 0; at < shlen; at += sizeof(Elf64_Shdr)) {
		Elf64_Shdr s;
		uint64_t off, size;

		memcpy(&s, b + shoff + at, sizeof(s));
		off = le64toh(s.sh_offset);
		size = le64toh(s.sh_size);
		if (le32toh(s.sh_type) == SHT_NOBITS || le32toh(s.sh_type) == SHT_NULL)
			continue;
		if (off > len || size > len - off)
			return bad(why, "has an ELF section outside the file; it is damaged");
		if (off + size > last)
			last = off + size;
	}
	if (last > len)
		return bad(why, "has ELF headers outside the file; it is damaged");
	*end = (size_t)last;
	return 0;
}

static uint32_t round4(uint32_t n)
{
	return (n + 3) & ~3u;
}

/* Looks for the PVH note in @len bytes of notes: its address, or 0. */
static uint64_t pvh_note(const uint8_t *at, size_t len)
{
	Elf64_Nhdr n;

	while (len >= sizeof(n)) {
		uint32_t name, desc;

		memcpy(&n, at, sizeof(n));
		at += sizeof(n);
		len -= sizeof(n);
		name = le32toh(n.n_namesz);
		desc = le32toh(n.n_descsz);
		if (name > len || desc > len || round4(name) > len ||
		    round4(desc) > len - round4(name))
			return 0;
		if (le32toh(n.n_type) == NOTE_PHYS32_ENTRY && name == sizeof(NOTE_OWNER) &&
		    memcmp(at, NOTE_OWNER, name) == 0) {
			if (desc == 4)
				return le32_get(at + round4(name));
			return desc == 8 ? le64_get(at + round4(name)) : 0;
		}
		at += round4(name) + round4(desc);
		len -= round4(name) + round4(desc);
	}
	return 0;
}

/* Stores the PVH entry, or 0 for a kernel without one. */
static int find_pvh_entry(const struct file *f, const struct elf *elf, uint64_t *entry)
{
	uint8_t *buf = malloc(NOTE_SEGMENT_MAX);
	int r = 0;

	*entry = 0;
	if (buf == NULL)
		return log_fail(-ENOMEM, "kernel %s: no memory to read its notes", f->path);
	for (unsigned i = 0; i < elf->notes && *entry == 0; i++) {
		const struct elf_segment *n = &elf->note[i];

		if (n->filesz > NOTE_SEGMENT_MAX)
			continue;
		r = file_read(f, n->off, buf, n->filesz);
		if (r < 0)
			break;
		*entry = pvh_note(buf, n->filesz);
	}
	free(buf);
	return r;
}

static int load_segments(const struct file *f, const struct elf *elf, struct mem *mem,
			 struct image *img)
{
	img->start = UINT64_MAX;
	img->end = 0;
	for (unsigned i = 0; i < elf->loads; i++) {
		const struct elf_segment *s = &elf->load[i];
		void *at = mem_at(mem, s->paddr, s->memsz);
		int r;

		if (s->paddr < LOAD_MIN)
			return log_fail(-EINVAL,
					"kernel %s: has an ELF segment at %#llx, below 1 MiB, "
					"where boot tables lie; link it at 1 MiB or above",
					f->path, (unsigned long long)s->paddr);
		if (at == NULL)
			return log_fail(-EINVAL,
					"kernel %s: has an ELF segment at %#llx..%#llx, outside "
					"the guest's %llu MiB of RAM; give the guest more memory",
					f->path, (unsigned long long)s->paddr,
					(unsigned long long)(s->paddr + s->memsz),
					(unsigned long long)(mem_size(mem) >> 20));
		r = file_read(f, s->off, at, s->filesz);
		if (r < 0)
			return r;
		if (s->paddr < img->start)
			img->start = s->paddr;
		if (s->paddr + s->memsz > img->end)
			img->end = s->paddr + s->memsz;
	}
	return 0;
}

static int in_segment(const struct elf *elf, uint64_t addr)
{
	for (unsigned i = 0; i < elf->loads; i++)
		if (addr >= elf->load[i].paddr && addr - elf->load[i].paddr < elf->load[i].filesz)
			return 1;
	return 0;
}

static int read_headers(const struct file *f, const uint8_t *head, size_t head_len, struct elf *elf)
{
	uint8_t phdrs[ELF_SEGMENTS_MAX * ELF_PHDR_LEN];
	const char *why;
	int r;

	r = elf_header(head, head_len, f->size, elf, &why);
	if (r < 0)
		return log_fail(r, "kernel %s: %s", f->path, why);
	r = file_read(f, elf->phoff, phdrs, elf->phnum * ELF_PHDR_LEN);
	if (r < 0)
		return r;
	r = elf_segments(phdrs, f->size, elf, &why);
	if (r < 0)
		return log_fail(r, "kernel %s: %s", f->path, why);
	return 0;
}

int elf_load(const struct file *f, const uint8_t *head, size_t head_len, struct mem *mem,
	     struct image *img)
{
	struct elf elf;
	int r;

	*img = (struct image){.kind = IMAGE_PVH};
	r = read_headers(f, head, head_len, &elf);
	if (r < 0)
		return r;
	r = find_pvh_entry(f, &elf, &img->entry);
	if (r < 0)
		return r;
	if (img->entry == 0)
		return log_fail(-EINVAL,
				"kernel %s: is an ELF file without a PVH entry note; build it with "
				"CONFIG_PVH=y, or give the bzImage",
				f->path);
	if (img->entry >= FOUR_GIB || !in_segment(&elf, img->entry))
		return log_fail(-EINVAL,
				"kernel %s: has a PVH entry at %#llx, where it loads nothing; it "
				"is damaged",
				f->path, (unsigned long long)img->entry);
	img->initrd_max = FOUR_GIB - 1;
	img->cmdline_max = CMDLINE_MAX;
	return load_segments(f, &elf, mem, img);
}
