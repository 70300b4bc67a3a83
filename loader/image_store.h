/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_STORE_H
#define LOADER_IMAGE_STORE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where images lie that were pulled: one copy for all machines, found by name, kept by digest.
 *
 *   $XDG_DATA_HOME/skiff/images/blobs/sha256-HEX      the files, read-only, never changed
 *                               names/NAME@ARCH       what is known of one, a `key value` a line
 *                               parts/                what a pull has fetched so far
 *                               lock                  held by whoever changes names or blobs
 *
 * A blob and then its name come into being by rename, each synced before, so a crash leaves the
 * old state or the new one. A blob goes when no name points to it and no machine is laid over it:
 * $XDG_DATA_HOME/skiff/machines/MACHINE/image holds the path of its blob. Whoever makes a machine
 * holds the lock from image_store_look() until that file is written.
 */
#define IMAGE_STORE_NAME_MAX 96

struct image_entry {
	char name[IMAGE_STORE_NAME_MAX];
	char aliases[256];   /* other names for it, blanks between */
	char arch[16];       /* "amd64", "arm64" */
	char format[8];      /* "qcow2", "raw": as stated by the publisher or the user */
	char digest[72];     /* "sha256:HEX" of the file */
	char published[144]; /* the digest it was compared with, "" if there was none */
	char signature[160]; /* what came of the signature of the publisher's list */
	char source[1024];   /* URL or path */
	uint64_t pulled;     /* seconds since 1970 */
	char path[PATH_MAX]; /* of the blob; set by whatever returns an entry */
};

struct image_store {
	char dir[PATH_MAX];
	int fd; /* of dir */
};

/* The path of $XDG_DATA_HOME/skiff/@what (`~/.local/share` by default). 0 or -errno, said. */
int image_store_home(const char *what, char *path, size_t size);

/*
 * Makes directory @path and those above it that are not there, for the user alone. 0 or -errno,
 * said.
 */
int image_store_make_dirs(const char *path);

/* "amd64" or "arm64": this host's, or what @name means (x86_64, aarch64 too); NULL if unknown. */
const char *image_store_host_arch(void);
const char *image_store_arch(const char *name);

/* Letters, digits and `._:+-`, the first a letter or digit, shorter than IMAGE_STORE_NAME_MAX. */
int image_store_name_is_good(const char *name);

/*
 * The image that @name (or an alias) stands for on @arch (NULL: this host's). 0; -ENOENT in
 * silence if it is not here; or -errno after one sentence.
 */
int image_store_find(const char *name, const char *arch, struct image_entry *out);

/*
 * The same in steps. Open makes the directories if @make; without it -ENOENT in silence if there
 * are none. image_store_close() undoes it, on a failed one too.
 */
int image_store_open(struct image_store *s, int make);
void image_store_close(struct image_store *s);
int image_store_look(struct image_store *s, const char *name, const char *arch,
		     struct image_entry *out);

/* Waits for the lock. A descriptor for image_store_unlock(), or -errno, said. */
int image_store_lock(struct image_store *s);
void image_store_unlock(int lock);

/* All entries by name and architecture; the caller frees *@out. 0 or -errno, said. */
int image_store_list(struct image_store *s, struct image_entry **out, size_t *n);

/*
 * Makes the file @part (a name in parts/, open as @fd) the blob of @entry->digest and points the
 * entry's name at it; sets entry->path. Takes the lock. 0 or -errno, said; the part is then still
 * there or is the blob already.
 */
int image_store_add(struct image_store *s, int fd, const char *part, struct image_entry *entry);

/*
 * Points the entry's name at entry->digest, whose blob is here already; sets entry->path. Takes the
 * lock. 0; -ENOENT in silence if the blob went meanwhile; or -errno, said.
 */
int image_store_point(struct image_store *s, struct image_entry *entry);

/*
 * Takes the name away and the blob, unless another name points to it. Takes the lock. 0; -ENOENT
 * in silence; -EBUSY, said, when a machine is laid over it.
 */
int image_store_remove(struct image_store *s, const char *name, const char *arch);

#endif
