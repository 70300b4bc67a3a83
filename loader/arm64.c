/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads an arm64 Linux Image, raw or wrapped. Facts are from Documentation/arch/arm64/booting.rst;
 * the EFI zboot header is that of drivers/firmware/efi/libstub/zboot-header.S. Every number in the
 * file is hostile. Runs on the main thread before any vCPU does. Knows nothing of the device tree.
 */
#include "loader/arm64.h"

#include <errno.h>

#include "loader/decompress.h"
#include "loader/kernel_cache.h"
#include "loader/le.h"
#include "vmm/log.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

/* The Image header. */
enum { TEXT_OFFSET = 8, IMAGE_SIZE = 16, FLAGS = 24, MAGIC = 56, PE_OFFSET = 60 };
#define IMAGE_MAGIC           "ARM\x64"
#define FLAG_BIG_ENDIAN       (1 << 0)
#define FLAG_PAGE_SIZE(flags) ((flags) >> 1 & 3)

/* The header of an EFI zboot image. */
enum { ZBOOT_MAGIC = 4, ZBOOT_PAYLOAD_OFF = 8, ZBOOT_PAYLOAD_LEN = 12 };

#define IMAGE_ALIGN   (2 * MIB) /* of the address that text_offset counts from */

/* The initrd must share a 32 GiB window, aligned to 1 GiB, with the kernel. */
#define INITRD_WINDOW (32 * GIB)

/* Linux's COMMAND_LINE_SIZE on arm64 is 2048, its NUL included. */
#define CMDLINE_MAX   2047

int arm64_probe(const uint8_t *head, size_t head_len)
{
	return head_len >= ARM64_HEAD_LEN && memcmp(head + MAGIC, IMAGE_MAGIC, 4) == 0;
}

int arm64_probe_zboot(const uint8_t *head, size_t head_len)
{
	return head_len >= ARM64_HEAD_LEN && memcmp(head, "MZ", 2) == 0 &&
	       memcmp(head + ZBOOT_MAGIC, "zimg", 4) == 0;
}

/* The first region's RAM from its first 2 MiB boundary on, where every kernel can lie. */
static uint8_t *kernel_ram(const struct mem *mem, gpa_t *base, uint64_t *len)
{
	const struct mem_region *r = &mem->region[0];
	uint64_t lead = (IMAGE_ALIGN - r->base % IMAGE_ALIGN) % IMAGE_ALIGN;

	if (mem->count == 0 || r->len <= lead)
		return NULL;
	*base = r->base + lead;
	*len = r->len - lead;
	return mem_at(mem, *base, *len);
}

/* Fills @img from the Image header @h; the kernel has @ram_len bytes of RAM from @base on. */
static int read_header(const struct file *f, const uint8_t *h, gpa_t base, uint64_t ram_len,
		       struct image *img)
{
	uint64_t text = le64_get(h + TEXT_OFFSET), size = le64_get(h + IMAGE_SIZE);

	if ((le64_get(h + FLAGS) & FLAG_BIG_ENDIAN) != 0)
		return log_fail(-EINVAL,
				"kernel %s: is a big-endian arm64 kernel; give a little-endian one",
				f->path);
	if (size == 0)
		return log_fail(-EINVAL,
				"kernel %s: is an arm64 kernel that does not say its size; give "
				"Linux 3.17 or later",
				f->path);
	if (text >= IMAGE_ALIGN || size < ARM64_HEAD_LEN || size > UINT64_MAX - IMAGE_ALIGN)
		return log_fail(
			-EINVAL,
			"kernel %s: has impossible sizes in its arm64 header; it is damaged",
			f->path);
	if (text + size > ram_len)
		return log_fail(-EINVAL,
				"kernel %s: needs %llu MiB of RAM to start, but the guest has %llu "
				"MiB; give it more memory",
				f->path, (unsigned long long)((text + size + MIB - 1) / MIB),
				(unsigned long long)(ram_len / MIB));
	img->start = base + text;
	img->end = img->start + size;
	img->entry = img->start;
	img->granule = (uint8_t)FLAG_PAGE_SIZE(le64_get(h + FLAGS));
	img->initrd_max = (img->start & ~(GIB - 1)) + INITRD_WINDOW - 1;
	img->cmdline_max = CMDLINE_MAX;
	return 0;
}

/*
 * How far the file of a raw Image must reach by its EFI stub's section table, or 0 for one without:
 * nothing else tells a file that was cut short (the header's size counts memory).
 */
static uint64_t efi_file_end(const uint8_t *head, size_t head_len)
{
	uint64_t pe = le32_get(head + PE_OFFSET), at, end = 0;
	unsigned count;

	/* "PE\0\0", the COFF header of 20 bytes, the optional header, 40 bytes a section. */
	if (memcmp(head, "MZ", 2) != 0 || pe + 24 > head_len || memcmp(head + pe, "PE\0\0", 4) != 0)
		return 0;
	count = le16_get(head + pe + 6);
	at = pe + 24 + le16_get(head + pe + 20);
	for (; count > 0 && at + 40 <= head_len; count--, at += 40) {
		uint64_t raw = (uint64_t)le32_get(head + at + 16) + le32_get(head + at + 20);

		if (raw > end)
			end = raw;
	}
	return end;
}

