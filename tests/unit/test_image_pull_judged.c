/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a pull takes and what it refuses: digests, publishers' lists and their signatures, formats,
 * names, files of this host.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/pull_rig.h"
#include "tests/lib/said.h"
#include "tests/lib/scratch_home.h"
#include "tests/lib/signed_list.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

/* --- it is not what it should be -------------------------------------------------------------- */

static void test_wrong_digest(void **state)
{
	char expected[1024];

	(void)state;
	assert_int_equal(pull(other_digest), -EBADMSG);
	snprintf(expected, sizeof(expected),
		 "image pull: disk.raw: has the wrong digest: %s; by --digest it is %s: nothing is "
		 "kept",
		 digest, other_digest);
	assert_string_equal(said(), expected);
	assert_nothing();
	assert_int_equal(scratch_home_count(IMAGES "parts"), 0);
	/* an image that was here under that name stays */
	assert_int_equal(pull(digest), 0);
	assert_int_equal(pull(other_digest), -EBADMSG);
	assert_here("disk.raw", disk, RIG_SIZE);
}

/* Content-Length says more than comes, or less. */
static void test_lying_length(void **state)
{
	(void)state;
	file->lie = 5000;
	assert_int_equal(pull(digest), -EIO);
	assert_nothing();
	file->lie = -5000;
	assert_int_equal(pull(digest), -EBADMSG);
	assert_nothing();
	file->lie = INT64_MAX - RIG_SIZE;
	assert_int_equal(pull(digest), -EFBIG);
	assert_said("larger than 1.0 TiB");
	file->lie = 900ll << 30; /* more than any disk of a test has free */
	assert_int_equal(pull(digest), -ENOSPC);
	assert_said("the disk is full: 900.0 GiB more are needed");
	assert_nothing();
}

static void test_not_the_format(void **state)
{
	static const uint8_t qcow2[512] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3};
	struct http_file *f = http_add(&server, "/fake.raw", qcow2, sizeof(qcow2));

	(void)state;
	assert_int_equal(pull_with((struct pull){.target = http_url(&server, f->path)}), -EINVAL);
	assert_said("stated as raw, and begins as a qcow2 file does");
	assert_nothing();
	assert_int_equal(pull_with((struct pull){.target = http_url(&server, "/d/disk.raw"),
						 .format = "qcow2"}),
			 -EINVAL);
	assert_non_null(strstr(said(), "not a qcow2 file that can be used: nothing is kept"));
	assert_nothing();
	assert_int_equal(scratch_home_count(IMAGES "parts"), 0);
}

/* --- names, lists and signatures -------------------------------------------------------------- */

static void own_catalogue(const char *words)
{
	char text[1024];

	snprintf(text, sizeof(text), "t:1,t:one,t amd64 raw %s %s\nt:1,t:one,t arm64 raw %s %s\n",
		 http_url(&server, "/abc.raw"), words, http_url(&server, "/abc.raw"), words);
	scratch_home_write("config/skiff/catalogue", text, strlen(text));
}

static void test_by_name(void **state)
{
	struct http_file *image = http_add(&server, "/abc.raw", "abc", 3);
	struct http_file *list =
		http_add(&server, "/SUMS", SIGNED_LIST_TEXT, strlen(SIGNED_LIST_TEXT));

	(void)state;
	own_catalogue("sha256=SUMS");
	assert_int_equal(pull_name("t:one"), 0);
	assert_string_equal(entry.name, "t:1");
	assert_string_equal(entry.aliases, "t:one t");
	assert_non_null(strstr(summary, "as in the publisher's SUMS; signature: not checked: the "
					"catalogue knows of none"));
	assert_here("t", (const uint8_t *)"abc", 3);
	/* what is here and still what the publisher has is not fetched again */
	assert_int_equal(pull_name("t"), 0);
	assert_int_equal(image->requests, 1);
	assert_int_equal(list->requests, 2);
	/* the publisher made a new one, but the list is of the old one */
	image->data = "abd";
	unlink(entry.path);
	assert_int_equal(pull_name("t"), -EBADMSG);
	assert_int_equal(image->requests, 2);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 0);
}

static void test_lists_that_do_not_help(void **state)
{
	static char large[FETCH_TEXT_MAX + 1];
	struct http_file *list;

	(void)state;
	http_add(&server, "/abc.raw", "abc", 3);
	list = http_add(&server, "/SUMS", "", 0);
	own_catalogue("sha256=SUMS");
	assert_int_equal(pull_name("t:1"), -ENOENT);
	assert_said("/SUMS: has no sha256 of abc.raw");
	memset(large, '\n', sizeof(large));
	list->data = large;
	list->len = sizeof(large);
	assert_int_equal(pull_name("t:1"), -EFBIG);
	assert_said("longer than 1 MiB");
	list->status = 404;
	assert_int_equal(pull_name("t:1"), -ENOENT);
	assert_said("/SUMS: the server has no such file");
	assert_nothing();
}

