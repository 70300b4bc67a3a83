/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest is made of: which modules in which order, the archive, programs with libraries. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/bench/cpio.h"
#include "vmm/bench/modules.h"
#include "vmm/bench/root.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	said_start();
	snprintf(dir, sizeof(dir), "/tmp/test_bench_root.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	root_remove(dir);
	return access(dir, F_OK) == 0;
}

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* --- modules --------------------------------------------------------------------------------- */

static void write_lists(void)
{
	assert_int_equal(root_add_text(dir, "/modules.dep",
				       "kernel/lib/crc16.ko:\n"
				       "kernel/fs/jbd2/jbd2.ko.xz: kernel/crypto/crc32c.ko.xz\n"
				       "kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko "
				       "kernel/fs/jbd2/jbd2.ko.xz kernel/crypto/crc32c.ko.xz\n"
				       "kernel/crypto/crc32c.ko.xz:\n"
				       "kernel/net/net-failover.ko: kernel/net/failover.ko\n"
				       "kernel/net/failover.ko:\n"),
			 0);
	assert_int_equal(root_add_text(dir, "/modules.builtin", "kernel/drivers/virtio-pci.ko\n"),
			 0);
}

static void test_modules(void **state)
{
	static const char *const order[] = {
		"kernel/crypto/crc32c.ko.xz", "kernel/fs/jbd2/jbd2.ko.xz",
		"kernel/lib/crc16.ko",        "kernel/fs/ext4/ext4.ko.xz",
		"kernel/net/failover.ko",     "kernel/net/net-failover.ko",
	};
	struct modules m = {.n = 0};

	(void)state;
	assert_int_equal(modules_add(&m, dir, "ext4"), -EIO);
	write_lists();
	assert_int_equal(modules_add(&m, dir, "ext4"), 0);
	assert_int_equal(modules_add(&m, dir, "net_failover"), 0);
	assert_int_equal(modules_add(&m, dir, "jbd2"), 0);
	assert_int_equal(modules_add(&m, dir, "virtio_pci"), 0);
	assert_int_equal(modules_add(&m, dir, "ext"), -ENOENT);
	assert_int_equal(modules_add(&m, dir, "ext4x"), -ENOENT);
	assert_int_equal(m.n, sizeof(order) / sizeof(order[0]));
	for (unsigned i = 0; i < m.n; i++)
		assert_string_equal(m.path[i], order[i]);
	modules_free(&m);
}

/* --- the archive -------------------------------------------------------------------------------
 */

static unsigned field(const char *header, unsigned nth)
{
	char hex[9];

	snprintf(hex, sizeof(hex), "%.8s", header + 6 + nth * 8);
	return (unsigned)strtoul(hex, NULL, 16);
}

static size_t up4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static void test_cpio(void **state)
{
	static char text[65536];
	const char *at = text;
	unsigned entries = 0, files = 0, links = 0;
	FILE *f;

	(void)state;
	assert_int_equal(root_add_text(dir, "/tree/a/file", "twelve bytes"), 0);
	assert_int_equal(root_add_text(dir, "/tree/empty", ""), 0);
	assert_int_equal(symlink("file", path_of("tree/a/link")), 0);
	snprintf(text, sizeof(text), "%s/tree", dir);
	assert_int_equal(cpio_write("t", text, path_of("out")), 0);
	f = fopen(path_of("out"), "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text), f) > 0);
	fclose(f);
	for (;;) {
		const char *name = at + 110, *data = at + up4(110 + field(at, 11));
		unsigned mode = field(at, 1), size = field(at, 6);

		assert_memory_equal(at, "070701", 6);
		assert_int_equal(field(at, 11), strlen(name) + 1);
		if (strcmp(name, "TRAILER!!!") == 0)
			break;
		assert_int_equal(field(at, 2), 0); /* root's */
		if (S_ISREG(mode) && strcmp(name, "a/file") == 0) {
			assert_int_equal(size, 12);
			assert_memory_equal(data, "twelve bytes", 12);
			files++;
		} else if (S_ISLNK(mode)) {
			assert_string_equal(name, "a/link");
			assert_int_equal(size, 4);
			assert_memory_equal(data, "file", 4);
			links++;
		}
		entries++;
		at = data + up4(size);
	}
	assert_int_equal(entries, 4);
	assert_int_equal(files, 1);
	assert_int_equal(links, 1);
	assert_int_equal(cpio_write("t", dir, "/proc/nosuch"), -ENOENT);
	assert_string_equal(said(), "t: cannot write /proc/nosuch: No such file or directory");
}

/* --- programs -----------------------------------------------------------------------------------
 */

static void test_program(void **state)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	assert_true(n > 0);
	self[n] = '\0';
	assert_int_equal(root_make(dir), 0);
	assert_int_equal(access(path_of("data"), W_OK), 0);
	assert_int_equal(root_add_program(dir, self, "/program", -1), 0);
	assert_int_equal(access(path_of("program"), X_OK), 0);
	/* cmocka is linked, so its library lies wherever it lies here. */
	assert_true(access(path_of("lib/x86_64-linux-gnu/libcmocka.so.0"), R_OK) == 0 ||
		    access(path_of("lib/aarch64-linux-gnu/libcmocka.so.0"), R_OK) == 0 ||
		    access(path_of("usr/lib64/libcmocka.so.0"), R_OK) == 0 ||
		    access(path_of("lib64/libcmocka.so.0"), R_OK) == 0);
	assert_true(root_size(dir) > 65536);
}

