/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes qcow2 images, tells what they are, makes them larger. For a command line: these functions
 * block and know no loop and no guest.
 *
 * System calls: openat, fstat, pread, pwrite, ftruncate, fsync, unlink.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/block/lock.h"
#include "devices/block/qcow2.h"
#include "devices/block/qcow2_count.h"
#include "vmm/log.h"

#define CREATED_ORDER 4u /* refcounts of 16 bits */

/* A new image: header, refcount table, refcount blocks, L1; one behind the other. */
struct layout {
	uint64_t cluster, l1_entries, l1_clusters, blocks, reftable_clusters, used;
};

static int lay_out(struct layout *l, const struct qcow2_creation *what, unsigned bits)
{
	uint64_t covered = 1ull << (2 * bits - 3), entries = 1ull << (bits + 3 - CREATED_ORDER);

	l->cluster = 1ull << bits;
	l->l1_entries = (what->size + covered - 1) / covered;
	if (l->l1_entries > QCOW2_L1_MAX / 8)
		return log_fail(-EFBIG, "%s: %llu bytes are too many for clusters of %llu bytes",
				what->path, (unsigned long long)what->size,
				(unsigned long long)l->cluster);
	l->l1_clusters = (8 * l->l1_entries + l->cluster - 1) >> bits;
	for (l->blocks = 1;; l->blocks++) {
		l->reftable_clusters = (8 * l->blocks + l->cluster - 1) >> bits;
		l->used = 1 + l->reftable_clusters + l->blocks + l->l1_clusters;
		if (l->blocks * entries >= l->used)
			return 0;
	}
}

static int judge(const struct qcow2_creation *what, unsigned bits)
{
	if (bits < QCOW2_CLUSTER_BITS_MIN || bits > QCOW2_CLUSTER_BITS_MAX)
		return log_fail(-EINVAL, "%s: clusters of 2^%u bytes: 2^9 to 2^21 will do",
				what->path, bits);
	if (what->size == 0 || what->size % 512 || what->size > 1ull << 56)
		return log_fail(-EINVAL, "%s: a size of %llu bytes: give a multiple of 512",
				what->path, (unsigned long long)what->size);
	if (!what->backing)
		return 0;
	if (!what->backing_format || (strcmp(what->backing_format, "raw") != 0 &&
				      strcmp(what->backing_format, "qcow2") != 0))
		return log_fail(-EINVAL, "%s: the format of %s must be stated: raw or qcow2",
				what->path, what->backing);
	/* Header, format and name share the first cluster. */
	if (!what->backing[0] || strlen(what->backing) > QCOW2_BACKING_MAX ||
	    strlen(what->backing) > (1u << bits) - QCOW2_HEADER_LEN - 8 - 16 - 8)
		return log_fail(-EINVAL, "%s: the name of its backing file is empty or too long",
				what->path);
	return 0;
}

static void fill_header(uint8_t *h, const struct layout *l, const struct qcow2_creation *what,
			unsigned bits)
{
	uint8_t *at = h + 112;

	put_be32(h, QCOW2_MAGIC);
	put_be32(h + 4, 3);
	put_be32(h + 20, bits);
	put_be64(h + QCOW2_AT_SIZE, what->size);
	put_be32(h + QCOW2_AT_L1_SIZE, (uint32_t)l->l1_entries);
	put_be64(h + QCOW2_AT_L1_OFF, (l->used - l->l1_clusters) << bits);
	put_be64(h + QCOW2_AT_REFTABLE_OFF, 1ull << bits);
	put_be32(h + QCOW2_AT_REFTABLE_CLUSTERS, (uint32_t)l->reftable_clusters);
	put_be32(h + 96, CREATED_ORDER);
	put_be32(h + 100, 112); /* with compression_type and its padding */
	if (!what->backing)
		return;
	put_be32(at, QCOW2_EXT_BACKING_FORMAT);
	put_be32(at + 4, (uint32_t)strlen(what->backing_format));
	memcpy(at + 8, what->backing_format, strlen(what->backing_format));
	at += 8 + 8 + 8; /* the format's padding, and the end of the extensions */
	put_be64(h + 8, (uint64_t)(at - h));
	put_be32(h + 16, (uint32_t)strlen(what->backing));
	memcpy(at, what->backing, strlen(what->backing));
}

