/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_BACKLOG_H
#define DEVICES_NET_NETD_BACKLOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/net/net.h"

/*
 * Frames that wait for a port: a first-in first-out of copies, each in one piece with its header,
 * bounded in bytes and in number. Memory is touched only as far as it fills up.
 */
#define BACKLOG_FRAMES 2048
#define BACKLOG_BYTES  (4u << 20)

struct backlog {
	uint8_t *buf;
	size_t tail;  /* where the next frame may begin */
	size_t bytes; /* in frames */
	unsigned first, count;
	struct backlog_frame {
		uint32_t off, len;
	} frame[BACKLOG_FRAMES];
};

/* 0 or -ENOMEM. */
int backlog_init(struct backlog *b);
void backlog_free(struct backlog *b);

/* Copies header and frame, in @n pieces, to the end: 0, or -ENOBUFS with nothing done. */
int backlog_push(struct backlog *b, const struct net_hdr *hdr, const struct iovec *frame,
		 unsigned n);

/* The frames in front, at most @max of them, one segment each: how many. */
unsigned backlog_peek(const struct backlog *b, struct iovec *v, unsigned max);

/* Takes the first @n off. */
void backlog_drop(struct backlog *b, unsigned n);

#endif
