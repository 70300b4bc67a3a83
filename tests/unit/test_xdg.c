/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a user's files are. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/lib/scratch_home.h"
#include "vmm/xdg.h"

static void set(const char *variable, const char *value)
{
	if (value)
		setenv(variable, value, 1);
	else
		unsetenv(variable);
}

static void each_base_has_its_variable_and_its_place_at_home(void **state)
{
	static const struct {
		enum xdg_base base;
		const char *variable, *value, *home, *path;
	} cases[] = {
		{XDG_DATA, "XDG_DATA_HOME", "/d", "/h", "/d/skiff/x"},
		{XDG_DATA, "XDG_DATA_HOME", NULL, "/h", "/h/.local/share/skiff/x"},
		{XDG_CONFIG, "XDG_CONFIG_HOME", "/c", "/h", "/c/skiff/x"},
		{XDG_CONFIG, "XDG_CONFIG_HOME", NULL, "/h", "/h/.config/skiff/x"},
		{XDG_CACHE, "XDG_CACHE_HOME", "/k", "/h", "/k/skiff/x"},
		{XDG_CACHE, "XDG_CACHE_HOME", NULL, "/h", "/h/.cache/skiff/x"},
		/* "All paths set in these environment variables must be absolute." */
		{XDG_CACHE, "XDG_CACHE_HOME", "k", "/h", "/h/.cache/skiff/x"},
		{XDG_CACHE, "XDG_CACHE_HOME", "", "/h", "/h/.cache/skiff/x"},
		{XDG_CACHE, "XDG_CACHE_HOME", "/k", NULL, "/k/skiff/x"},
	};
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set(cases[i].variable, cases[i].value);
		set("HOME", cases[i].home);
		assert_int_equal(xdg_path(cases[i].base, "x", path, sizeof(path)), 0);
		assert_string_equal(path, cases[i].path);
	}
}

static void without_home_the_user_has_one(void **state)
{
	char path[PATH_MAX];

	(void)state;
	unsetenv("XDG_DATA_HOME");
	for (int set_it = 0; set_it < 2; set_it++) {
		set("HOME", set_it ? "not/absolute" : NULL);
		if (xdg_path(XDG_DATA, "x", path, sizeof(path)) == 0)
			assert_int_equal(path[0], '/');
	}
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
	char path[16];

	(void)state;
	setenv("XDG_DATA_HOME", "/d", 1);
	assert_int_equal(xdg_path(XDG_DATA, "12345", path, 15), 0);
	assert_string_equal(path, "/d/skiff/12345");
	assert_int_equal(xdg_path(XDG_DATA, "123456", path, 15), -ENAMETOOLONG);
}

static void directories_are_the_users_alone(void **state)
{
	struct stat st;
	char long_path[PATH_MAX + 2];

	(void)state;
	assert_int_equal(xdg_make_dirs(scratch_home_path("a/b/c")), 0);
	assert_int_equal(xdg_make_dirs(scratch_home_path("a/b/c")), 0);
	assert_int_equal(stat(scratch_home_path("a/b"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	scratch_home_write("file", "", 0);
	assert_int_equal(xdg_make_dirs(scratch_home_path("file/b")), -ENOTDIR);
	memset(long_path, '/', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(xdg_make_dirs(long_path), -ENAMETOOLONG);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_home_make, scratch_home_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_base_has_its_variable_and_its_place_at_home),
		CASE(without_home_the_user_has_one),
		CASE(a_path_that_does_not_fit_is_refused),
		CASE(directories_are_the_users_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
