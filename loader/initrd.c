/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts the initrd into RAM, as high as it may lie, read straight to its place. Runs on the main
 * thread before any vCPU does. Does not look at what is in it.
 */
#include <errno.h>

#include "loader/file.h"
#include "loader/load.h"
#include "vmm/log.h"

#define PAGE 4096ULL

/* The highest page in [lo, hi) from which @len bytes fit, or 0 if there is none. */
static gpa_t highest(uint64_t lo, uint64_t hi, uint64_t len)
{
	gpa_t at;

	if (hi < lo || len > hi - lo)
		return 0;
	at = (hi - len) & ~(PAGE - 1);
	return at >= lo ? at : 0;
}

/* The same in the parts of @r that are neither below @floor nor the kernel's nor above its limit.
 */
static gpa_t place_in(const struct mem_region *r, const struct image *img, gpa_t floor,
		      uint64_t len)
{
	uint64_t lo = r->base > floor ? r->base : floor;
	uint64_t hi = r->base + r->len;
	gpa_t at;

	if (hi > img->initrd_max && hi - 1 > img->initrd_max)
		hi = img->initrd_max + 1;
	at = highest(lo > img->end ? lo : img->end, hi, len);
	if (at == 0)
		at = highest(lo, hi < img->start ? hi : img->start, len);
	return at;
}

int load_initrd(int fd, const char *path, const struct image *img, struct mem *mem, gpa_t floor,
		gpa_t *addr, uint64_t *len)
{
	struct file f;
	gpa_t at = 0;
	int r;

	r = file_init(&f, fd, "initrd", path);
	if (r < 0)
		return r;
	for (unsigned i = mem->count; i > 0 && at == 0; i--)
		at = place_in(&mem->region[i - 1], img, floor, f.size);
	if (at == 0)
		return log_fail(-EINVAL,
				"initrd %s: its %llu KiB do not fit beside the kernel in the "
				"guest's %llu MiB of RAM; give the guest more memory",
				path, (unsigned long long)((f.size + 1023) / 1024),
				(unsigned long long)(mem_size(mem) >> 20));
	r = file_read(&f, 0, mem_at(mem, at, f.size), f.size);
	if (r < 0)
		return r;
	*addr = at;
	*len = f.size;
	return 0;
}
