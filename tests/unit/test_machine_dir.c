/* SPDX-License-Identifier: BSD-2-Clause */
/* The directories of machines: names, what is kept, what is not, and who may have one when. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/image_store.h"
#include "tests/lib/said.h"
#include "tests/lib/scratch_home.h"
#include "vmm/machine_dir.h"

static char home[PATH_MAX / 2]; /* $XDG_DATA_HOME */

static int up(void **state)
{
	scratch_home_make(state);
	snprintf(home, sizeof(home), "%s", scratch_home_path("data"));
	said_start();
	said_clear();
	return 0;
}

static int exists(const char *format, const char *a)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), format, home, a);
	return access(path, F_OK) == 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void touch(const char *path)
{
	write_file(path, "");
}

/* A path in the directory of machines, or of a file in one; good until the fourth call from now. */
static const char *in(const char *machine, const char *file)
{
	static char path[4][PATH_MAX];
	static unsigned n;
	char *p = path[n++ % 4];

	snprintf(p, PATH_MAX, "%s/skiff/machines/%s%s%s", home, machine, *file ? "/" : "", file);
	return p;
}

static int is_in(const char *machine, const char *file)
{
	struct stat st;

	return lstat(in(machine, file), &st) == 0;
}

static void make_home(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/skiff/machines", home);
	assert_int_equal(image_store_make_dirs(path), 0);
}

static int keep(struct machine_dir *d)
{
	return machine_dir_keep(d, "/i", "raw", 512, 1);
}

/* As if its process had been killed: the kernel closes what it had. */
static void killed(struct machine_dir *d)
{
	close(d->lock_fd);
	close(d->dir_fd);
	close(d->home_fd);
	memset(d, 0, sizeof(*d));
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
	assert_int_equal(machine_dir_keep(&d, "/images/a, b.img", "qcow2", 1ull << 40, -5), 0);
	memcpy(uuid, d.uuid, sizeof(uuid));
	machine_dir_close(&d);
	machine_dir_close(&d);

	assert_int_equal(machine_dir_open(&again, "web", 0), 0);
	assert_false(again.is_new);
	assert_string_equal(again.image, "/images/a, b.img");
	assert_string_equal(again.image_format, "qcow2");
	assert_true(again.image_size == 1ull << 40);
	assert_true(again.image_mtime_ns == -5);
	assert_memory_equal(again.uuid, uuid, sizeof(uuid));
	assert_int_equal(access(again.disk, F_OK), 0);
	machine_dir_close(&again);
	assert_int_equal(said_count(), 0);
}

/* What was begun and never kept leaves nothing, and is begun again. */
static void test_not_kept(void **state)
{
	static const char *const files[] = {"id_ed25519", "id_ed25519.pub", ".id_ed25519.new",
					    ".id_ed25519.new.pub", "uuid"};
	struct machine_dir d;
	uint8_t uuid[16];

	(void)state;
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	touch(d.disk);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		touch(in("web", files[i]));
	assert_int_equal(machine_dir_set_user(&d, "ann"), 0);
	machine_dir_close(&d);
	assert_false(is_in("web", ""));

	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	touch(d.disk);
	assert_int_equal(machine_dir_set_user(&d, "ann"), 0);
	memcpy(uuid, d.uuid, sizeof(uuid));
	killed(&d);
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_true(d.is_new);
	assert_string_equal(d.user, "");
	assert_memory_not_equal(d.uuid, uuid, sizeof(uuid));
	assert_false(is_in("web", "disk.qcow2"));
	assert_false(is_in("web", "user"));
	machine_dir_close(&d);
	assert_false(is_in("web", ""));
}

/* What a person has put there is not ours to remove, nor is what it lies in. */
static void test_strange_files(void **state)
{
	struct machine_dir d;

	(void)state;
	make_home();
	mkdir(in("web", ""), 0700);
	touch(in("web", "notes"));
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	touch(d.disk);
	machine_dir_close(&d);
	assert_true(is_in("web", "notes"));
	assert_false(is_in("web", "disk.qcow2"));
	assert_false(is_in("web", "lock"));

	/* One that was killed; one of a person's that is only called so. */
	mkdir(in("ephemeral-a", ""), 0700);
	touch(in("ephemeral-a", "lock"));
	touch(in("ephemeral-a", "disk.qcow2"));
	touch(in("ephemeral-a", "notes"));
	mkdir(in("ephemeral-b", ""), 0700);
	touch(in("ephemeral-b", "image"));
	mkdir(in("ephemeral-c", ""), 0700);
	assert_int_equal(machine_dir_open(&d, "web", 1), 0);
	touch(in(strrchr(d.path, '/') + 1, "notes"));
	machine_dir_close(&d);
	assert_true(is_in(strrchr(d.path, '/') + 1, "notes"));
	assert_true(is_in("ephemeral-a", "notes"));
	assert_false(is_in("ephemeral-a", "disk.qcow2"));
	assert_true(is_in("ephemeral-b", "image"));
	assert_false(is_in("ephemeral-b", "lock"));
	assert_false(is_in("ephemeral-c", ""));
	assert_int_equal(said_count(), 0);
}

