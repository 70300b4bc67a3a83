/* SPDX-License-Identifier: BSD-2-Clause */
/* What a machine remembers of its first start. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/image_store.h"
#include "tests/lib/said.h"
#include "tests/lib/scratch_home.h"
#include "vmm/machine_dir.h"

#define WEB "data/skiff/machines/web/"

static int up(void **state)
{
	scratch_home_make(state);
	said_start();
	said_clear();
	return 0;
}

/* Images of the store have a name, and machines remember it. */
static void test_is_from(void **state)
{
	char blob[PATH_MAX];
	struct machine_dir d;

	(void)state;
	assert_int_equal(image_store_home("images/blobs/sha256-0", blob, sizeof(blob)), 0);
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	snprintf(d.image_name, sizeof(d.image_name), "ubuntu:24.04");
	assert_int_equal(machine_dir_keep(&d, blob, "raw", 512, 1), 0);
	machine_dir_close(&d);
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_true(machine_dir_is_from(&d, "ubuntu:24.04"));
	assert_false(machine_dir_is_from(&d, "debian:12"));
	machine_dir_close(&d);
	/* An older one does not know; one over a file was made from no name. */
	for (int of_store = 0; of_store < 2; of_store++) {
		char text[PATH_MAX + 16];

		snprintf(text, sizeof(text), "%s\nraw\n512 1\n", of_store ? blob : "/a/file");
		scratch_home_write(WEB "image", text, strlen(text));
		assert_int_equal(machine_dir_open(&d, "web", 0), 0);
		assert_int_equal(machine_dir_is_from(&d, "debian:12"), of_store);
		machine_dir_close(&d);
	}
	assert_int_equal(said_count(), 0);
}

/* Somebody has taken away what says that it is a machine: its disk is not made anew. */
static void test_image_is_gone(void **state)
{
	struct machine_dir d;

	(void)state;
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	scratch_home_write(WEB "disk.qcow2", "", 0);
	assert_int_equal(machine_dir_keep(&d, "/i", "raw", 512, 1), 0);
	machine_dir_close(&d);
	assert_int_equal(rename(scratch_home_path(WEB "image"), scratch_home_path(WEB "away")), 0);
	assert_int_equal(machine_dir_open(&d, "web", 0), -ENOENT);
	assert_int_equal(said_count(), 1);
	assert_non_null(strstr(said(), "/image, which says"));
	machine_dir_close(&d);
	assert_int_equal(rename(scratch_home_path(WEB "away"), scratch_home_path(WEB "image")), 0);
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_false(d.is_new);
	assert_int_equal(access(d.disk, F_OK), 0);
	machine_dir_close(&d);
}

static void test_password_is_remembered(void **state)
{
	struct machine_dir d;

	(void)state;
	for (uint8_t has = 0; has < 2; has++) {
		assert_int_equal(machine_dir_open(&d, "web", 0), 0);
		d.has_password = has;
		assert_int_equal(machine_dir_set_user(&d, "ann"), 0);
		assert_int_equal(machine_dir_keep(&d, "/i", "raw", 512, 1), 0);
		machine_dir_close(&d);
		assert_int_equal(machine_dir_open(&d, "web", 0), 0);
		assert_string_equal(d.user, "ann");
		assert_int_equal(d.has_password, has);
		machine_dir_close(&d);
		unlink(scratch_home_path(WEB "image"));
		unlink(scratch_home_path(WEB "uuid"));
		unlink(scratch_home_path(WEB "user"));
	}
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup_teardown(test, up, scratch_home_remove)
	const struct CMUnitTest tests[] = {
		ON(test_is_from),
		ON(test_image_is_gone),
		ON(test_password_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
