/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_MEM_H
#define VMM_MEM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Guest memory: a few regions of RAM in guest-physical space, each backed by anonymous memory
 * between guard mappings that fault. Built once, never changed after the first vCPU runs, so any
 * thread may use it without a lock.
 *
 *   host    [ guard | region 0 ......... | guard | region 1 ... | guard ]
 *   guest           0 ...... 3 GiB                4 GiB ...
 *
 * mem_at() is the only function that turns a guest address into a pointer. Guest memory changes
 * under the reader: load a word once into a local and judge the local.
 */
typedef uint64_t gpa_t;

#define MEM_REGIONS_MAX 4

struct mem_range {
	gpa_t base;
	uint64_t len;
};

struct mem_region {
	gpa_t base;
	uint64_t len;
	uint8_t *host;
};

struct mem {
	struct mem_region region[MEM_REGIONS_MAX]; /* ascending by base */
	unsigned count;
	void *map; /* the whole reservation, guards included */
	size_t map_len;
};

/*
 * Reserves and maps @n ranges (ascending, not overlapping, multiples of the page size). Memory is
 * not populated; huge pages are advised. 0, -EINVAL for ranges that break the rules above, or
 * -ENOMEM; says why. mem_destroy() undoes it and may be called on a zeroed struct.
 */
int mem_create(struct mem *mem, const struct mem_range *ranges, unsigned n);
void mem_destroy(struct mem *mem);

/* The bytes [gpa, gpa + len) if len > 0 and all of them are RAM in one region; else NULL. */
void *mem_at(const struct mem *mem, gpa_t gpa, uint64_t len);

/* Copies out of or into RAM, all of it or nothing: 0, or -EFAULT. @len 0 succeeds. */
int mem_read(const struct mem *mem, gpa_t gpa, void *dst, size_t len);
int mem_write(const struct mem *mem, gpa_t gpa, const void *src, size_t len);

/* Bytes of RAM in all regions together. */
uint64_t mem_size(const struct mem *mem);

#endif