/* A link leads to what is not ours. */
static void test_links(void **state)
{
	static const char *const files[] = {"image", "disk.qcow2", "notes"};
	char elsewhere[PATH_MAX], path[PATH_MAX + 16];
	struct machine_dir d;

	(void)state;
	make_home();
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", home);
	mkdir(elsewhere, 0700);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", elsewhere, files[i]);
		touch(path);
	}
	assert_int_equal(symlink(elsewhere, in("ephemeral-evil", "")), 0);
	assert_int_equal(symlink(elsewhere, in("web", "")), 0);
	assert_int_equal(symlink("nowhere", in("db", "")), 0);
	assert_int_equal(machine_dir_open(&d, "x", 1), 0);
	machine_dir_close(&d);
	assert_int_equal(said_count(), 0);
	assert_int_equal(machine_dir_open(&d, "web", 0), -ELOOP);
	assert_non_null(strstr(said(), "symbolic link"));
	machine_dir_close(&d);
	assert_int_equal(machine_dir_open(&d, "db", 0), -ELOOP);
	assert_int_equal(said_count(), 2);
	for (unsigned i = 0; i < 3; i++)
		assert_true(exists("%s/elsewhere/%s", files[i]));
	assert_false(exists("%s/elsewhere/%s", "lock"));
	assert_true(is_in("ephemeral-evil", ""));
	assert_true(is_in("web", ""));

	/* That all of them are elsewhere is a person's right. */
	snprintf(path, sizeof(path), "%s/skiff/machines", home);
	snprintf(elsewhere, sizeof(elsewhere), "%s/skiff/big", home);
	assert_int_equal(rename(path, elsewhere), 0);
	assert_int_equal(symlink("big", path), 0);
	assert_int_equal(machine_dir_open(&d, "mail", 0), 0);
	assert_int_equal(keep(&d), 0);
	machine_dir_close(&d);
	assert_true(exists("%s/skiff/big/mail/%s", "image"));
}

static void test_runs_already(void **state)
{
	struct machine_dir a, b;

	(void)state;
	assert_int_equal(machine_dir_open(&a, "web", 0), 0);
	assert_int_equal(keep(&a), 0);
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
	assert_int_equal(keep(&a), 0);
	machine_dir_close(&b);
	assert_int_equal(access(b.path, F_OK), -1);
	/* One that was killed goes with the next. */
	for (int ephemeral = 0; ephemeral < 2; ephemeral++) {
		memcpy(path, a.path, sizeof(path));
		killed(&a);
		assert_int_equal(machine_dir_open(&b, "web", ephemeral), 0);
		assert_int_equal(access(path, F_OK), -1);
		machine_dir_close(&b);
		assert_int_equal(machine_dir_open(&a, "web", 1), 0);
	}
	machine_dir_close(&a);
	assert_int_equal(access(a.path, F_OK), -1);
	assert_false(exists("%s/skiff/machines/%s", "web"));
}

static void test_damaged(void **state)
{
	static const struct {
		const char *file, *text;
	} t[] = {
		{"image", ""},
		{"image", "\n"},
		{"image", "/i"},
		{"image", "i\nraw\n"},
		{"image", "/i\nqcow2 or so\n"},
		{"image", "/i\nraw\n1\n"},
		{"image", "/i\nraw\n1 2 3\n"},
		{"image", "/i\nraw\nsmall old\n"},
		{"image", "/i\nraw\n1 2\nno name\n"},
		{"uuid", ""},
		{"uuid", "nonsense"},
		{"uuid", "00112233445566778899aabbccddeef\n"},
		{"uuid", "00112233445566778899aabbccddeeff0\n"},
		{"uuid", "0011223344556677 899aabbccddeeff\n"},
		{"user", "a b\n"},
		{"user", "a\nb\n"},
		{"user", "a\npassword\nb\n"},
		{"user", "012345678901234567890123456789012\n"},
		{"user", "0123456789012345678901234567890123456789\n"},
	};
	struct machine_dir d;

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char text[64] = "";
		FILE *f;

		assert_int_equal(machine_dir_open(&d, "web", 0), 0);
		assert_int_equal(keep(&d), 0);
		machine_dir_close(&d);
		write_file(in("web", t[i].file), t[i].text);
		said_clear();
		assert_int_equal(machine_dir_open(&d, "web", 0), -EINVAL);
		assert_int_equal(said_count(), 1);
		assert_non_null(strstr(said(), t[i].file));
		machine_dir_close(&d);
		/* It is a person's to look at. */
		f = fopen(in("web", t[i].file), "r");
		assert_non_null(f);
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
		assert_string_equal(text, t[i].text);
		assert_true(is_in("web", "image"));
		for (unsigned k = 0; k < 3; k++)
			unlink(in("web", (const char *const[]){"image", "uuid", "user"}[k]));
	}
}

