/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries, variables and versions: what the readers of all configurations share. Pure computation;
 * every byte of text comes from a stranger.
 */
#include "loader/image/entry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- entries --------------------------------------------------------------------------------- */

static int append(char *out, size_t size, const char *before, const char *text, const char *after)
{
	size_t len = strlen(out);
	int n = snprintf(out + len, size - len, "%s%s%s", before, text, after);

	if (n >= 0 && (size_t)n < size - len)
		return 0;
	out[len] = '\0';
	return -E2BIG;
}

int entry_add_word(struct boot_entry *entry, const char *word)
{
	const char *blank = entry->cmdline[0] ? " " : "";
	char quoted[ENTRY_CMDLINE];

	if (!word[strcspn(word, " \t")] || strchr(word, '"'))
		return append(entry->cmdline, sizeof(entry->cmdline), blank, word, "");
	if ((size_t)snprintf(quoted, sizeof(quoted), "\"%s\"", word) >= sizeof(quoted))
		return -E2BIG;
	return append(entry->cmdline, sizeof(entry->cmdline), blank, quoted, "");
}

int entry_add_line(struct boot_entry *entry, const char *line)
{
	line += strspn(line, " \t");
	if (!*line)
		return 0;
	return append(entry->cmdline, sizeof(entry->cmdline), entry->cmdline[0] ? " " : "", line,
		      "");
}

static int set_path(char *out, const char *path)
{
	const char *close = path[0] == '(' ? strchr(path, ')') : NULL;

	out[0] = '\0';
	return append(out, ENTRY_PATH, "", close ? close + 1 : path, "") ? -ENAMETOOLONG : 0;
}

int entry_set_kernel(struct boot_entry *entry, const char *path)
{
	return set_path(entry->kernel, path);
}

int entry_add_initrd(struct boot_entry *entry, const char *path)
{
	if (entry->n_initrds == ENTRY_INITRDS)
		return -E2BIG;
	return set_path(entry->initrd[entry->n_initrds++], path);
}

/* --- variables ------------------------------------------------------------------------------- */

static int find_var(const struct entry_vars *vars, const char *name, size_t len)
{
	for (unsigned i = 0; i < vars->n; i++)
		if (strlen(vars->var[i].name) == len && !memcmp(vars->var[i].name, name, len))
			return (int)i;
	return -1;
}

void vars_set(struct entry_vars *vars, const char *name, size_t name_len, const char *value)
{
	int i = find_var(vars, name, name_len);

	if (!*value || !name_len || name_len >= sizeof(vars->var[0].name) ||
	    strlen(value) >= sizeof(vars->var[0].value))
		return;
	if (i < 0) {
		if (vars->n == ENTRY_VARS)
			return;
		i = (int)vars->n++;
		memcpy(vars->var[i].name, name, name_len);
		vars->var[i].name[name_len] = '\0';
	}
	memcpy(vars->var[i].value, value, strlen(value) + 1);
}

const char *vars_get(const struct entry_vars *vars, const char *name, size_t name_len)
{
	int i = find_var(vars, name, name_len);

	return i < 0 ? "" : vars->var[i].value;
}

void vars_read_grubenv(struct entry_vars *vars, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n"), name = strcspn(text, "=\n");
		char value[ENTRY_CMDLINE];

		if (text[0] != '#' && name < len && len - name - 1 < sizeof(value)) {
			memcpy(value, text + name + 1, len - name - 1);
			value[len - name - 1] = '\0';
			vars_set(vars, text, name, value);
		}
		text += len + (text[len] == '\n');
	}
}

size_t vars_refer(const struct entry_vars *vars, const char *text, const char **value)
{
	int braces = text[0] == '$' && text[1] == '{';
	const char *name = text + 1 + braces;
	size_t len = 0;

	if (text[0] != '$')
		return 0;
	while (isalnum((unsigned char)name[len]) || name[len] == '_')
		len++;
	if (!len || (braces && name[len] != '}'))
		return 0;
	*value = vars_get(vars, name, len);
	return 1 + len + 2 * (size_t)braces;
}

int vars_expand(const struct entry_vars *vars, const char *text, char *out, size_t size)
{
	size_t n = 0;

	while (*text) {
		const char *value;
		size_t len = vars_refer(vars, text, &value), value_len;

		if (!len) {
			value = text;
			value_len = len = 1;
		} else {
			value_len = strlen(value);
		}
		if (value_len >= size - n)
			return -E2BIG;
		memcpy(out + n, value, value_len);
		n += value_len;
		text += len;
	}
	out[n] = '\0';
	return 0;
}

void text_cut(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

/* --- versions -------------------------------------------------------------------------------- */

static int rank(char c)
{
	if (c == '~')
		return -1;
	return isalpha((unsigned char)c) ? (unsigned char)c : c ? 256 + (unsigned char)c : 0;
}

int version_compare(const char *a, const char *b)
{
	while (*a || *b) {
		if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
			size_t la, lb;
			int r;

			a += strspn(a, "0");
			b += strspn(b, "0");
			la = strspn(a, "0123456789");
			lb = strspn(b, "0123456789");
			if (la != lb)
				return la < lb ? -1 : 1;
			r = strncmp(a, b, la);
			if (r)
				return r;
			a += la;
			b += lb;
			continue;
		}
		if (*a != *b)
			return rank(*a) < rank(*b) ? -1 : 1;
		a++;
		b++;
	}
	return 0;
}
