/* SPDX-License-Identifier: BSD-2-Clause */
/* KVM's binary statistics, from files that this test lays out: right, cut short and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/kvm.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/kvm_stats.h"

#define NAME_SIZE 48
#define N_DESCS   5
#define DESC_OFF  72 /* after the header and an id string */
#define STRIDE    (sizeof(struct kvm_stats_desc) + NAME_SIZE)
#define DATA_OFF  (DESC_OFF + N_DESCS * STRIDE)
#define DATA_LEN  (8 * 8)
#define FILE_LEN  (DATA_OFF + DATA_LEN)

struct file {
	struct kvm_stats_header h;
	uint8_t bytes[FILE_LEN];
};

static void put_desc(struct file *f, unsigned i, uint32_t flags, uint16_t size, uint32_t offset,
		     const char *name)
{
	struct kvm_stats_desc d = {.flags = flags, .size = size, .offset = offset};
	uint8_t *at = f->bytes + DESC_OFF + i * STRIDE;

	memcpy(at, &d, sizeof(d));
	memset(at + sizeof(d), 0, NAME_SIZE);
	memcpy(at + sizeof(d), name, strnlen(name, NAME_SIZE));
}

static void put_value(struct file *f, unsigned i, uint64_t v)
{
	memcpy(f->bytes + DATA_OFF + i * 8, &v, sizeof(v));
}

static void put_header(struct file *f)
{
	memcpy(f->bytes, &f->h, sizeof(f->h));
}

/* Like a vCPU's: counters, a histogram of three, an instant value. */
static void lay_out(struct file *f)
{
	memset(f, 0, sizeof(*f));
	f->h.name_size = NAME_SIZE;
	f->h.num_desc = N_DESCS;
	f->h.id_offset = sizeof(f->h);
	f->h.desc_offset = DESC_OFF;
	f->h.data_offset = DATA_OFF;
	put_header(f);
	put_desc(f, 0, KVM_STATS_TYPE_CUMULATIVE, 1, 0, "exits");
	put_desc(f, 1, KVM_STATS_TYPE_CUMULATIVE, 1, 8, "io_exits");
	put_desc(f, 2, KVM_STATS_TYPE_LOG_HIST, 3, 16, "halt_poll_success_hist");
	put_desc(f, 3, KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_BOOLEAN, 1, 40, "blocking");
	put_desc(f, 4, KVM_STATS_TYPE_PEAK, 1, 48, "max_mmu_rmap_size");
	put_value(f, 0, 24000);
	put_value(f, 1, UINT64_MAX);
	put_value(f, 5, 1);
	put_value(f, 6, 7);
}

static int file_of(const struct file *f, size_t len)
{
	int fd = memfd_create("stats", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, f->bytes, len), len);
	return fd;
}

static int parse(const struct file *f, size_t len, struct kvm_stats *stats)
{
	int fd = file_of(f, len);
	int r = kvm_stats_parse(stats, fd);

	if (r < 0) {
		/* What failed holds nothing, and the descriptor is still ours. */
		assert_int_equal(stats->n, 0);
		assert_int_equal(stats->fd, -1);
		assert_int_equal(kvm_stats_get(stats, "exits"), 0);
		assert_int_equal(close(fd), 0);
	}
	kvm_stats_close(stats);
	return r;
}

static void test_names_and_values(void **state)
{
	struct kvm_stats stats;
	struct file f;
	uint64_t v = 24001;
	int fd;

	(void)state;
	lay_out(&f);
	fd = file_of(&f, FILE_LEN);
	assert_int_equal(kvm_stats_parse(&stats, fd), 0);
	assert_int_equal(stats.n, 4);
	assert_int_equal(kvm_stats_get(&stats, "exits"), 24000);
	assert_true(kvm_stats_get(&stats, "io_exits") == UINT64_MAX);
	assert_int_equal(kvm_stats_get(&stats, "blocking"), 1);
	assert_int_equal(kvm_stats_get(&stats, "max_mmu_rmap_size"), 7);
	assert_int_equal(kvm_stats_get(&stats, "halt_poll_success_hist"), 0);
	assert_int_equal(kvm_stats_get(&stats, "exit"), 0);

	assert_int_equal(pwrite(fd, &v, sizeof(v), DATA_OFF), sizeof(v));
	assert_int_equal(kvm_stats_get(&stats, "exits"), 24000);
	assert_int_equal(kvm_stats_refresh(&stats), 0);
	assert_int_equal(kvm_stats_get(&stats, "exits"), 24001);

	/* A refresh that fails keeps what was read. */
	assert_int_equal(ftruncate(fd, DATA_OFF), 0);
	assert_int_equal(kvm_stats_refresh(&stats), -ENODATA);
	assert_int_equal(kvm_stats_get(&stats, "exits"), 24001);
	kvm_stats_close(&stats);
	kvm_stats_close(&stats);
}

static void test_cut_at_every_byte(void **state)
{
	/* The last value kept ends before the data block does. */
	const size_t enough = DATA_OFF + 56;
	struct kvm_stats stats;
	struct file f;

	(void)state;
	lay_out(&f);
	for (size_t len = 0; len <= FILE_LEN; len++)
		assert_int_equal(parse(&f, len, &stats), len < enough ? -ENODATA : 0);
}

