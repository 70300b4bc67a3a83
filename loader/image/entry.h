/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_ENTRY_H
#define LOADER_IMAGE_ENTRY_H

#include <stddef.h>

/*
 * One way to boot, as a boot loader's configuration has it: paths as they stand there, and the
 * command line. What does not fit is refused, never cut.
 */
#define ENTRY_PATH    256
#define ENTRY_CMDLINE 2048 /* with its NUL; Linux takes no more on x86-64 and arm64 */
#define ENTRY_INITRDS 4

struct boot_entry {
	char kernel[ENTRY_PATH]; /* "": this one boots no Linux */
	char initrd[ENTRY_INITRDS][ENTRY_PATH];
	unsigned n_initrds;
	char cmdline[ENTRY_CMDLINE];
	char title[128];
};

/*
 * Appends @word to @entry's command line after a blank, in quotes if it has blanks itself; @line
 * has several words already and is taken as it is. 0 or -E2BIG.
 */
int entry_add_word(struct boot_entry *entry, const char *word);
int entry_add_line(struct boot_entry *entry, const char *line);
/* Sets a path; one device in parentheses before it is left out. 0 or -ENAMETOOLONG. */
int entry_set_kernel(struct boot_entry *entry, const char *path);
int entry_add_initrd(struct boot_entry *entry, const char *path);

/*
 * Names and values that configurations refer to: what they set themselves, and GRUB's environment
 * block.
 */
#define ENTRY_VARS 64

struct entry_vars {
	struct {
		char name[40];
		char value[ENTRY_CMDLINE];
	} var[ENTRY_VARS];
	unsigned n;
};

/* An empty value undoes none: the branches of an `if` are all taken. */
void vars_set(struct entry_vars *vars, const char *name, size_t name_len, const char *value);
/* "" if it is not set. */
const char *vars_get(const struct entry_vars *vars, const char *name, size_t name_len);
/* GRUB's environment block: lines of name=value. */
void vars_read_grubenv(struct entry_vars *vars, const char *text);
/* The length of the `$name` or `${name}` at @text, and its value; 0 if that is none. */
size_t vars_refer(const struct entry_vars *vars, const char *text, const char **value);
/* @text with all that it refers to. 0 or -E2BIG. */
int vars_expand(const struct entry_vars *vars, const char *text, char *out, size_t size);

/* As much of @text as fits, for what is only shown. */
void text_cut(char *out, size_t size, const char *text);

/* As strcmp(), but runs of digits count as numbers, and `~` sorts before everything. */
int version_compare(const char *a, const char *b);

#endif
