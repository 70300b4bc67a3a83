/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LZ4's legacy format, in which Debian and Ubuntu pack their kernels: magic, then blocks of up to
 * 8 MiB, each after its packed length, until the input ends. Input is hostile: the row of blocks is
 * judged first, by the calling thread, and each block is then unpacked within the bytes that are
 * its own. Whatever is not such a row goes the slow way, one block after the other, which also
 * finds what to say of it. Knows nothing of kernels.
 */
#include "loader/lz4_legacy.h"

#include <errno.h>
#include <lz4.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "loader/le.h"

#define BLOCKS_MAX   64
#define HELPERS_MAX  3
#define HELPER_STACK (64u << 10)

struct block {
	const uint8_t *src;
	int packed, room, got; /* got: what LZ4 says, negative for a corrupt block */
};

struct row {
	struct block block[BLOCKS_MAX];
	unsigned n;
	uint8_t *dst;
	atomic_uint next; /* the block that nobody has taken yet */
};

static int packed_is_sane(uint32_t packed, size_t len)
{
	return packed != 0 && packed <= len && packed <= LZ4_COMPRESSBOUND(LZ4_LEGACY_BLOCK);
}

static int one_by_one(const uint8_t *src, size_t len, uint8_t *dst, size_t cap, size_t *out)
{
	*out = 0;
	while (len > 0) {
		size_t room = cap - *out;
		uint32_t packed;
		int n;

		if (len < 4)
			return -EBADMSG;
		packed = le32_get(src);
		src += 4;
		len -= 4;
		if (packed == LZ4_LEGACY_MAGIC) /* the first one, or another stream joined on */
			continue;
		if (!packed_is_sane(packed, len))
			return -EBADMSG;
		if (room > LZ4_LEGACY_BLOCK)
			room = LZ4_LEGACY_BLOCK;
		n = LZ4_decompress_safe((const char *)src, (char *)dst + *out, (int)packed,
					(int)room);
		if (n < 0)
			return -EBADMSG;
		*out += (size_t)n;
		src += packed;
		len -= packed;
	}
	return 0;
}

/* Finds the blocks of one stream: 0, or -EINVAL if it is not two and more that have room. */
static int read_row(struct row *row, const uint8_t *src, size_t len, size_t cap)
{
	if (len < 4 || le32_get(src) != LZ4_LEGACY_MAGIC)
		return -EINVAL;
	src += 4;
	len -= 4;
	while (len > 0) {
		size_t at = (size_t)row->n * LZ4_LEGACY_BLOCK, room;
		uint32_t packed;

		if (len < 4 || row->n == BLOCKS_MAX || at >= cap)
			return -EINVAL;
		packed = le32_get(src);
		if (packed == LZ4_LEGACY_MAGIC || !packed_is_sane(packed, len - 4))
			return -EINVAL;
		room = cap - at < LZ4_LEGACY_BLOCK ? cap - at : LZ4_LEGACY_BLOCK;
		row->block[row->n++] =
			(struct block){.src = src + 4, .packed = (int)packed, .room = (int)room};
		src += 4 + packed;
		len -= 4 + packed;
	}
	return row->n > 1 ? 0 : -EINVAL;
}

static void *work(void *arg)
{
	struct row *row = arg;
	unsigned i;

	while ((i = atomic_fetch_add(&row->next, 1)) < row->n) {
		struct block *b = &row->block[i];

		b->got = LZ4_decompress_safe((const char *)b->src,
					     (char *)row->dst + (size_t)i * LZ4_LEGACY_BLOCK,
					     b->packed, b->room);
	}
	return NULL;
}

static unsigned helpers_for(unsigned blocks)
{
	cpu_set_t cpus;
	unsigned n;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return 0;
	n = (unsigned)CPU_COUNT(&cpus);
	if (n > blocks)
		n = blocks;
	return n > HELPERS_MAX ? HELPERS_MAX : n - 1;
}

/* Fewer helpers than wanted, or none, do no harm: the calling thread works too. */
static void side_by_side(struct row *row)
{
	unsigned wanted = helpers_for(row->n), n = 0;
	pthread_t helper[HELPERS_MAX];
	pthread_attr_t attr;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, HELPER_STACK);
	while (n < wanted && pthread_create(&helper[n], &attr, work, row) == 0)
		n++;
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	work(row);
	while (n > 0)
		pthread_join(helper[--n], NULL);
}

int lz4_legacy_unpack(const uint8_t *src, size_t len, uint8_t *dst, size_t cap, size_t *out)
{
	struct row row = {.dst = dst};

	if (read_row(&row, src, len, cap) < 0)
		return one_by_one(src, len, dst, cap, out);
	side_by_side(&row);
	for (unsigned i = 0; i + 1 < row.n; i++)
		if (row.block[i].got != LZ4_LEGACY_BLOCK)
			return one_by_one(src, len, dst, cap, out);
	if (row.block[row.n - 1].got < 0)
		return one_by_one(src, len, dst, cap, out);
	*out = (size_t)(row.n - 1) * LZ4_LEGACY_BLOCK + (size_t)row.block[row.n - 1].got;
	return 0;
}
