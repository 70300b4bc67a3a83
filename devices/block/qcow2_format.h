/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_BLOCK_QCOW2_FORMAT_H
#define DEVICES_BLOCK_QCOW2_FORMAT_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * What stands in a qcow2 file, all of it big-endian (QEMU docs/interop/qcow2.txt; the section
 * names below are its own).
 */
#define QCOW2_MAGIC            0x514649fbu
#define QCOW2_CLUSTER_BITS_MIN 9u
#define QCOW2_CLUSTER_BITS_MAX 21u
#define QCOW2_HEADER_LEN       104u
#define QCOW2_L1_MAX           (16u << 20) /* bytes */
#define QCOW2_REFTABLE_MAX     (8u << 20)  /* bytes */
#define QCOW2_BACKING_MAX      1023u

/* "Header": where its fields are. */
enum {
	QCOW2_AT_SIZE = 24,
	QCOW2_AT_L1_SIZE = 36,
	QCOW2_AT_L1_OFF = 40,
	QCOW2_AT_REFTABLE_OFF = 48,
	QCOW2_AT_REFTABLE_CLUSTERS = 56,
	QCOW2_AT_SNAPSHOTS = 60,
	QCOW2_AT_SNAPSHOTS_OFF = 64,
	QCOW2_AT_INCOMPATIBLE = 72,
	QCOW2_AT_COMPATIBLE = 80,
	QCOW2_AT_AUTOCLEAR = 88,
};

#define QCOW2_DIRTY              (1ull << 0)
#define QCOW2_CORRUPT            (1ull << 1)
#define QCOW2_EXTERNAL           (1ull << 2)
#define QCOW2_COMPRESSION        (1ull << 3)
#define QCOW2_EXTENDED_L2        (1ull << 4)
#define QCOW2_LAZY               (1ull << 0) /* compatible */

/* "Header extensions" */
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURE_NAMES  0x6803f857u

/* "Cluster mapping": L1 and L2 entries. */
#define QCOW2_COPIED             (1ull << 63) /* refcount is exactly one */
#define QCOW2_COMPRESSED         (1ull << 62)
#define QCOW2_ZERO               (1ull << 0) /* version 3 */
#define QCOW2_OFFSET             0x00fffffffffffe00ull

struct qcow2_header {
	uint32_t version, cluster_bits, l1_size, l1_needed, reftable_clusters, snapshots;
	uint32_t refcount_order, header_len, compression;
	uint64_t size, l1_off, reftable_off, snapshots_off;
	uint64_t incompatible, compatible, autoclear;
	char backing[QCOW2_BACKING_MAX + 1]; /* "" if none */
	char backing_format[16];             /* "" if not stated */
};

static inline uint64_t be64_at(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static inline uint32_t be32_at(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline void put_be64(void *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_be32(void *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

/*
 * Takes a header and its extensions apart: @len bytes, the first cluster of the file or all that
 * the file has of it. 0; or says what is wrong and returns -EINVAL or -ENOTSUP. Afterwards the
 * tables lie inside the file (rounded up to a cluster) and keep to the limits above.
 */
int qcow2_header_parse(struct qcow2_header *h, const uint8_t *buf, size_t len, uint64_t file_size,
		       const char *path);
/* Reads the first cluster of @fd and takes it apart. */
int qcow2_header_read(struct qcow2_header *h, int fd, uint64_t file_size, const char *path);

/*
 * The refcount of entry @i in a refcount block, or in a piece of one that begins at a whole byte.
 * "Host cluster management": in widths below a byte, bit 0 is the least significant.
 */
uint64_t qcow2_refcount_get(const uint8_t *block, unsigned order, uint64_t i);
void qcow2_refcount_set(uint8_t *block, unsigned order, uint64_t i, uint64_t value);

#endif
