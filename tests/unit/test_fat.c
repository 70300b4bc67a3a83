/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drives loader/fat.h. Whether it is a file system is for others to say: fsck.vfat finds nothing to
 * mend, blkid reads the label, mtools give back what went in.
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
#include <unistd.h>

#include "loader/fat.h"
#include "tests/lib/cases.h"
#include "tests/lib/said.h"
#include "tests/lib/tool.h"

#define FILES_MAX FAT_FILES_MAX

static char temp[] = "/tmp/skiff-fat-XXXXXX", image[64], copy[64];
static char out[8192];

static void *noise(size_t len, unsigned seed)
{
	uint8_t *p = malloc(len ? len : 1);

	assert_non_null(p);
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		p[i] = (uint8_t)(seed >> 16);
	}
	return p;
}

static int create(void)
{
	int fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void check_file(const struct fat_file *f)
{
	char from[128];
	struct stat st;
	char *back;
	int fd;

	snprintf(from, sizeof(from), "::%s", f->name);
	if (tool_run(out, sizeof(out), "mcopy", "-n", "-o", "-i", image, from, copy, NULL) != 0)
		fail_msg("%s: mcopy %s: %s", case_name(), from, out);
	fd = open(copy, O_RDONLY);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	CHECK((size_t)st.st_size == f->len);
	back = malloc(f->len + 1);
	CHECK(read(fd, back, f->len) == (ssize_t)f->len);
	CHECK(f->len == 0 || memcmp(back, f->data, f->len) == 0);
	free(back);
	close(fd);
	unlink(copy);
}

/* Writes it and lets the tools judge; @version is what blkid is to say. */
static void check_image(const struct fat_params *p, const char *version)
{
	char want[64];
	int fd = create();
	struct stat st;

	CHECK(fat_write(p, fd) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size % 512 == 0);
	close(fd);
	if (tool_run(out, sizeof(out), "fsck.vfat", "-n", "-v", image, NULL) != 0)
		fail_msg("%s: fsck.vfat: %s", case_name(), out);
	CHECK(tool_run(out, sizeof(out), "blkid", "-p", "-o", "export", image, NULL) == 0);
	CHECK(strstr(out, "\nTYPE=vfat\n"));
	snprintf(want, sizeof(want), "\nLABEL=%s\n", p->label);
	CHECK(strstr(out, want));
	snprintf(want, sizeof(want), "\nLABEL_FATBOOT=%s\n", p->label);
	CHECK(strstr(out, want));
	snprintf(want, sizeof(want), "\nVERSION=%s\n", version);
	CHECK(strstr(out, want));
	for (unsigned i = 0; i < p->n; i++)
		check_file(&p->files[i]);
}

/* Around one cluster, around the least of them, around FAT12's most and FAT16's, and its sizes. */
static void every_size_comes_back(void **state)
{
	static const struct {
		size_t len[FILES_MAX];
		unsigned n;
		const char *version;
	} cases[] = {
		{{0}, 0, "FAT12"},
		{{0}, 1, "FAT12"},
		{{1}, 1, "FAT12"},
		{{511}, 1, "FAT12"},
		{{512}, 1, "FAT12"},
		{{513}, 1, "FAT12"},
		{{0, 0, 0, 0}, 4, "FAT12"},
		{{0, 1, 0, 512, 0, 1024, 513, 0, 3}, 9, "FAT12"},
		{{16 * 512 - 1}, 1, "FAT12"},
		{{16 * 512}, 1, "FAT12"},
		{{16 * 512 + 1}, 1, "FAT12"},
		{{340 * 512, 1}, 2, "FAT12"}, /* the last entry of a FAT's sector, and the next */
		{{341 * 512, 1}, 2, "FAT12"},
		{{4068 * 512, 1}, 2, "FAT12"},
		{{4069 * 512}, 1, "FAT12"},
		{{4069 * 512 + 1}, 1, "FAT16"},
		{{4085 * 512}, 1, "FAT16"},
		{{4101 * 512}, 1, "FAT16"},
		{{4101 * 512, 1}, 2, "FAT16"},
		{{65000 * 512, 100}, 2, "FAT16"}, /* sectors are counted in 16 bits, just */
		{{65400 * 512, 5}, 2, "FAT16"},   /* and in 32 */
		{{65509 * 512}, 1, "FAT16"},      /* the last with clusters of 512 bytes */
		{{65509 * 512, 1}, 2, "FAT16"},   /* the first with clusters of 1 KiB */
		{{(16 << 20), 0, (16 << 20), (16 << 20), (16 << 20)}, 5, "FAT16"},
	};
	static const char *const names[FILES_MAX] = {
		"user-data", "meta-data", "vendor-data", "network-config", "A.TXT", "readme",
		"a.b.c.d",   "FILE8888",  "x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fat_file files[FILES_MAX];
		struct fat_params p = {"CIDATA", 0x12345678, files, cases[i].n};

		case_begin("case %zu: %u files, first %zu", i, cases[i].n, cases[i].len[0]);
		for (unsigned j = 0; j < cases[i].n; j++) {
			files[j].name = names[j];
			files[j].len = cases[i].len[j];
			files[j].data = noise(files[j].len, (unsigned)i * 16 + j);
		}
		check_image(&p, cases[i].version);
		for (unsigned j = 0; j < cases[i].n; j++)
			free((void *)files[j].data);
	}
}

static void names_of_every_length_are_found(void **state)
{
	static const char stem[] =
		"abcdefghijklmnopqrstuvwxyz0123456789-_ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	(void)state;
	for (size_t len = 1; len <= FAT_NAME_MAX; len++) {
		char a[FAT_NAME_MAX + 1], b[FAT_NAME_MAX + 1];
		/* Two whose first letters are the same, as are their short names but for a number.
		 */
		struct fat_file files[] = {{a, "one", 3}, {b, "two!", 4}};
		struct fat_params p = {"L-1_9", 1, files, len > 2 ? 2 : 1};

		case_begin("names of %zu", len);
		snprintf(a, sizeof(a), "%.*s", (int)len, stem);
		snprintf(b, sizeof(b), "%.*s", (int)len, stem);
		b[len - 1] = 'Z';
		if (len == FAT_NAME_MAX)
			b[len - 1] = 'y';
		if (len > 8)
			a[len - 4] = '.';
		check_image(&p, "FAT12");
	}
}

static void the_listing_shows_names_as_given(void **state)
{
	struct fat_file files[] = {
		{"user-data", "u", 1}, {"network-config", "n", 1}, {"Mixed.Case.yaml", "m", 1}};
	struct fat_params p = {"CIDATA", 0xdeadbeef, files, 3};

	(void)state;
	case_begin("listing");
	check_image(&p, "FAT12");
	CHECK(tool_run(out, sizeof(out), "mdir", "-i", image, "::", NULL) == 0);
	CHECK(strstr(out, "CIDATA"));
	CHECK(strstr(out, "DEAD-BEEF"));
	CHECK(strstr(out, "1980-01-01"));
	CHECK(strstr(out, "USER-D~1") && strstr(out, " user-data"));
	CHECK(strstr(out, "NETWOR~2") && strstr(out, " network-config"));
	CHECK(strstr(out, "MIXEDC~3 YAM") && strstr(out, " Mixed.Case.yaml"));
}

static void the_same_input_is_the_same_image(void **state)
{
	struct fat_file files[] = {{"user-data", "#cloud-config\n", 14}};
	uint8_t a[65536] = {0}, b[65536] = {0};
	ssize_t n[2];
	unsigned differ = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct fat_params p = {"CIDATA", i < 2 ? 7 : 0x01020307, files, 1};
		int fd = create();

		assert_int_equal(fat_write(&p, fd), 0);
		n[i & 1] = pread(fd, i & 1 ? b : a, sizeof(a), 0);
		close(fd);
		if (i > 0)
			assert_int_equal(n[0], n[1]);
		if (i == 1)
			assert_memory_equal(a, b, sizeof(a));
	}
	for (size_t i = 0; i < sizeof(a); i++)
		differ += a[i] != b[i];
	assert_int_equal(differ, 3);
}

