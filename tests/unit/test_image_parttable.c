/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partition tables, right and wrong, and the marks of file systems. Those that sgdisk and mke2fs
 * make are skipped where these are not; the wrong ones are made here, byte by byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "loader/image/fs.h"
#include "loader/image/parttable.h"
#include "tests/lib/cases.h"
#include "tests/lib/fake_disk.h"
#include "tests/lib/image_rig.h"

#define SECTORS 4096u

static struct fake_disk disk;
static struct reader reader;
static struct parttable t;
static int have_tools;

static int up(void **state)
{
	(void)state;
	fake_disk_init(&disk, SECTORS * 512);
	reader = (struct reader){.blk = &disk.blk, .budget = 16 << 20};
	return 0;
}

static int down(void **state)
{
	(void)state;
	fake_disk_free(&disk);
	return 0;
}

static uint8_t *sector(uint64_t n)
{
	return disk.bytes + n * 512;
}

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void put_entry(uint64_t table, unsigned i, uint64_t first, uint64_t last)
{
	uint8_t *e = sector(table) + 128 * i;

	memset(e, 0x11, 16);
	memset(e + 16, 0x20 + (int)i, 16);
	put(e + 32, first, 8);
	put(e + 40, last, 8);
	put(e + 56, 'p', 2);
	put(e + 58, (uint64_t)'0' + i, 2);
}

static void seal(uint64_t lba, uint64_t table, uint32_t n, uint32_t size)
{
	uint8_t *h = sector(lba);

	memset(h, 0, 512);
	memcpy(h, "EFI PART", 8);
	put(h + 8, 0x10000, 4);
	put(h + 12, 92, 4);
	put(h + 24, lba, 8);
	put(h + 32, lba == 1 ? SECTORS - 1 : 1, 8);
	put(h + 72, table, 8);
	put(h + 80, n, 4);
	put(h + 84, size, 4);
	if ((uint64_t)n * size <= (SECTORS - table) * 512)
		put(h + 88, crc32(0, sector(table), n * size), 4);
	put(h + 16, crc32(0, h, 92), 4);
}

/* Three partitions; number 3 lies before number 1. */
static void make_gpt(void)
{
	uint8_t *mbr = sector(0);

	mbr[446 + 4] = 0xee;
	put(mbr + 446 + 8, 1, 4);
	put(mbr + 446 + 12, SECTORS - 1, 4);
	put(mbr + 510, 0xaa55, 2);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t table = i ? SECTORS - 33 : 2;

		put_entry(table, 0, 1024, 2047);
		put_entry(table, 2, 64, 127);
		put_entry(table, 15, 128, 128);
		seal(i ? SECTORS - 1 : 1, table, 128, 128);
	}
}

static int read_table(void)
{
	return parttable_read(&reader, &t);
}

static void assert_good(void)
{
	assert_int_equal(read_table(), 0);
	assert_int_equal(t.kind, PARTTABLE_GPT);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.part[0].number, 1);
	assert_int_equal(t.part[0].start, 1024 * 512);
	assert_int_equal(t.part[0].len, 1024 * 512);
	assert_string_equal(t.part[0].partuuid, "20202020-2020-2020-2020-202020202020");
	assert_string_equal(t.part[0].name, "p0");
	assert_int_equal(t.part[1].number, 3);
	assert_int_equal(t.part[2].number, 16);
	assert_int_equal(t.part[2].len, 512);
}

static void test_gpt(void **state)
{
	(void)state;
	make_gpt();
	assert_good();
	assert_false(t.from_backup);
	assert_false(t.dropped);
	assert_int_equal(t.reach, SECTORS * 512);
}

/* A disk that was made larger: the copy is in its middle until the guest moves it. */
static void test_gpt_with_the_copy_elsewhere(void **state)
{
	(void)state;
	make_gpt();
	put(sector(1) + 32, 3000, 8);
	put(sector(1) + 16, 0, 4);
	put(sector(1) + 16, crc32(0, sector(1), 92), 4);
	memset(sector(SECTORS - 33), 0, 33 * 512);
	assert_good();
	assert_false(t.from_backup);
	assert_int_equal(t.reach, 3001 * 512);
}

static void test_gpt_by_its_copy(void **state)
{
	(void)state;
	make_gpt();
	sector(1)[40] ^= 1;
	assert_good();
	assert_true(t.from_backup);
	assert_int_equal(t.reach, SECTORS * 512);
	make_gpt();
	sector(2)[0] ^= 1; /* the entries, and so their checksum */
	assert_good();
	assert_true(t.from_backup);
}

