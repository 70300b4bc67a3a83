/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue of one port: a ring of bytes in which no frame is cut, and a ring of places. Belongs
 * to netd's one thread. Knows frames as bytes only.
 */
#include "devices/net/netd/backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int backlog_init(struct backlog *b)
{
	memset(b, 0, sizeof(*b));
	b->buf = malloc(BACKLOG_BYTES);
	return b->buf ? 0 : -ENOMEM;
}

void backlog_free(struct backlog *b)
{
	free(b->buf);
	b->buf = NULL;
	b->count = 0;
}

/* Where @len bytes lie together: an offset, or -ENOBUFS. */
static int64_t find_room(const struct backlog *b, size_t len)
{
	size_t front = b->frame[b->first].off;

	if (len > BACKLOG_BYTES)
		return -ENOBUFS;
	if (!b->count)
		return 0;
	/* [front, tail) is in use, or, wrapped around, all but [tail, front). */
	if (b->tail > front) {
		if (BACKLOG_BYTES - b->tail >= len)
			return (int64_t)b->tail;
		return front >= len ? 0 : -ENOBUFS;
	}
	return front - b->tail >= len ? (int64_t)b->tail : -ENOBUFS;
}

int backlog_push(struct backlog *b, const struct net_hdr *hdr, const struct iovec *frame,
		 unsigned n)
{
	size_t all = sizeof(*hdr);
	uint8_t *to;
	int64_t off;

	if (b->count == BACKLOG_FRAMES)
		return -ENOBUFS;
	for (unsigned i = 0; i < n; i++)
		all += frame[i].iov_len;
	off = find_room(b, all);
	if (off < 0)
		return -ENOBUFS;
	to = b->buf + off;
	memcpy(to, hdr, sizeof(*hdr));
	to += sizeof(*hdr);
	for (unsigned i = 0; i < n; i++) {
		memcpy(to, frame[i].iov_base, frame[i].iov_len);
		to += frame[i].iov_len;
	}
	b->frame[(b->first + b->count) % BACKLOG_FRAMES] = (struct backlog_frame){
		.off = (uint32_t)off,
		.len = (uint32_t)all,
	};
	b->count++;
	b->bytes += all;
	b->tail = (size_t)off + all;
	return 0;
}

unsigned backlog_peek(const struct backlog *b, struct iovec *v, unsigned max)
{
	unsigned n = b->count < max ? b->count : max;

	for (unsigned i = 0; i < n; i++) {
		const struct backlog_frame *f = &b->frame[(b->first + i) % BACKLOG_FRAMES];

		v[i] = (struct iovec){b->buf + f->off, f->len};
	}
	return n;
}

void backlog_drop(struct backlog *b, unsigned n)
{
	for (; n && b->count; n--) {
		b->bytes -= b->frame[b->first].len;
		b->first = (b->first + 1) % BACKLOG_FRAMES;
		b->count--;
	}
}