static void what_it_cannot_hold_is_refused(void **state)
{
	static const struct {
		const char *label, *names[2], *says;
	} cases[] = {
		{"", {"a"}, "label"},
		{"cidata", {"a"}, "label \"cidata\""},
		{"TWELVE-CHARS", {"a"}, "1 to 11"},
		{"A B", {"a"}, "label"},
		{"L", {""}, "file \"\""},
		{"L", {"."}, "file \".\""},
		{"L", {".."}, "file \"..\""},
		{"L", {".hidden"}, "hidden"},
		{"L", {"end."}, "end."},
		{"L", {"a/b"}, "a/b"},
		{"L", {"a\\b"}, "a\\b"},
		{"L", {"a b"}, "a b"},
		{"L", {"a\"b"}, "a\"b"},
		{"L", {"a~1"}, "a~1"},
		{"L", {"a\nb"}, "a?b"},
		{"L", {"\xc3\xa4"}, "??"},
		{"L", {"a", "a"}, "two of this name"},
		{"L", {"user-data", "USER-data"}, "two of this name"},
	};
	char longer[FAT_NAME_MAX + 2];
	struct fat_file files[FAT_FILES_MAX + 1] = {{longer, "", 0}};
	struct fat_params p = {"L", 0, files, 1};
	int fd = create();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fat_file two[] = {{cases[i].names[0], "", 0}, {cases[i].names[1], "", 0}};
		struct fat_params q = {cases[i].label, 0, two, cases[i].names[1] ? 2 : 1};

		case_begin("case %zu", i);
		said_clear();
		CHECK(fat_write(&q, fd) == -EINVAL);
		CHECK(said_count() == 1);
		CHECK(strstr(said(), cases[i].says));
	}
	case_begin("long name");
	memset(longer, 'n', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CHECK(fat_write(&p, fd) == -EINVAL);
	case_begin("many files");
	p.n = FAT_FILES_MAX + 1;
	CHECK(fat_write(&p, fd) == -EINVAL);
	case_begin("large files");
	/* Never looked at: their sizes alone are too much. */
	files[0] = (struct fat_file){"a", NULL, (size_t)2 << 30};
	p.n = 1;
	CHECK(fat_write(&p, fd) == -EFBIG);
	files[0].len = SIZE_MAX;
	CHECK(fat_write(&p, fd) == -EFBIG);
	CHECK(lseek(fd, 0, SEEK_END) == 0);
	close(fd);
}