/* A tool that somebody has put elsewhere, under another name, is found in /usr/bin all the same. */
static void test_tool(void **state)
{
	char self[PATH_MAX], root[PATH_MAX], real[PATH_MAX], to[PATH_MAX], path[PATH_MAX];
	const char *before = getenv("PATH");
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	assert_true(n > 0 && before);
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s", before);
	snprintf(root, sizeof(root), "%s/root", dir);
	assert_int_equal(root_copy(self, path_of("away/bin/tool-2")), 0);
	assert_int_equal(symlink("tool-2", path_of("away/bin/tool")), 0);
	assert_non_null(realpath(path_of("away/bin/tool-2"), real));
	assert_int_equal(root_make(root), 0);
	assert_int_equal(setenv("PATH", path_of("away/bin"), 1), 0);
	assert_int_equal(root_add_tool(root, "tool", -1), 0);
	assert_int_equal(root_add_tool(root, "no-such-tool", -1), -ENOENT);
	assert_string_equal(said(), "bench: there is no no-such-tool in PATH");
	setenv("PATH", path, 1);
	n = readlink(path_of("root/usr/bin/tool"), to, sizeof(to) - 1);
	assert_int_equal(n, (ssize_t)strlen(real));
	assert_memory_equal(to, real, n);
	snprintf(root, sizeof(root), "root%.200s", real);
	assert_int_equal(access(path_of(root), X_OK), 0);
}

/* What no program names: the C library opens it when a thread is cancelled. */
static void test_library_of_cancelled_threads(void **state)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	assert_true(n > 0);
	self[n] = '\0';
	assert_int_equal(root_add_program(dir, self, "/program", -1), 0);
	assert_true(access(path_of("lib/x86_64-linux-gnu/libgcc_s.so.1"), R_OK) == 0 ||
		    access(path_of("lib/aarch64-linux-gnu/libgcc_s.so.1"), R_OK) == 0 ||
		    access(path_of("usr/lib64/libgcc_s.so.1"), R_OK) == 0 ||
		    access(path_of("lib64/libgcc_s.so.1"), R_OK) == 0);
}

static void test_no_program(void **state)
{
	char said_of[PATH_MAX];

	(void)state;
	assert_int_equal(root_add_text(dir, "/script", "#!/bin/sh\nexit 0\n"), 0);
	assert_int_equal(root_add_program(dir, path_of("script"), "/x", -1), -ENOEXEC);
	snprintf(said_of, sizeof(said_of),
		 "bench: %.80s: is no program of this machine (a script around it?): put the "
		 "program itself into PATH",
		 path_of("script"));
	assert_string_equal(said(), said_of);
	assert_int_equal(root_add_program(dir, path_of("nothing"), "/x", -1), -ENOENT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_modules, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_cpio, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_program, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_tool, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_library_of_cancelled_threads, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(test_no_program, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