static void test_gpt_without_a_copy(void **state)
{
	(void)state;
	make_gpt();
	sector(1)[40] ^= 1;
	sector(SECTORS - 33)[0] ^= 1;
	assert_int_equal(read_table(), 0);
	assert_int_equal(t.kind, PARTTABLE_NONE);
	assert_int_equal(t.n, 0);
	assert_true(t.damaged);
}

static const struct {
	const char *what;
	unsigned at, bytes;
	uint64_t value;
} wrong[] = {
	{"entries of no size", 84, 4, 0},
	{"entries of 64 bytes", 84, 4, 64},
	{"entries of an odd size", 84, 4, 129},
	{"entries of 2 GiB", 84, 4, 0x80000000},
	{"no entries", 80, 4, 0},
	{"2^32 - 1 entries", 80, 4, 0xffffffff},
	{"a table that takes all memory", 80, 4, 0x02000000},
	{"a table behind the disk", 72, 8, SECTORS},
	{"a table at the end of the world", 72, 8, UINT64_MAX},
	{"a header of 91 bytes", 12, 4, 91},
	{"a header of 513 bytes", 12, 4, 513},
	{"a header of 2^32 - 1 bytes", 12, 4, 0xffffffff},
	{"a header that is elsewhere", 24, 8, 2},
};

static void test_gpt_headers_that_cannot_be(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		case_begin("%s", wrong[i].what);
		make_gpt();
		memset(sector(SECTORS - 1), 0, 512);
		put(sector(1) + wrong[i].at, wrong[i].value, wrong[i].bytes);
		put(sector(1) + 16, 0, 4);
		put(sector(1) + 16, crc32(0, sector(1), 92), 4);
		reader.budget = 16 << 20;
		CHECK(read_table() == 0);
		CHECK(t.kind == PARTTABLE_NONE && t.n == 0);
	}
}

static const struct {
	const char *what;
	uint64_t first, last;
} outside[] = {
	{"over another", 1000, 1024},
	{"over another's end", 2047, 3000},
	{"inside another", 1100, 1101},
	{"around another", 1023, 2048},
	{"the same", 1024, 2047},
	{"behind the disk", SECTORS, SECTORS},
	{"over the end", 3000, SECTORS},
	{"the wrong way round", 3001, 3000},
	{"of 2^64 bytes", 3000, UINT64_MAX},
	{"sector 0", 0, 1},
};

static void test_gpt_entries_that_cannot_be(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		case_begin("%s", outside[i].what);
		make_gpt();
		put_entry(2, 20, outside[i].first, outside[i].last);
		seal(1, 2, 128, 128);
		reader.budget = 16 << 20;
		CHECK(read_table() == 0);
		CHECK(t.kind == PARTTABLE_GPT && t.n == 3 && t.dropped);
		CHECK(t.reach >= SECTORS * 512);
	}
}

/* As many as a table may have, in entries of 256 bytes: the first 128 are taken. */
static void test_gpt_with_many_entries(void **state)
{
	(void)state;
	make_gpt();
	memset(sector(2), 0, 256 * 512);
	for (unsigned i = 0; i < 256; i++)
		put_entry(2, 2 * i, 512 + i, 512 + i);
	seal(1, 2, 256, 256);
	assert_int_equal(read_table(), 0);
	assert_int_equal(t.n, PARTS_MAX);
	assert_true(t.dropped);
	assert_int_equal(t.part[127].number, 128);
}

/* --- MBR ------------------------------------------------------------------------------------- */

static void put_mbr(uint64_t at, unsigned i, uint8_t type, uint32_t first, uint32_t n)
{
	uint8_t *e = sector(at) + 446 + 16 * i;

	e[4] = type;
	put(e + 8, first, 4);
	put(e + 12, n, 4);
	put(sector(at) + 510, 0xaa55, 2);
}

