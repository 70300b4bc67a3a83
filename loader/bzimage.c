/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads an x86-64 bzImage: reads its setup header, chooses where the kernel shall lie, and either
 * has the payload unpacked there or leaves that to the guest. Field names are those of
 * Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header". Every number in the file is
 * hostile. Runs on the main thread before any vCPU does. Knows nothing of boot parameters beyond
 * the header that it copies, nor of registers.
 */
#include "loader/bzimage.h"

#include <errno.h>

#include "loader/kernel_cache.h"
#include "loader/le.h"
#include "loader/unpack.h"
#include "vmm/log.h"

#define MIB        (1ULL << 20)
#define FOUR_GIB   (1ULL << 32)
#define SECTOR     512
#define LOW_MEMORY MIB /* nothing of a kernel goes below this */

/* The setup header's fields, by their offset in the file (boot.rst, "The Real-Mode Kernel Header").
 */
enum {
	SETUP_SECTS = 0x1f1,
	SYSSIZE = 0x1f4, /* of the protected-mode code, in 16 bytes */
	BOOT_FLAG = 0x1fe,
	JUMP_LEN = 0x201, /* the header ends this many bytes after 0x202 */
	HEADER_MAGIC = 0x202,
	VERSION = 0x206,
	LOADFLAGS = 0x211,
	INITRD_ADDR_MAX = 0x22c,
	KERNEL_ALIGNMENT = 0x230,
	RELOCATABLE_KERNEL = 0x234,
	XLOADFLAGS = 0x236,
	CMDLINE_SIZE = 0x238,
	PAYLOAD_OFFSET = 0x248, /* from the protected-mode code */
	PAYLOAD_LENGTH = 0x24c,
	PREF_ADDRESS = 0x258,
	INIT_SIZE = 0x260,
	HEADER_END = 0x264,
};

#define VERSION_MIN                0x20c /* the first with xloadflags: Linux 3.8 */
#define LOADED_HIGH                (1 << 0)
#define XLF_KERNEL_64              (1 << 0)
#define XLF_CAN_BE_LOADED_ABOVE_4G (1 << 1)
#define ENTRY_64                   0x200 /* boot.rst, "64-bit Boot Protocol" */

/* The kernel maps its image with 2 MiB pages, in 1 GiB of virtual space when it can move. */
#define ALIGN_MIN                  (2 * MIB)
#define KERNEL_IMAGE_SIZE          (1ULL << 30)

struct setup {
	uint64_t code_off, code_len;       /* protected-mode code in the file */
	uint64_t payload_off, payload_len; /* in the file; length 0 if there is none */
	uint64_t pref, init_size, align;
	uint64_t initrd_max;
	uint32_t cmdline_max;
	int relocatable;
};

int bzimage_probe(const uint8_t *head, size_t head_len)
{
	return head_len >= VERSION + 2 && le16_get(head + BOOT_FLAG) == 0xaa55 &&
	       memcmp(head + HEADER_MAGIC, "HdrS", 4) == 0;
}

static int damaged(const struct file *f, const char *field, uint64_t value)
{
	return log_fail(-EINVAL, "kernel %s: its setup header says %s %#llx; it is damaged",
			f->path, field, (unsigned long long)value);
}

static int check_kind(const struct file *f, const uint8_t *h, size_t head_len)
{
	unsigned version = le16_get(h + VERSION);

	if (head_len < HEADER_END)
		return log_fail(-EINVAL,
				"kernel %s: is cut short in its setup header; fetch or build it "
				"again",
				f->path);
	if (version < VERSION_MIN)
		return log_fail(-EINVAL,
				"kernel %s: speaks boot protocol %u.%02u, but 2.12 is needed; give "
				"Linux 3.8 or later",
				f->path, version >> 8, version & 0xff);
	if ((h[LOADFLAGS] & LOADED_HIGH) == 0)
		return log_fail(-EINVAL, "kernel %s: is a zImage; give a bzImage", f->path);
	if ((le16_get(h + XLOADFLAGS) & XLF_KERNEL_64) == 0)
		return log_fail(-EINVAL,
				"kernel %s: is a 32-bit kernel, without a 64-bit entry; give one "
				"built for x86-64",
				f->path);
	return 0;
}

