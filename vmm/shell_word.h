/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_SHELL_WORD_H
#define VMM_SHELL_WORD_H

#include <stddef.h>

/*
 * Adds @word to the string @text of @size bytes as one word of a shell (bash, zsh, ksh): as it is,
 * in '...', or, if it has other bytes than printable ASCII, in $'...', so that it can be copied
 * from a message. What does not fit is cut.
 */
void shell_word_add(char *text, size_t size, const char *word);

#endif