/* A guest whose uuid cannot be read does not get another one. */
static void test_uuid_unreadable(void **state)
{
	struct machine_dir d;

	(void)state;
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_int_equal(keep(&d), 0);
	machine_dir_close(&d);
	assert_int_equal(rename(in("web", "uuid"), in("web", "away")), 0);
	assert_int_equal(machine_dir_open(&d, "web", 0), -EINVAL);
	assert_non_null(strstr(said(), "uuid"));
	assert_false(is_in("web", "uuid"));
	assert_int_equal(mkdir(in("web", "uuid"), 0700), 0);
	assert_int_equal(machine_dir_open(&d, "web", 0), -EISDIR);
	assert_int_equal(rmdir(in("web", "uuid")), 0);
	assert_int_equal(symlink("away", in("web", "uuid")), 0);
	assert_int_equal(machine_dir_open(&d, "web", 0), -ELOOP);
	assert_int_equal(unlink(in("web", "uuid")), 0);
	assert_int_equal(mkfifo(in("web", "uuid"), 0600), 0);
	assert_int_equal(machine_dir_open(&d, "web", 0), -EINVAL);
	assert_int_equal(said_count(), 4);
	assert_int_equal(rename(in("web", "away"), in("web", "uuid")), 0);
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	machine_dir_close(&d);
}

static void test_is_over(void **state)
{
	struct machine_dir d;
	char blob[PATH_MAX];

	(void)state;
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_int_equal(machine_dir_keep(&d, "/i", "raw", 512, 1000000001), 0);
	machine_dir_close(&d);
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_true(machine_dir_is_over(&d, "/i", 512, 1000000001));
	assert_false(machine_dir_is_over(&d, "/j", 512, 1000000001));
	assert_false(machine_dir_is_over(&d, "/i", 1024, 1000000001));
	assert_false(machine_dir_is_over(&d, "/i", 512, 1000000002));
	assert_false(machine_dir_is_over(&d, "/i", 0, 0));
	machine_dir_close(&d);

	/* Older files do not know; nor does anybody of a block device. */
	for (unsigned i = 0; i < 2; i++) {
		write_file(in("web", "image"), i ? "/i\nraw\n" : "/i\nraw\n0 0\n");
		assert_int_equal(machine_dir_open(&d, "web", 0), 0);
		assert_true(d.image_size == 0);
		assert_true(machine_dir_is_over(&d, "/i", 512, 3));
		assert_false(machine_dir_is_over(&d, "/j", 512, 3));
		machine_dir_close(&d);
	}

	/* One of the store's may be fetched again, and is the same. */
	snprintf(blob, sizeof(blob), "%s/skiff/images/blobs/sha256-0", home);
	assert_int_equal(machine_dir_open(&d, "db", 0), 0);
	assert_int_equal(machine_dir_keep(&d, blob, "raw", 512, 1), 0);
	assert_true(machine_dir_is_over(&d, blob, 512, 2));
	machine_dir_close(&d);
}

static void test_user(void **state)
{
	struct machine_dir d;

	(void)state;
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_string_equal(d.user, "");
	assert_int_equal(machine_dir_set_user(&d, "ann"), 0);
	assert_string_equal(d.user, "ann");
	assert_int_equal(keep(&d), 0);
	machine_dir_close(&d);
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_string_equal(d.user, "ann");
	assert_int_equal(said_count(), 0);
	assert_int_equal(machine_dir_set_user(&d, "a b"), -EINVAL);
	assert_int_equal(machine_dir_set_user(&d, "012345678901234567890123456789012"), -EINVAL);
	assert_int_equal(said_count(), 2);
	assert_int_equal(machine_dir_set_user(&d, "01234567890123456789012345678901"), 0);
	machine_dir_close(&d);
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_string_equal(d.user, "01234567890123456789012345678901");
	machine_dir_close(&d);
}

