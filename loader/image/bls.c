/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads configurations that are lines of `key value`: boot loader entries and extlinux.conf. Pure
 * computation; the text comes from a stranger.
 */
#include "loader/image/bls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define VALUE 4096

/* The next line's key and value, without the blanks around them: 1, or 0 at the end. */
static int next_line(const char **text, char key[64], char value[VALUE])
{
	const char *p = *text;
	size_t len, n;

	if (!*p)
		return 0;
	len = strcspn(p, "\n");
	*text = p + len + (p[len] == '\n');
	while (len > 0 && strchr(" \t\r", p[len - 1]))
		len--;
	n = strspn(p, " \t");
	n = n < len ? n : len;
	p += n;
	len -= n;
	n = strcspn(p, " \t\n");
	n = n < len ? n : len;
	key[0] = value[0] = '\0';
	if (*p == '#' || n >= 64 || len - n >= VALUE)
		return 1;
	memcpy(key, p, n);
	key[n] = '\0';
	p += n;
	len -= n;
	n = strspn(p, " \t");
	n = n < len ? n : len;
	memcpy(value, p + n, len - n);
	value[len - n] = '\0';
	return 1;
}

/* Paths between blanks or @between. */
static int add_initrds(struct boot_entry *e, char *value, const char *between, const char *dir)
{
	char *save, *path;
	int r = 0;

	for (path = strtok_r(value, between, &save); path && r == 0;
	     path = strtok_r(NULL, between, &save)) {
		char full[VALUE];

		if (path[0] == '/')
			r = entry_add_initrd(e, path);
		else if ((size_t)snprintf(full, sizeof(full), "%s/%s", dir, path) < sizeof(full))
			r = entry_add_initrd(e, full);
	}
	return r;
}

int bls_read(const char *text, const char *name, const struct entry_vars *vars,
	     struct boot_entry *out, char version[ENTRY_PATH])
{
	char key[64], value[VALUE], full[VALUE];
	int r = 0;

	memset(out, 0, sizeof(*out));
	version[0] = '\0';
	while (r == 0 && next_line(&text, key, value)) {
		r = vars_expand(vars, value, full, sizeof(full));
		if (r < 0)
			return r;
		if (!strcmp(key, "linux"))
			r = entry_set_kernel(out, full);
		else if (!strcmp(key, "initrd"))
			r = add_initrds(out, full, " \t", "");
		else if (!strcmp(key, "options"))
			r = entry_add_line(out, full);
		else if (!strcmp(key, "title"))
			text_cut(out->title, sizeof(out->title), full);
		else if (!strcmp(key, "version"))
			text_cut(version, ENTRY_PATH, full);
	}
	if (!version[0])
		text_cut(version, ENTRY_PATH, name);
	return r < 0 ? r : out->kernel[0] ? 0 : -ENOENT;
}

int bls_is_saved(const char *name, const struct boot_entry *entry, const char *saved)
{
	size_t len = strlen(name);

	if (!*saved)
		return 0;
	if (len > 5 && !strcmp(name + len - 5, ".conf"))
		len -= 5;
	return (strlen(saved) == len && !memcmp(saved, name, len)) || !strcmp(saved, entry->title);
}

/* --- extlinux -------------------------------------------------------------------------------- */

struct extlinux {
	const char *dir;
	char wanted[128]; /* DEFAULT, or a label with MENU DEFAULT */
	char label[128];
	struct boot_entry now, *out;
	int have; /* 1: the first entry, 2: the wanted one */
};

static void close_entry(struct extlinux *x)
{
	if (!x->now.kernel[0])
		return;
	if (x->have < 2 && x->wanted[0] && !strcmp(x->label, x->wanted)) {
		*x->out = x->now;
		x->have = 2;
	} else if (!x->have) {
		*x->out = x->now;
		x->have = 1;
	}
}

static int take_line(struct extlinux *x, const char *key, char *value)
{
	char full[VALUE];

	if (!strcasecmp(key, "default")) {
		text_cut(x->wanted, sizeof(x->wanted), value);
	} else if (!strcasecmp(key, "label")) {
		close_entry(x);
		memset(&x->now, 0, sizeof(x->now));
		text_cut(x->label, sizeof(x->label), value);
		text_cut(x->now.title, sizeof(x->now.title), value);
	} else if (!strcasecmp(key, "menu") && !strcasecmp(value, "default")) {
		text_cut(x->wanted, sizeof(x->wanted), x->label);
	} else if (!strcasecmp(key, "linux") || !strcasecmp(key, "kernel")) {
		if (value[0] == '/')
			return entry_set_kernel(&x->now, value);
		if ((size_t)snprintf(full, sizeof(full), "%s/%s", x->dir, value) < sizeof(full))
			return entry_set_kernel(&x->now, full);
	} else if (!strcasecmp(key, "initrd")) {
		return add_initrds(&x->now, value, " \t,", x->dir);
	} else if (!strcasecmp(key, "append")) {
		return entry_add_line(&x->now, value);
	}
	return 0;
}

int extlinux_read(const char *text, const char *dir, struct boot_entry *out)
{
	struct extlinux x = {.dir = dir, .out = out};
	char key[64], value[VALUE];

	while (next_line(&text, key, value))
		if (take_line(&x, key, value) < 0)
			x.now.kernel[0] = '\0';
	close_entry(&x);
	return x.have ? 0 : -ENOENT;
}
