/* SPDX-License-Identifier: BSD-2-Clause */
/* --disk, taken apart: what is understood, and one sentence for each mistake. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/disk_option.h"

static void test_understood(void **state)
{
	static const struct {
		const char *text, *path, *serial;
		uint8_t read_only, direct, qcow2, any_backing;
		unsigned queues;
		const char *backing;
		int fd; /* 0: none */
	} cases[] = {
		{"path=a.img", "a.img", "", 0, 0, 0, 0, 0, "", 0},
		{"path=/a b/c,ro", "/a b/c", "", 1, 0, 0, 0, 0, "", 0},
		{"ro,path=x", "x", "", 1, 0, 0, 0, 0, "", 0},
		{"path=x,serial=12345678901234567890", "x", "12345678901234567890", 0, 0, 0, 0, 0,
		 "", 0},
		{"path=x,direct=on,queues=16", "x", "", 0, 1, 0, 0, 16, "", 0},
		{"path=x,direct=off", "x", "", 0, 0, 0, 0, 0, "", 0},
		{"path=x,format=raw", "x", "", 0, 0, 0, 0, 0, "", 0},
		{"path=x,format=qcow2,backing=on", "x", "", 0, 0, 1, 1, 0, "", 0},
		{"path=a,,b,ro", "a,b", "", 1, 0, 0, 0, 0, "", 0},
		{"path=a=b", "a=b", "", 0, 0, 0, 0, 0, "", 0},
		{"path=x,format=qcow2,backing=off", "x", "", 0, 0, 1, 0, 0, "", 0},
		{"path=x,format=qcow2,backing=/a,,b/c", "x", "", 0, 0, 1, 0, 0, "/a,b/c", 0},
		{"fd=7,ro", "descriptor 7", "", 1, 0, 0, 0, 0, "", 7},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct disk_option o;

		assert_int_equal(disk_option_parse(cases[i].text, &o), 0);
		assert_string_equal(o.path, cases[i].path);
		assert_string_equal(o.serial, cases[i].serial);
		assert_int_equal(o.read_only, cases[i].read_only);
		assert_int_equal(o.direct, cases[i].direct);
		assert_int_equal(o.qcow2, cases[i].qcow2);
		assert_int_equal(o.any_backing, cases[i].any_backing);
		assert_string_equal(o.backing, cases[i].backing);
		assert_int_equal(o.fd, cases[i].fd ? cases[i].fd : -1);
		assert_int_equal(o.queues, cases[i].queues);
	}
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "no file"},
		{"ro", "no file"},
		{"path=", "no file"},
		{"disk.img", "disk.img"},
		{"path=x,rw", "rw"},
		{"path=x,color=red", "color"},
		{"path=x,queues=0", "queues=0"},
		{"path=x,queues=17", "queues=17"},
		{"path=x,queues=two", "queues=two"},
		{"path=x,queues=-1", "queues=-1"},
		{"path=x,serial=123456789012345678901", "20 characters"},
		{"path=x,direct=yes", "direct=yes"},
		{"path=x,backing=1", "backing=1"},
		{"path=x,format=vmdk", "format=vmdk"},
		{"fd=", "fd="},
		{"fd=-1", "fd=-1"},
		{"fd=2", "fd=2"},
		{"fd=3x", "fd=3x"},
		{"fd=99999999999", "fd=99999999999"},
		{"path=x,fd=3", "fd=3"},
		{"path=x,format=qcow2,direct=on", "direct=on"},
	};
	char longest[2 * PATH_MAX + 8] = "path=";

	(void)state;
	said_start();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct disk_option o;

		said_clear();
		assert_int_equal(disk_option_parse(cases[i].text, &o), -EINVAL);
		assert_int_equal(said_count(), 1);
		assert_non_null(strstr(said(), cases[i].says));
	}
	memset(longest + 5, 'p', sizeof(longest) - 6);
	assert_int_equal(disk_option_parse(longest, &(struct disk_option){0}), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_understood),
		cmocka_unit_test(test_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
