/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the header of a qcow2 image apart and judges it. Pure computation, but for one read; on
 * the thread of whoever opens the image. It knows no loop and no guest.
 *
 * System calls: pread.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/block/qcow2_format.h"
#include "vmm/log.h"

#define FEATURE_ENTRY 48u
#define FEATURE_NAME  46u

/* The name that the image has for an incompatible feature, or "". */
static void feature_name(const uint8_t *table, size_t len, unsigned bit, char *out)
{
	out[0] = '\0';
	for (; len >= FEATURE_ENTRY; table += FEATURE_ENTRY, len -= FEATURE_ENTRY) {
		if (table[0] != 0 || table[1] != bit)
			continue;
		memcpy(out, table + 2, FEATURE_NAME);
		out[FEATURE_NAME] = '\0';
		return;
	}
}

static int refuse_features(const struct qcow2_header *h, const uint8_t *names, size_t len,
			   const char *path)
{
	uint64_t unknown = h->incompatible & ~(QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_COMPRESSION);
	char name[FEATURE_NAME + 1];
	unsigned bit;

	if (unknown & QCOW2_EXTERNAL)
		return log_fail(-ENOTSUP,
				"disk: %s: keeps its data in another file: convert it with "
				"`qemu-img convert -O qcow2`",
				path);
	if (unknown & QCOW2_EXTENDED_L2)
		return log_fail(-ENOTSUP,
				"disk: %s: has subclusters (extended L2 entries), which are not "
				"known here: convert it with `qemu-img convert -O qcow2`",
				path);
	if (!unknown)
		return 0;
	bit = (unsigned)__builtin_ctzll(unknown);
	feature_name(names, len, bit, name);
	return log_fail(-ENOTSUP,
			"disk: %s: needs a feature that is not known here: bit %u (%s): convert it "
			"with `qemu-img convert -O qcow2 -o compat=0.10`",
			path, bit, name[0] ? name : "no name");
}

/* "Header extensions". Afterwards @names is the feature name table, if there is one. */
static int parse_extensions(struct qcow2_header *h, const uint8_t *buf, size_t len,
			    const char *path, const uint8_t **names, size_t *names_len)
{
	size_t at = h->header_len;
	uint64_t backing = be64_at(buf + 8);

	/* The name of the backing file lies behind them, in old images with nothing between. */
	if (backing && backing < len)
		len = (size_t)backing;
	while (at < len && len - at >= 8) {
		uint32_t type = be32_at(buf + at), n = be32_at(buf + at + 4);

		at += 8;
		if (type == 0)
			return 0;
		if (n > len - at)
			return log_fail(-EINVAL,
					"disk: %s: a header extension is longer than the header: "
					"the image is damaged",
					path);
		if (type == QCOW2_EXT_BACKING_FORMAT) {
			if (n >= sizeof(h->backing_format))
				return log_fail(
					-EINVAL,
					"disk: %s: its backing file's format has a name of "
					"%u bytes: state raw or qcow2 with `qemu-img rebase`",
					path, n);
			memcpy(h->backing_format, buf + at, n);
			h->backing_format[n] = '\0';
		} else if (type == QCOW2_EXT_FEATURE_NAMES) {
			*names = buf + at;
			*names_len = n;
		}
		n = (n + 7) & ~7u;
		if (n > len - at)
			return 0;
		at += n;
	}
	return 0;
}

static int parse_backing(struct qcow2_header *h, const uint8_t *buf, size_t len, const char *path)
{
	uint64_t off = be64_at(buf + 8);
	uint32_t n = be32_at(buf + 16);

	if (off == 0)
		return 0;
	if (n == 0 || n > QCOW2_BACKING_MAX || off > len || n > len - off ||
	    memchr(buf + off, '\0', n))
		return log_fail(-EINVAL,
				"disk: %s: the name of its backing file cannot be: the image is "
				"damaged",
				path);
	memcpy(h->backing, buf + off, n);
	h->backing[n] = '\0';
	return 0;
}

