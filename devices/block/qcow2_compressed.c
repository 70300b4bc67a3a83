/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compressed clusters of a qcow2 image: one at a time is read and inflated, on the loop's thread,
 * and the last few are kept. Whatever the bytes say, a cluster comes out or an error; memory is
 * what was set aside at open, and for zstd a window of at most 8 MiB.
 */
#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "devices/block/qcow2_image.h"
#include "vmm/log.h"

#define ZSTD_WINDOW_LOG_MAX 23
#define INFLATED_BYTES      (1u << 20)

int inflate_init(struct qcow2 *q)
{
	unsigned n = INFLATED_BYTES >> q->cluster_bits;

	q->n_inflated = n < 1 ? 1 : n > QCOW2_INFLATED_MAX ? QCOW2_INFLATED_MAX : n;
	q->z_in = malloc(2 * q->cluster);
	q->inflated[0].data = malloc(q->n_inflated * q->cluster);
	if (!q->z_in || !q->inflated[0].data)
		return -ENOMEM;
	for (unsigned i = 1; i < q->n_inflated; i++)
		q->inflated[i].data = q->inflated[0].data + i * q->cluster;
	if (q->h.compression) {
		q->z = ZSTD_createDCtx();
		if (!q->z || ZSTD_isError(ZSTD_DCtx_setParameter(q->z, ZSTD_d_windowLogMax,
								 ZSTD_WINDOW_LOG_MAX)))
			return -ENOMEM;
		return 0;
	}
	q->deflate = libdeflate_alloc_decompressor();
	if (!q->deflate)
		return -ENOMEM;
	q->z = calloc(1, sizeof(z_stream));
	/* Raw deflate, without zlib's own header. */
	return q->z && inflateInit2((z_stream *)q->z, -15) == Z_OK ? 0 : -ENOMEM;
}

void inflate_free(struct qcow2 *q)
{
	if (q->z && q->h.compression) {
		ZSTD_freeDCtx(q->z);
	} else if (q->z) {
		inflateEnd(q->z);
		free(q->z);
	}
	if (q->deflate)
		libdeflate_free_decompressor(q->deflate);
	free(q->z_in);
	free(q->inflated[0].data);
}

/*
 * A stream that ends with its cluster, as those of qemu-img do: in less than half of zlib's time.
 * What else there may be is zlib's to judge.
 */
static int inflate_whole(struct qcow2 *q, uint8_t *out, uint32_t len)
{
	return libdeflate_deflate_decompress(q->deflate, q->z_in, len, out, q->cluster, NULL) ==
	       LIBDEFLATE_SUCCESS;
}

/* "decompression stops when it has produced a cluster of data" */
static int inflate_zlib(struct qcow2 *q, uint8_t *out, uint32_t len)
{
	z_stream *z = q->z;

	if (inflate_whole(q, out, len))
		return 0;
	if (inflateReset(z) != Z_OK)
		return -EIO;
	z->next_in = q->z_in;
	z->avail_in = len;
	z->next_out = out;
	z->avail_out = (unsigned)q->cluster;
	inflate(z, Z_FINISH);
	return z->avail_out ? -EIO : 0;
}

static int inflate_zstd(struct qcow2 *q, uint8_t *out, uint32_t len)
{
	ZSTD_outBuffer o = {out, q->cluster, 0};
	ZSTD_inBuffer i = {q->z_in, len, 0};

	ZSTD_DCtx_reset(q->z, ZSTD_reset_session_only);
	while (o.pos < o.size) {
		size_t in_pos = i.pos, out_pos = o.pos;

		if (ZSTD_isError(ZSTD_decompressStream(q->z, &o, &i)) ||
		    (i.pos == in_pos && o.pos == out_pos))
			return -EIO;
	}
	return 0;
}

static struct qcow2_inflated *find(struct qcow2 *q, const struct qcluster *c)
{
	for (unsigned i = 0; i < q->n_inflated; i++)
		if (q->inflated[i].csize == c->csize && q->inflated[i].host == c->host)
			return &q->inflated[i];
	return NULL;
}

int inflate_cluster(struct qreq *r, struct qcow2_inflated **out)
{
	struct qcow2 *q = r->q;
	int res;

	*out = find(q, &r->old);
	if (*out)
		return STEP_GO;
	if (q->z_owner && q->z_owner != r)
		return qlist_wait(&q->z_waiting, r);
	if (!q->z_owner) {
		q->z_owner = r;
		qio_one(&r->io, q, QIO_READ, q->z_in, r->old.host, r->old.csize);
		return STEP_WAIT;
	}
	*out = &q->inflated[q->z_hand];
	q->z_hand = (q->z_hand + 1) % q->n_inflated;
	(*out)->csize = 0;
	res = q->h.compression ? inflate_zstd(q, (*out)->data, r->old.csize)
			       : inflate_zlib(q, (*out)->data, r->old.csize);
	if (res == 0) {
		(*out)->host = r->old.host;
		(*out)->csize = r->old.csize;
	} else if (!q->z_said) {
		q->z_said = 1;
		log_line(
			LOG_ERROR,
			"disk: %s: a compressed cluster cannot be inflated: %#llx: reads of it fail",
			q->path, (unsigned long long)r->old.host);
	}
	inflate_let_go(r);
	return res;
}

void inflate_let_go(struct qreq *r)
{
	if (r->q->z_owner != r)
		return;
	r->q->z_owner = NULL;
	qlist_wake_all(&r->q->z_waiting, 0);
}
