/* SPDX-License-Identifier: BSD-2-Clause */
/* The store of images: names, aliases and blobs; what goes when; what a crash may leave behind. */
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

#include "loader/image_store.h"
#include "tests/lib/said.h"
#include "tests/lib/scratch_home.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define IMAGES   "data/skiff/images/"

static struct image_store store;

static int setup(void **state)
{
	scratch_home_make(state);
	said_start();
	return image_store_open(&store, 1);
}

static int teardown(void **state)
{
	image_store_close(&store);
	return scratch_home_remove(state);
}

/* "sha256:" and 64 digits, all of them @digit. */
static void digest_of(char digit, char out[72])
{
	snprintf(out, 72, "sha256:");
	memset(out + 7, digit, 64);
	out[71] = '\0';
}

static int add(const char *name, const char *aliases, char digit, uint64_t pulled)
{
	struct image_entry e = {.format = "qcow2", .arch = "amd64", .pulled = pulled};
	int fd, r;

	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.aliases, sizeof(e.aliases), "%s", aliases);
	snprintf(e.source, sizeof(e.source), "https://example.org/a b");
	digest_of(digit, e.digest);
	scratch_home_write(IMAGES "parts/p", &digit, 1);
	fd = open(scratch_home_path(IMAGES "parts/p"), O_RDWR);
	r = image_store_add(&store, fd, "p", &e);
	close(fd);
	if (!r)
		assert_int_equal(access(e.path, R_OK), 0);
	return r;
}

static char found(const char *name)
{
	struct image_entry e;
	int r = image_store_find(name, "amd64", &e);
	char byte = '!';
	int fd;

	if (r == -ENOENT)
		return '-';
	assert_int_equal(r, 0);
	fd = open(e.path, O_RDONLY);
	assert_int_equal(read(fd, &byte, 1), 1);
	close(fd);
	return byte;
}

static void test_names(void **state)
{
	static const char *const good[] = {"a", "ubuntu:24.04", "x.img", "A_b-c+d:1"};
	static const char *const bad[] = {"",   ".",   "..",  ".a",  "-a",
					  ":a", "a/b", "a b", "a@b", "\xc3"};
	char longest[IMAGE_STORE_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < N(good); i++)
		assert_true(image_store_name_is_good(good[i]));
	for (size_t i = 0; i < N(bad); i++)
		assert_false(image_store_name_is_good(bad[i]));
	memset(longest, 'a', sizeof(longest));
	longest[IMAGE_STORE_NAME_MAX] = '\0';
	assert_false(image_store_name_is_good(longest));
	longest[IMAGE_STORE_NAME_MAX - 1] = '\0';
	assert_true(image_store_name_is_good(longest));
	assert_string_equal(image_store_arch("x86_64"), "amd64");
	assert_string_equal(image_store_arch("aarch64"), "arm64");
	assert_null(image_store_arch("riscv64"));
}

static void test_home(void **state)
{
	char path[4096];

	(void)state;
	assert_int_equal(image_store_home("images", path, sizeof(path)), 0);
	assert_string_equal(path, scratch_home_path("data/skiff/images"));
	/* A relative one is to be ignored. */
	setenv("XDG_DATA_HOME", "data", 1);
	assert_int_equal(image_store_home("images", path, sizeof(path)), 0);
	assert_string_equal(path, scratch_home_path(".local/share/skiff/images"));
	assert_int_equal(image_store_home("images", path, 20), -ENAMETOOLONG);
}

static void test_nothing_here(void **state)
{
	struct image_entry e;

	scratch_home_make(state);
	said_start();
	assert_int_equal(image_store_find("ubuntu:24.04", NULL, &e), -ENOENT);
	assert_int_equal(said_count(), 0);
	assert_int_equal(scratch_home_count("data"), 0); /* looking makes nothing */
	scratch_home_remove(state);
}

