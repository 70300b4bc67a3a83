/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cursor over scattered bytes. Pure computation: no thread, no guest, no descriptor. A step
 * is refused as a whole before it is begun, so no caller sees half a copy.
 */
#include <errno.h>
#include <string.h>

#include "vmm/iov.h"

int iov_init(struct iov *iov, struct iovec *v, unsigned n)
{
	size_t left = 0;

	for (unsigned i = 0; i < n; i++)
		if (__builtin_add_overflow(left, v[i].iov_len, &left))
			return -EOVERFLOW;
	*iov = (struct iov){v, n, 0, left};
	return 0;
}

/* The next run of at most @len bytes that lie together; passes it. @len <= iov->left, not 0. */
static struct iovec next_run(struct iov *iov, size_t len)
{
	struct iovec run;

	while (iov->off == iov->v->iov_len) {
		iov->v++;
		iov->n--;
		iov->off = 0;
	}
	run.iov_base = (uint8_t *)iov->v->iov_base + iov->off;
	run.iov_len = iov->v->iov_len - iov->off;
	if (run.iov_len > len)
		run.iov_len = len;
	iov->off += run.iov_len;
	iov->left -= run.iov_len;
	return run;
}

int iov_get(struct iov *iov, void *dst, size_t len)
{
	uint8_t *to = dst;

	if (len > iov->left)
		return -EMSGSIZE;
	while (len > 0) {
		struct iovec run = next_run(iov, len);

		memcpy(to, run.iov_base, run.iov_len);
		to += run.iov_len;
		len -= run.iov_len;
	}
	return 0;
}

int iov_put(struct iov *iov, const void *src, size_t len)
{
	const uint8_t *from = src;

	if (len > iov->left)
		return -EMSGSIZE;
	while (len > 0) {
		struct iovec run = next_run(iov, len);

		memcpy(run.iov_base, from, run.iov_len);
		from += run.iov_len;
		len -= run.iov_len;
	}
	return 0;
}

int iov_skip(struct iov *iov, size_t len)
{
	if (len > iov->left)
		return -EMSGSIZE;
	while (len > 0)
		len -= next_run(iov, len).iov_len;
	return 0;
}

int iov_zero(struct iov *iov, size_t len)
{
	if (len > iov->left)
		return -EMSGSIZE;
	while (len > 0) {
		struct iovec run = next_run(iov, len);

		memset(run.iov_base, 0, run.iov_len);
		len -= run.iov_len;
	}
	return 0;
}

int iov_take(struct iov *iov, size_t len, struct iovec *out, unsigned max)
{
	struct iov at = *iov;
	unsigned n = 0;

	if (len > iov->left)
		return -EMSGSIZE;
	while (len > 0) {
		if (n == max)
			return -E2BIG;
		out[n] = next_run(&at, len);
		len -= out[n++].iov_len;
	}
	*iov = at;
	return (int)n;
}

uint8_t *iov_cut_last(struct iov *iov)
{
	struct iovec *last;

	if (iov->left == 0)
		return NULL;
	/* Bytes are left, so some segment from the cursor on is not empty. */
	while (iov->v[iov->n - 1].iov_len == 0)
		iov->n--;
	last = &iov->v[iov->n - 1];
	last->iov_len--;
	iov->left--;
	return (uint8_t *)last->iov_base + last->iov_len;
}