static void test_mbr(void **state)
{
	(void)state;
	put(sector(0) + 440, 0xdeadbeef, 4);
	put_mbr(0, 0, 0x83, 64, 100);
	put_mbr(0, 1, 0x05, 1000, 2000);
	put_mbr(0, 2, 0x82, 200, 100);
	put_mbr(1000, 0, 0x83, 10, 90);
	put_mbr(1000, 1, 0x05, 500, 300);
	put_mbr(1500, 0, 0x83, 10, 50);
	assert_int_equal(read_table(), 0);
	assert_int_equal(t.kind, PARTTABLE_MBR);
	assert_int_equal(t.n, 4);
	assert_int_equal(t.part[0].number, 1);
	assert_string_equal(t.part[0].partuuid, "deadbeef-01");
	assert_int_equal(t.part[1].number, 5);
	assert_int_equal(t.part[1].start, 1010 * 512);
	assert_string_equal(t.part[1].partuuid, "deadbeef-05");
	assert_int_equal(t.part[2].number, 6);
	assert_int_equal(t.part[2].start, 1510 * 512);
	assert_int_equal(t.part[3].number, 3);
	assert_string_equal(t.part[3].type, "0x82");
	assert_int_equal(t.reach, 3000 * 512);
	assert_false(t.dropped);
}

/* A chain that comes back to itself ends, and so does one that is longer than any. */
static void test_mbr_chain_in_a_circle(void **state)
{
	(void)state;
	put_mbr(0, 0, 0x05, 1000, 2000);
	put_mbr(1000, 0, 0x83, 10, 90);
	put_mbr(1000, 1, 0x05, 500, 300);
	put_mbr(1500, 0, 0x83, 10, 90);
	put_mbr(1500, 1, 0x05, 500, 300);
	assert_int_equal(read_table(), 0);
	assert_int_equal(t.n, 2);
	assert_true(t.dropped);
}

static void test_mbr_that_cannot_be(void **state)
{
	(void)state;
	put_mbr(0, 0, 0x83, 64, 0xffffffff);
	put_mbr(0, 1, 0x05, 0xffffffff, 1);
	put_mbr(0, 2, 0x83, 64, 10);
	put_mbr(0, 3, 0x83, 70, 10);
	assert_int_equal(read_table(), 0);
	assert_int_equal(t.n, 1);
	assert_true(t.dropped);
	assert_int_equal(t.reach, (64 + 0xffffffffull) * 512);
	/* Not a table but code: its flags are neither 0 nor 0x80. */
	sector(0)[446] = 0x33;
	assert_int_equal(read_table(), 0);
	assert_int_equal(t.kind, PARTTABLE_NONE);
}

/* The GPT counts; its MBR has some of the partitions, too. */
static void test_hybrid(void **state)
{
	(void)state;
	make_gpt();
	put_mbr(0, 1, 0x83, 64, 64);
	assert_good();
	/* Both headers are gone: what the MBR has is there still. */
	memset(sector(1), 0, 512);
	memset(sector(SECTORS - 1), 0, 512);
	assert_int_equal(read_table(), 0);
	assert_int_equal(t.kind, PARTTABLE_MBR);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.part[0].number, 2);
	assert_true(t.damaged);
}

static void test_disk_that_cannot_be_read(void **state)
{
	static const struct fake_fault faults[] = {{1, 0, -EIO}, {0, 0, 0}};

	(void)state;
	make_gpt();
	disk.faults = faults;
	assert_int_equal(read_table(), -EIO);
}

static void test_empty_and_tiny_disks(void **state)
{
	(void)state;
	assert_int_equal(read_table(), 0);
	assert_int_equal(t.kind, PARTTABLE_NONE);
	for (unsigned n = 1; n <= 3; n++) {
		disk.blk.size = n * 512;
		assert_int_equal(read_table(), 0);
		assert_int_equal(t.kind, PARTTABLE_NONE);
	}
	disk.blk.size = SECTORS * 512;
}

/* --- other people's tools -------------------------------------------------------------------- */

static void need_tools(void)
{
	if (!have_tools)
		skip();
}

static void load(const char *name)
{
	int fd = open(image_rig_path(name), O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);

	fake_disk_free(&disk);
	fake_disk_init(&disk, (uint64_t)size);
	assert_int_equal(pread(fd, disk.bytes, (size_t)size, 0), size);
	close(fd);
	reader = (struct reader){.blk = &disk.blk, .budget = 64 << 20};
}

