/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads KVM's binary statistics: a header, a block of descriptors, a block of 64-bit values. The
 * descriptors are read once, the values with one pread() for each refresh. Whoever owns the struct
 * calls; nothing here knows what a counter means. The file is the kernel's, yet every offset and
 * count in it is judged before use, so that this can be fuzzed and pointed at any file.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <unistd.h>

#include "vmm/kvm.h"
#include "vmm/kvm_stats.h"

/* Far above what there is: Linux 6.18 has 44 numbers for an x86 vCPU in 1,120 bytes of values. */
#define DESCRIPTORS_MAX 1024
#define NAME_SIZE_MAX   256
#define DATA_LEN_MAX    8192

static int read_at(int fd, void *buf, size_t len, uint64_t off)
{
	ssize_t n;

	do
		n = pread(fd, buf, len, (off_t)off);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -ENODATA;
}

static int is_number(const struct kvm_stats_desc *d)
{
	switch (d->flags & KVM_STATS_TYPE_MASK) {
	case KVM_STATS_TYPE_CUMULATIVE:
	case KVM_STATS_TYPE_INSTANT:
	case KVM_STATS_TYPE_PEAK:
		return d->size == 1;
	default:
		return 0;
	}
}

/* Takes one descriptor into the table if it is a number that fits. */
static int keep(struct kvm_stats *stats, const struct kvm_stats_desc *d, const char *name,
		size_t max)
{
	size_t len = strnlen(name, max);
	struct kvm_stat *s;

	if (!is_number(d) || len == 0 || len >= KVM_STATS_NAME_MAX || stats->n == KVM_STATS_MAX)
		return 0;
	if (d->offset > DATA_LEN_MAX - sizeof(uint64_t))
		return -EPROTO;

	s = &stats->stat[stats->n++];
	memcpy(s->name, name, len);
	s->name[len] = '\0';
	s->off = d->offset;
	s->value = 0;
	if (stats->data_len < s->off + sizeof(uint64_t))
		stats->data_len = s->off + (uint32_t)sizeof(uint64_t);
	return 0;
}

static int parse_descriptors(struct kvm_stats *stats, const struct kvm_stats_header *h)
{
	uint8_t raw[sizeof(struct kvm_stats_desc) + NAME_SIZE_MAX];
	struct kvm_stats_desc d; /* its name is a flexible array: what follows it in the file */
	uint64_t off = h->desc_offset;
	int r;

	for (uint32_t i = 0; i < h->num_desc; i++, off += sizeof(d) + h->name_size) {
		r = read_at(stats->fd, raw, sizeof(d) + h->name_size, off);
		if (r < 0)
			return r;
		memcpy(&d, raw, sizeof(d));
		r = keep(stats, &d, (const char *)raw + sizeof(d), h->name_size);
		if (r < 0)
			return r;
	}
	return 0;
}

int kvm_stats_parse(struct kvm_stats *stats, int stats_fd)
{
	struct kvm_stats_header h;
	int r;

	memset(stats, 0, sizeof(*stats));
	stats->fd = stats_fd;
	r = read_at(stats_fd, &h, sizeof(h), 0);
	if (r < 0)
		goto out_none;
	r = -EPROTO;
	if (h.num_desc > DESCRIPTORS_MAX || h.name_size == 0 || h.name_size > NAME_SIZE_MAX)
		goto out_none;
	stats->data_off = h.data_offset;
	r = parse_descriptors(stats, &h);
	if (r < 0)
		goto out_none;
	r = kvm_stats_refresh(stats);
	if (r < 0)
		goto out_none;
	return 0;

out_none:
	stats->fd = -1;
	stats->n = 0;
	return r;
}

int kvm_stats_open(struct kvm_stats *stats, int kvm_fd)
{
	int fd, r;

	memset(stats, 0, sizeof(*stats));
	stats->fd = -1;
	fd = kvm_ioctl_value(kvm_fd, KVM_GET_STATS_FD, 0);
	if (fd == -ENOTTY || fd == -EINVAL)
		return -EOPNOTSUPP;
	if (fd < 0)
		return fd;
	r = kvm_stats_parse(stats, fd);
	if (r < 0)
		close(fd);
	return r;
}

int kvm_stats_refresh(struct kvm_stats *stats)
{
	uint8_t data[DATA_LEN_MAX];
	int r;

	if (stats->n == 0)
		return 0;
	r = read_at(stats->fd, data, stats->data_len, stats->data_off);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < stats->n; i++)
		memcpy(&stats->stat[i].value, data + stats->stat[i].off, sizeof(uint64_t));
	return 0;
}

uint64_t kvm_stats_get(const struct kvm_stats *stats, const char *name)
{
	for (unsigned i = 0; i < stats->n; i++)
		if (strcmp(stats->stat[i].name, name) == 0)
			return stats->stat[i].value;
	return 0;
}

void kvm_stats_close(struct kvm_stats *stats)
{
	if (stats->fd >= 0)
		close(stats->fd);
	stats->fd = -1;
	stats->n = 0;
}
