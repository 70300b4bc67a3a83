/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drives loader/seed.h. mtools read the files back, blkid says what cloud-init's ds-identify asks
 * it for: a file system of type vfat or iso9660 with the label CIDATA.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/seed.h"
#include "tests/lib/cases.h"
#include "tests/lib/said.h"
#include "tests/lib/tool.h"

static char temp[] = "/tmp/skiff-seed-XXXXXX", path[64];
static char out[65536];

static const struct seed_params plain = {
	.instance_id = "skiff-1",
	.hostname = "noble",
	.user = {.name = "jan", .keys = "ssh-rsa A jan@here\n"},
};

/* Other programs open a descriptor of ours under this path. */
static const char *path_of(int fd)
{
	static char p[64];

	snprintf(p, sizeof(p), "/proc/%d/fd/%d", getpid(), fd);
	return p;
}

/* Prints a file of the seed into out; its length, or -1 if it is not there. */
static long cat(int fd, const char *name)
{
	char from[64];
	ssize_t n = -1;
	int copy;

	snprintf(from, sizeof(from), "::%s", name);
	if (tool_run(out, sizeof(out), "mcopy", "-n", "-i", path_of(fd), from, path, NULL) != 0)
		return -1;
	copy = open(path, O_RDONLY);
	if (copy >= 0)
		n = read(copy, out, sizeof(out) - 1);
	out[n > 0 ? n : 0] = '\0';
	close(copy);
	unlink(path);
	return n;
}

static int first_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void is_what_cloud_init_looks_for(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(seed_create(&plain, &fd), 0);
	assert_int_equal(
		tool_run(out, sizeof(out), "blkid", "-p", "-o", "export", path_of(fd), NULL), 0);
	assert_non_null(strstr(out, "\nTYPE=vfat\n"));
	assert_non_null(strstr(out, "\nLABEL=CIDATA\n"));
	assert_non_null(strstr(out, "\nLABEL_FATBOOT=CIDATA\n"));
	assert_int_equal(tool_run(out, sizeof(out), "fsck.vfat", "-n", path_of(fd), NULL), 0);
	assert_true(cat(fd, "user-data") > 0);
	assert_non_null(strstr(out, "#cloud-config\n"));
	assert_non_null(strstr(out, "  - \"ssh-rsa A jan@here\"\n"));
	assert_true(cat(fd, "meta-data") > 0);
	assert_string_equal(out, "instance-id: \"skiff-1\"\nlocal-hostname: \"noble\"\n");
	assert_int_equal(cat(fd, "vendor-data"), -1);
	assert_int_equal(cat(fd, "network-config"), -1);
	close(fd);
}

static void nobody_can_change_it(void **state)
{
	int fd, flags;
	struct stat st;
	char c;

	(void)state;
	assert_int_equal(seed_create(&plain, &fd), 0);
	flags = fcntl(fd, F_GETFD);
	assert_true(flags & FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size % 512, 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, st.st_size + 512), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(pread(fd, &c, 1, st.st_size - 1), 1);
	close(fd);
}

static void the_same_is_the_same(void **state)
{
	static uint8_t a[65536], b[65536];
	struct seed_params p = plain;
	int fd[3];

	(void)state;
	assert_int_equal(seed_create(&p, &fd[0]), 0);
	assert_int_equal(seed_create(&p, &fd[1]), 0);
	p.hostname = "other";
	assert_int_equal(seed_create(&p, &fd[2]), 0);
	assert_int_equal(pread(fd[0], a, sizeof(a), 0), pread(fd[1], b, sizeof(b), 0));
	assert_memory_equal(a, b, sizeof(a));
	assert_true(pread(fd[2], b, sizeof(b), 0) > 0);
	/* Another text, another volume. */
	assert_memory_not_equal(a + 39, b + 39, 4);
	for (unsigned i = 0; i < 3; i++)
		close(fd[i]);
}

