/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <stdint.h>

/*
 * An address space of devices: one for port I/O, one for MMIO. Devices see offsets from the start
 * of their range, never addresses.
 *
 *   vCPU exit -> bus_read/bus_write -> ops->read/write(dev, offset, size)
 *
 * A guest's access may have any size up to 8 bytes, and may start inside a range and end outside
 * it: the bus gives a device only accesses of 1, 2, 4 or 8 bytes that lie wholly inside its range;
 * all others, and addresses where nothing is, read as all ones and ignore writes.
 *
 * The caller holds the machine's lock (see loop.h) for every call here.
 */
struct bus_ops {
	/* Bits above @size bytes are ignored by the bus. */
	uint64_t (*read)(void *dev, uint64_t off, unsigned size);
	void (*write)(void *dev, uint64_t off, unsigned size, uint64_t value);
};

struct bus_range {
	uint64_t base;
	uint64_t len;
	const struct bus_ops *ops;
	void *dev;
};

#define BUS_RANGES_MAX 128

struct bus {
	struct bus_range range[BUS_RANGES_MAX]; /* ascending by base */
	unsigned count;
	unsigned last; /* where the previous access was found */
};

/*
 * Gives [base, base + len) to a device. 0, -EINVAL if it is empty or wraps, -EEXIST if it touches
 * another range, -ENOSPC. The device must outlive its range.
 */
int bus_add(struct bus *bus, uint64_t base, uint64_t len, const struct bus_ops *ops, void *dev);

/* Takes back the range that starts at @base: 0, or -ENOENT. */
int bus_remove(struct bus *bus, uint64_t base);

/* True if no byte of [base, base + len) belongs to a device. */
int bus_is_free(const struct bus *bus, uint64_t base, uint64_t len);

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned size);
void bus_write(struct bus *bus, uint64_t addr, unsigned size, uint64_t value);

#endif
