/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables of subcommands. Main thread. Knows no command. */
#include "vmm/command.h"

#include <string.h>

#include "vmm/log.h"
#include "vmm/nearest.h"

#define COMMANDS_MAX 32

const struct command *command_find(const struct command *table, const char *program,
				   const char *name)
{
	const char *names[COMMANDS_MAX + 1] = {NULL}, *near;

	for (unsigned i = 0; table[i].name && i < COMMANDS_MAX; i++) {
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
		names[i] = table[i].name;
	}
	near = nearest_word(name, names);
	if (near)
		log_line(LOG_ERROR, "%s: no such command: did you mean `%s %s`?", name, program,
			 near);
	else
		log_line(LOG_ERROR, "%s: no such command: see `%s help`", name, program);
	return NULL;
}

void command_list(const struct command *table, const char *program, FILE *out)
{
	fprintf(out, "usage: %s COMMAND [OPTION]...\n\n", program);
	for (; table->name; table++)
		fprintf(out, "  %-8s %s\n", table->name, table->summary);
}

int command_is_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}