static void test_hostile_headers(void **state)
{
	static const struct {
		uint32_t name_size, num_desc, desc_offset, data_offset;
		int r;
	} table[] = {
		{0, N_DESCS, DESC_OFF, DATA_OFF, -EPROTO},
		{257, N_DESCS, DESC_OFF, DATA_OFF, -EPROTO},
		{UINT32_MAX, N_DESCS, DESC_OFF, DATA_OFF, -EPROTO},
		{NAME_SIZE, 1025, DESC_OFF, DATA_OFF, -EPROTO},
		{NAME_SIZE, UINT32_MAX, DESC_OFF, DATA_OFF, -EPROTO},
		{NAME_SIZE, N_DESCS, UINT32_MAX, DATA_OFF, -ENODATA},
		{NAME_SIZE, N_DESCS, DESC_OFF, UINT32_MAX, -ENODATA},
		{NAME_SIZE, 1024, DESC_OFF, DATA_OFF, -ENODATA},
		{NAME_SIZE, 0, UINT32_MAX, UINT32_MAX, 0},
	};
	struct kvm_stats stats;
	struct file f;

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		lay_out(&f);
		f.h.name_size = table[i].name_size;
		f.h.num_desc = table[i].num_desc;
		f.h.desc_offset = table[i].desc_offset;
		f.h.data_offset = table[i].data_offset;
		put_header(&f);
		assert_int_equal(parse(&f, FILE_LEN, &stats), table[i].r);
	}
}

static void test_hostile_descriptors(void **state)
{
	static const uint32_t offsets[] = {8185, 0x10000, UINT32_MAX - 7, UINT32_MAX};
	char no_end[NAME_SIZE + 1];
	struct kvm_stats stats;
	struct file f;

	(void)state;
	for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		lay_out(&f);
		put_desc(&f, 1, KVM_STATS_TYPE_CUMULATIVE, 1, offsets[i], "io_exits");
		assert_int_equal(parse(&f, FILE_LEN, &stats), -EPROTO);
		/* A histogram is not read, wherever it says that it lies. */
		lay_out(&f);
		put_desc(&f, 2, KVM_STATS_TYPE_LINEAR_HIST, 65535, offsets[i], "hist");
		assert_int_equal(parse(&f, FILE_LEN, &stats), 0);
	}

	/* Names without an end or a beginning, and types and sizes of another day: left out. */
	lay_out(&f);
	memset(no_end, 'n', NAME_SIZE);
	no_end[NAME_SIZE] = '\0';
	put_desc(&f, 0, KVM_STATS_TYPE_CUMULATIVE, 1, 0, no_end);
	put_desc(&f, 1, KVM_STATS_TYPE_CUMULATIVE, 1, 8, "");
	put_desc(&f, 3, 0xf, 1, 40, "later");
	put_desc(&f, 4, KVM_STATS_TYPE_PEAK, 0, 48, "empty");
	assert_int_equal(kvm_stats_parse(&stats, file_of(&f, FILE_LEN)), 0);
	assert_int_equal(stats.n, 0);
	kvm_stats_close(&stats);
}

static void test_more_than_the_table_holds(void **state)
{
	enum { MANY = KVM_STATS_MAX + 10 };
	struct kvm_stats_header h = {.name_size = NAME_SIZE,
				     .num_desc = MANY,
				     .desc_offset = sizeof(h),
				     .data_offset = sizeof(h) + MANY * STRIDE};
	struct kvm_stats_desc d = {.flags = KVM_STATS_TYPE_CUMULATIVE, .size = 1};
	int fd = memfd_create("stats", MFD_CLOEXEC);
	char name[NAME_SIZE] = "counter";
	struct kvm_stats stats;

	(void)state;
	assert_int_equal(write(fd, &h, sizeof(h)), sizeof(h));
	for (unsigned i = 0; i < MANY; i++) {
		d.offset = i * 8;
		assert_int_equal(write(fd, &d, sizeof(d)), sizeof(d));
		assert_int_equal(write(fd, name, sizeof(name)), sizeof(name));
	}
	assert_int_equal(ftruncate(fd, (off_t)(h.data_offset + MANY * 8)), 0);
	assert_int_equal(kvm_stats_parse(&stats, fd), 0);
	assert_int_equal(stats.n, KVM_STATS_MAX);
	kvm_stats_close(&stats);
}

static void test_not_a_file_to_read_at(void **state)
{
	struct kvm_stats stats;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(kvm_stats_parse(&stats, ends[0]), -ESPIPE);
	assert_int_equal(kvm_stats_parse(&stats, -1), -EBADF);
	/* KVM_GET_STATS_FD is not a thing that a pipe knows: as on a kernel before 5.14. */
	assert_int_equal(kvm_stats_open(&stats, ends[0]), -EOPNOTSUPP);
	assert_int_equal(kvm_stats_refresh(&stats), 0);
	assert_int_equal(kvm_stats_get(&stats, "exits"), 0);
	kvm_stats_close(&stats);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_values),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_hostile_headers),
		cmocka_unit_test(test_hostile_descriptors),
		cmocka_unit_test(test_more_than_the_table_holds),
		cmocka_unit_test(test_not_a_file_to_read_at),
	};

	return cmocka_run_group_tests_name("kvm_stats", tests, NULL, NULL);
}
