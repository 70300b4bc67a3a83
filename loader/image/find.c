/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds what a disk would boot. On the only thread of skiff-image. Knows the places where
 * distributions keep things, and nothing of how they are read.
 *
 * A path in a configuration is looked for in the file system where the configuration is, then in
 * the others: where `root` pointed at run time is not known here.
 */
#include "loader/image/find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/image/bls.h"
#include "loader/image/grub.h"
#include "loader/image/kernels.h"

#define CONFIG_MAX  (1u << 20) /* bytes of a configuration */
#define GRUBENV_MAX 65536u
#define ENTRIES_MAX 64u
#define NO_ROOM     (1u << 20) /* bytes that a file system over the whole disk may leave behind it */

/* --- partitions ------------------------------------------------------------------------------ */

static void note_reach(struct found *f, uint64_t start, uint64_t len)
{
	uint64_t end = len > UINT64_MAX - start ? UINT64_MAX : start + len;

	if (end > f->reach)
		f->reach = end;
}

static int look_into(struct found *f, const struct part *part)
{
	struct found_part *p = &f->part[f->n++];
	int r;

	*p = (struct found_part){.part = *part};
	r = fs_identify(f->reader, part->start, part->len, &p->mark);
	if (r < 0)
		return r;
	note_reach(f, part->start, p->mark.bytes);
	if (p->mark.is_ext)
		p->error = ext4_open(f->reader, part->start, part->len, &p->fs);
	return p->error == -EDQUOT ? -EDQUOT : 0;
}

/* Whether it leaves no room for another on a disk of @size bytes. */
static int fills(const struct fs_mark *mark, uint64_t size)
{
	return mark->bytes && mark->bytes <= size && size - mark->bytes < NO_ROOM;
}

/*
 * Whether an ext file system over the whole disk, as @mark has it, is what was left of one when the
 * disk was partitioned. 1, 0 or -errno.
 *
 * A table may as well be what was left when the disk was formatted. So the file system counts if it
 * is as large as the disk, and over a table without checksums also if nothing lies where that says.
 */
static int is_stale(struct found *f, const struct fs_mark *mark, const struct parttable *t)
{
	int r = 0;

	if (fills(mark, f->reader->blk->size) || fills(mark, f->image_size))
		return 0;
	if (t->kind == PARTTABLE_GPT)
		return t->n > 0;
	for (unsigned i = 0; i < t->n && !t->dropped && r == 0; i++) {
		struct fs_mark inside;

		r = fs_identify(f->reader, t->part[i].start, t->part[i].len, &inside);
		if (r == 0)
			r = inside.type[0] != 0;
	}
	return r;
}

/* @mark: of the whole disk. What looks like a table may be code, and reaches anywhere then. */
static int look_into_parts(struct found *f, const struct parttable *t, const struct fs_mark *mark)
{
	int r = 0;

	f->table = t->kind;
	f->table_damaged = t->damaged;
	f->table_from_backup = t->from_backup;
	f->parts_dropped = t->dropped;
	if (t->kind != PARTTABLE_NONE || !mark->type[0])
		note_reach(f, 0, t->reach);
	for (unsigned i = 0; i < t->n && r == 0; i++)
		r = look_into(f, &t->part[i]);
	return r;
}

static int look_at_disk(struct found *f)
{
	struct part whole = {.len = f->reader->blk->size};
	struct parttable *t = malloc(sizeof(*t));
	int r = t ? 0 : -ENOMEM, is_whole = 0;
	struct fs_mark mark;

	if (r == 0)
		r = fs_identify(f->reader, 0, whole.len, &mark);
	if (r == 0)
		r = parttable_read(f->reader, t);
	if (r == 0 && mark.is_ext) {
		r = is_stale(f, &mark, t);
		is_whole = r == 0;
	}
	if (r >= 0)
		r = is_whole ? 0 : look_into_parts(f, t, &mark);
	if (r == 0 && (is_whole || (t->kind == PARTTABLE_NONE && mark.type[0])))
		r = look_into(f, &whole);
	free(t);
	return r;
}

/* --- what a configuration says --------------------------------------------------------------- */

/* 0, -ENOENT or what reading says. */
static int find_file(struct found *f, const struct found_part *first, const char *path,
		     struct found_file *out)
{
	int r = ext4_find(first->fs, path, &out->file);

	out->in = first;
	for (unsigned i = 0; r == -ENOENT && i < f->n; i++) {
		if (!f->part[i].fs || &f->part[i] == first)
			continue;
		r = ext4_find(f->part[i].fs, path, &out->file);
		out->in = &f->part[i];
	}
	if (r < 0)
		out->in = NULL;
	return r;
}

/* Whether all that the entry names is there; then it is what boots. */
static int accept_entry(struct found *f, const struct found_part *p, const struct boot_entry *e,
			const char *config)
{
	struct found_file kernel, initrd[ENTRY_INITRDS];
	int r = find_file(f, p, e->kernel, &kernel);

	for (unsigned i = 0; i < e->n_initrds && r == 0; i++)
		r = find_file(f, p, e->initrd[i], &initrd[i]);
	if (r < 0)
		return r;
	f->kernel = kernel;
	memcpy(f->initrd, initrd, e->n_initrds * sizeof(initrd[0]));
	f->n_initrds = e->n_initrds;
	memcpy(f->cmdline, e->cmdline, sizeof(f->cmdline));
	text_cut(f->from, sizeof(f->from), config);
	memcpy(f->title, e->title, sizeof(f->title));
	return 0;
}

