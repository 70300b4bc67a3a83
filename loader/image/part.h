/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_PART_H
#define LOADER_IMAGE_PART_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/image_store.h"

/*
 * A file that is on its way into the store: parts/KEY, and beside it KEY.state, which says how
 * many of its bytes are safely on the disk and how the server told it from other versions. Whoever
 * fetches holds a lock on the part, so two pulls of one image never write into one another.
 */
#define PART_VALIDATOR_MAX 256
#define PART_SAVE_BYTES    (64u << 20) /* part_save() is due after so many */

struct part {
	struct image_store *store;
	int fd;
	char name[80];                      /* in parts/ */
	uint64_t have;                      /* bytes written */
	uint64_t saved;                     /* of these, on the disk and known in KEY.state */
	uint64_t total;                     /* as the server said; 0: unknown */
	char validator[PART_VALIDATOR_MAX]; /* ETag or Last-Modified, for If-Range; "" if none */
	int waited;                         /* another pull had it when it was opened */
};

/*
 * Opens or makes the part named for @key (letters and digits), waiting while another has it; *@stop
 * nonzero ends the wait after a signal. 0; -EINTR, silent; -errno, said. part_close() undoes it.
 */
int part_open(struct part *p, struct image_store *store, const char *key,
	      const volatile sig_atomic_t *stop);

/* Adds @len bytes; long runs of zeros take no space. 0 or -errno, silent. */
int part_add(struct part *p, const void *data, size_t len);

/*
 * 0 if the disk has room for a part of @all bytes, else -ENOSPC. part_no_space() says so and
 * returns it; @what begins the message, @all is 0 if nobody knows.
 */
int part_room(const struct part *p, uint64_t all);
int part_no_space(const struct part *p, const char *what, uint64_t all);

/* Makes what is here survive a crash. 0 or -errno, said. */
int part_save(struct part *p);

/* Empties it: it shall become another file. 0 or -errno, said. */
int part_restart(struct part *p);

/* Takes it off the disk; part_close() is still due. */
void part_drop(struct part *p);

/* The part became a blob: what lay beside it goes. */
void part_done(struct part *p);

void part_close(struct part *p);

/* Bytes that parts take which nobody is fetching; with @drop they are removed. */
uint64_t part_left_over(struct image_store *store, int drop);

#endif
