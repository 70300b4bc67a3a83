/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pulls from a server on loopback that breaks off, lies, redirects and changes its mind. Whatever
 * it does: either the image that was meant is in the store, or nothing is and one sentence says
 * why.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/pull_rig.h"
#include "tests/lib/said.h"
#include "tests/lib/scratch_home.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define LAST     "Wed, 01 Jan 2025 00:00:00 GMT"

/* --- it comes --------------------------------------------------------------------------------- */

static void test_plain(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(pull(NULL), 0);
	assert_here("disk.raw", disk, RIG_SIZE);
	assert_string_equal(entry.digest, digest);
	assert_string_equal(entry.published, "");
	assert_non_null(strstr(summary, "disk.raw ("));
	assert_non_null(strstr(summary, "3.0 MiB"));
	assert_non_null(strstr(summary, "compared with nothing"));
	assert_int_equal(scratch_home_count(IMAGES "parts"), 0);
	assert_int_equal(stat(entry.path, &st), 0);
	assert_true(st.st_blocks * 512 < RIG_SIZE); /* zeros became holes */
	assert_int_equal(said_count(), 0);
}

static void test_digest_and_again(void **state)
{
	(void)state;
	assert_int_equal(pull(digest), 0);
	assert_int_equal(file->requests, 1);
	assert_non_null(strstr(summary, "as in --digest"));
	assert_int_equal(pull(digest), 0);
	assert_non_null(strstr(summary, "here already"));
	/* under another name it is the same blob */
	assert_int_equal(pull_with((struct pull){.target = http_url(&server, "/d/disk.raw"),
						 .digest = digest,
						 .name = "mine:1"}),
			 0);
	assert_int_equal(file->requests, 1);
	assert_here("mine:1", disk, RIG_SIZE);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 1);
	assert_int_equal(scratch_home_count(IMAGES "names"), 2);
}

/* Without a length, in chunks, in small pieces, with an empty body. */
static void test_shapes(void **state)
{
	(void)state;
	file->chunked = 1;
	file->piece = 100000;
	assert_int_equal(pull(digest), 0);
	file->chunked = 0;
	file->no_length = 1;
	assert_int_equal(pull(NULL), 0);
	assert_here("disk.raw", disk, RIG_SIZE);
	file->no_length = 0;
	file->len = 0;
	assert_int_equal(pull(NULL), 0);
	assert_here("disk.raw", disk, 0);
	file->len = 1;
	file->piece = 1;
	file->piece_ms = 1;
	assert_int_equal(pull(NULL), 0);
	assert_here("disk.raw", disk, 1);
}