static void read_grubenv(const struct found_part *p, struct entry_vars *vars)
{
	static const char *const places[] = {
		"/grub2/grubenv",
		"/grub/grubenv",
		"/boot/grub2/grubenv",
		"/boot/grub/grubenv",
	};
	int err;

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *text = ext4_read_text(p->fs, places[i], GRUBENV_MAX, &err);

		if (text)
			vars_read_grubenv(vars, text);
		free(text);
	}
}

static int try_grub(struct found *f, const struct found_part *p, struct entry_vars *vars)
{
	static const char *const places[] = {
		"/grub/grub.cfg",
		"/grub2/grub.cfg",
		"/boot/grub/grub.cfg",
		"/boot/grub2/grub.cfg",
	};
	struct boot_entry entry;
	int r;

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *text = ext4_read_text(p->fs, places[i], CONFIG_MAX, &r);

		if (!text)
			continue;
		r = grub_read(text, vars, &entry);
		free(text);
		if (r == 0)
			r = accept_entry(f, p, &entry, places[i]);
		if (r == 0)
			return 0;
	}
	return -ENOENT;
}

struct entries {
	char (*name)[ENTRY_PATH];
	unsigned n;
};

static int collect_entry(void *arg, const char *name)
{
	struct entries *entries = arg;
	size_t len = strlen(name);

	if (len > 5 && !strcmp(name + len - 5, ".conf"))
		text_cut(entries->name[entries->n++], ENTRY_PATH, name);
	return entries->n == ENTRIES_MAX;
}

/* The saved entry, else the one with the highest version, of those whose files are there. */
static int choose_entry(struct found *f, const struct found_part *p, const char *dir,
			const struct entries *entries, const struct entry_vars *vars)
{
	const char *saved = vars_get(vars, "saved_entry", 11);
	char best[ENTRY_PATH] = "", version[ENTRY_PATH], path[2 * ENTRY_PATH];
	int is_saved = 0, r, got = -ENOENT;
	struct boot_entry e;

	for (unsigned i = 0; i < entries->n && !is_saved; i++) {
		char *text;

		snprintf(path, sizeof(path), "%s/%s", dir, entries->name[i]);
		text = ext4_read_text(p->fs, path, CONFIG_MAX, &r);
		if (!text)
			continue;
		r = bls_read(text, entries->name[i], vars, &e, version);
		free(text);
		is_saved = r == 0 && bls_is_saved(entries->name[i], &e, saved);
		if (r < 0 || (got == 0 && !is_saved && version_compare(version, best) <= 0))
			continue;
		if (accept_entry(f, p, &e, path) < 0) {
			is_saved = 0;
			continue;
		}
		memcpy(best, version, sizeof(best));
		got = 0;
	}
	return got;
}

static int try_bls(struct found *f, const struct found_part *p, const struct entry_vars *vars)
{
	static const char *const places[] = {"/loader/entries", "/boot/loader/entries"};
	struct entries entries = {.name = calloc(ENTRIES_MAX, ENTRY_PATH)};
	int r = entries.name ? -ENOENT : -ENOMEM;

	for (unsigned i = 0; i < 2 && r == -ENOENT; i++) {
		entries.n = 0;
		if (ext4_list(p->fs, places[i], collect_entry, &entries) == 0)
			r = choose_entry(f, p, places[i], &entries, vars);
	}
	free(entries.name);
	return r;
}

static int try_extlinux(struct found *f, const struct found_part *p)
{
	static const char *const places[][2] = {
		{"/boot", "extlinux.conf"},         {"/boot/extlinux", "extlinux.conf"},
		{"/extlinux", "extlinux.conf"},     {"", "extlinux.conf"},
		{"/boot/syslinux", "syslinux.cfg"}, {"/syslinux", "syslinux.cfg"},
	};
	struct boot_entry entry;
	char path[64];
	int r;

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *text;

		snprintf(path, sizeof(path), "%s/%s", places[i][0], places[i][1]);
		text = ext4_read_text(p->fs, path, CONFIG_MAX, &r);
		if (!text)
			continue;
		r = extlinux_read(text, places[i][0], &entry);
		free(text);
		if (r == 0)
			r = accept_entry(f, p, &entry, path);
		if (r == 0)
			return 0;
	}
	return -ENOENT;
}

static int try_configurations(struct found *f)
{
	struct entry_vars *vars = malloc(sizeof(*vars));
	int r = vars ? -ENOENT : -ENOMEM;

	for (unsigned i = 0; i < f->n && r == -ENOENT; i++) {
		const struct found_part *p = &f->part[i];

		if (!p->fs)
			continue;
		memset(vars, 0, sizeof(*vars));
		read_grubenv(p, vars);
		r = try_grub(f, p, vars);
		if (r == -ENOENT)
			r = try_bls(f, p, vars);
		if (r == -ENOENT)
			r = try_extlinux(f, p);
	}
	free(vars);
	return r;
}

/* --- the whole ------------------------------------------------------------------------------- */

int find_boot(struct reader *r, uint64_t image_size, struct found *f)
{
	int res;

	memset(f, 0, sizeof(*f));
	memset(f->driver, '?', sizeof(f->driver));
	f->reader = r;
	f->image_size = image_size;
	res = look_at_disk(f);
	if (res == 0 && image_size && f->reach > image_size)
		res = -ENODATA;
	if (res < 0)
		return res;
	kernels_read_os(f);
	res = try_configurations(f);
	if (res == -ENOENT)
		res = kernels_without_configuration(f);
	if (res == 0)
		kernels_read_drivers(f);
	if (!f->os[0])
		memcpy(f->os, f->title, sizeof(f->os));
	if (res != 0 && r->budget < READER_COST)
		res = -EDQUOT;
	return res;
}

void found_free(struct found *f)
{
	for (unsigned i = 0; i < f->n; i++)
		ext4_close(f->part[i].fs);
	f->n = 0;
}