static void test_signed(void **state)
{
	struct http_file *sig =
		http_add(&server, "/SUMS.gpg", signed_list_signature, signed_list_signature_len);
	struct http_file *list =
		http_add(&server, "/SUMS", SIGNED_LIST_TEXT, strlen(SIGNED_LIST_TEXT));

	(void)state;
	if (access("/usr/bin/gpgv", X_OK)) {
		print_message("there is no gpgv here\n");
		skip();
	}
	http_add(&server, "/abc.raw", "abc", 3);
	own_catalogue("sha256=SUMS signature=SUMS.gpg keyring=skiff-test.gpg");
	assert_int_equal(pull_name("t:1"), 0);
	assert_non_null(strstr(summary, "signature: not checked: no keyring skiff-test.gpg"));
	scratch_home_write("config/skiff/keyrings/skiff-test.gpg", signed_list_keyring,
			   signed_list_keyring_len);
	assert_int_equal(pull_name("t:1"), 0);
	assert_non_null(strstr(summary, SIGNED_LIST_SIGNER));
	assert_string_equal(entry.signature, SIGNED_LIST_SIGNER);
	/* inline */
	list->data = signed_list_inline;
	list->len = strlen(signed_list_inline);
	own_catalogue("sha256=SUMS signature=inline keyring=skiff-test.gpg");
	assert_int_equal(pull_name("t:1"), 0);
	assert_non_null(strstr(summary, SIGNED_LIST_SIGNER));
	/* a signature that is not good, or cannot be fetched, ends the pull */
	own_catalogue("sha256=SUMS signature=SUMS.gpg keyring=skiff-test.gpg");
	assert_int_equal(pull_name("t:1"), -EBADMSG);
	assert_non_null(strstr(said(), "is not signed by a key of"));
	sig->status = 404;
	assert_int_equal(pull_name("t:1"), -ENOENT);
}

static void test_wrong_use(void **state)
{
	static const struct {
		struct pull p;
		int r;
		const char *said;
	} table[] = {
		{{.target = "ubunut:24.04"}, -ENOENT, "did you mean ubuntu:24.04?"},
		{{.target = "zzzzzzzzzzzz"}, -ENOENT, "not in the catalogue: `skiff image ls"},
		{{.target = "ubuntu:24.04", .format = "raw"}, -EINVAL, "--format: the catalogue"},
		{{.target = "ubuntu:24.04", .arch = "vax"}, -EINVAL, "--arch vax: give amd64"},
		{{.target = "http://localhost/x.raw", .format = "vdi"},
		 -EINVAL,
		 "--format vdi: give qcow2"},
		{{.target = "http://localhost/x.raw", .name = "a/b"},
		 -EINVAL,
		 "--name a/b: use letters"},
		{{.target = "http://localhost/x.raw", .digest = "12"},
		 -EINVAL,
		 "--digest 12: give sha256:"},
		{{.target = "ftp://localhost/x.raw"}, -EINVAL, "not an https, http or file URL"},
		{{.target = "file:x.raw"}, -EINVAL, "a file URL is file:///PATH"},
		{{.target = "./none.raw"}, -ENOENT, "./none.raw: No such file"},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		assert_int_equal(pull_with(table[i].p), table[i].r);
		assert_said(table[i].said);
	}
}

/* --- files of this host ----------------------------------------------------------------------- */

static void test_local_files(void **state)
{
	char url[512];

	(void)state;
	scratch_home_write("my disk.img", disk, RIG_SIZE);
	assert_int_equal(pull_with((struct pull){.target = scratch_home_path("my disk.img"),
						 .format = "raw",
						 .name = "my:1"}),
			 0);
	assert_here("my:1", disk, RIG_SIZE);
	assert_string_equal(entry.digest, digest);
	snprintf(url, sizeof(url), "file://%s", scratch_home_path("my%20disk.img"));
	assert_int_equal(pull_with((struct pull){.target = url, .format = "raw", .name = "my:2"}),
			 0);
	assert_here("my:2", disk, RIG_SIZE);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 1);
	assert_int_equal(scratch_home_count(IMAGES "parts"), 0);
	assert_int_equal(pull_with((struct pull){.target = scratch_home_path("."),
						 .format = "raw",
						 .name = "my:3"}),
			 -EINVAL);
	assert_said("not a regular file");
}

int main(void)
{
#define PULL(t) cmocka_unit_test_setup_teardown(t, pull_rig_setup, pull_rig_teardown)
	const struct CMUnitTest tests[] = {
		PULL(test_wrong_digest),
		PULL(test_lying_length),
		PULL(test_not_the_format),
		PULL(test_by_name),
		PULL(test_lists_that_do_not_help),
		PULL(test_signed),
		PULL(test_wrong_use),
		PULL(test_local_files),
	};

	return cmocka_run_group_tests(tests, pull_rig_start, NULL);
}