static void test_sgdisk(void **state)
{
	static const char *const words[] = {"-n", "14:2048:+4M",
					    "-t", "14:ef02",
					    "-n", "15:0:+8M",
					    "-t", "15:ef00",
					    "-n", "1:0:0",
					    "-c", "1:root",
					    "-u", "1:6e4ffcfa-6d4c-4a6f-8f21-1b5b3c3d4e5f",
					    NULL};

	(void)state;
	need_tools();
	image_rig_up();
	image_rig_disk("disk", 32, words);
	load("disk");
	image_rig_down();
	assert_int_equal(read_table(), 0);
	assert_int_equal(t.kind, PARTTABLE_GPT);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.part[0].number, 1);
	assert_string_equal(t.part[0].partuuid, "6e4ffcfa-6d4c-4a6f-8f21-1b5b3c3d4e5f");
	assert_string_equal(t.part[0].name, "root");
	assert_string_equal(t.part[0].type, "0fc63daf-8483-4772-8e79-3d69d8477de4");
	assert_int_equal(t.part[1].number, 14);
	assert_int_equal(t.part[1].start, 2048 * 512);
	assert_int_equal(t.part[1].len, 4 << 20);
	assert_string_equal(t.part[1].type, "21686148-6449-6e6f-744e-656564454649");
}

static void identify(const char *name, struct fs_mark *mark)
{
	load(name);
	assert_int_equal(fs_identify(&reader, 0, disk.blk.size, mark), 0);
}

static void test_marks_of_tools(void **state)
{
	static const char uuid[] = "6e4ffcfa-6d4c-4a6f-8f21-1b5b3c3d4e5f";
	static const char *const types[] = {"ext2", "ext3", "ext4"};
	struct fs_mark mark;

	(void)state;
	need_tools();
	image_rig_up();
	for (unsigned i = 0; i < 3; i++) {
		image_rig_ext("fs", NULL, 8, types[i], "a label", uuid, NULL);
		identify("fs", &mark);
		assert_true(mark.is_ext);
		assert_string_equal(mark.type, types[i]);
		assert_int_equal(mark.bytes, 8 << 20);
		assert_string_equal(mark.label, "a label");
		assert_string_equal(mark.uuid, uuid);
	}
	image_rig_disk("blank", 1, (const char *const[]){"-o", NULL});
	assert_int_equal(
		image_rig_run("mkswap", "-L", "sw", "-U", uuid, image_rig_path("blank"), NULL), 0);
	identify("blank", &mark);
	assert_string_equal(mark.type, "swap");
	assert_string_equal(mark.label, "sw");
	assert_string_equal(mark.uuid, uuid);
	if (image_rig_run("mkfs.vfat", "--help", NULL) >= 0) {
		image_rig_ext("fat", NULL, 40, "ext2", "", NULL, NULL);
		for (unsigned bits = 12; bits <= 32; bits += bits == 12 ? 4 : 16) {
			char arg[4];

			snprintf(arg, sizeof(arg), "%u", bits);
			assert_int_equal(image_rig_run("mkfs.vfat", "-I", "-F", arg, "-n", "UEFI",
						       "-i", "1234abcd", image_rig_path("fat"),
						       NULL),
					 0);
			/* It leaves what it does not need to write, ext2's mark among it. */
			image_rig_poke("fat", 1080, "\0", 2);
			identify("fat", &mark);
			assert_string_equal(mark.type, "vfat");
			assert_string_equal(mark.label, "UEFI");
			assert_string_equal(mark.uuid, "1234-ABCD");
		}
	}
	image_rig_down();
}

static void test_marks(void **state)
{
	static const struct {
		const char *type;
		uint32_t at;
		const char *magic;
		uint32_t label, uuid;
	} marks[] = {
		{"xfs", 0, "XFSB", 108, 32},
		{"btrfs", 65600, "_BHRfS_M", 65536 + 299, 65536 + 32},
		{"LVM2_member", 512, "LABELONE", 0, 0},
		{"crypto_LUKS", 0, "LUKS\xba\xbe", 0, 0},
		{"iso9660", 32769, "CD001", 32808, 0},
		{"squashfs", 0, "hsqs", 0, 0},
	};
	struct fs_mark mark;

	(void)state;
	for (unsigned i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		case_begin("%s", marks[i].type);
		memset(disk.bytes, 0, SECTORS * 512);
		memcpy(disk.bytes + 4096 + marks[i].at, marks[i].magic, strlen(marks[i].magic));
		if (marks[i].label)
			memcpy(disk.bytes + 4096 + marks[i].label, "a\nb", 3);
		if (marks[i].uuid)
			memset(disk.bytes + 4096 + marks[i].uuid, 0xab, 16);
		CHECK(fs_identify(&reader, 4096, 1 << 20, &mark) == 0);
		CHECK(!strcmp(mark.type, marks[i].type) && !mark.is_ext);
		CHECK(!strcmp(mark.label, marks[i].label ? "a?b" : ""));
		CHECK(!strcmp(mark.uuid,
			      marks[i].uuid ? "abababab-abab-abab-abab-abababababab" : ""));
		/* A partition that ends before its mark has none. */
		CHECK(fs_identify(&reader, 4096, 512, &mark) == 0);
		CHECK(marks[i].at == 0 || !mark.type[0]);
	}
	memset(disk.bytes, 0, SECTORS * 512);
	assert_int_equal(fs_identify(&reader, 0, SECTORS * 512, &mark), 0);
	assert_string_equal(mark.type, "");
}

