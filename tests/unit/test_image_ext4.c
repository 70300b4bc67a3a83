/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of ext4 file systems that mke2fs makes: paths, links, contents of all kinds of layout; and
 * file systems that are damaged or meant to do harm. Skipped where the tools are not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/image/ext4.h"
#include "tests/lib/cases.h"
#include "tests/lib/image_rig.h"

#define BIG    (3u << 20)
#define PLAIN  "^metadata_csum,^has_journal" /* bytes may be changed without a checksum */
#define BUDGET (256u << 20)

static struct reader reader;
static struct ext4 *fs;

static int up(void **state)
{
	(void)state;
	image_rig_up();
	return 0;
}

static void shut(void)
{
	ext4_close(fs);
	fs = NULL;
	if (reader.blk)
		reader.blk->ops->close(reader.blk);
	reader.blk = NULL;
}

static int down(void **state)
{
	(void)state;
	shut();
	image_rig_down();
	return 0;
}

static int open_fs(const char *name)
{
	int fd = open(image_rig_path(name), O_RDONLY | O_CLOEXEC);

	shut();
	assert_int_equal(reader_open_chain(&(struct reader_file){fd, name, 0}, 1, &reader.blk), 0);
	reader.budget = BUDGET;
	return ext4_open(&reader, 0, reader.blk->size, &fs);
}

static int copy_of(const char *path, uint8_t **bytes, size_t *len)
{
	int fd = memfd_create("copy", MFD_CLOEXEC), r;
	struct ext4_file file;
	struct stat st;

	r = ext4_find(fs, path, &file);
	if (r == 0)
		r = ext4_copy(fs, &file, fd, 0);
	assert_int_equal(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	*bytes = malloc(*len + 1);
	assert_int_equal(pread(fd, *bytes, *len, 0), *len);
	close(fd);
	return r;
}

static void assert_same(const char *path, const char *host)
{
	size_t len, want;
	uint8_t *got, *model;
	int fd = open(image_rig_path(host), O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);

	want = (size_t)size;
	model = malloc(want + 1);
	assert_int_equal(pread(fd, model, want, 0), want);
	close(fd);
	CHECK(copy_of(path, &got, &len) == 0);
	CHECK(len == want);
	CHECK(!memcmp(got, model, len));
	free(got);
	free(model);
}

/* Data, a hole, data, and a hole at the end. */
static void make_sparse(const char *name)
{
	image_rig_bytes(name, 7, 5000);
	image_rig_poke(name, 1000000, "in the middle", 13);
	assert_int_equal(truncate(image_rig_path(name), 3000001), 0);
}

static const char *const layouts[][2] = {
	{"ext4", NULL},
	{"ext4", "^64bit"},
	{"ext4", "^metadata_csum,^64bit"},
	{"ext4", "^extents,^64bit"},
	{"ext4", "inline_data"},
	{"ext4", "bigalloc"},
	{"ext4", "^has_journal,meta_bg,^resize_inode"},
	{"ext3", NULL},
	{"ext2", NULL},
	{"ext2", "^dir_index,^filetype"},
};

static void test_contents_in_all_layouts(void **state)
{
	(void)state;
	image_rig_bytes("d/big", 1, BIG + 17);
	image_rig_bytes("d/dir/block", 2, 4096);
	image_rig_text("d/small", "a few bytes");
	image_rig_text("d/empty", "");
	make_sparse("d/sparse");
	for (unsigned i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		char *text;
		int err;

		case_begin("%s %s", layouts[i][0], layouts[i][1] ? layouts[i][1] : "");
		image_rig_ext("fs", "d", 32, layouts[i][0], "L", NULL, layouts[i][1]);
		CHECK(open_fs("fs") == 0);
		CHECK(!ext4_needs_recovery(fs));
		assert_same("/big", "d/big");
		assert_same("/dir/block", "d/dir/block");
		assert_same("/small", "d/small");
		/* With inline data mke2fs 1.47 makes a sparse file shorter than it is. */
		if (!layouts[i][1] || strcmp(layouts[i][1], "inline_data") != 0)
			assert_same("/sparse", "d/sparse");
		assert_same("/empty", "d/empty");
		text = ext4_read_text(fs, "/small", 11, &err);
		CHECK(text && !strcmp(text, "a few bytes"));
		free(text);
		CHECK(!ext4_read_text(fs, "/small", 10, &err) && err == -EFBIG);
	}
}

static const struct {
	const char *path, *at;
	int err;
} paths[] = {
	{"/boot/vmlinuz-1", "/boot/vmlinuz-1", 0},
	{"boot//./vmlinuz-1", "/boot/vmlinuz-1", 0},
	{"/boot/../boot/vmlinuz-1", "/boot/vmlinuz-1", 0},
	{"/vmlinuz", "/boot/vmlinuz-1", 0},
	{"/boot/vmlinuz", "/boot/vmlinuz-1", 0},
	{"/absolute", "/boot/vmlinuz-1", 0},
	{"/out", "/boot/vmlinuz-1", 0}, /* ../../../boot/...: the root's parent is the root */
	{"/chain", "/boot/vmlinuz-1", 0},
	{"/b/vmlinuz", "/boot/vmlinuz-1", 0}, /* a link to a directory on the way */
	{"/long", "/boot/vmlinuz-1", 0},
	{"/host", "", -ENOENT}, /* /etc/passwd of this file system, not of the host */
	{"/loop", "", -ELOOP},
	{"/loop/x", "", -ELOOP},
	{"/ping", "", -ELOOP},
	{"/self/self/self/boot/vmlinuz-1", "/boot/vmlinuz-1", 0},
	{"/grows", "", -ELOOP},
	{"/dangling", "", -ENOENT},
	{"/nothing", "", -ENOENT},
	{"/boot", "", -EISDIR},
	{"/", "", -EISDIR},
	{"", "", -EISDIR},
	{"/boot/vmlinuz-1/x", "", -ENOTDIR},
};

static void test_paths_and_links(void **state)
{
	char target[600] = "", path[9000];
	struct ext4_file file;

	(void)state;
	image_rig_text("d/boot/vmlinuz-1", "kernel");
	image_rig_link("d/vmlinuz", "boot/vmlinuz-1");
	image_rig_link("d/boot/vmlinuz", "vmlinuz-1");
	image_rig_link("d/absolute", "/boot/vmlinuz-1");
	image_rig_link("d/out", "../../../boot/vmlinuz-1");
	image_rig_link("d/chain", "vmlinuz");
	image_rig_link("d/b", "boot");
	image_rig_link("d/host", "../../../../../etc/passwd");
	image_rig_link("d/loop", "loop");
	image_rig_link("d/ping", "pong");
	image_rig_link("d/pong", "ping");
	image_rig_link("d/self", ".");
	image_rig_link("d/grows", "grows/grows");
	image_rig_link("d/dangling", "/no/such/file");
	/* Too long for the inode. */
	for (unsigned i = 0; i < 50; i++)
		strncat(target, "boot/../", sizeof(target) - strlen(target) - 1);
	strncat(target, "vmlinuz", sizeof(target) - strlen(target) - 1);
	image_rig_link("d/long", target);
	image_rig_ext("fs", "d", 8, "ext4", "L", NULL, NULL);
	assert_int_equal(open_fs("fs"), 0);
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		case_begin("%s", paths[i].path);
		CHECK(ext4_find(fs, paths[i].path, &file) == paths[i].err);
		CHECK(paths[i].err || !strcmp(file.path, paths[i].at));
		CHECK(paths[i].err || file.size == 6);
	}
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ext4_find(fs, path, &file), -ENAMETOOLONG);
	path[300] = '\0';
	assert_int_equal(ext4_find(fs, path, &file), -ENAMETOOLONG);
}