/* The disk is full in the middle of a file: the reason is the system's, and nothing is left. */
static void test_write_fails(void **state)
{
	struct rlimit was, few;
	struct machine_dir d;
	int r;

	(void)state;
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_int_equal(keep(&d), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	few = was;
	few.rlim_cur = 10;
	setrlimit(RLIMIT_FSIZE, &few);
	errno = 0;
	r = machine_dir_keep(&d, "/another/image", "qcow2", 512, 1);
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(said_count(), 1);
	assert_false(is_in("web", ".new"));
	assert_string_equal(d.image, "/i");
	machine_dir_close(&d);
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	assert_string_equal(d.image, "/i");
	machine_dir_close(&d);
}

static void test_long_paths(void **state)
{
	char data[PATH_MAX + 1];
	struct machine_dir d;
	size_t n = strlen(home);

	(void)state;
	assert_int_equal(machine_dir_open(&d, "web", 0), 0);
	memset(data, 'a', sizeof(data));
	data[0] = '/';
	data[PATH_MAX] = '\0';
	assert_int_equal(machine_dir_keep(&d, data, "raw", 512, 1), -ENAMETOOLONG);
	assert_int_equal(machine_dir_keep(&d, "/a\nb", "raw", 512, 1), -EINVAL);
	assert_int_equal(said_count(), 2);
	machine_dir_close(&d);

	/* One in which a machine's directory has a place, and its files have none. */
	memcpy(data, home, n);
	for (size_t i = n; i < PATH_MAX; i += 100)
		data[i] = '/';
	n = PATH_MAX - 8 - strlen("/skiff/machines");
	data[n] = '\0';
	assert_int_equal(setenv("XDG_DATA_HOME", data, 1), 0);
	for (int ephemeral = 0; ephemeral < 2; ephemeral++) {
		said_clear();
		assert_int_equal(machine_dir_open(&d, "web", ephemeral), -ENAMETOOLONG);
		assert_int_equal(said_count(), 1);
	}
}

/* XDG base directories: 0700. */
static void test_modes(void **state)
{
	static const char *const t[] = {"", "/skiff", "/skiff/machines", "/skiff/machines/web",
					"/skiff/images"};
	mode_t mask = umask(0);
	struct image_store store;
	struct machine_dir d;
	char data[PATH_MAX], path[PATH_MAX + 64];
	struct stat st;

	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		snprintf(data, sizeof(data), "%s/%u/share", home, first);
		assert_int_equal(setenv("XDG_DATA_HOME", data, 1), 0);
		if (first) {
			assert_int_equal(image_store_open(&store, 1), 0);
			image_store_close(&store);
		}
		assert_int_equal(machine_dir_open(&d, "web", 0), 0);
		for (unsigned i = 0; i < 4 + first; i++) {
			snprintf(path, sizeof(path), "%s%s", data, t[i]);
			assert_int_equal(stat(path, &st), 0);
			assert_int_equal(st.st_mode & 0777, 0700);
		}
		machine_dir_close(&d);
	}
	umask(mask);
}

/* --- many at a time -------------------------------------------------------------------------- */

#define PROCESSES 4
#define ROUNDS    400

/* Whoever has the machine is alone in it, and its directory is there. */
static int alone(const struct machine_dir *d)
{
	int fd = open(d->disk, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return 0;
	close(fd);
	return unlink(d->disk) == 0;
}

static int one_round(unsigned i)
{
	int ephemeral = i % 2 == 0, db = i % 4 == 1, r;
	struct machine_dir d;

	r = machine_dir_open(&d, db ? "db" : "web", ephemeral);
	if (r == -EBUSY && !ephemeral)
		return 0;
	if (r == 0 && !alone(&d))
		r = -EEXIST;
	if (r == 0 && d.is_new && (db || i % 8 == 0))
		r = keep(&d);
	if (r)
		fprintf(stderr, "# round %u: %d: %s\n", i, r, said());
	machine_dir_close(&d);
	return r;
}

static void test_races(void **state)
{
	char path[PATH_MAX];
	struct dirent *e;
	pid_t pid[PROCESSES];
	int status;
	DIR *list;

	(void)state;
	for (unsigned p = 0; p < PROCESSES; p++) {
		pid[p] = fork();
		assert_true(pid[p] >= 0);
		if (pid[p] == 0) {
			for (unsigned i = 0; i < ROUNDS; i++)
				if (one_round(i))
					_exit(1);
			_exit(0);
		}
	}
	for (unsigned p = 0; p < PROCESSES; p++) {
		assert_int_equal(waitpid(pid[p], &status, 0), pid[p]);
		assert_int_equal(status, 0);
	}
	snprintf(path, sizeof(path), "%s/skiff/machines", home);
	list = opendir(path);
	assert_non_null(list);
	while ((e = readdir(list)))
		assert_true(e->d_name[0] == '.' || strcmp(e->d_name, "db") == 0);
	closedir(list);
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup_teardown(test, up, scratch_home_remove)
	const struct CMUnitTest tests[] = {
		ON(test_names),           ON(test_wrong_names),   ON(test_kept),
		ON(test_not_kept),        ON(test_strange_files), ON(test_links),
		ON(test_runs_already),    ON(test_ephemeral),     ON(test_damaged),
		ON(test_uuid_unreadable), ON(test_is_over),       ON(test_user),
		ON(test_write_fails),     ON(test_long_paths),    ON(test_modes),
		ON(test_races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
