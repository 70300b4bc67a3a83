/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening what is not KVM: each refusal is one sentence that names the path and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/kvm.h"
#include "vmm/log.h"

static char said[1024];
static unsigned lines;

static void keep(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	assert_int_equal(level, LOG_ERROR);
	snprintf(said, sizeof(said), "%s", line);
	lines++;
}

static int setup(void **state)
{
	(void)state;
	lines = 0;
	log_set_sink(keep, NULL);
	return 0;
}

static void refuses(const char *path, int err, const char *words)
{
	struct kvm kvm;

	lines = 0;
	assert_int_equal(kvm_open(&kvm, path), err);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(said, path));
	assert_non_null(strstr(said, words));
	assert_int_equal(kvm.vm_fd, -1);
	assert_true(kvm.fd < 0);
	kvm_close(&kvm);
}

static void test_refusals(void **state)
{
	char dir[] = "/tmp/skiff-test-kvm-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/kvm", dir);
	refuses(path, -ENOENT, "firmware");
	refuses(dir, -ENODEV, "not a KVM device");
	assert_int_equal(mkfifo(path, 0600), 0);
	refuses(path, -ENODEV, "not a KVM device");
	unlink(path);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	refuses(path, -ENODEV, "not a KVM device");
	unlink(path);
	rmdir(dir);
	refuses("/dev/null", -ENODEV, "not a KVM device");
}

static void test_require_names_all_that_is_missing(void **state)
{
	static const struct kvm_cap table[] = {
		{1, 1, "FIRST", "this"},
		{2, 0, "USEFUL", "that"},
		{3, 1, "SECOND", "those"},
		{0, 0, NULL, NULL},
	};
	/* Nothing can be asked of a descriptor that is none, so nothing is there. */
	const struct kvm kvm = {.fd = -1, .vm_fd = -1};

	(void)state;
	assert_int_equal(kvm_require(&kvm, table), -EOPNOTSUPP);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(said, " FIRST SECOND;"));
	assert_null(strstr(said, "USEFUL"));
	assert_int_equal(kvm_require(&kvm, &table[3]), 0);
	assert_int_equal(lines, 1);
}

static void test_ioctl_answers_errno(void **state)
{
	(void)state;
	assert_int_equal(kvm_ioctl_value(-1, 0, 0), -EBADF);
	assert_int_equal(kvm_ioctl(-1, 0, NULL), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refusals, setup),
		cmocka_unit_test_setup(test_require_names_all_that_is_missing, setup),
		cmocka_unit_test_setup(test_ioctl_answers_errno, setup),
	};

	return cmocka_run_group_tests_name("kvm", tests, NULL, NULL);
}