static unsigned listed;

static int count_name(void *arg, const char *name)
{
	listed++;
	return arg && !strcmp(name, arg);
}

static void test_directories(void **state)
{
	char name[32], all = 0;

	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "d/many/file-%u", i);
		image_rig_text(name, "");
	}
	image_rig_ext("fs", "d", 16, "ext4", "L", NULL, NULL);
	assert_int_equal(open_fs("fs"), 0);
	listed = 0;
	assert_int_equal(ext4_list(fs, "/many", count_name, &all), 0);
	assert_int_equal(listed, 500);
	listed = 0;
	assert_int_equal(ext4_list(fs, "/many", count_name, "file-7"), 0);
	assert_in_range(listed, 1, 499);
	assert_int_equal(ext4_list(fs, "/many/file-1", count_name, NULL), -ENOTDIR);
	assert_int_equal(ext4_list(fs, "/none", count_name, NULL), -ENOENT);
}

static void test_a_journal_that_was_not_replayed(void **state)
{
	uint8_t super[1024];
	int fd;

	(void)state;
	image_rig_text("d/x", "y");
	image_rig_ext("fs", "d", 16, "ext4", "L", NULL, "^metadata_csum");
	fd = open(image_rig_path("fs"), O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, super, sizeof(super), 1024), sizeof(super));
	super[96] |= 4; /* INCOMPAT_RECOVER */
	assert_int_equal(pwrite(fd, super, sizeof(super), 1024), sizeof(super));
	close(fd);
	assert_int_equal(open_fs("fs"), 0);
	assert_true(ext4_needs_recovery(fs));
	assert_same("/x", "d/x");
}