static int load_raw(const struct file *f, const uint8_t *head, size_t head_len, struct mem *mem,
		    struct image *img)
{
	uint64_t ram_len, len = f->size, file_end = efi_file_end(head, head_len);
	gpa_t base;
	uint8_t *ram = kernel_ram(mem, &base, &ram_len);
	int r;

	if (ram == NULL)
		return log_fail(-EINVAL, "kernel %s: the guest has no RAM for it", f->path);
	r = read_header(f, head, base, ram_len, img);
	if (r < 0)
		return r;
	if (file_end > f->size)
		return log_fail(-EINVAL,
				"kernel %s: has %llu bytes, but its EFI header says %llu; it is "
				"cut short: fetch or build it again",
				f->path, (unsigned long long)f->size, (unsigned long long)file_end);
	if (len > img->end - img->start) /* a signature may follow */
		len = img->end - img->start;
	return file_read(f, 0, ram + (img->start - base), len);
}

static int unpack_failed(const struct file *f, int r)
{
	if (r == -ENOTSUP)
		return log_fail(r,
				"kernel %s: is compressed in a format that is not unpacked here; "
				"unpack it",
				f->path);
	if (r == -ENOSPC)
		return log_fail(r,
				"kernel %s: unpacks to more than the guest's RAM; give the guest "
				"more memory",
				f->path);
	if (r == -ENOMEM)
		return log_fail(r, "kernel %s: takes too much memory to unpack", f->path);
	return log_fail(r, "kernel %s: is corrupt or cut short; fetch or build it again", f->path);
}

/* Unpacks those bytes of the file into zeroed RAM. 0 or -errno, said. */
static int unpack(const struct file *f, uint64_t off, size_t len, struct kernel_cache *cache,
		  uint8_t *ram, size_t ram_len, size_t *got)
{
	struct file_bytes packed;
	int r;

	if (kernel_cache_get(cache, f, off, len, ram, ram_len, got) == 0) {
		if (arm64_probe(ram, *got))
			return 0;
		memset(ram, 0, *got); /* no kernel any more: as good as none */
	}
	r = file_slurp(f, off, len, &packed);
	if (r < 0)
		return r;
	r = decompress(packed.data, packed.len, ram, ram_len, got);
	file_free(&packed);
	if (r < 0)
		return unpack_failed(f, r);
	if (!arm64_probe(ram, *got))
		return log_fail(-EINVAL,
				"kernel %s: is compressed, but not an arm64 Image inside; give a "
				"kernel for arm64",
				f->path);
	kernel_cache_put(cache, f, off, len, ram, *got);
	return 0;
}

/* The compressed Image is the @len bytes of the file from @off on. */
static int load_packed(const struct file *f, uint64_t off, size_t len, struct kernel_cache *cache,
		       struct mem *mem, struct image *img)
{
	uint64_t ram_len, size;
	size_t got, text;
	gpa_t base;
	uint8_t *ram = kernel_ram(mem, &base, &ram_len);
	int r;

	if (ram == NULL)
		return log_fail(-EINVAL, "kernel %s: the guest has no RAM for it", f->path);
	r = unpack(f, off, len, cache, ram, ram_len, &got);
	if (r < 0)
		return r;
	r = read_header(f, ram, base, ram_len, img);
	if (r < 0)
		return r;
	size = img->end - img->start;
	text = img->start - base;
	if (got > size) { /* a signature may follow */
		memset(ram + size, 0, got - size);
		got = size;
	}
	memset(ram + got, 0, size - got); /* what the decompressor may have left there */
	if (text > 0) {
		memmove(ram + text, ram, got);
		memset(ram, 0, text);
	}
	return 0;
}

int arm64_load(const struct file *f, const uint8_t *head, size_t head_len,
	       const struct load_params *p, struct mem *mem, struct image *img)
{
	uint32_t off, len;

	*img = (struct image){.kind = IMAGE_ARM64};
	if (arm64_probe(head, head_len))
		return load_raw(f, head, head_len, mem, img);
	if (!arm64_probe_zboot(head, head_len))
		return load_packed(f, 0, f->size, p->cache, mem, img);
	off = le32_get(head + ZBOOT_PAYLOAD_OFF);
	len = le32_get(head + ZBOOT_PAYLOAD_LEN);
	if (len == 0 || off > f->size || len > f->size - off)
		return log_fail(-EINVAL,
				"kernel %s: has its payload outside the file; it is cut short: "
				"fetch or build it again",
				f->path);
	return load_packed(f, off, len, p->cache, mem, img);
}