static void test_reader(void **state)
{
	uint8_t got[3000];

	(void)state;
	for (unsigned i = 0; i < SECTORS * 512; i++)
		disk.bytes[i] = (uint8_t)(i * 7 + i / 512);
	for (unsigned off = 500; off < 530; off++)
		for (unsigned len = 0; len < sizeof(got); len += 97) {
			reader.budget = 1 << 20;
			assert_int_equal(reader_read(&reader, off, got, len), 0);
			assert_memory_equal(got, disk.bytes + off, len);
		}
	reader.budget = 1 << 20;
	assert_int_equal(reader_read(&reader, SECTORS * 512 - 1, got, 1), 0);
	assert_int_equal(reader_read(&reader, SECTORS * 512 - 1, got, 2), -ERANGE);
	assert_int_equal(reader_read(&reader, UINT64_MAX, got, 2), -ERANGE);
	reader.budget = READER_COST + 99;
	assert_int_equal(reader_read(&reader, 0, got, 99), 0);
	assert_int_equal(reader_read(&reader, 0, got, 0), -EDQUOT);
	/* Once is for ever: else small reads would go on where a large one failed. */
	reader.budget = READER_COST + 99;
	assert_int_equal(reader_read(&reader, 0, got, 100), -EDQUOT);
	assert_int_equal(reader_read(&reader, 0, got, 1), -EDQUOT);
}

/* What could not be read is not handed out, neither in whole sectors nor in parts of one. */
static void test_reader_over_a_disk_that_fails(void **state)
{
	static const struct fake_fault faults[] = {{1, 0, -EIO}, {2, 0, -EIO}, {0}};
	uint8_t got[1024], before[1024];

	(void)state;
	memset(disk.bytes, 7, 4096);
	memset(before, 0x5a, sizeof(before));
	memcpy(got, before, sizeof(got));
	disk.faults = faults;
	assert_int_equal(reader_read(&reader, 100, got, 50), -EIO);
	assert_memory_equal(got, before, sizeof(got));
	assert_int_equal(reader_read(&reader, 512, got, 1024), -EIO);
	assert_memory_equal(got, before, sizeof(got));
	assert_int_equal(reader_read(&reader, 100, got, 50), 0);
	assert_int_equal(got[49], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reader, up, down),
		cmocka_unit_test_setup_teardown(test_reader_over_a_disk_that_fails, up, down),
		cmocka_unit_test_setup_teardown(test_gpt, up, down),
		cmocka_unit_test_setup_teardown(test_gpt_with_the_copy_elsewhere, up, down),
		cmocka_unit_test_setup_teardown(test_gpt_by_its_copy, up, down),
		cmocka_unit_test_setup_teardown(test_gpt_without_a_copy, up, down),
		cmocka_unit_test_setup_teardown(test_gpt_headers_that_cannot_be, up, down),
		cmocka_unit_test_setup_teardown(test_gpt_entries_that_cannot_be, up, down),
		cmocka_unit_test_setup_teardown(test_gpt_with_many_entries, up, down),
		cmocka_unit_test_setup_teardown(test_mbr, up, down),
		cmocka_unit_test_setup_teardown(test_mbr_chain_in_a_circle, up, down),
		cmocka_unit_test_setup_teardown(test_mbr_that_cannot_be, up, down),
		cmocka_unit_test_setup_teardown(test_hybrid, up, down),
		cmocka_unit_test_setup_teardown(test_disk_that_cannot_be_read, up, down),
		cmocka_unit_test_setup_teardown(test_empty_and_tiny_disks, up, down),
		cmocka_unit_test_setup_teardown(test_marks, up, down),
		cmocka_unit_test_setup_teardown(test_sgdisk, up, down),
		cmocka_unit_test_setup_teardown(test_marks_of_tools, up, down),
	};

	have_tools = image_rig_is_there();
	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