/* --- damaged, or meant so -------------------------------------------------------------------- */

static const struct {
	const char *what;
	uint32_t at, bytes;
	uint64_t value;
} supers[] = {
	{"2^32 - 1 blocks", 4, 4, 0xffffffff},
	{"no blocks", 4, 4, 0},
	{"blocks of 2^42 bytes", 24, 4, 32},
	{"blocks of 2^31 bytes", 24, 4, 21},
	{"one block a group", 32, 4, 1},
	{"no block a group", 32, 4, 0},
	{"no inodes a group", 40, 4, 0},
	{"2^32 - 1 inodes a group", 40, 4, 0xffffffff},
	{"inodes of no size", 88, 2, 0},
	{"inodes of 65535 bytes", 88, 2, 65535},
	{"a feature from the future", 96, 4, 0x80000042},
	{"descriptors of 8 bytes", 0xfe, 2, 8},
	{"descriptors of 65535 bytes", 0xfe, 2, 65535},
	{"first block far away", 20, 4, 0xfffffff0},
	{"a revision from the future", 76, 4, 1000},
	{"meta groups far away", 0x104, 4, 0xffffffff},
};

static void test_superblocks_that_cannot_be(void **state)
{
	struct ext4_file file;

	(void)state;
	image_rig_text("d/x", "y");
	for (unsigned i = 0; i < sizeof(supers) / sizeof(supers[0]); i++) {
		int r;

		case_begin("%s", supers[i].what);
		image_rig_ext("fs", "d", 8, "ext4", "L", NULL, PLAIN);
		image_rig_poke("fs", 1024 + supers[i].at, &supers[i].value, supers[i].bytes);
		r = open_fs("fs");
		/* Refused, or harmless. */
		CHECK(r <= 0);
		if (r == 0)
			CHECK(ext4_find(fs, "/x", &file) <= 0);
		CHECK(reader.budget > BUDGET / 2);
	}
}

static void test_images_that_were_cut_short(void **state)
{
	(void)state;
	image_rig_bytes("d/big", 1, BIG);
	for (unsigned kib = 4; kib < 8192; kib = kib * 3 / 2 / 4 * 4 + 4) {
		case_begin("%u KiB", kib);
		image_rig_ext("fs", "d", 8, "ext4", "L", NULL, NULL);
		assert_int_equal(truncate(image_rig_path("fs"), (off_t)kib << 10), 0);
		CHECK(open_fs("fs") == -ENODATA);
	}
}

/* Where in the image the inode of the only file is: it has its size twice in a row nowhere else. */
static uint64_t find_inode(const char *name, uint32_t size)
{
	int fd = open(image_rig_path(name), O_RDONLY | O_CLOEXEC);
	uint8_t inode[256];
	uint64_t at, found = 0;

	for (at = 0; pread(fd, inode, sizeof(inode), (off_t)at) == sizeof(inode); at += 256) {
		uint32_t mode = inode[0] | (uint32_t)inode[1] << 8, got;

		memcpy(&got, inode + 4, 4);
		if ((mode & 0xf000) == 0x8000 && got == size && inode[40] == 0x0a &&
		    inode[41] == 0xf3)
			found = at;
	}
	close(fd);
	assert_true(found);
	return found;
}

static const struct {
	const char *what;
	uint32_t at, bytes; /* in the inode */
	uint64_t value;
} inodes[] = {
	{"a size of 2^63", 108, 4, 0x80000000},
	{"a size of 2^48", 108, 4, 0x10000},
	{"an extent behind the disk", 40 + 12 + 8, 4, 0xfffffff0},
	{"an extent far behind the disk", 40 + 12 + 6, 2, 0xffff},
	{"an extent of 65535 blocks", 40 + 12 + 4, 2, 0xffff},
	{"an extent that begins late", 40 + 12, 4, 0xffffff00},
	{"65535 extents", 42, 2, 0xffff},
	{"no room for extents", 44, 2, 0},
	{"a tree of depth 5", 46, 2, 5},
	{"a tree of depth 65535", 46, 2, 0xffff},
	{"no magic", 40, 2, 0},
	{"a block map", 32, 4, 0},
	{"inline data", 32, 4, 0x10080000},
};

