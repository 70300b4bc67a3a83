/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads grub.cfg, as grub-mkconfig writes it, as far as it takes to find the default entry. Pure
 * computation; the text comes from a stranger.
 *
 *   commands -> words -> blocks: menuentry, submenu, others -> entries -> the default one
 */
#include "loader/image/grub.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX    96
#define LINE_BYTES   4096 /* bytes of one command's words */
#define LEVELS       3    /* of menus */
#define DEPTH_MAX    32   /* of blocks */
#define ENTRIES_MAX  256
#define ENTRIES_STEP 16

struct command {
	char *word[WORDS_MAX];
	unsigned n;
	int opens; /* a block: its last word is a brace */
	char text[LINE_BYTES];
};

/* Where an entry is: at each level its number, and what it is called. */
struct place {
	unsigned index;
	char title[128], id[128];
};

struct entry {
	struct place place[LEVELS];
	unsigned levels;
	struct boot_entry boot;
};

struct grub {
	struct entry_vars *vars;
	struct entry *entry;
	unsigned n;
	struct entry now;      /* in the making */
	uint8_t in_entry;      /* depth of its block, or 0 */
	unsigned menus;        /* submenus that are open */
	unsigned next[LEVELS]; /* numbers to give */
	enum { BLOCK_OTHER, BLOCK_ENTRY, BLOCK_SUBMENU } block[DEPTH_MAX];
	unsigned depth;
	int failed;
};

/* --- words ----------------------------------------------------------------------------------- */

struct cursor {
	const char *p;
	struct command *c;
	size_t used;
	int overflow;
};

static void put(struct cursor *at, char ch)
{
	if (at->used + 1 < sizeof(at->c->text))
		at->c->text[at->used++] = ch;
	else
		at->overflow = 1;
}

static void put_variable(struct cursor *at, const struct entry_vars *vars)
{
	const char *value;
	size_t len = vars_refer(vars, at->p, &value);

	if (!len) {
		put(at, *at->p++);
		return;
	}
	at->p += len;
	while (*value)
		put(at, *value++);
}

/* Up to the closing quote. */
static void put_quoted(struct cursor *at, const struct entry_vars *vars, char quote)
{
	for (at->p++; *at->p && *at->p != quote;) {
		if (quote == '"' && *at->p == '\\' && at->p[1] && strchr("\"\\$\n", at->p[1])) {
			at->p++;
			put(at, *at->p++);
		} else if (quote == '"' && *at->p == '$') {
			put_variable(at, vars);
		} else {
			put(at, *at->p++);
		}
	}
	at->p += *at->p == quote;
}

static void take_word(struct cursor *at, const struct entry_vars *vars)
{
	struct command *c = at->c;
	size_t from = at->used;
	int quoted = 0;

	c->opens = at->p[0] == '{' && strchr(" \t\r\n;", at->p[1]);
	while (*at->p && !strchr(" \t\r\n;", *at->p)) {
		if (*at->p == '\'' || *at->p == '"') {
			quoted = 1;
			put_quoted(at, vars, *at->p);
		} else if (*at->p == '\\' && at->p[1]) {
			at->p++;
			put(at, *at->p++);
		} else if (*at->p == '$') {
			put_variable(at, vars);
		} else {
			put(at, *at->p++);
		}
	}
	/* A variable that is not set is no word. */
	if (at->used == from && !quoted)
		return;
	put(at, '\0');
	if (c->n == WORDS_MAX || at->overflow)
		at->overflow = 1;
	else
		c->word[c->n++] = c->text + from;
}

/* Of a command too long for us only the block counts that it opens, and what it is called. */
static void shorten(struct command *c)
{
	static char brace[] = "{";

	if (!c->opens)
		c->n = 0;
	else if (c->n < WORDS_MAX)
		c->word[c->n++] = brace;
	else
		c->word[WORDS_MAX - 1] = brace;
}

