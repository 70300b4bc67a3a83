/* SPDX-License-Identifier: BSD-2-Clause */
/* The rig of tests that pull images. One thread beside the server's. */
#include "tests/lib/pull_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "tests/lib/scratch_home.h"

struct http_server server;
struct http_file *file;
uint8_t disk[RIG_SIZE], other[RIG_SIZE];
char digest[DIGEST_TEXT_MAX], other_digest[DIGEST_TEXT_MAX], summary[PULL_SUMMARY_MAX];
struct image_entry entry;
volatile sig_atomic_t stop;

static void fill(uint8_t *p, uint32_t seed, char out[DIGEST_TEXT_MAX])
{
	struct digest d;
	struct hasher h;

	for (size_t i = 0; i < RIG_SIZE; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
	memset(p + RIG_SIZE / 2, 0, RIG_SIZE / 4); /* holes are made of this */
	assert_int_equal(hasher_start(&h, 0), 0);
	hasher_add(&h, p, RIG_SIZE);
	hasher_end(&h, DIGEST_SHA256, &d);
	hasher_free(&h);
	digest_print(&d, out);
}

int pull_rig_setup(void **state)
{
	scratch_home_make(state);
	said_start();
	stop = 0;
	http_start(&server);
	file = http_add(&server, "/d/disk.raw", disk, RIG_SIZE);
	file->etag = "\"one\"";
	return 0;
}

int pull_rig_teardown(void **state)
{
	http_stop(&server);
	return scratch_home_remove(state);
}

int pull_with(struct pull p)
{
	p.stop = &stop;
	p.tries = p.tries ? p.tries : 4;
	p.wait_ms = 1;
	p.stall_s = p.stall_s ? p.stall_s : 5;
	said_clear();
	summary[0] = '\0';
	return pull_run(&p, &entry, summary);
}

int pull(const char *want)
{
	return pull_with((struct pull){.target = http_url(&server, "/d/disk.raw"), .digest = want});
}

void assert_here(const char *name, const uint8_t *bytes, size_t len)
{
	uint8_t *got = malloc(len + 1);
	struct image_entry e;
	int fd;

	assert_int_equal(image_store_find(name, NULL, &e), 0);
	fd = open(e.path, O_RDONLY);
	assert_int_equal(read(fd, got, len + 1), len);
	assert_memory_equal(got, bytes, len);
	close(fd);
	free(got);
}

void assert_nothing(void)
{
	assert_int_equal(scratch_home_count(IMAGES "names"), 0);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 0);
}

void assert_said(const char *words)
{
	if (said_count() != 1 || !strstr(said(), words))
		fail_msg("%u messages, the last `%s`, not `%s`", said_count(), said(), words);
}

int pull_name(const char *name)
{
	return pull_with((struct pull){.target = name});
}

int pull_rig_start(void **state)
{
	(void)state;
	fill(disk, 1, digest);
	fill(other, 2, other_digest);
	return 0;
}