static void test_inodes_that_cannot_be(void **state)
{
	(void)state;
	image_rig_bytes("d/big", 1, BIG);
	for (unsigned i = 0; i < sizeof(inodes) / sizeof(inodes[0]); i++) {
		uint8_t *bytes;
		uint64_t at;
		size_t len;
		int r;

		case_begin("%s", inodes[i].what);
		image_rig_ext("fs", "d", 8, "ext4", "L", NULL, PLAIN);
		at = find_inode("fs", BIG);
		image_rig_poke("fs", at + inodes[i].at, &inodes[i].value, inodes[i].bytes);
		CHECK(open_fs("fs") == 0);
		if (inodes[i].at == 108) {
			/* Judged by whoever copies; here only looked for. */
			struct ext4_file file;

			CHECK(ext4_find(fs, "/big", &file) == 0 && file.size > 1ull << 40);
			continue;
		}
		r = copy_of("/big", &bytes, &len);
		CHECK(r <= 0 && len <= BIG);
		free(bytes);
	}
}

/* The tree's second level is the tree's first: the reader's budget is what ends it. */
static void test_extents_in_a_circle(void **state)
{
	uint8_t node[4096] = {0}, *bytes;
	uint16_t entries = 4;
	uint32_t block = 0;
	uint64_t at;
	size_t len;

	(void)state;
	image_rig_bytes("d/big", 1, BIG);
	image_rig_ext("fs", "d", 8, "ext4", "L", NULL, PLAIN);
	at = find_inode("fs", BIG);
	/* An index node in the file's own first block, which leads to itself. */
	memcpy(node, "\x0a\xf3\x04\x00\x04\x00\x04\x00", 8);
	for (unsigned i = 0; i < entries; i++)
		memcpy(node + 12 + 12 * i, (uint32_t[]){i, 700, 0}, 12);
	block = 700;
	image_rig_poke("fs", (uint64_t)block * 4096, node, sizeof(node));
	node[6] = 5;
	image_rig_poke("fs", at + 40, node, 60);
	assert_int_equal(open_fs("fs"), 0);
	assert_true(copy_of("/big", &bytes, &len) < 0);
	free(bytes);
}

/* The root is no directory but a link, a file, a device. */
static void test_roots_that_cannot_be(void **state)
{
	static const char *const modes[] = {"sif <2> mode 0120777", "sif <2> mode 0100644",
					    "sif <2> mode 0060644", "sif <2> mode 0"};
	struct ext4_file file;

	(void)state;
	image_rig_text("d/x", "y");
	for (unsigned i = 0; i < 4; i++) {
		case_begin("%s", modes[i]);
		image_rig_ext("fs", "d", 8, "ext4", "L", NULL, NULL);
		CHECK(image_rig_run("debugfs", "-w", "-R", modes[i], image_rig_path("fs"), NULL) ==
		      0);
		CHECK(open_fs("fs") == 0);
		CHECK(ext4_list(fs, "/", count_name, NULL) == -EUCLEAN);
		CHECK(ext4_find(fs, "/", &file) == -EUCLEAN);
		CHECK(ext4_find(fs, "/.", &file) == -EUCLEAN);
		CHECK(ext4_find(fs, "/x/", &file) <= 0);
	}
}

static void test_reading_without_an_end(void **state)
{
	uint8_t *bytes;
	size_t len;

	(void)state;
	image_rig_bytes("d/big", 1, BIG);
	image_rig_ext("fs", "d", 8, "ext4", "L", NULL, NULL);
	assert_int_equal(open_fs("fs"), 0);
	reader.budget = BIG / 2;
	assert_int_equal(copy_of("/big", &bytes, &len), -EDQUOT);
	free(bytes);
	reader.budget = 0;
	assert_int_equal(ext4_list(fs, "/", count_name, NULL), -EDQUOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_contents_in_all_layouts, up, down),
		cmocka_unit_test_setup_teardown(test_paths_and_links, up, down),
		cmocka_unit_test_setup_teardown(test_directories, up, down),
		cmocka_unit_test_setup_teardown(test_a_journal_that_was_not_replayed, up, down),
		cmocka_unit_test_setup_teardown(test_superblocks_that_cannot_be, up, down),
		cmocka_unit_test_setup_teardown(test_images_that_were_cut_short, up, down),
		cmocka_unit_test_setup_teardown(test_inodes_that_cannot_be, up, down),
		cmocka_unit_test_setup_teardown(test_extents_in_a_circle, up, down),
		cmocka_unit_test_setup_teardown(test_roots_that_cannot_be, up, down),
		cmocka_unit_test_setup_teardown(test_reading_without_an_end, up, down),
	};

	if (!image_rig_is_there())
		return 77;
	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