static void a_failed_write_is_said(void **state)
{
	struct fat_file files[] = {{"user-data", "#cloud-config\n", 14}};
	struct fat_params p = {"CIDATA", 7, files, 1};
	struct rlimit limit, small;
	int full = open("/dev/full", O_RDWR), fd = create();

	(void)state;
	said_clear();
	assert_true(full >= 0);
	assert_int_equal(fat_write(&p, full), -ENOSPC);
	assert_int_equal(said_count(), 1);
	assert_non_null(strstr(said(), "No space left on device"));
	close(full);
	said_clear();
	assert_int_equal(fat_write(&p, full), -EBADF);
	assert_int_equal(said_count(), 1);

	/* At every byte where a limit may lie: the write, the file's own, the end. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	for (rlim_t at = 0; at < 18 * 512; at += 512) {
		small = limit;
		small.rlim_cur = at;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		said_clear();
		assert_int_equal(fat_write(&p, fd), -EFBIG);
		assert_int_equal(said_count(), 1);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	}
	assert_int_equal(fat_write(&p, fd), 0);
	close(fd);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(temp))
		return -1;
	snprintf(image, sizeof(image), "%s/image", temp);
	snprintf(copy, sizeof(copy), "%s/copy", temp);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(image);
	unlink(copy);
	return rmdir(temp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_comes_back),
		cmocka_unit_test(names_of_every_length_are_found),
		cmocka_unit_test(the_listing_shows_names_as_given),
		cmocka_unit_test(the_same_input_is_the_same_image),
		cmocka_unit_test(what_it_cannot_hold_is_refused),
		cmocka_unit_test(a_failed_write_is_said),
	};

	if (!tool_is_there("fsck.vfat") || !tool_is_there("mcopy") || !tool_is_there("blkid")) {
		printf("fsck.vfat, mcopy or blkid is missing; run tests/deps test\n");
		return 77;
	}
	said_start();
	return cases_report(cmocka_run_group_tests(tests, set_up, tear_down));
}
