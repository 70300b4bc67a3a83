/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_COMMAND_H
#define VMM_COMMAND_H

#include <stdio.h>

/* The subcommands of a program: a table that ends with a name of NULL. */
struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* arguments after the name; the exit status */
	void (*help)(void);                /* NULL: its summary is all there is to say */
	const char *summary;
};

/*
 * The command called @name, or NULL after one sentence that names the nearest. @program is what
 * people type before it: "skiff", "skiff image".
 */
const struct command *command_find(const struct command *table, const char *program,
				   const char *name);

/* `usage:` and a line a command. */
void command_list(const struct command *table, const char *program, FILE *out);

/* "--help" or "-h". */
int command_is_help(const char *arg);

#endif
