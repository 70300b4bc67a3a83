/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_PULL_RIG_H
#define TESTS_LIB_PULL_RIG_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/image/pull.h"
#include "tests/lib/http_server.h"

/*
 * A home, a server with one image in it (`/d/disk.raw`: rig_disk, which has an ETag), and pulls
 * from there that wait a millisecond where a person's wait a second. tests/lib/said.h listens.
 */
#define RIG_SIZE (3u << 20)
#define IMAGES   "data/skiff/images/" /* for tests/lib/scratch_home.h */

extern struct http_server server;
extern struct http_file *file;
extern uint8_t disk[RIG_SIZE], other[RIG_SIZE]; /* another one, of the same size */
extern char digest[DIGEST_TEXT_MAX], other_digest[DIGEST_TEXT_MAX];

/* What the last pull gave. */
extern char summary[PULL_SUMMARY_MAX];
extern struct image_entry entry;
extern volatile sig_atomic_t stop; /* what a signal would set */

int pull_rig_start(void **state); /* of the group: cmocka's setup */
int pull_rig_setup(void **state); /* of each test, and its end */
int pull_rig_teardown(void **state);

/* pull_run() with what is not set in @p set for a test; of `/d/disk.raw`, and by name. */
int pull_with(struct pull p);
int pull(const char *want);
int pull_name(const char *name);

/* @name is in the store and holds @len @bytes; no image is; one message was said, with @words. */
void assert_here(const char *name, const uint8_t *bytes, size_t len);
void assert_nothing(void);
void assert_said(const char *words);

#endif
