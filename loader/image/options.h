/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_OPTIONS_H
#define LOADER_IMAGE_OPTIONS_H

#include <stddef.h>

/* The options of a command: one with a value is given as `--name VALUE` or `--name=VALUE`. */
struct option_row {
	const char *name;   /* with its dashes */
	const char **value; /* set to the value; NULL: the option has none and */
	int *flag;          /* is set to 1 */
};

/*
 * Reads the arguments of `skiff image @command`: options in any place, the rest into @words, at
 * most @max of them. Their number, or -EINVAL after one sentence. Rows end with a NULL name.
 */
int options_parse(const char *command, int argc, char **argv, const struct option_row *rows,
		  const char **words, unsigned max);

/* What a command ends with after @r, 0 or -errno: 0, 2 if it was used wrongly, else 1. */
int options_exit_status(int r);

#endif