/* The next command that has words: 1, 0 at the end. */
static int next_command(const char **text, const struct entry_vars *vars, struct command *c)
{
	struct cursor at = {.p = *text, .c = c};

	c->n = 0;
	c->opens = 0;
	while (*at.p) {
		at.p += strspn(at.p, " \t\r");
		if (*at.p == '#')
			at.p += strcspn(at.p, "\n");
		if (*at.p == '\n' || *at.p == ';') {
			at.p++;
			if (c->n)
				break;
		} else if (at.p[0] == '\\' && at.p[1] == '\n') {
			at.p += 2;
		} else if (*at.p) {
			take_word(&at, vars);
			/* What opens or closes a block ends the command, too. */
			if (c->opens || (c->n && !strcmp(c->word[0], "}")))
				break;
		}
	}
	*text = at.p;
	if (at.overflow)
		shorten(c);
	return c->n > 0 || *at.p;
}

/* --- commands -------------------------------------------------------------------------------- */

static void keep(struct grub *g)
{
	struct entry *more;

	if (g->n == ENTRIES_MAX)
		return;
	if (g->n % ENTRIES_STEP == 0) {
		more = realloc(g->entry, (g->n + ENTRIES_STEP) * sizeof(*more));
		if (!more) {
			g->failed = -ENOMEM;
			return;
		}
		g->entry = more;
	}
	g->entry[g->n++] = g->now;
}

/* `linux PATH WORDS...`: a second one in an entry counts if the first came without an initrd. */
static void take_linux(struct grub *g, const struct command *c)
{
	struct boot_entry *e = &g->now.boot, title = {0};
	int r;

	if (c->n < 2 || (e->kernel[0] && e->n_initrds))
		return;
	if (e->kernel[0])
		keep(g);
	memcpy(title.title, e->title, sizeof(title.title));
	*e = title;
	r = entry_set_kernel(e, c->word[1]);
	for (unsigned i = 2; i < c->n && r == 0; i++)
		r = entry_add_word(e, c->word[i]);
	if (r < 0)
		e->kernel[0] = '\0';
}

static void take_initrd(struct grub *g, const struct command *c)
{
	struct boot_entry *e = &g->now.boot;

	if (!e->kernel[0] || e->n_initrds)
		return;
	for (unsigned i = 1; i < c->n; i++)
		if (entry_add_initrd(e, c->word[i]))
			e->kernel[0] = '\0';
}

/* `menuentry TITLE [--option VALUE]... {`: options other than --id are not of interest. */
static void open_menu(struct grub *g, const struct command *c, int is_entry)
{
	unsigned level = g->menus;
	struct place *p;

	if (g->in_entry || level >= LEVELS)
		return;
	p = &g->now.place[level];
	memset(p, 0, sizeof(*p));
	p->index = g->next[level]++;
	for (unsigned i = 1; i + 1 < c->n; i++) {
		if (!strcmp(c->word[i], "--id"))
			text_cut(p->id, sizeof(p->id), c->word[++i]);
		else if (c->word[i][0] == '-' && c->word[i][1] == '-')
			i++;
		else if (!p->title[0])
			text_cut(p->title, sizeof(p->title), c->word[i]);
	}
	if (!is_entry) {
		g->menus++;
		if (g->menus < LEVELS)
			g->next[g->menus] = 0;
		return;
	}
	g->in_entry = (uint8_t)g->depth;
	g->now.levels = level + 1;
	memset(&g->now.boot, 0, sizeof(g->now.boot));
	text_cut(g->now.boot.title, sizeof(g->now.boot.title), p->title);
}

static void open_block(struct grub *g, const struct command *c)
{
	int kind = !strcmp(c->word[0], "menuentry") ? BLOCK_ENTRY
		   : !strcmp(c->word[0], "submenu") ? BLOCK_SUBMENU
						    : BLOCK_OTHER;

	if (g->depth + 1 >= DEPTH_MAX) {
		g->failed = -E2BIG;
		return;
	}
	g->block[++g->depth] = g->in_entry || g->menus >= LEVELS ? BLOCK_OTHER : kind;
	if (g->block[g->depth] != BLOCK_OTHER)
		open_menu(g, c, kind == BLOCK_ENTRY);
}