static int is_inside(uint64_t off, uint64_t len, uint64_t file_size, uint32_t cluster_bits)
{
	uint64_t cluster = 1ull << cluster_bits, end = (file_size + cluster - 1) & ~(cluster - 1);

	return off && !(off & (cluster - 1)) && off <= end && len <= end - off;
}

static int judge_tables(struct qcow2_header *h, uint64_t file_size, const char *path)
{
	unsigned l2_bits = h->cluster_bits - 3;
	uint64_t covered = 1ull << (h->cluster_bits + l2_bits), needed;
	uint64_t reftable = (uint64_t)h->reftable_clusters << h->cluster_bits;

	if (h->size == 0 || h->size % 512 || h->size > 1ull << 56)
		return log_fail(
			-EINVAL,
			"disk: %s: a size of %llu bytes: a multiple of 512 up to 64 PiB will do",
			path, (unsigned long long)h->size);
	needed = (h->size + covered - 1) / covered;
	if (needed > QCOW2_L1_MAX / 8 || h->l1_size > QCOW2_L1_MAX / 8)
		return log_fail(-EINVAL,
				"disk: %s: its L1 table would take %llu bytes, more than %u: use "
				"larger clusters",
				path, 8ull * (needed > h->l1_size ? needed : (uint64_t)h->l1_size),
				QCOW2_L1_MAX);
	if (needed > h->l1_size ||
	    !is_inside(h->l1_off, 8ull * h->l1_size, file_size, h->cluster_bits))
		return log_fail(-EINVAL,
				"disk: %s: its L1 table is too small or not inside the file: the "
				"image is damaged or was cut short",
				path);
	if (reftable == 0 || reftable > QCOW2_REFTABLE_MAX ||
	    !is_inside(h->reftable_off, reftable, file_size, h->cluster_bits))
		return log_fail(-EINVAL,
				"disk: %s: its refcount table is too large or not inside the file: "
				"the image is damaged or was cut short",
				path);
	h->l1_needed = (uint32_t)needed;
	return 0;
}

/* The fields that version 3 has and version 2 has not. */
static int parse_v3(struct qcow2_header *h, const uint8_t *buf, size_t len, const char *path)
{
	h->refcount_order = 4;
	h->header_len = 72;
	if (h->version == 2)
		return 0;
	if (len < QCOW2_HEADER_LEN)
		return log_fail(-EINVAL, "disk: %s: the header is cut short", path);
	h->incompatible = be64_at(buf + QCOW2_AT_INCOMPATIBLE);
	h->compatible = be64_at(buf + QCOW2_AT_COMPATIBLE);
	h->autoclear = be64_at(buf + QCOW2_AT_AUTOCLEAR);
	h->refcount_order = be32_at(buf + 96);
	h->header_len = be32_at(buf + 100);
	if (h->header_len < QCOW2_HEADER_LEN || h->header_len % 8 || h->header_len > len)
		return log_fail(-EINVAL, "disk: %s: a header of %u bytes: the image is damaged",
				path, h->header_len);
	if (h->refcount_order > 6)
		return log_fail(-EINVAL, "disk: %s: a refcount order of %u: the image is damaged",
				path, h->refcount_order);
	if (h->header_len > 104)
		h->compression = buf[104];
	return 0;
}