static int read_setup(const struct file *f, const uint8_t *h, struct setup *s)
{
	unsigned sectors = h[SETUP_SECTS] ? h[SETUP_SECTS] : 4;
	uint64_t payload = le32_get(h + PAYLOAD_OFFSET);

	s->code_off = (sectors + 1) * SECTOR;
	s->code_len = (uint64_t)le32_get(h + SYSSIZE) * 16;
	s->payload_len = le32_get(h + PAYLOAD_LENGTH);
	s->payload_off = s->code_off + payload;
	s->pref = le64_get(h + PREF_ADDRESS);
	s->init_size = le32_get(h + INIT_SIZE);
	s->align = le32_get(h + KERNEL_ALIGNMENT);
	s->relocatable = h[RELOCATABLE_KERNEL] != 0;
	s->cmdline_max = le32_get(h + CMDLINE_SIZE);
	s->initrd_max = le16_get(h + XLOADFLAGS) & XLF_CAN_BE_LOADED_ABOVE_4G
				? FOUR_GIB - 1
				: le32_get(h + INITRD_ADDR_MAX);
	if (s->code_len <= ENTRY_64)
		return damaged(f, "syssize", s->code_len / 16);
	if (s->code_off > f->size || s->code_len > f->size - s->code_off)
		return log_fail(-EINVAL,
				"kernel %s: has %llu bytes, but its setup header says %llu; it is "
				"cut short: fetch or build it again",
				f->path, (unsigned long long)f->size,
				(unsigned long long)(s->code_off + s->code_len));
	if (payload > s->code_len || s->payload_len > s->code_len - payload)
		return damaged(f, "payload_length", s->payload_len);
	if (s->align < ALIGN_MIN)
		s->align = ALIGN_MIN;
	if ((s->align & (s->align - 1)) != 0 || s->align > KERNEL_IMAGE_SIZE)
		return damaged(f, "kernel_alignment", s->align);
	if (s->pref < LOW_MEMORY || s->pref >= FOUR_GIB || s->pref % s->align != 0)
		return damaged(f, "pref_address", s->pref);
	if (s->init_size < s->code_len)
		return damaged(f, "init_size", s->init_size);
	if (s->cmdline_max == 0)
		return damaged(f, "cmdline_size", s->cmdline_max);
	return 0;
}

/* The end of the RAM around @pref that a 32-bit address reaches, or 0 if there is none. */
static uint64_t ram_end(const struct mem *mem, uint64_t pref)
{
	for (unsigned i = 0; i < mem->count; i++) {
		const struct mem_region *r = &mem->region[i];

		if (pref >= r->base && pref - r->base < r->len)
			return r->base + r->len < FOUR_GIB ? r->base + r->len : FOUR_GIB;
	}
	return 0;
}

/* One of the multiples of s->align in [first, last], both multiples themselves. */
static uint64_t pick(const struct setup *s, const struct load_params *p, uint64_t first,
		     uint64_t last)
{
	return first + p->random(p->random_arg) % ((last - first) / s->align + 1) * s->align;
}

/* Stores in *@end (unless NULL) how far the RAM goes in which the kernel has room from pref on. */
static int check_room(const struct file *f, const struct setup *s, const struct mem *mem,
		      uint64_t *end)
{
	uint64_t ram = ram_end(mem, s->pref);

	if (ram < s->pref || s->init_size > ram - s->pref)
		return log_fail(-EINVAL,
				"kernel %s: needs %llu MiB of RAM to start, but the guest has %llu "
				"MiB; give it more memory",
				f->path,
				(unsigned long long)((s->pref + s->init_size + MIB - 1) / MIB),
				(unsigned long long)(mem_size(mem) / MIB));
	if (end != NULL)
		*end = ram;
	return 0;
}

static int wants_kaslr(const struct setup *s, const struct load_params *p)
{
	return p->kaslr && s->relocatable && p->random != NULL;
}

/*
 * Chooses the physical base: the preferred address, or for KASLR a random one from there up that
 * leaves room for the initrd between the kernel and the highest address it may have.
 */
static int choose_base(const struct file *f, const struct setup *s, const struct load_params *p,
		       const struct mem *mem, uint64_t *base)
{
	uint64_t first_end = s->pref + s->init_size, end, room;
	uint64_t initrd = p->initrd_len > FOUR_GIB ? FOUR_GIB : (p->initrd_len + 4095) & ~4095ULL;
	int r;

	r = check_room(f, s, mem, &end);
	if (r < 0)
		return r;
	*base = s->pref;
	if (end > s->initrd_max + 1)
		end = s->initrd_max + 1;
	if (!wants_kaslr(s, p) || end < first_end || initrd > end - first_end)
		return 0;
	room = end - first_end - initrd;
	*base = pick(s, p, s->pref, s->pref + room / s->align * s->align);
	return 0;
}

/* A virtual distance for KASLR: the kernel's mapping has room for init_size from pref upwards. */
static uint64_t choose_distance(const struct setup *s, const struct load_params *p)
{
	uint64_t room;

	if (s->pref + s->init_size > KERNEL_IMAGE_SIZE)
		return 0;
	room = KERNEL_IMAGE_SIZE - s->pref - s->init_size;
	return pick(s, p, 0, room / s->align * s->align);
}