/* Bytes that no text of ours would have: they go in as they are. */
static void files_of_the_user_are_taken_as_they_are(void **state)
{
	static char bytes[] = "#!/bin/sh\r\n\0\xff\xfe\"\\\n\n\n";
	static char network[] = "version: 2\n", vendor[] = "#cloud-config\n{}\n";
	struct seed_params p = plain;
	int fd;

	(void)state;
	p.files[SEED_USER_DATA] = (struct seed_file){bytes, sizeof(bytes)};
	/* Then nobody asks who the user is. */
	p.user = (struct cloud_user){0};
	assert_int_equal(seed_create(&p, &fd), 0);
	assert_int_equal(cat(fd, "user-data"), sizeof(bytes));
	assert_memory_equal(out, bytes, sizeof(bytes));
	assert_true(cat(fd, "meta-data") > 0);
	assert_non_null(strstr(out, "noble"));
	close(fd);

	p.files[SEED_META_DATA] = (struct seed_file){bytes, 0};
	p.files[SEED_VENDOR_DATA] = (struct seed_file){vendor, sizeof(vendor) - 1};
	p.files[SEED_NETWORK_CONFIG] = (struct seed_file){network, sizeof(network) - 1};
	p.instance_id = p.hostname = NULL;
	assert_int_equal(seed_create(&p, &fd), 0);
	assert_int_equal(cat(fd, "meta-data"), 0);
	assert_int_equal(cat(fd, "vendor-data"), sizeof(vendor) - 1);
	assert_string_equal(out, vendor);
	assert_int_equal(cat(fd, "network-config"), sizeof(network) - 1);
	assert_string_equal(out, network);
	assert_int_equal(cat(fd, "user-data"), sizeof(bytes));
	assert_int_equal(tool_run(out, sizeof(out), "fsck.vfat", "-n", path_of(fd), NULL), 0);
	close(fd);
}

static void the_largest_files_fit(void **state)
{
	struct seed_params p = {0};
	int fd;

	(void)state;
	for (unsigned i = 0; i < SEED_FILES; i++) {
		p.files[i].len = SEED_FILE_MAX;
		p.files[i].data = malloc(SEED_FILE_MAX);
		memset(p.files[i].data, 'a' + (int)i, SEED_FILE_MAX);
	}
	assert_int_equal(seed_create(&p, &fd), 0);
	assert_int_equal(tool_run(out, sizeof(out), "fsck.vfat", "-n", path_of(fd), NULL), 0);
	assert_int_equal(cat(fd, "network-config"), sizeof(out) - 1);
	assert_int_equal(out[0], 'd');
	close(fd);
	for (unsigned i = 0; i < SEED_FILES; i++)
		seed_file_free(&p.files[i]);
}

static void what_is_wrong_is_said_once(void **state)
{
	struct seed_params p = plain;
	int fd = -1, before = first_free_fd();

	(void)state;
	p.hostname = "no host";
	said_clear();
	assert_int_equal(seed_create(&p, &fd), -EINVAL);
	assert_int_equal(said_count(), 1);
	assert_non_null(strstr(said(), "no host"));
	p = plain;
	p.user.name = "No User";
	said_clear();
	assert_int_equal(seed_create(&p, &fd), -EINVAL);
	assert_int_equal(said_count(), 1);
	assert_int_equal(fd, -1);
	assert_int_equal(first_free_fd(), before);
}