int qcow2_header_parse(struct qcow2_header *h, const uint8_t *buf, size_t len, uint64_t file_size,
		       const char *path)
{
	const uint8_t *names = NULL;
	size_t names_len = 0;
	int r;

	memset(h, 0, sizeof(*h));
	if (len < 72 || be32_at(buf) != QCOW2_MAGIC)
		return log_fail(-EINVAL, "disk: %s: not a qcow2 image: give the format it has",
				path);
	h->version = be32_at(buf + 4);
	if (h->version != 2 && h->version != 3)
		return log_fail(-ENOTSUP, "disk: %s: qcow2 of version %u: only 2 and 3 are known",
				path, h->version);
	h->cluster_bits = be32_at(buf + 20);
	if (h->cluster_bits < QCOW2_CLUSTER_BITS_MIN || h->cluster_bits > QCOW2_CLUSTER_BITS_MAX)
		return log_fail(-EINVAL, "disk: %s: clusters of 2^%u bytes: 2^9 to 2^21 will do",
				path, h->cluster_bits);
	if (len > 1ull << h->cluster_bits)
		len = 1ull << h->cluster_bits;
	if (be32_at(buf + 32))
		return log_fail(-ENOTSUP,
				"disk: %s: is encrypted: convert it with `qemu-img convert`", path);
	h->size = be64_at(buf + QCOW2_AT_SIZE);
	h->l1_size = be32_at(buf + QCOW2_AT_L1_SIZE);
	h->l1_off = be64_at(buf + QCOW2_AT_L1_OFF);
	h->reftable_off = be64_at(buf + QCOW2_AT_REFTABLE_OFF);
	h->reftable_clusters = be32_at(buf + QCOW2_AT_REFTABLE_CLUSTERS);
	h->snapshots = be32_at(buf + QCOW2_AT_SNAPSHOTS);
	h->snapshots_off = be64_at(buf + QCOW2_AT_SNAPSHOTS_OFF);
	r = parse_v3(h, buf, len, path);
	if (r < 0)
		return r;
	r = parse_extensions(h, buf, len, path, &names, &names_len);
	if (r < 0)
		return r;
	r = refuse_features(h, names, names_len, path);
	if (r < 0)
		return r;
	if (h->compression != !!(h->incompatible & QCOW2_COMPRESSION))
		return log_fail(-ENOTSUP,
				"disk: %s: compression of type %u: zlib and zstd are known", path,
				h->compression);
	r = parse_backing(h, buf, len, path);
	return r < 0 ? r : judge_tables(h, file_size, path);
}

int qcow2_header_read(struct qcow2_header *h, int fd, uint64_t file_size, const char *path)
{
	uint32_t bits;
	uint8_t *buf, start[24];
	size_t len = 0;
	ssize_t n = pread(fd, start, sizeof(start), 0);
	int r;

	if (n < 0)
		return log_fail(-errno, "disk: %s: cannot read: %s", path, strerror(errno));
	bits = n == sizeof(start) ? be32_at(start + 20) : 0;
	if (bits < QCOW2_CLUSTER_BITS_MIN || bits > QCOW2_CLUSTER_BITS_MAX)
		bits = QCOW2_CLUSTER_BITS_MIN;
	buf = malloc(1u << bits);
	if (!buf)
		return log_fail(-ENOMEM, "disk: %s: out of memory", path);
	while (len < 1u << bits) {
		n = pread(fd, buf + len, (1u << bits) - len, (off_t)len);
		if (n < 0) {
			r = log_fail(-errno, "disk: %s: cannot read: %s", path, strerror(errno));
			goto out_free;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	r = qcow2_header_parse(h, buf, len, file_size, path);
out_free:
	free(buf);
	return r;
}

uint64_t qcow2_refcount_get(const uint8_t *block, unsigned order, uint64_t i)
{
	unsigned bits = 1u << order;
	uint64_t value = 0;

	if (bits < 8) {
		unsigned shift = (unsigned)(i * bits % 8);

		return (block[i * bits / 8] >> shift) & ((1u << bits) - 1);
	}
	for (unsigned k = 0; k < bits / 8; k++)
		value = value << 8 | block[i * (bits / 8) + k];
	return value;
}

void qcow2_refcount_set(uint8_t *block, unsigned order, uint64_t i, uint64_t value)
{
	unsigned bits = 1u << order;

	if (bits < 8) {
		unsigned shift = (unsigned)(i * bits % 8), mask = ((1u << bits) - 1) << shift;
		uint8_t *p = &block[i * bits / 8];

		*p = (uint8_t)((*p & ~mask) | (((unsigned)value << shift) & mask));
		return;
	}
	for (unsigned k = bits / 8; k-- > 0; value >>= 8)
		block[i * (bits / 8) + k] = (uint8_t)value;
}
