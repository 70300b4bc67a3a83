/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pieces ("slices") of L2 tables and refcount blocks in memory, within a bound. A miss begins a
 * read and makes the request wait; the request asks again once it has come. Changed slices stay
 * until a commit writes them; only those of refcounts may be written earlier, to make room. On the
 * loop's thread. Knows nothing of what is in a slice.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "devices/block/qcow2_image.h"
#include "vmm/container_of.h"

int cache_init(struct qcow2_cache *c, struct qcow2 *q, uint32_t bytes, unsigned n)
{
	unsigned chains = 64;

	while (chains < n)
		chains *= 2;
	c->q = q;
	c->bytes = bytes;
	c->mask = chains - 1;
	qlist_init(&c->waiting);
	c->hash = calloc(chains, sizeof(*c->hash));
	c->slice = calloc(n, sizeof(*c->slice));
	c->mem_len = (size_t)n * bytes;
	/* Its pages come into being when they are used. */
	c->mem = mmap(NULL, c->mem_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->mem == MAP_FAILED)
		c->mem = NULL;
	if (!c->hash || !c->slice || !c->mem)
		return -ENOMEM;
	c->n = n;
	for (unsigned i = 0; i < n; i++) {
		c->slice[i].cache = c;
		c->slice[i].data = c->mem + (size_t)i * bytes;
		qlist_init(&c->slice[i].waiting);
	}
	return 0;
}

void cache_free(struct qcow2_cache *c)
{
	if (c->mem)
		munmap(c->mem, c->mem_len);
	free(c->hash);
	free(c->slice);
}

static uint32_t *chain_of(const struct qcow2_cache *c, uint64_t off)
{
	uint64_t key = off / c->bytes;

	return &c->hash[(key ^ key >> 17) & c->mask];
}

static struct qslice *find(const struct qcow2_cache *c, uint64_t off)
{
	for (uint32_t i = *chain_of(c, off); i; i = c->slice[i - 1].next)
		if (c->slice[i - 1].off == off)
			return &c->slice[i - 1];
	return NULL;
}

static void unlink_slice(struct qcow2_cache *c, struct qslice *s)
{
	uint32_t i = (uint32_t)(s - c->slice) + 1, *p = chain_of(c, s->off);

	while (*p != i)
		p = &c->slice[*p - 1].next;
	*p = s->next;
	s->state = SLICE_EMPTY;
}

static void loaded(struct qio *io, int res)
{
	struct qslice *s = container_of(io, struct qslice, io);
	struct qcow2_cache *c = s->cache;

	s->state = SLICE_VALID;
	if (res < 0)
		unlink_slice(c, s);
	qlist_wake_all(&s->waiting, res);
	qlist_wake_all(&c->waiting, 0);
}

static void evicted(struct qio *io, int res)
{
	struct qslice *s = container_of(io, struct qslice, io);

	s->state = SLICE_VALID;
	if (res == 0)
		cache_clean(s);
	qlist_wake_all(&s->waiting, res);
	qlist_wake_all(&s->cache->waiting, res);
}

/* A slice that can be given to another place, or NULL: some will be free later. */
static struct qslice *victim(struct qcow2_cache *c, struct qslice **dirty)
{
	*dirty = NULL;
	for (unsigned i = 0; i < 2 * c->n; i++) {
		struct qslice *s = &c->slice[c->hand];

		c->hand = (c->hand + 1) % c->n;
		if (s->state == SLICE_EMPTY)
			return s;
		if (s->state != SLICE_VALID)
			continue;
		if (s->dirty)
			*dirty = s;
		else if (s->recent)
			s->recent = 0;
		else
			return s;
	}
	return NULL;
}

int cache_get(struct qcow2_cache *c, struct qreq *r, uint64_t off, struct qslice **slice)
{
	struct qslice *s = find(c, off), *dirty;
	uint32_t *chain;

	if (s) {
		s->recent = 1;
		*slice = s;
		return s->state == SLICE_VALID ? STEP_GO : qlist_wait(&s->waiting, r);
	}
	s = victim(c, &dirty);
	if (!s) {
		if (dirty && c->evicts_dirty) {
			dirty->state = SLICE_WRITING;
			dirty->io.fn = evicted;
			qio_one(&dirty->io, c->q, QIO_WRITE, dirty->data, dirty->off, c->bytes);
		}
		return qlist_wait(&c->waiting, r);
	}
	if (s->state == SLICE_VALID)
		unlink_slice(c, s);
	chain = chain_of(c, off);
	s->off = off;
	s->next = *chain;
	*chain = (uint32_t)(s - c->slice) + 1;
	s->state = SLICE_LOADING;
	s->recent = 1;
	s->io.fn = loaded;
	qio_one(&s->io, c->q, QIO_READ, s->data, off, c->bytes);
	return qlist_wait(&s->waiting, r);
}

int cache_forget(struct qcow2_cache *c, struct qreq *r, uint64_t off, uint64_t len)
{
	for (uint64_t at = off; at - off < len; at += c->bytes) {
		struct qslice *s = find(c, at);

		if (!s)
			continue;
		if (s->state != SLICE_VALID)
			return qlist_wait(&s->waiting, r);
		cache_clean(s);
		unlink_slice(c, s);
	}
	return STEP_GO;
}

void cache_dirty(struct qslice *s)
{
	s->cache->n_dirty += !s->dirty;
	s->dirty = 1;
}

void cache_clean(struct qslice *s)
{
	s->cache->n_dirty -= s->dirty;
	s->dirty = 0;
}
