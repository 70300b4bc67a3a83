/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_PULL_H
#define LOADER_IMAGE_PULL_H

#include <signal.h>

#include "loader/image/fetch.h"
#include "loader/image_store.h"

/*
 * `skiff image pull`: an image from its publisher, a URL or a file into the store, once its digest
 * is what it should be.
 */
#define PULL_SUMMARY_MAX 768

struct pull {
	const char *target; /* a name of the catalogue, a URL, or a path with a slash in it */
	const char *name;   /* to keep it as; NULL: the catalogue's, or the file's */
	const char *arch;   /* NULL: this host's */
	const char *format; /* of a URL or file; NULL: as its name's ending says */
	const char *digest; /* "sha256:HEX" that it must have; NULL: the publisher's list */
	int quiet;          /* no progress line */
	const volatile sig_atomic_t *stop;
	unsigned tries, wait_ms, stall_s; /* as struct fetch; 0: its defaults */
};

/*
 * 0 with the entry and one line about it; -EINTR, silent, with what came kept to go on from;
 * -errno, said.
 */
int pull_run(const struct pull *p, struct image_entry *out, char summary[PULL_SUMMARY_MAX]);

/* The command: its exit status. */
int pull_main(int argc, char **argv);
void pull_help(void);

#endif
