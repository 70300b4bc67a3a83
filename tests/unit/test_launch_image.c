/* SPDX-License-Identifier: BSD-2-Clause */
/* The image behind the word that a user gave: files of each kind, and what is no image. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/block/qcow2.h"
#include "loader/image_store.h"
#include "tests/lib/said.h"
#include "tests/lib/tool.h"
#include "vmm/launch_image.h"

static char dir[PATH_MAX];

static int up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/skiff-test-XXXXXX");
	said_start();
	said_clear();
	return mkdtemp(dir) && chdir(dir) == 0 && setenv("XDG_DATA_HOME", dir, 1) == 0 ? 0 : -1;
}

static int down(void **state)
{
	char said_by[64];

	(void)state;
	return chdir("/") || tool_run(said_by, sizeof(said_by), "rm", "-rf", dir, NULL);
}

static void make_file(const char *name, size_t size, size_t at, const char *bytes, size_t n)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
	assert_int_equal(truncate(name, (off_t)size), 0);
}

static void test_files(void **state)
{
	struct qcow2_creation q = {.path = "a.qcow2", .size = 3 << 20};
	struct launch_image image;
	char path[PATH_MAX + 16];

	(void)state;
	make_file("disk", 1 << 20, 0, "", 0);
	assert_int_equal(launch_image_find("disk", NULL, &image), 0);
	assert_false(image.qcow2);
	assert_int_equal(image.size, 1 << 20);
	snprintf(path, sizeof(path), "%s/disk", dir);
	assert_string_equal(image.path, path);
	launch_image_settle(&image);

	assert_int_equal(qcow2_create(&q), 0);
	assert_int_equal(launch_image_find("./a.qcow2", NULL, &image), 0);
	assert_true(image.qcow2);
	assert_int_equal(image.size, 3 << 20);
	launch_image_settle(&image);
	launch_image_settle(&image);

	/* The same file, as it was written down; a directory is no file, whatever it is called. */
	snprintf(path, sizeof(path), "%s", image.path);
	assert_int_equal(launch_image_again(path, "qcow2", &image), 0);
	assert_int_equal(image.size, 3 << 20);
	assert_true(image.file_size > 0 && image.mtime_ns > 0);
	assert_int_equal(mkdir("ubuntu", 0700), 0);
	assert_false(launch_image_is_file("ubuntu"));
	assert_true(launch_image_is_file("./ubuntu"));
	assert_true(launch_image_is_file("disk"));
	/* What is stated goes before what the bytes say. */
	assert_int_equal(truncate("a.qcow2", 1 << 20), 0);
	assert_int_equal(launch_image_find("a.qcow2", "raw", &image), 0);
	assert_false(image.qcow2);
	assert_int_equal(image.size, 1 << 20);
	assert_int_equal(said_count(), 0);
}

/* Puts an image into the store. */
static void add(const char *name, const char *aliases, char digit)
{
	struct image_entry e = {.format = "raw"};
	struct image_store store;
	int fd;

	assert_int_equal(image_store_open(&store, 1), 0);
	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.aliases, sizeof(e.aliases), "%s", aliases);
	snprintf(e.arch, sizeof(e.arch), "%s", image_store_host_arch());
	snprintf(e.digest, sizeof(e.digest), "sha256:");
	memset(e.digest + 7, digit, 64);
	make_file("skiff/images/parts/p", 512, 0, &digit, 1);
	fd = open("skiff/images/parts/p", O_RDWR | O_CLOEXEC);
	assert_int_equal(image_store_add(&store, fd, "p", &e), 0);
	close(fd);
	image_store_close(&store);
}

static void test_same(void **state)
{
	(void)state;
	add("debian:13", "debian debian:latest", 'a');
	add("debian:12", "", 'b');
	assert_true(launch_image_is_same("debian", "debian:13"));
	assert_true(launch_image_is_same("debian:latest", "debian"));
	assert_true(launch_image_is_same("debian:12", "debian:12"));
	assert_false(launch_image_is_same("debian", "debian:12"));
	/* What is not here is not fetched for that. */
	assert_true(launch_image_is_same("gone", "gone"));
	assert_false(launch_image_is_same("gone", "debian"));
	assert_false(launch_image_is_same("gone", "gone:1"));
	assert_int_equal(said_count(), 0);
}

static void test_refused(void **state)
{
	static const struct {
		const char *word, *says;
		int r;
	} t[] = {
		{"./nowhere", "cannot open ./nowhere", -ENOENT},
		{"no such name", "neither a file nor a name", -EINVAL},
		{"./", "neither a file nor a block device", -EINVAL},
		{"xz", "unpack it with `xz -d`", -EINVAL},
		{"./vmdk", "convert it with", -EINVAL},
		{"bzimage", "write `--kernel bzimage`", -EINVAL},
		{"arm64", "write `--kernel arm64`", -EINVAL},
		{"elf", "write `--kernel elf`", -EINVAL},
		{"odd", "not that of a disk", -EINVAL},
		{"empty", "not that of a disk", -EINVAL},
		{"over.qcow2", "is laid over another file", -EACCES},
	};
	struct qcow2_creation q = {.path = "over.qcow2",
				   .size = 1 << 20,
				   .backing = "/etc/passwd",
				   .backing_format = "raw"};

	(void)state;
	make_file("bzimage", 4096, 0x202, "HdrS", 4);
	make_file("arm64", 4096, 56, "ARM\x64", 4);
	make_file("elf", 4096, 0, "\177ELF", 4);
	make_file("xz", 4096, 0,
		  "\xfd"
		  "7zXZ",
		  6);
	make_file("vmdk", 4096, 0, "KDMV", 4);
	make_file("odd", 1000, 0, "", 0);
	make_file("empty", 0, 0, "", 0);
	assert_int_equal(qcow2_create(&q), 0);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct launch_image image;

		said_clear();
		assert_int_equal(launch_image_find(t[i].word, NULL, &image), t[i].r);
		assert_int_equal(said_count(), 1);
		if (!strstr(said(), t[i].says))
			fail_msg("%s: %s", t[i].word, said());
		assert_int_equal(image.lock, -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, up, down),
		cmocka_unit_test_setup_teardown(test_same, up, down),
		cmocka_unit_test_setup_teardown(test_refused, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