static int write_all(int fd, const uint8_t *p, uint64_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int write_image(int fd, const struct layout *l, const struct qcow2_creation *what,
		       unsigned bits)
{
	uint64_t len = (l->used - l->l1_clusters) << bits;
	uint8_t *image = calloc(1, len), *block = image + ((1 + l->reftable_clusters) << bits);
	int r;

	if (!image)
		return -ENOMEM;
	fill_header(image, l, what, bits);
	for (uint64_t i = 0; i < l->blocks; i++)
		put_be64(image + l->cluster + 8 * i, (1 + l->reftable_clusters + i) << bits);
	for (uint64_t i = 0; i < l->used; i++)
		qcow2_refcount_set(block, CREATED_ORDER, i, 1);
	r = write_all(fd, image, len, 0);
	free(image);
	if (r == 0 && ftruncate(fd, (off_t)(l->used << bits)))
		r = -errno;
	if (r == 0 && fsync(fd))
		r = -errno;
	return r;
}

int qcow2_create(const struct qcow2_creation *what)
{
	unsigned bits = what->cluster_bits ? what->cluster_bits : 16;
	struct layout l = {0};
	int fd, r = judge(what, bits);

	if (r == 0)
		r = lay_out(&l, what, bits);
	if (r < 0)
		return r;
	fd = open(what->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return log_fail(-errno, "%s: cannot create: %s", what->path, strerror(errno));
	r = write_image(fd, &l, what, bits);
	close(fd);
	if (r < 0) {
		unlink(what->path);
		return log_fail(r, "%s: cannot write: %s", what->path, strerror(-r));
	}
	return 0;
}

/* --- looking --------------------------------------------------------------------------------- */

static int open_image(const char *path, int flags, struct qcow2_header *h, uint64_t *file_size)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;
	struct stat st;

	if (fd < 0)
		return log_fail(-errno, "disk: %s: cannot open: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		r = log_fail(-EINVAL, "disk: %s: a qcow2 image is a regular file", path);
		goto out_close;
	}
	r = flags == O_RDWR ? lock_image(fd, 1, "disk", path, "", &st) : 0;
	*file_size = (uint64_t)st.st_size;
	if (r == 0)
		r = qcow2_header_read(h, fd, *file_size, path);
	if (r == 0)
		return fd;
out_close:
	close(fd);
	return r;
}

int qcow2_info(const char *path, struct qcow2_info *out)
{
	struct qcow2_header h;
	uint64_t file_size;
	int fd = open_image(path, O_RDONLY, &h, &file_size);

	if (fd < 0)
		return fd;
	close(fd);
	*out = (struct qcow2_info){
		.size = h.size,
		.file_size = file_size,
		.version = h.version,
		.cluster_bits = h.cluster_bits,
		.refcount_bits = 1u << h.refcount_order,
		.snapshots = h.snapshots,
		.dirty = !!(h.incompatible & QCOW2_DIRTY),
		.corrupt = !!(h.incompatible & QCOW2_CORRUPT),
		.zstd = h.compression == 1,
		.lazy_refcounts = !!(h.compatible & QCOW2_LAZY),
	};
	memcpy(out->backing, h.backing, sizeof(out->backing));
	memcpy(out->backing_format, h.backing_format, sizeof(out->backing_format));
	return 0;
}

/* --- larger ---------------------------------------------------------------------------------- */

static uint64_t l1_needed(const struct qcow2_header *h, uint64_t size)
{
	uint64_t covered = 1ull << (2 * h->cluster_bits - 3);

	return size / covered + !!(size % covered);
}

/* Entries up to the end of the last cluster of the L1 table: nothing else is there. */
static uint64_t l1_room(const struct qcow2_header *h)
{
	uint64_t cluster = 1ull << h->cluster_bits;

	return ((8ull * h->l1_size + cluster - 1) & ~(cluster - 1)) / 8;
}

static int judge_resize(const struct qcow2_header *h, const char *path, uint64_t size)
{
	if (size < h->size)
		return log_fail(-EINVAL,
				"disk: %s: has %llu bytes, which is more than %llu: it can only "
				"become larger",
				path, (unsigned long long)h->size, (unsigned long long)size);
	if (size % 512)
		return log_fail(-EINVAL, "disk: %s: %llu bytes: give a multiple of 512", path,
				(unsigned long long)size);
	if (h->incompatible & QCOW2_CORRUPT)
		return log_fail(-EROFS, "disk: %s: repair it first, with `qemu-img check -r all`",
				path);
	if (h->snapshots)
		return log_fail(-ENOTSUP,
				"disk: %s: has snapshots, which keep its size: remove them first",
				path);
	if (l1_needed(h, size) > QCOW2_L1_MAX / 8)
		return log_fail(-EFBIG, "disk: %s: %llu bytes are too many for its clusters", path,
				(unsigned long long)size);
	return 0;
}

/* The new entries are zero before the header says that they are entries. */
static int write_resized(int fd, const struct qcow2_header *h, uint64_t size)
{
	uint64_t needed = l1_needed(h, size);
	uint8_t field[16], none[8] = {0};
	int r = 0;

	/* Features that know nothing of the change, such as bitmaps, hold no longer. */
	if (h->autoclear)
		r = write_all(fd, none, 8, QCOW2_AT_AUTOCLEAR);
	for (uint64_t i = h->l1_size; i < needed && r == 0; i++)
		r = write_all(fd, none, 8, h->l1_off + 8 * i);
	if (r == 0 && fsync(fd))
		r = -errno;
	/* Size, encryption, L1 size: side by side in one sector. */
	put_be64(field, size);
	put_be32(field + 8, 0);
	put_be32(field + 12, needed > h->l1_size ? (uint32_t)needed : h->l1_size);
	if (r == 0)
		r = write_all(fd, field, sizeof(field), QCOW2_AT_SIZE);
	if (r == 0 && fsync(fd))
		r = -errno;
	return r;
}

/* A copy of the L1 table behind all there is, with room; 0 or -errno, silent. */
static int copy_l1(int fd, const struct qcow2_header *h, uint64_t at, uint64_t len)
{
	uint8_t *l1 = calloc(1, len);
	uint64_t done = 0;
	int r = l1 ? 0 : -ENOMEM;

	while (r == 0 && done < 8ull * h->l1_size) {
		ssize_t n =
			pread(fd, l1 + done, 8ull * h->l1_size - done, (off_t)(h->l1_off + done));

		if (n <= 0)
			r = n < 0 ? -errno : -EIO;
		else
			done += (uint64_t)n;
	}
	if (r == 0)
		r = write_all(fd, l1, len, at);
	free(l1);
	return r;
}

/* The header changes to the new L1 table and to refcounts that know of it at once. */
static int move_l1(int fd, struct qcow2_header *h, const char *path, uint64_t size,
		   uint64_t file_size)
{
	uint64_t cluster = 1ull << h->cluster_bits, at = (file_size + cluster - 1) & ~(cluster - 1);
	/* An image that was not closed may have more entries than it needs. */
	uint64_t needed = l1_needed(h, size) > h->l1_size ? l1_needed(h, size) : h->l1_size;
	uint64_t len = (8 * needed + cluster - 1) & ~(cluster - 1), table = h->reftable_off;
	int r = copy_l1(fd, h, at, len);

	if (r < 0) {
		log_fail(r, "disk: %s: cannot write: %s", path, strerror(-r));
	} else {
		h->size = size;
		h->l1_off = at;
		h->l1_size = (uint32_t)needed;
		r = qcow2_rebuild(fd, path, h);
	}
	/* What the header does not name yet is not part of the image. */
	if (r < 0 && h->reftable_off == table && ftruncate(fd, (off_t)file_size))
		log_line(LOG_WARN, "disk: %s: cannot be made as short as it was", path);
	return r;
}

int qcow2_resize(const char *path, uint64_t size)
{
	struct qcow2_header h;
	uint64_t file_size;
	int fd = open_image(path, O_RDWR, &h, &file_size), r;

	if (fd < 0)
		return fd;
	r = judge_resize(&h, path, size);
	if (r == 0 && (h.incompatible & QCOW2_DIRTY || l1_needed(&h, size) > l1_room(&h))) {
		r = move_l1(fd, &h, path, size, file_size);
	} else if (r == 0) {
		r = write_resized(fd, &h, size);
		if (r < 0)
			log_fail(r, "disk: %s: cannot write: %s", path, strerror(-r));
	}
	close(fd);
	return r;
}