/* No descriptor to be had, and no room for the bytes at every place where it may end. */
static void what_the_host_denies_is_said_once(void **state)
{
	struct rlimit limit, small;
	int fd = -1, before = first_free_fd();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	small = limit;
	small.rlim_cur = (rlim_t)before;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	said_clear();
	assert_int_equal(seed_create(&plain, &fd), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(said_count(), 1);
	assert_non_null(strstr(said(), "memfd_create"));

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	for (rlim_t at = 0; at < 18 * 512; at += 512) {
		small = limit;
		small.rlim_cur = at;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		said_clear();
		assert_int_equal(seed_create(&plain, &fd), -EFBIG);
		assert_int_equal(said_count(), 1);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	}
	assert_int_equal(fd, -1);
	assert_int_equal(first_free_fd(), before);
}

/* --- files ------------------------------------------------------------------------------ */

static void put_file(const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static void what_cloud_init_ignores_is_warned_of(void **state)
{
	static const struct {
		const char *text;
		int known;
	} cases[] = {
		{"#cloud-config\npackages: [htop]\n", 1},
		{"#cloud-config-archive\n", 1},
		{"#Cloud-Config\n", 1},
		{"\n  #cloud-config\n", 1},
		{"#!/bin/sh\n", 1},
		{"#include\nhttps://example.com/x\n", 1},
		{"#include-once\n", 1},
		{"#cloud-boothook\n", 1},
		{"#part-handler\n", 1},
		{"## template: jinja\n#cloud-config\n", 1},
		{"Content-Type: multipart/mixed; boundary=x\nMIME-Version: 1.0\n", 1},
		{"MIME-Version: 1.0\n", 1},
		{"\x1f\x8b\x08 gzip", 1},
		{"#", 0},
		{"#!", 1},
		{" ", 0},
		{"packages: [htop]\n", 0},
		{"# cloud-config\n", 0},
		{"#cloud-confi", 0},
		{"Content-Type: text/x-shellscript\n\n#!/bin/sh\n", 0},
		{"\xef\xbb\xbf#cloud-config\n", 0}, /* an editor's byte order mark */
		{"{\"a\": 1}", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seed_file f;

		case_begin("beginning %zu", i);
		put_file(cases[i].text, strlen(cases[i].text));
		for (unsigned kind = 0; kind < SEED_FILES; kind++) {
			unsigned looked_at = kind == SEED_USER_DATA || kind == SEED_VENDOR_DATA;

			said_clear();
			CHECK(seed_file_read(kind, path, &f) == 0);
			CHECK(f.len == strlen(cases[i].text));
			CHECK(memcmp(f.data, cases[i].text, f.len) == 0);
			CHECK(said_count() == (looked_at && !cases[i].known));
			seed_file_free(&f);
		}
	}
	unlink(path);
}

static void files_that_will_not_do(void **state)
{
	struct seed_file f;

	(void)state;
	said_clear();
	assert_int_equal(seed_file_read(SEED_USER_DATA, path, &f), -ENOENT);
	assert_non_null(strstr(said(), "--user-data: cannot open"));
	assert_null(f.data);
	assert_int_equal(seed_file_read(SEED_NETWORK_CONFIG, temp, &f), -EISDIR);
	assert_non_null(strstr(said(), "--network-config"));
	put_file("", 0);
	assert_int_equal(seed_file_read(SEED_USER_DATA, path, &f), -EINVAL);
	assert_non_null(strstr(said(), "is empty"));
	assert_null(f.data);
	said_clear();
	assert_int_equal(seed_file_read(SEED_META_DATA, path, &f), 0);
	assert_int_equal(f.len, 0);
	assert_non_null(f.data); /* given, and empty */
	seed_file_free(&f);
	assert_int_equal(said_count(), 0);

	assert_int_equal(truncate(path, SEED_FILE_MAX), 0);
	assert_int_equal(seed_file_read(SEED_META_DATA, path, &f), 0);
	assert_int_equal(f.len, SEED_FILE_MAX);
	seed_file_free(&f);
	assert_int_equal(truncate(path, SEED_FILE_MAX + 1), 0);
	assert_int_equal(seed_file_read(SEED_META_DATA, path, &f), -EFBIG);
	assert_non_null(strstr(said(), "16 MiB"));
	assert_int_equal(seed_file_read(SEED_USER_DATA, "/dev/zero", &f), -EFBIG);
	assert_null(f.data);
	unlink(path);
}

static void a_pipe_is_read_to_its_end(void **state)
{
	struct seed_file f;
	int status;
	pid_t writer;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	writer = fork();
	assert_true(writer >= 0);
	if (writer == 0) {
		/* Opening waits for the reader, who gets small pieces. */
		int fd = open(path, O_WRONLY), good = 1;

		for (unsigned i = 0; i < 100000 && good; i++)
			good = write(fd, i ? "more\n" : "#!sh\n", 5) == 5;
		_exit(!good);
	}
	assert_int_equal(seed_file_read(SEED_USER_DATA, path, &f), 0);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	assert_int_equal(f.len, 500000);
	assert_memory_equal(f.data, "#!sh\nmore\n", 10);
	assert_memory_equal(f.data + f.len - 5, "more\n", 5);
	seed_file_free(&f);
	unlink(path);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(temp))
		return -1;
	snprintf(path, sizeof(path), "%s/file", temp);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(temp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_what_cloud_init_looks_for),
		cmocka_unit_test(nobody_can_change_it),
		cmocka_unit_test(the_same_is_the_same),
		cmocka_unit_test(files_of_the_user_are_taken_as_they_are),
		cmocka_unit_test(the_largest_files_fit),
		cmocka_unit_test(what_is_wrong_is_said_once),
		cmocka_unit_test(what_the_host_denies_is_said_once),
		cmocka_unit_test(what_cloud_init_ignores_is_warned_of),
		cmocka_unit_test(files_that_will_not_do),
		cmocka_unit_test(a_pipe_is_read_to_its_end),
	};

	if (!tool_is_there("fsck.vfat") || !tool_is_there("mcopy") || !tool_is_there("blkid")) {
		printf("fsck.vfat, mcopy or blkid is missing; run tests/deps test\n");
		return 77;
	}
	said_start();
	return cases_report(cmocka_run_group_tests(tests, set_up, tear_down));
}
