/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns the payload of an x86-64 bzImage into a kernel that lies ready in RAM. The payload is
 * hostile: each offset is checked against the room given before a byte is read or moved, and loops
 * run over counts that were bounded. Runs on the main thread before any vCPU does, so nothing
 * changes under it. Knows one stretch of bytes; knows neither guest addresses nor setup headers.
 */
#include "loader/unpack.h"

#include <errno.h>
#include <stdlib.h>

#include "loader/decompress.h"
#include "loader/elf.h"
#include "loader/le.h"
#include "loader/relocs.h"

#define SIZE_TRAILER 4 /* the kernel build appends the unpacked length; gzip has it by itself */

/* A segment's way: from where the file was unpacked to where it belongs, as offsets in ram. */
struct move {
	size_t from, to, len;
};

/* The unpacked file and what is known of it. */
struct settle {
	struct unpack *u;
	size_t out, out_len; /* where the file lies in ram */
	size_t dirty;        /* [0, dirty) of ram may hold something */
	struct elf elf;
	struct move move[ELF_SEGMENTS_MAX]; /* ascending by .to, apart from each other */
	size_t table, table_len;            /* the relocation table, in ram */
};

static int fail(int r, const char **why, const char *reason)
{
	*why = reason;
	return r;
}

/* With the usual lead, its segments then lie where they belong. */
size_t unpack_file_at(const struct unpack *u)
{
	return u->base >= UNPACK_LEAD ? u->base - UNPACK_LEAD : u->base;
}

size_t unpack_file_max(const struct unpack *u)
{
	return u->end - u->base;
}

int unpack_payload(struct unpack *u, const uint8_t *payload, size_t len, const char **why)
{
	uint8_t *out = u->ram + unpack_file_at(u);
	enum decompress_format format;
	size_t want;
	int r;

	if (len <= SIZE_TRAILER)
		return fail(-ENOTSUP, why, "has no payload");
	want = le32_get(payload + len - SIZE_TRAILER);
	format = decompress_probe(payload, len);
	if (format == DECOMPRESS_UNKNOWN || format == DECOMPRESS_LZO)
		return fail(-ENOTSUP, why, "has a payload in a format that is not unpacked here");
	if (want < ELF_HEADER_LEN || want > unpack_file_max(u))
		return fail(-EBADMSG, why, "has a payload that is too large for its init_size");
	if (format != DECOMPRESS_GZIP)
		len -= SIZE_TRAILER;
	r = decompress(payload, len, out, want, &u->file_len);
	if (r == 0 && u->file_len == want)
		return 0;
	memset(out, 0, want);
	if (r == -ENOMEM)
		return fail(r, why, "has a payload that takes too much memory to unpack");
	return fail(-EBADMSG, why, "has a corrupt payload; fetch or build it again");
}

/* --- settling -------------------------------------------------------------------------------- */

static int read_elf(struct settle *s, const char **why)
{
	const uint8_t *file = s->u->ram + s->out;
	size_t end;
	int r;

	r = elf_header(file, s->out_len, s->out_len, &s->elf, why);
	if (r == 0)
		r = elf_segments(file + s->elf.phoff, s->out_len, &s->elf, why);
	if (r == 0)
		r = elf_end(file, s->out_len, &s->elf, &end, why);
	if (r < 0)
		return -EBADMSG;
	s->table = s->out + end;
	s->table_len = s->out_len - end;
	return 0;
}

/* The lead was not what we took it for: put the file where the kernel's decompressor has it. */
static void slide_to_base(struct settle *s)
{
	struct unpack *u = s->u;

	if (s->out == u->base ||
	    s->elf.load[0].off - (s->elf.load[0].paddr - u->link_base) == UNPACK_LEAD)
		return;
	memmove(u->ram + u->base, u->ram + s->out, s->out_len);
	s->table += u->base - s->out;
	s->out = u->base;
	s->dirty = u->base + s->out_len;
}

