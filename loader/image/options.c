/* SPDX-License-Identifier: BSD-2-Clause */
/* Command lines of `skiff image`. Main thread, no state. Knows no command. */
#include "loader/image/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/log.h"
#include "vmm/nearest.h"

#define ROWS_MAX 16

static int unknown(const char *command, const char *word, const struct option_row *rows)
{
	const char *names[ROWS_MAX + 1] = {NULL}, *near;
	char name[64];

	for (size_t i = 0; rows[i].name && i < ROWS_MAX; i++)
		names[i] = rows[i].name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	near = nearest_word(name, names);
	if (near)
		return log_fail(-EINVAL, "image %s: %s: no such option: did you mean %s?", command,
				word, near);
	return log_fail(-EINVAL, "image %s: %s: no such option: see `skiff image help %s`", command,
			word, command);
}

/* Takes option argv[*i] and, if it has one, its value. */
static int take(const char *command, int argc, char **argv, int *i, const struct option_row *rows)
{
	const char *word = argv[*i], *value = strchr(word, '=');
	size_t len = strcspn(word, "=");

	for (; rows->name; rows++)
		if (strlen(rows->name) == len && strncmp(rows->name, word, len) == 0)
			break;
	if (!rows->name)
		return -ENOENT;
	if (!rows->value) {
		if (value)
			return log_fail(-EINVAL, "image %s: %s: takes no value", command,
					rows->name);
		*rows->flag = 1;
		return 0;
	}
	if (value)
		value++;
	else if (*i + 1 < argc)
		value = argv[++*i];
	if (!value || !*value)
		return log_fail(-EINVAL, "image %s: %s: needs a value", command, rows->name);
	if (*rows->value)
		return log_fail(-EINVAL, "image %s: %s: given twice", command, rows->name);
	*rows->value = value;
	return 0;
}

int options_parse(const char *command, int argc, char **argv, const struct option_row *rows,
		  const char **words, unsigned max)
{
	unsigned n = 0;
	int only_words = 0;

	for (int i = 0; i < argc; i++) {
		int r = 0;

		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = 1;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			r = take(command, argc, argv, &i, rows);
		} else if (n == max) {
			return log_fail(-EINVAL, "image %s: %s: one argument too many", command,
					argv[i]);
		} else {
			words[n++] = argv[i];
		}
		if (r)
			return r == -ENOENT ? unknown(command, argv[i], rows) : r;
	}
	return (int)n;
}

int options_exit_status(int r)
{
	return r == 0 ? 0 : r == -EINVAL ? 2 : 1;
}
