/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_FETCH_H
#define LOADER_IMAGE_FETCH_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/image/digest.h"
#include "loader/image/part.h"
#include "loader/image/progress.h"

/*
 * Gets what a URL names, over https or http: certificates are checked, redirects followed (never
 * from https to http), broken transfers gone on with. Proxies are taken from the environment as
 * curl does.
 */
#define FETCH_REDIRECTS_MAX 8
#define FETCH_FILE_MAX      (1ull << 40) /* bytes of an image */
#define FETCH_TEXT_MAX      (1u << 20)   /* of a list or a signature */

struct fetch {
	const char *what; /* begins messages: "image pull: ubuntu:24.04" */
	struct progress *progress;
	const volatile sig_atomic_t *stop; /* nonzero: a signal came, end soon */
	/* A try that brings at least a MiB does not count. */
	unsigned tries;
	unsigned wait_ms; /* before the second try; then twice as long each time */
	unsigned stall_s; /* without a byte for so long, a try has failed */
	uint64_t limit;   /* more bytes than these are refused */
};

/* The policy of a person's pull; what, progress and stop are the caller's to set. */
#define FETCH_DEFAULTS .tries = 5, .wait_ms = 1000, .stall_s = 30, .limit = FETCH_FILE_MAX

/*
 * All of @url into memory, NUL-terminated; the caller frees *@text. 0; -EINTR, silent; -errno,
 * said.
 */
int fetch_text(const struct fetch *f, const char *url, char **text, size_t *len);

/*
 * The rest of @url into @part, from part->have on if the server still has the same file, else from
 * the start. @h has seen all bytes of the part before and has seen all of them afterwards. 0;
 * -EINTR, silent; -errno, said. After a failure the part holds what is good to go on from; nothing,
 * when it filled the disk.
 */
int fetch_part(const struct fetch *f, const char *url, struct part *part, struct hasher *h);

#endif
