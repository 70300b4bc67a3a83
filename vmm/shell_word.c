/* SPDX-License-Identifier: BSD-2-Clause */
/* Quoting for commands that a message proposes. A pure function of its text. */
#include "vmm/shell_word.h"

#include <stdio.h>
#include <string.h>

static int is_printable(const char *word)
{
	while (*word >= 0x20 && *word < 0x7f)
		word++;
	return !*word;
}

void shell_word_add(char *text, size_t size, const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+:@";
	size_t n = strlen(text);
	int escape = !is_printable(word);

	if (*word && !word[strspn(word, plain)]) {
		snprintf(text + n, size - n, "%s", word);
		return;
	}
	n += (size_t)snprintf(text + n, size - n, escape ? "$'" : "'");
	for (; *word && n + 6 < size; word++) {
		unsigned char c = (unsigned char)*word;

		if (escape && (c < 0x20 || c > 0x7e || c == '\'' || c == '\\'))
			n += (size_t)snprintf(text + n, size - n, "\\%03o", c);
		else if (c == '\'')
			n += (size_t)snprintf(text + n, size - n, "'\\''");
		else
			text[n++] = (char)c;
	}
	if (n < size)
		snprintf(text + n, size - n, "'");
}