static void test_add_and_find(void **state)
{
	struct image_entry e;
	struct stat st;
	char digest[72];

	(void)state;
	assert_int_equal(add("ubuntu:24.04", "ubuntu:noble ubuntu", 'a', 1234567890), 0);
	assert_int_equal(image_store_find("ubuntu:noble", "amd64", &e), 0);
	assert_string_equal(e.name, "ubuntu:24.04");
	assert_string_equal(e.aliases, "ubuntu:noble ubuntu");
	assert_string_equal(e.format, "qcow2");
	assert_string_equal(e.source, "https://example.org/a b");
	assert_string_equal(e.published, "");
	assert_int_equal(e.pulled, 1234567890);
	digest_of('a', digest);
	assert_string_equal(e.digest, digest);
	assert_int_equal(stat(e.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0444);
	assert_int_equal(scratch_home_count(IMAGES "parts"), 0);
	assert_int_equal(found("ubuntu"), 'a');
	/* not by a part of a name, nor for another architecture */
	assert_int_equal(found("ubuntu:nob"), '-');
	assert_int_equal(found("noble"), '-');
	assert_int_equal(image_store_find("ubuntu", "arm64", &e), -ENOENT);
}

static void test_alias_moves_on(void **state)
{
	(void)state;
	assert_int_equal(add("u:1", "u:latest u:2", 'a', 100), 0);
	assert_int_equal(add("u:2", "u:latest", 'b', 200), 0);
	assert_int_equal(found("u:latest"), 'b');
	assert_int_equal(found("u:1"), 'a');
	assert_int_equal(found("u:2"), 'b'); /* its own name goes before another's alias */
}

/* A name that gets another blob leaves the old one without: it goes, unless a machine needs it. */
static void test_old_blobs_go(void **state)
{
	char path[300];

	(void)state;
	assert_int_equal(add("u:1", "", 'a', 1), 0);
	assert_int_equal(add("v:1", "", 'a', 1), 0);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 1);
	assert_int_equal(add("u:1", "", 'b', 2), 0);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 2); /* v:1 has it */
	snprintf(path, sizeof(path), "/elsewhere/blobs/sha256-%064d\n", 0);
	memset(strchr(path, '-') + 1, 'a', 64);
	scratch_home_write("data/skiff/machines/web/image", path, strlen(path));
	assert_int_equal(add("v:1", "", 'b', 2), 0);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 2); /* the machine has it */
	unlink(scratch_home_path("data/skiff/machines/web/image"));
	assert_int_equal(add("v:1", "", 'b', 2), 0);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 1);
	assert_int_equal(found("v:1"), 'b');
}

/* What a machine lies over cannot be told: it may be any. */
static void test_machines_that_cannot_be_read(void **state)
{
	(void)state;
	assert_int_equal(add("u:1", "", 'a', 1), 0);
	scratch_home_write("data/skiff/machines/web/image", "", 0);
	for (int n = 0; n < 2; n++) {
		said_clear();
		assert_int_equal(image_store_remove(&store, "u:1", "amd64"), -EBUSY);
		assert_non_null(strstr(said(), "machine `web` is laid over it, or cannot be read"));
		assert_int_equal(add("u:1", "", (char)('b' + n), 2), 0);
		assert_int_equal(scratch_home_count(IMAGES "blobs"), 2 + n);
		unlink(scratch_home_path("data/skiff/machines/web/image"));
		mkdir(scratch_home_path("data/skiff/machines/web/image"), 0700);
	}
	rmdir(scratch_home_path("data/skiff/machines/web/image"));
	scratch_home_write("data/skiff/machines/web/uuid", "0", 1);
	assert_int_equal(image_store_remove(&store, "u:1", "amd64"), -EBUSY);
	/* A directory that is no machine, and a file, lie over none. */
	unlink(scratch_home_path("data/skiff/machines/web/uuid"));
	scratch_home_write("data/skiff/machines/note", "x", 1);
	assert_int_equal(image_store_remove(&store, "u:1", "amd64"), 0);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 0);
}

static void test_remove(void **state)
{
	struct image_entry e;

	(void)state;
	assert_int_equal(add("u:1", "u", 'a', 1), 0);
	assert_int_equal(image_store_find("u", "amd64", &e), 0);
	scratch_home_write("data/skiff/machines/web/image", e.path, strlen(e.path));
	scratch_home_write("data/skiff/machines/other/image", "/somewhere/disk.img", 19);
	said_clear();
	assert_int_equal(image_store_remove(&store, "u", "amd64"), -EBUSY);
	assert_string_equal(said(),
			    "image rm: u:1: machine `web` is laid over it, or cannot be read: "
			    "remove that machine first, or run this as whoever it belongs "
			    "to");
	assert_int_equal(found("u:1"), 'a');
	/* With a second name the first may go, since the blob stays. */
	assert_int_equal(add("v:1", "", 'a', 1), 0);
	assert_int_equal(image_store_remove(&store, "u:1", "amd64"), 0);
	assert_int_equal(image_store_remove(&store, "v:1", "amd64"), -EBUSY);
	unlink(scratch_home_path("data/skiff/machines/web/image"));
	assert_int_equal(image_store_remove(&store, "v:1", "amd64"), 0);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 0);
	assert_int_equal(scratch_home_count(IMAGES "names"), 0);
	assert_int_equal(image_store_remove(&store, "v:1", "amd64"), -ENOENT);
}

static void test_point(void **state)
{
	struct image_entry e;

	(void)state;
	assert_int_equal(add("u:1", "", 'a', 1), 0);
	assert_int_equal(image_store_find("u:1", "amd64", &e), 0);
	snprintf(e.name, sizeof(e.name), "mine");
	assert_int_equal(image_store_point(&store, &e), 0);
	assert_int_equal(found("mine"), 'a');
	digest_of('c', e.digest);
	assert_int_equal(image_store_point(&store, &e), -ENOENT);
	assert_int_equal(found("mine"), 'a');
}

