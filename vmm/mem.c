/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest RAM. Built by the machine before any thread starts and read by all afterwards. Knows
 * addresses and bytes; knows neither KVM nor what the bytes mean.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/log.h"
#include "vmm/mem.h"

/* Larger than any offset that a slip of 32 bits in a device could add to a pointer's page. */
#define GUARD_LEN  (1ull << 30)
#define HUGE_ALIGN (2ull << 20)

static uint64_t align_up(uint64_t n, uint64_t a)
{
	return (n + a - 1) & ~(a - 1);
}

/* Bytes of address space for all regions and guards, or 0 where the sum does not fit. */
static uint64_t reservation(const struct mem_range *r, unsigned n)
{
	uint64_t total = GUARD_LEN;

	for (unsigned i = 0; i < n; i++)
		/* A region may have to move up by almost two huge pages: see mem_create(). */
		if (r[i].len > UINT64_MAX / 4 ||
		    __builtin_add_overflow(total, r[i].len + 2 * HUGE_ALIGN + GUARD_LEN, &total))
			return 0;
	return total <= SIZE_MAX / 2 ? total : 0;
}

static int ranges_are_sane(const struct mem_range *r, unsigned n)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t end = 0;

	if (n == 0 || n > MEM_REGIONS_MAX)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		if (r[i].len == 0 || (r[i].base | r[i].len) & (page - 1) || r[i].base < end ||
		    __builtin_add_overflow(r[i].base, r[i].len, &end))
			return 0;
	}
	return 1;
}

int mem_create(struct mem *mem, const struct mem_range *ranges, unsigned n)
{
	uint64_t total, at;

	memset(mem, 0, sizeof(*mem));
	if (!ranges_are_sane(ranges, n))
		return log_fail(-EINVAL, "memory: the layout of guest RAM is not valid");
	total = reservation(ranges, n);
	if (total == 0)
		return log_fail(-ENOMEM, "memory: more than this host can address: give a smaller "
					 "--memory");
	mem->map = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->map == MAP_FAILED) {
		mem->map = NULL;
		return log_fail(-ENOMEM,
				"memory: this host cannot map %llu MiB of address space (%s): give "
				"a smaller --memory or raise the limit (ulimit -v)",
				(unsigned long long)(total >> 20), strerror(errno));
	}
	mem->map_len = total;

	at = (uint64_t)(uintptr_t)mem->map + GUARD_LEN;
	for (unsigned i = 0; i < n; i++) {
		/* Guest and host addresses agree modulo 2 MiB, so that huge pages can map both. */
		uint64_t host = align_up(at, HUGE_ALIGN) + ranges[i].base % HUGE_ALIGN;
		void *p = (void *)(uintptr_t)host;

		if (mprotect(p, ranges[i].len, PROT_READ | PROT_WRITE) < 0) {
			int err = -errno;

			mem_destroy(mem);
			return log_fail(err,
					"memory: cannot map %llu MiB of guest RAM (%s): give a "
					"smaller --memory",
					(unsigned long long)(ranges[i].len >> 20), strerror(-err));
		}
		/* All three are advice: a kernel without them is slower or dumps more, no worse. */
		(void)madvise(p, ranges[i].len, MADV_HUGEPAGE);
		(void)madvise(p, ranges[i].len, MADV_DONTDUMP);
		(void)madvise(p, ranges[i].len, MADV_DONTFORK);
		mem->region[i] = (struct mem_region){ranges[i].base, ranges[i].len, p};
		mem->count = i + 1;
		at = host + ranges[i].len + GUARD_LEN;
	}
	return 0;
}

void mem_destroy(struct mem *mem)
{
	if (mem->map)
		munmap(mem->map, mem->map_len);
	memset(mem, 0, sizeof(*mem));
}

void *mem_at(const struct mem *mem, gpa_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < mem->count; i++) {
		const struct mem_region *r = &mem->region[i];

		if (gpa >= r->base && gpa - r->base < r->len)
			return len != 0 && len <= r->len - (gpa - r->base)
				       ? r->host + (gpa - r->base)
				       : NULL;
	}
	return NULL;
}

int mem_read(const struct mem *mem, gpa_t gpa, void *dst, size_t len)
{
	const void *src = mem_at(mem, gpa, len);

	if (len == 0)
		return 0;
	if (!src)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

int mem_write(const struct mem *mem, gpa_t gpa, const void *src, size_t len)
{
	void *dst = mem_at(mem, gpa, len);

	if (len == 0)
		return 0;
	if (!dst)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

uint64_t mem_size(const struct mem *mem)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < mem->count; i++)
		sum += mem->region[i].len;
	return sum;
}
