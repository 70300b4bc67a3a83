/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address to device. The table is small, sorted and changes only when a BAR moves; the caller
 * holds the machine's lock. Knows nothing of who asks or why.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "vmm/bus.h"

/* The first range whose last byte is at or above @addr. */
static unsigned first_not_below(const struct bus *bus, uint64_t addr)
{
	unsigned lo = 0, hi = bus->count;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (bus->range[mid].base + (bus->range[mid].len - 1) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int bus_is_free(const struct bus *bus, uint64_t base, uint64_t len)
{
	unsigned i;

	if (len == 0 || base + (len - 1) < base)
		return 0;
	i = first_not_below(bus, base);
	return i == bus->count || bus->range[i].base > base + (len - 1);
}

int bus_add(struct bus *bus, uint64_t base, uint64_t len, const struct bus_ops *ops, void *dev)
{
	unsigned i;

	if (len == 0 || base + (len - 1) < base)
		return -EINVAL;
	if (!bus_is_free(bus, base, len))
		return -EEXIST;
	if (bus->count == BUS_RANGES_MAX)
		return -ENOSPC;
	i = first_not_below(bus, base);
	memmove(&bus->range[i + 1], &bus->range[i], (bus->count - i) * sizeof(bus->range[0]));
	bus->range[i] = (struct bus_range){base, len, ops, dev};
	bus->count++;
	return 0;
}

int bus_remove(struct bus *bus, uint64_t base)
{
	unsigned i = first_not_below(bus, base);

	if (i == bus->count || bus->range[i].base != base)
		return -ENOENT;
	bus->count--;
	memmove(&bus->range[i], &bus->range[i + 1], (bus->count - i) * sizeof(bus->range[0]));
	bus->last = 0;
	return 0;
}

/* KVM cuts an access in two where it crosses a page, so 3 or 5 bytes come, too. */
static int is_device_size(unsigned size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static int holds(const struct bus_range *r, uint64_t addr, unsigned size)
{
	return addr >= r->base && addr - r->base < r->len && size <= r->len - (addr - r->base);
}

/* The range that holds all of [addr, addr + size), or NULL. */
static const struct bus_range *find(struct bus *bus, uint64_t addr, unsigned size)
{
	if (!is_device_size(size))
		return NULL;
	if (bus->last >= bus->count || !holds(&bus->range[bus->last], addr, size)) {
		unsigned i = first_not_below(bus, addr);

		if (i == bus->count || !holds(&bus->range[i], addr, size))
			return NULL;
		bus->last = i;
	}
	return &bus->range[bus->last];
}

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned size)
{
	const struct bus_range *r = find(bus, addr, size);

	return r ? r->ops->read(r->dev, addr - r->base, size) : UINT64_MAX;
}

void bus_write(struct bus *bus, uint64_t addr, unsigned size, uint64_t value)
{
	const struct bus_range *r = find(bus, addr, size);

	if (r)
		r->ops->write(r->dev, addr - r->base, size, value);
}