/* 0; -ENOTSUP or another error with *@why set and nothing said; or one that was said, without. */
static int unpack(const struct file *f, const struct setup *s, struct kernel_cache *cache,
		  struct unpack *u, const char **why)
{
	struct file_bytes payload = {0};
	uint8_t *file = u->ram + unpack_file_at(u);
	int r;

	r = kernel_cache_get(cache, f, s->payload_off, s->payload_len, file, unpack_file_max(u),
			     &u->file_len);
	/* One that is no kernel any more is as good as none. */
	if (r == 0 && unpack_settle(u, why) == 0)
		return 0;
	*why = NULL;
	r = file_slurp(f, s->payload_off, s->payload_len, &payload);
	if (r < 0)
		return r;
	r = unpack_payload(u, payload.data, payload.len, why);
	file_free(&payload);
	if (r < 0)
		return r;
	kernel_cache_put(cache, f, s->payload_off, s->payload_len, file, u->file_len);
	r = unpack_settle(u, why);
	if (r < 0)
		kernel_cache_forget(cache);
	return r;
}

/* The payload is unpacked here. -ENOTSUP with *@why set, and nothing said, if it cannot be. */
static int load_direct(const struct file *f, const struct setup *s, const struct load_params *p,
		       struct mem *mem, struct image *img, const char **why)
{
	struct unpack u = {.link_base = s->pref, .relocate = wants_kaslr(s, p)};
	uint64_t base, lead = UNPACK_LEAD;
	int r;

	*why = "has no payload";
	if (s->payload_len == 0)
		return -ENOTSUP;
	r = choose_base(f, s, p, mem, &base);
	if (r < 0)
		return r;
	if (base < LOW_MEMORY + lead || mem_at(mem, base - lead, lead + s->init_size) == NULL)
		lead = 0;
	u.ram = mem_at(mem, base - lead, lead + s->init_size);
	u.base = lead;
	u.end = lead + s->init_size;
	if (u.relocate)
		u.distance = choose_distance(s, p);
	r = unpack(f, s, p->cache, &u, why);
	if (r < 0 && r != -ENOTSUP && *why)
		return log_fail(r, "kernel %s: %s", f->path, *why);
	if (r < 0)
		return r;
	img->entry = base - lead + u.entry;
	img->start = base;
	img->end = base + s->init_size;
	img->kaslr = u.relocated != 0;
	return 0;
}

/* The guest unpacks: its decompressor is put where it prefers to lie, and moves itself. */
static int load_packed(const struct file *f, const struct setup *s, struct mem *mem,
		       struct image *img)
{
	void *at;
	int r;

	r = check_room(f, s, mem, NULL);
	if (r < 0)
		return r;
	at = mem_at(mem, s->pref, s->init_size);
	r = file_read(f, s->code_off, at, s->code_len);
	if (r < 0)
		return r;
	img->entry = s->pref + ENTRY_64;
	img->start = s->pref;
	img->end = s->pref + s->init_size;
	return 0;
}

static void copy_setup(const uint8_t *h, struct image *img)
{
	unsigned len = HEADER_MAGIC + h[JUMP_LEN] - IMAGE_SETUP_HEADER_OFF;

	if (len > IMAGE_SETUP_HEADER_MAX)
		len = IMAGE_SETUP_HEADER_MAX;
	memcpy(img->setup, h + IMAGE_SETUP_HEADER_OFF, len);
	img->setup_len = (uint8_t)len;
}

int bzimage_load(const struct file *f, const uint8_t *head, size_t head_len,
		 const struct load_params *p, struct mem *mem, struct image *img)
{
	struct setup s;
	const char *why;
	int r;

	*img = (struct image){.kind = IMAGE_LINUX64};
	r = check_kind(f, head, head_len);
	if (r == 0)
		r = read_setup(f, head, &s);
	if (r < 0)
		return r;
	img->initrd_max = s.initrd_max;
	img->cmdline_max = s.cmdline_max;
	copy_setup(head, img);
	if (p->mode == IMAGE_BZIMAGE)
		return load_packed(f, &s, mem, img);
	r = load_direct(f, &s, p, mem, img, &why);
	if (r != -ENOTSUP)
		return r;
	if (p->mode == IMAGE_DIRECT)
		return log_fail(r, "kernel %s: %s, so the guest must unpack it: use mode bzimage",
				f->path, why);
	log_line(LOG_INFO, "kernel %s: %s, so the guest unpacks it", f->path, why);
	return load_packed(f, &s, mem, img);
}
