/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_CATALOGUE_H
#define LOADER_IMAGE_CATALOGUE_H

#include <stddef.h>

#include "loader/image/digest.h"

/*
 * Images known by name: the file loader/image/catalogue.txt, which says what a line is, and the
 * user's own entries in $XDG_CONFIG_HOME/skiff/catalogue, which win.
 */
#define CATALOGUE_NAMES_MAX   8
#define CATALOGUE_ENTRIES_MAX 1024
#define CATALOGUE_BYTES_MAX   (1u << 20)
#define CATALOGUE_URL_MAX     1024

struct catalogue_entry {
	const char *names[CATALOGUE_NAMES_MAX + 1]; /* NULL-terminated; the first is its own */
	const char *arch, *format, *url;
	const char *sums; /* the checksum list, or NULL: use catalogue_url() */
	enum digest_kind sums_kind;
	const char *signature; /* of the list: `inline` or as sums; or NULL */
	const char *keyring;   /* a file's name or path, or NULL */
	struct digest digest;  /* valid if has_digest */
	int has_digest;
	unsigned line;
};

struct catalogue {
	struct catalogue_entry *entry; /* those that win first */
	size_t n;
	char *text[2]; /* what the entries point into */
};

/* The user's file and the one built in. 0 or -errno after a sentence that names file and line. */
int catalogue_load(struct catalogue *c);

/*
 * Adds the entries of @len bytes, which come from @file (for messages). 0 or -errno, said as
 * above; *@c is then as it was. At most two texts.
 */
int catalogue_parse(struct catalogue *c, const char *file, const char *text, size_t len);
void catalogue_free(struct catalogue *c);

/* The entry that has this name (any of its names) and architecture, or NULL. */
const struct catalogue_entry *catalogue_find(const struct catalogue *c, const char *name,
					     const char *arch);

/*
 * The URL that a word of @e means: itself, or beside the image. 0 or -ENAMETOOLONG, silent.
 */
int catalogue_url(const struct catalogue_entry *e, const char *word, char out[CATALOGUE_URL_MAX]);

/* The file that is built in. */
extern const char catalogue_text[], catalogue_text_end[];

#endif