/* Records that are not whole: said, not used, and nothing is swept on their word. */
static void test_damaged_records(void **state)
{
	static const char *const texts[] = {
		"",
		"name u:2\n",
		"name ../x\narch amd64\nformat raw\ndigest sha256:aa\n",
		"name u:2\narch amd64\nformat vmdk\ndigest sha256:aa\n",
		"name u:2\narch amd64\nformat raw\ndigest sha256:../../../../etc/passwd\n",
		"\xff\xff\xff\xff",
	};
	struct image_entry *all;
	size_t n;

	(void)state;
	assert_int_equal(add("u:1", "", 'a', 1), 0);
	scratch_home_write(IMAGES "blobs/sha256-orphan", "x", 1);
	for (size_t i = 0; i < N(texts); i++) {
		scratch_home_write(IMAGES "names/u:2@amd64", texts[i], strlen(texts[i]));
		said_clear();
		assert_int_equal(image_store_list(&store, &all, &n), 0);
		assert_int_equal(n, 1);
		assert_int_equal(said_count(), 1);
		assert_non_null(strstr(said(), "names/u:2@amd64: damaged"));
		free(all);
		assert_int_equal(add("u:1", "", 'a', 1), 0);
		assert_int_equal(scratch_home_count(IMAGES "blobs"), 2);
	}
	/* Pulling it again mends it. */
	assert_int_equal(add("u:2", "", 'b', 1), 0);
	assert_int_equal(found("u:2"), 'b');
	assert_int_equal(add("u:2", "", 'b', 1), 0);
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 2);
}

/* A process that dies between any two steps leaves the old state or the new one. */
static void test_killed_on_the_way(void **state)
{
	(void)state;
	assert_int_equal(add("u:1", "", 'a', 1), 0);
	/* a record half written */
	scratch_home_write(IMAGES "names/.new", "name u:1\nar", 11);
	assert_int_equal(found("u:1"), 'a');
	/* a blob that has no name yet */
	scratch_home_write(IMAGES "blobs/sha256-x", "b", 1);
	assert_int_equal(found("u:1"), 'a');
	assert_int_equal(add("u:1", "", 'b', 1), 0);
	assert_int_equal(found("u:1"), 'b');
	assert_int_equal(scratch_home_count(IMAGES "blobs"), 1);
}

/* Eight processes change names while we change the blob that they point to. */
static void test_at_once(void **state)
{
	pid_t pid[8];
	int status;

	(void)state;
	assert_int_equal(add("u:0", "", 'a', 1), 0);
	for (size_t i = 0; i < N(pid); i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			struct image_store s;
			struct image_entry e;
			int r = image_store_open(&s, 1);

			for (unsigned k = 0; k < 40 && !r; k++) {
				r = image_store_look(&s, "u:0", "amd64", &e);
				snprintf(e.name, sizeof(e.name), "n:%u", (unsigned)i);
				if (!r)
					r = image_store_point(&s, &e);
				if (r == -ENOENT) /* its blob went since it was looked at */
					r = 0;
				else if (!r && k % 2)
					r = image_store_remove(&s, e.name, "amd64");
			}
			_exit(r != 0 || said_count() != 0);
		}
	}
	/* Whoever looks meanwhile finds what nobody takes away, and nothing damaged. */
	for (unsigned k = 0; k < 200; k++) {
		assert_int_equal(add("u:0", "", k % 2 ? 'a' : 'b', k), 0);
		assert_int_equal(found("u:0"), k % 2 ? 'a' : 'b');
	}
	assert_int_equal(said_count(), 0);
	for (size_t i = 0; i < N(pid); i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

static void test_not_to_be_opened(void **state)
{
	struct image_store s;

	scratch_home_make(state);
	said_start();
	scratch_home_write("data/skiff", "a file in the way", 17);
	assert_int_equal(image_store_open(&s, 1), -ENOTDIR);
	assert_int_equal(said_count(), 1);
	image_store_close(&s);
	scratch_home_remove(state);
}

int main(void)
{
#define WITH_STORE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		WITH_STORE(test_home),
		cmocka_unit_test(test_nothing_here),
		WITH_STORE(test_add_and_find),
		WITH_STORE(test_alias_moves_on),
		WITH_STORE(test_old_blobs_go),
		WITH_STORE(test_machines_that_cannot_be_read),
		WITH_STORE(test_remove),
		WITH_STORE(test_point),
		WITH_STORE(test_damaged_records),
		WITH_STORE(test_killed_on_the_way),
		WITH_STORE(test_at_once),
		cmocka_unit_test(test_not_to_be_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
