/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_IOV_H
#define VMM_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * A cursor over scattered bytes. It knows nothing of guests: whoever builds the array has already
 * judged each segment. The array stays the caller's and is not changed, except by iov_cut_last().
 */
struct iov {
	struct iovec *v; /* current segment */
	unsigned n;      /* segments from v on */
	size_t off;      /* bytes of *v already passed */
	size_t left;     /* bytes from the cursor to the end */
};

/* Starts at the first byte of @v[0..n). 0, or -EOVERFLOW if the lengths add up past SIZE_MAX. */
int iov_init(struct iov *iov, struct iovec *v, unsigned n);

/* Copy @len bytes and pass them: 0, or -EMSGSIZE with nothing copied and nothing passed. */
int iov_get(struct iov *iov, void *dst, size_t len);
int iov_put(struct iov *iov, const void *src, size_t len);
/* The same without a copy: pass @len bytes, or set @len bytes to zero. */
int iov_skip(struct iov *iov, size_t len);
int iov_zero(struct iov *iov, size_t len);

/*
 * Passes @len bytes and writes the segments that hold them to @out[0..max). The number of
 * segments, -EMSGSIZE if fewer than @len bytes are left, -E2BIG if @max segments do not hold them
 * (nothing passed in either case).
 */
int iov_take(struct iov *iov, size_t len, struct iovec *out, unsigned max);

/*
 * Takes the very last byte away from the end of the cursor's bytes and returns where it lies, or
 * NULL when no byte is left. virtio-blk's status byte may share a segment with data.
 */
uint8_t *iov_cut_last(struct iov *iov);

#endif