static void test_url_names(void **state)
{
	static const struct {
		const char *path, *name;
		int r;
	} table[] = {
		{"/d/disk.raw?token=a/b", "disk.raw", 0},
		{"/d/DISK.RAW", "DISK.RAW", 0},
		{"/d/disk.img", NULL, -EINVAL},
		{"/d/", NULL, -EINVAL},
		{"/d/%64.raw", NULL, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		file->path = table[i].path;
		assert_int_equal(
			pull_with((struct pull){.target = http_url(&server, table[i].path)}),
			table[i].r);
		if (table[i].name)
			assert_string_equal(entry.name, table[i].name);
		else
			assert_int_equal(said_count(), 1);
	}
}

/* --- it breaks off ---------------------------------------------------------------------------- */

static void test_goes_on_within_a_pull(void **state)
{
	(void)state;
	file->break_after = 1000000;
	file->break_times = 2;
	assert_int_equal(pull(digest), 0);
	assert_here("disk.raw", disk, RIG_SIZE);
	assert_int_equal(file->requests, 3);
	assert_int_equal(file->ranges, 2);
	assert_int_equal(file->body_bytes, RIG_SIZE); /* no byte came twice */
	assert_int_equal(said_count(), 0);
}

static void test_goes_on_in_a_later_pull(void **state)
{
	(void)state;
	file->break_after = 1000;
	assert_int_equal(pull(NULL), -EIO);
	assert_said("after 4 tries; pull again to go on");
	assert_int_equal(file->requests, 4);
	assert_nothing();
	assert_int_equal(scratch_home_count(IMAGES "parts"), 2);
	file->break_after = 0;
	assert_int_equal(pull(NULL), 0);
	assert_int_equal(file->last_from, 4000);
	assert_int_equal(file->body_bytes, RIG_SIZE);
	assert_here("disk.raw", disk, RIG_SIZE);
	assert_string_equal(entry.digest, digest);
	assert_int_equal(scratch_home_count(IMAGES "parts"), 0);
}

static void test_goes_on_by_date(void **state)
{
	(void)state;
	file->etag = NULL;
	file->modified = LAST;
	file->break_after = 1000000;
	file->break_times = 1;
	assert_int_equal(pull(digest), 0);
	assert_int_equal(file->body_bytes, RIG_SIZE);
}

/* A weak ETag or none: nobody knows whether the rest is of the same file. */
static void test_starts_over_without_a_validator(void **state)
{
	(void)state;
	file->etag = "W/\"one\"";
	file->break_after = 2000000;
	file->break_times = 1;
	assert_int_equal(pull(digest), 0);
	assert_int_equal(file->ranges, 0);
	assert_int_equal(file->body_bytes, RIG_SIZE + 2000000);
}

static void test_server_without_ranges(void **state)
{
	(void)state;
	file->no_ranges = 1;
	file->break_after = 2000000;
	file->break_times = 1;
	assert_int_equal(pull(digest), 0);
	assert_here("disk.raw", disk, RIG_SIZE);
	assert_int_equal(file->ranges, 1);
}

static void test_wrong_range(void **state)
{
	(void)state;
	file->wrong_range = 1;
	file->break_after = 2000000;
	file->break_times = 1;
	assert_int_equal(pull(digest), 0);
	assert_here("disk.raw", disk, RIG_SIZE);
}

/* The file changed between two pulls: all of the new one, not half of each. */
static void test_changed_meanwhile(void **state)
{
	(void)state;
	file->break_after = 1000;
	assert_int_equal(pull(NULL), -EIO);
	file->break_after = 0;
	file->data = other;
	file->etag = "\"two\"";
	assert_int_equal(pull(NULL), 0);
	assert_here("disk.raw", other, RIG_SIZE);
	assert_string_equal(entry.digest, other_digest);
}

/* The same, and the server ignores If-Range: its ETag or its size tells. */
static void test_changed_and_hidden(void **state)
{
	(void)state;
	file->etag = "\"one\"";
	file->break_after = 1000;
	assert_int_equal(pull(NULL), -EIO);
	file->break_after = 0;
	file->data = other;
	file->len = RIG_SIZE - 1000;
	assert_int_equal(pull(NULL), 0);
	assert_here("disk.raw", other, RIG_SIZE - 1000);
}

/* Shorter than what we have of it: 416. */
static void test_became_shorter(void **state)
{
	(void)state;
	file->break_after = 100000;
	assert_int_equal(pull(NULL), -EIO);
	file->break_after = 0;
	file->len = 5000;
	assert_int_equal(pull(NULL), 0);
	assert_here("disk.raw", disk, 5000);
}

/* Ended between the last byte and the store: nothing is fetched again. */
static void test_all_but_the_name(void **state)
{
	(void)state;
	assert_int_equal(pull(digest), 0);
	unlink(scratch_home_path(IMAGES "names/disk.raw@amd64"));
	unlink(scratch_home_path(IMAGES "names/disk.raw@arm64"));
	unlink(entry.path);
	assert_int_equal(rmdir(scratch_home_path(IMAGES "blobs")), 0);
	scratch_home_write(IMAGES "blobs", "in the way", 10);
	assert_int_equal(pull(digest), -ENOTDIR);
	assert_int_equal(file->requests, 2);
	unlink(scratch_home_path(IMAGES "blobs"));
	assert_int_equal(pull(digest), 0);
	assert_int_equal(file->requests, 2);
	assert_here("disk.raw", disk, RIG_SIZE);
}

static void test_stalls(void **state)
{
	(void)state;
	file->stall = 1;
	assert_int_equal(pull_with((struct pull){.target = http_url(&server, "/d/disk.raw"),
						 .tries = 1,
						 .stall_s = 1}),
			 -EIO);
	assert_int_equal(said_count(), 1);
	assert_nothing();
}

static void test_nobody_there(void **state)
{
	char url[128];

	(void)state;
	snprintf(url, sizeof(url), "%s", http_url(&server, "/d/disk.raw"));
	http_stop(&server);
	assert_int_equal(pull_with((struct pull){.target = url}), -EIO);
	assert_said("after 4 tries");
	http_start(&server);
}

/* What is not TLS is not taken in its place. */
static void test_https_is_https(void **state)
{
	char url[128];

	(void)state;
	snprintf(url, sizeof(url), "https%s", http_url(&server, "/d/disk.raw") + strlen("http"));
	assert_int_equal(pull_with((struct pull){.target = url, .tries = 1}), -EIO);
	assert_int_equal(said_count(), 1);
	assert_int_equal(file->requests, 0);
	assert_nothing();
}

/* --- it says no ------------------------------------------------------------------------------- */

static void test_statuses(void **state)
{
	static const struct {
		int status, r;
		unsigned requests;
		const char *said;
	} table[] = {
		{404, -ENOENT, 1, "the server has no such file (404)"},
		{410, -ENOENT, 1, "(410)"},
		{403, -EACCES, 1, "does not give it to us (403)"},
		{401, -EACCES, 1, "(401)"},
		{418, -EPROTO, 1, "answers 418"},
		{500, -EIO, 4, "answers 500, after 4 tries"},
		{503, -EIO, 4, "answers 503, after 4 tries"},
		{429, -EIO, 4, "answers 429, after 4 tries"},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		file->status = table[i].status;
		file->requests = 0;
		assert_int_equal(pull(NULL), table[i].r);
		assert_int_equal(file->requests, table[i].requests);
		assert_said(table[i].said);
		assert_nothing();
	}
}

static void test_busy_for_a_while(void **state)
{
	(void)state;
	file->status = 503;
	file->status_times = 3;
	assert_int_equal(pull(digest), 0);
	assert_int_equal(file->requests, 4);
	assert_int_equal(said_count(), 0);
}

/* The server says how long: 1 s, and not our millisecond. */
static void test_asked_to_wait(void **state)
{
	struct timespec before, after;

	(void)state;
	file->status = 429;
	file->status_times = 1;
	file->more = "Retry-After: 1\r\n";
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(pull(digest), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec >= 1);
	assert_int_equal(file->requests, 2);
}

/* --- it leads elsewhere ----------------------------------------------------------------------- */

static void test_redirects(void **state)
{
	struct http_file *to;

	(void)state;
	file->redirect = "/other/place"; /* relative */
	to = http_add(&server, "/other/place", disk, RIG_SIZE);
	to->redirect = strdup(http_url(&server, "/last"));
	to = http_add(&server, "/last", disk, RIG_SIZE);
	to->etag = "\"x\"";
	to->break_after = 2000000;
	to->break_times = 1;
	assert_int_equal(pull(digest), 0);
	assert_here("disk.raw", disk, RIG_SIZE);
	assert_string_equal(entry.name, "disk.raw");
	assert_int_equal(to->body_bytes, RIG_SIZE);
	free((char *)server.file[1].redirect);
}

static void test_bad_redirects(void **state)
{
	static const struct {
		const char *to;
		int r;
		const char *said;
	} table[] = {
		{"/d/disk.raw", -ELOOP, "redirected more than 8 times"},
		{"file:///etc/passwd", -EPROTO,
		 "redirected to file:///etc/passwd, which is neither"},
		{"ftp://127.0.0.1/x", -EPROTO, "which is neither https nor http"},
		{"gopher://127.0.0.1/x", -EPROTO, "which is neither https nor http"},
		{"dict://127.0.0.1/x", -EPROTO, "which is neither https nor http"},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		file->redirect = table[i].to;
		assert_int_equal(pull(NULL), table[i].r);
		assert_said(table[i].said);
		assert_nothing();
	}
	file->redirect = NULL;
	file->status = 302;
	assert_int_equal(pull(NULL), -EPROTO);
	assert_said("redirected to nowhere");
}

/* --- ends, neighbours, disks ------------------------------------------------------------------ */

static void test_stopped(void **state)
{
	(void)state;
	stop = SIGINT;
	assert_int_equal(pull(NULL), -EINTR);
	assert_int_equal(said_count(), 0);
	assert_nothing();
	stop = 0;
	assert_int_equal(pull(digest), 0);
}

/* Two at once: one fetches, the other waits and has it, too. */
static void two_at_once(const char *want)
{
	int status;
	pid_t pid;

	file->piece = 100000;
	file->piece_ms = 20;
	file->requests = 0;
	pid = http_fork(&server);
	if (pid == 0)
		_exit(pull(want) != 0);
	assert_int_equal(pull(want), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(file->requests, 1);
	assert_here("disk.raw", disk, RIG_SIZE);
	assert_int_equal(scratch_home_count(IMAGES "parts"), 0);
}

static void test_two_at_once(void **state)
{
	(void)state;
	two_at_once(digest);
}

static void test_two_at_once_without_a_digest(void **state)
{
	(void)state;
	two_at_once(NULL);
}

/* Killed at many points: the next pull has the image, whatever was left. */
static void test_killed(void **state)
{
	struct image_store store;

	(void)state;
	file->piece = 50000;
	file->piece_ms = 1;
	for (unsigned i = 0; i < 12; i++) {
		int status, ended = 0;
		pid_t pid;

		file->body_bytes = 0;
		pid = http_fork(&server);
		if (pid == 0) {
			pull(i % 2 ? digest : NULL);
			_exit(0);
		}
		/* its i-th quarter of a million bytes, or its end */
		while (__atomic_load_n(&file->body_bytes, __ATOMIC_RELAXED) < i * 250000 &&
		       !ended) {
			ended = waitpid(pid, &status, WNOHANG) == pid;
			sched_yield();
		}
		if (!ended) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
		}
	}
	file->piece_ms = 0;
	assert_int_equal(pull(digest), 0);
	assert_here("disk.raw", disk, RIG_SIZE);
	assert_int_equal(pull(NULL), 0);
	assert_here("disk.raw", disk, RIG_SIZE);
	/* One of the two found the image of the other, and its part was left. */
	assert_int_equal(image_store_open(&store, 0), 0);
	part_left_over(&store, 1);
	image_store_close(&store);
	assert_int_equal(scratch_home_count(IMAGES "parts"), 0);
}

int main(void)
{
#define PULL(t) cmocka_unit_test_setup_teardown(t, pull_rig_setup, pull_rig_teardown)
	const struct CMUnitTest tests[] = {
		PULL(test_plain),
		PULL(test_digest_and_again),
		PULL(test_shapes),
		PULL(test_url_names),
		PULL(test_goes_on_within_a_pull),
		PULL(test_goes_on_in_a_later_pull),
		PULL(test_goes_on_by_date),
		PULL(test_starts_over_without_a_validator),
		PULL(test_server_without_ranges),
		PULL(test_wrong_range),
		PULL(test_changed_meanwhile),
		PULL(test_changed_and_hidden),
		PULL(test_became_shorter),
		PULL(test_all_but_the_name),
		PULL(test_stalls),
		PULL(test_nobody_there),
		PULL(test_https_is_https),
		PULL(test_statuses),
		PULL(test_busy_for_a_while),
		PULL(test_asked_to_wait),
		PULL(test_redirects),
		PULL(test_bad_redirects),
		PULL(test_stopped),
		PULL(test_two_at_once),
		PULL(test_two_at_once_without_a_digest),
		PULL(test_killed),
	};

	return cmocka_run_group_tests(tests, pull_rig_start, NULL);
}