static void close_block(struct grub *g)
{
	if (!g->depth)
		return;
	if (g->block[g->depth] == BLOCK_ENTRY) {
		keep(g);
		g->in_entry = 0;
	} else if (g->block[g->depth] == BLOCK_SUBMENU) {
		g->menus--;
	}
	g->depth--;
}

static void assign(struct grub *g, const char *word)
{
	const char *equals = strchr(word, '=');

	if (equals)
		vars_set(g->vars, word, (size_t)(equals - word), equals + 1);
}

static void take_command(struct grub *g, const struct command *c)
{
	const char *name = c->word[0];

	if (!strcmp(name, "}"))
		close_block(g);
	else if (c->opens)
		open_block(g, c);
	else if (!strcmp(name, "set") && c->n == 2)
		assign(g, c->word[1]);
	else if (c->n == 1 && strchr(name, '='))
		assign(g, name);
	else if (g->in_entry &&
		 (!strcmp(name, "linux") || !strcmp(name, "linuxefi") || !strcmp(name, "linux16")))
		take_linux(g, c);
	else if (g->in_entry && (!strcmp(name, "initrd") || !strcmp(name, "initrdefi") ||
				 !strcmp(name, "initrd16")))
		take_initrd(g, c);
}

/* --- the default ----------------------------------------------------------------------------- */

static int part_matches(const struct place *p, const char *part, size_t len)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", p->index);
	return (strlen(number) == len && !memcmp(number, part, len)) ||
	       (strlen(p->title) == len && !memcmp(p->title, part, len)) ||
	       (strlen(p->id) == len && !memcmp(p->id, part, len));
}

/* @name is `ENTRY` or `SUBMENU>ENTRY`; a submenu alone stands for its first entry. */
static int matches(const struct entry *e, const char *name)
{
	for (unsigned i = 0; i < e->levels; i++) {
		size_t len = strcspn(name, ">");

		if (!*name)
			return 1;
		if (!part_matches(&e->place[i], name, len))
			return 0;
		name += len + (name[len] == '>');
	}
	return !*name;
}

/* Of the kernels that an entry names, one with an initrd comes first. */
static const struct entry *find_entry(const struct grub *g, const char *name)
{
	const struct entry *found = NULL;

	for (unsigned i = 0; i < g->n; i++) {
		const struct entry *e = &g->entry[i];

		if (e->boot.kernel[0] && (!name || matches(e, name)) &&
		    (!found || (!found->boot.n_initrds && e->boot.n_initrds)))
			found = e;
	}
	return found;
}

static const struct entry *choose(const struct grub *g)
{
	const char *name = vars_get(g->vars, "default", 7);
	const struct entry *e = NULL;

	if (!strcmp(name, "saved"))
		name = vars_get(g->vars, "saved_entry", 11);
	if (*name)
		e = find_entry(g, name);
	if (!e)
		e = find_entry(g, "0");
	return e ? e : find_entry(g, NULL);
}

int grub_read(const char *text, struct entry_vars *vars, struct boot_entry *out)
{
	struct command *c = malloc(sizeof(*c));
	struct grub *g = calloc(1, sizeof(*g));
	const struct entry *chosen = NULL;
	int r = -ENOMEM;

	if (c && g) {
		g->vars = vars;
		vars_set(vars, "menuentry_id_option", 19, "--id");
		while (next_command(&text, vars, c) && !g->failed)
			if (c->n)
				take_command(g, c);
		chosen = g->failed ? NULL : choose(g);
		r = chosen ? 0 : g->failed ? g->failed : -ENOENT;
	}
	if (chosen)
		*out = chosen->boot;
	if (g)
		free(g->entry);
	free(g);
	free(c);
	return r;
}
