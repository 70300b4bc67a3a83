/* SPDX-License-Identifier: BSD-2-Clause */
/* The directories of machines: names, what is kept, what is not, and who may have one when. */
#include <errno.h>
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

#include "tests/lib/said.h"
#include "vmm/machine_dir.h"

static char home[] = "/tmp/skiff-test-XXXXXX";

static int up(void **state)
{
	(void)state;
	strcpy(home, "/tmp/skiff-test-XXXXXX");
	said_start();
	said_clear();
	return mkdtemp(home) && setenv("XDG_DATA_HOME", home, 1) == 0 ? 0 : -1;
}

static int down(void **state)
{
	char command[sizeof(home) + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", home);
	return system(command);
}

static int exists(const char *format, const char *a)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), format, home, a);
	return access(path, F_OK) == 0;
}

static void touch(const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fclose(f);
}

static void test_names(void **state)
{
	static const struct {
		const char *image, *name;
	} t[] = {
		{"ubuntu:24.04", "ubuntu-24-04"},
		{"./noble-server-cloudimg-amd64.img", "noble-server-cloudimg-amd64"},
		{"/a/b/Debian 12.QCOW2", "debian-12-qcow2"},
		{"debian.qcow2", "debian"},
		{"disk.raw", "disk"},
		{".img", "img"},
		{"///", "machine"},
		{"---", "machine"},
		{"a..b", "a-b"},
		{"0123456789012345678901234567890123456789012345678901234567890123456789",
		 "012345678901234567890123456789012345678901234567890123456789012"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char name[MACHINE_NAME_MAX + 1];

		machine_dir_name(t[i].image, name);
		assert_string_equal(name, t[i].name);
	}
}

static void test_wrong_names(void **state)
{
	static const char *const t[] = {
		"",
		"-a",
		"a-",
		"a b",
		"a/b",
		"..",
		"a.b",
		"ephemeral-abc",
		"0123456789012345678901234567890123456789012345678901234567890123",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct machine_dir d;

		said_clear();
		assert_int_equal(machine_dir_open(&d, t[i], 0), -EINVAL);
		assert_int_equal(said_count(), 1);
		machine_dir_close(&d);
	}
}

static void test_kept(void **state)
{
	struct machine_dir d, again;
	uint8_t uuid[16];

	(void)state;
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_true(d.is_new);
	touch(d.disk);
	assert_int_equal(machine_dir_keep(&d, "/images/a, b.img", "qcow2"), 0);
	memcpy(uuid, d.uuid, sizeof(uuid));
	machine_dir_close(&d);
	machine_dir_close(&d);

	assert_int_equal(machine_dir_open(&again, "web", 0), 0);
	assert_false(again.is_new);
	assert_string_equal(again.image, "/images/a, b.img");
	assert_string_equal(again.image_format, "qcow2");
	assert_memory_equal(again.uuid, uuid, sizeof(uuid));
	assert_int_equal(access(again.disk, F_OK), 0);
	machine_dir_close(&again);
	assert_int_equal(said_count(), 0);
}

/* What was begun and never finished leaves nothing, and is begun again. */
static void test_not_kept(void **state)
{
	struct machine_dir d;

	(void)state;
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	touch(d.disk);
	machine_dir_close(&d);
	assert_false(exists("%s/skiff/machines/%s", "web"));

	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	touch(d.disk);
	close(d.lock_fd); /* as if it had been killed */
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_true(d.is_new);
	assert_int_equal(access(d.disk, F_OK), -1);
	machine_dir_close(&d);
}

static void test_runs_already(void **state)
{
	struct machine_dir a, b;

	(void)state;
	assert_int_equal(machine_dir_open(&a, "web", 0), 0);
	assert_int_equal(machine_dir_keep(&a, "/i", "raw"), 0);
	assert_int_equal(machine_dir_open(&b, "web", 0), -EBUSY);
	assert_non_null(strstr(said(), "runs already"));
	machine_dir_close(&b);
	assert_true(exists("%s/skiff/machines/%s/image", "web"));
	machine_dir_close(&a);
	assert_int_equal(machine_dir_open(&b, "web", 0), 0);
	machine_dir_close(&b);
}

static void test_ephemeral(void **state)
{
	struct machine_dir a, b;
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(machine_dir_open(&a, "web", 1), 0);
	assert_int_equal(machine_dir_open(&b, "web", 1), 0);
	assert_string_not_equal(a.path, b.path);
	touch(a.disk);
	assert_int_equal(machine_dir_keep(&a, "/i", "raw"), 0);
	machine_dir_close(&b);
	assert_int_equal(access(b.path, F_OK), -1);
	/* One that was killed goes with the next. */
	strcpy(path, a.path);
	close(a.lock_fd);
	assert_int_equal(machine_dir_open(&b, "web", 1), 0);
	assert_int_equal(access(path, F_OK), -1);
	machine_dir_close(&b);
	assert_false(exists("%s/skiff/machines/%s", "web"));
}

static void test_damaged(void **state)
{
	static const char *const t[] = {"", "\n", "/i", "i\nraw\n"};
	struct machine_dir d;
	char path[PATH_MAX + 8];
	FILE *f;

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(machine_dir_open(&d, "web", 0), 0);
		assert_int_equal(machine_dir_keep(&d, "/i", "raw"), 0);
		snprintf(path, sizeof(path), "%s/image", d.path);
		machine_dir_close(&d);
		f = fopen(path, "w");
		fputs(t[i], f);
		fclose(f);
		said_clear();
		assert_int_equal(machine_dir_open(&d, "web", 0), -EINVAL);
		assert_int_equal(said_count(), 1);
		machine_dir_close(&d);
		assert_int_equal(access(path, F_OK), 0); /* it is a person's to look at */
		unlink(path);
	}
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_int_equal(machine_dir_keep(&d, "/i", "raw"), 0);
	snprintf(path, sizeof(path), "%s/uuid", d.path);
	f = fopen(path, "w");
	fputs("nonsense", f);
	fclose(f);
	machine_dir_close(&d);
	assert_int_equal(machine_dir_open(&d, "web", 0), -EINVAL);
	machine_dir_close(&d);
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup_teardown(test, up, down)
	const struct CMUnitTest tests[] = {
		ON(test_names),        ON(test_wrong_names), ON(test_kept),    ON(test_not_kept),
		ON(test_runs_already), ON(test_ephemeral),   ON(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