/* Where each segment goes: inside [base, end), in ascending order. */
static int plan_moves(struct settle *s, const char **why)
{
	struct unpack *u = s->u;
	uint64_t room = u->end - u->base, last = 0;

	for (unsigned i = 0; i < s->elf.loads; i++) {
		const struct elf_segment *e = &s->elf.load[i];
		uint64_t at = e->paddr - u->link_base;

		if (at > room || e->memsz > room - at)
			return fail(-EBADMSG, why, "has an ELF segment outside its init_size");
		if (at < last)
			return fail(-ENOTSUP, why, "has ELF segments in an unusual order");
		last = at + e->memsz;
		s->move[i] = (struct move){
			.from = s->out + (size_t)e->off,
			.to = u->base + (size_t)at,
			.len = (size_t)e->filesz,
		};
	}
	return 0;
}

static int overlap(size_t a, size_t a_len, size_t b, size_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/*
 * Moving them in order must not destroy what is still to be moved, nor the table. (One that is
 * empty in the file destroys nothing.)
 */
static int check_moves(const struct settle *s, const char **why)
{
	for (unsigned i = 0; i < s->elf.loads; i++) {
		const struct move *m = &s->move[i];

		if (m->len > 0 && s->table_len > 0 &&
		    overlap(m->to, m->len, s->table, s->table_len))
			return fail(-ENOTSUP, why, "has ELF segments that overwrite its end");
		for (unsigned j = i + 1; j < s->elf.loads; j++)
			if (m->len > 0 && s->move[j].len > 0 &&
			    overlap(m->to, m->len, s->move[j].from, s->move[j].len))
				return fail(-ENOTSUP, why,
					    "has ELF segments that overwrite each other in place");
	}
	return 0;
}

static int find_entry(struct settle *s, const char **why)
{
	struct unpack *u = s->u;

	for (unsigned i = 0; i < s->elf.loads; i++) {
		uint64_t off = s->elf.entry - s->elf.load[i].paddr;

		if (off >= s->elf.load[i].filesz)
			continue;
		u->entry = s->move[i].to + (size_t)off;
		return 0;
	}
	return fail(-EBADMSG, why, "has an ELF entry where it loads nothing; it is damaged");
}

static int relocate(struct settle *s, const char **why)
{
	struct unpack *u = s->u;
	const struct move *last = &s->move[s->elf.loads - 1];
	struct relocs relocs;
	int r;

	u->relocated = 0;
	if (!u->relocate)
		return 0;
	r = relocs_parse(u->ram + s->table, s->table_len, &relocs);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return fail(-ENOTSUP, why, "has a relocation table of an unknown form");
	r = relocs_apply(&relocs, u->ram + u->base, last->to + last->len - u->base, u->link_base,
			 u->distance);
	if (r < 0)
		return fail(-EBADMSG, why, "has a relocation outside of itself; it is damaged");
	u->relocated = 1;
	return 0;
}

/* Zeroes what the file left behind outside of the segments. */
static void wipe_rest(const struct settle *s)
{
	size_t at = 0;

	for (unsigned i = 0; i < s->elf.loads && at < s->dirty; i++) {
		const struct move *m = &s->move[i];

		if (m->to > at)
			memset(s->u->ram + at, 0, (m->to < s->dirty ? m->to : s->dirty) - at);
		at = m->to + m->len;
	}
	if (at < s->dirty)
		memset(s->u->ram + at, 0, s->dirty - at);
}

static int settle(struct settle *s, const char **why)
{
	int r;

	r = read_elf(s, why);
	if (r < 0)
		return r;
	slide_to_base(s);
	r = plan_moves(s, why);
	if (r == 0)
		r = check_moves(s, why);
	if (r == 0)
		r = find_entry(s, why);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < s->elf.loads; i++) {
		const struct move *m = &s->move[i];

		memmove(s->u->ram + m->to, s->u->ram + m->from, m->len);
		if (m->len > 0 && m->to + m->len > s->dirty)
			s->dirty = m->to + m->len;
	}
	r = relocate(s, why);
	if (r == 0)
		wipe_rest(s);
	return r;
}

int unpack_settle(struct unpack *u, const char **why)
{
	struct settle *s = calloc(1, sizeof(*s));
	size_t out = unpack_file_at(u);
	int r = -ENOMEM;

	*why = "cannot be unpacked: there is no memory";
	if (s) {
		*s = (struct settle){
			.u = u, .out = out, .out_len = u->file_len, .dirty = out + u->file_len};
		r = settle(s, why);
	}
	if (r < 0)
		memset(u->ram, 0, s ? s->dirty : out + u->file_len);
	free(s);
	return r;
}
