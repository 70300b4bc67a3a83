/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wrong guests against virtio-blk: requests that no driver should make. Each case ends in one of
 * two ways: the request is answered with the status that the specification gives it, or the device
 * waits for a reset; and then it still does its work. The letters name the class of bug that a case
 * stands for:
 *
 *   B02 zero-length descriptors    B03 addresses outside RAM     B04 lengths
 *   B05 chains that do not parse   B11 queue numbers             B12 configuration space
 *   B14 sums past 32 bits          B17 what was not negotiated
 *
 * Rings that break and requests under way are in test_hostile_blk_flight.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/blk_rig.h"
#include "vmm/log.h"

#define OK       VIRTIO_BLK_S_OK
#define IOERR    VIRTIO_BLK_S_IOERR
#define UNSUPP   VIRTIO_BLK_S_UNSUPP
#define BROKEN   0x100u /* not a status byte: the device waits for a reset */

#define CAPACITY (BLK_RIG_BYTES / 512ull)

static unsigned cases;

static void swallow(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static int quiet(void **state)
{
	(void)state;
	log_set_sink(swallow, NULL);
	return 0;
}

static void start(struct blk_rig *rig)
{
	assert_int_equal(driver_start(&rig->drv, DRIVER_ALL, 0), 0);
}

static int up(void **state)
{
	struct blk_rig *rig = calloc(1, sizeof(*rig));

	blk_rig_up(rig, NULL);
	start(rig);
	*state = rig;
	return 0;
}

static int down(void **state)
{
	blk_rig_down(*state);
	free(*state);
	return 0;
}

static void wrong(const char *name, const char *why)
{
	fail_msg("case '%s': %s", name, why);
}

/* --- any chain, one verdict ---------------------------------------------------------------- */

/* The status byte of every request lies here, and is the last byte of the last writable segment. */
static gpa_t offer(struct blk_rig *rig, struct driver_seg *segs, unsigned n, unsigned flags)
{
	gpa_t status = 0;

	for (unsigned i = 0; i < n; i++)
		if (segs[i].write && segs[i].len && mem_at(&rig->mem, segs[i].addr, segs[i].len))
			status = segs[i].addr + segs[i].len - 1;
	if (status)
		*(uint8_t *)driver_ptr(&rig->drv, status, 1) = 0xee;
	assert_true(driver_add(&rig->drv, 0, segs, n, flags) >= 0);
	driver_kick(&rig->drv, 0);
	return status;
}

/*
 * One case: the chain is offered, the verdict compared. Afterwards the device works: at once if
 * it answered, after a reset if it broke.
 */
static void expect(struct blk_rig *rig, const char *name, struct driver_seg *segs, unsigned n,
		   unsigned verdict)
{
	struct driver_used used;
	uint64_t writable = 0;
	gpa_t status;
	int r;

	cases++;
	for (unsigned i = 0; i < n; i++)
		writable += segs[i].write ? segs[i].len : 0;
	status = offer(rig, segs, n, 0);
	r = driver_take(&rig->drv, 0, &used);
	if (verdict == BROKEN) {
		if (r != 0)
			wrong(name, "answered");
		if (!(driver_status(&rig->drv) & VIRTIO_STATUS_NEEDS_RESET))
			wrong(name, "not broken");
	} else {
		if (r != 1)
			wrong(name, "no answer");
		if (used.len > writable)
			wrong(name, "used length past the buffers");
		if (*(uint8_t *)driver_ptr(&rig->drv, status, 1) != verdict)
			wrong(name, "wrong status");
		if (!blk_rig_alive(rig))
			wrong(name, "device dead afterwards");
	}
	if (virtio_blk_in_flight(rig->vb))
		wrong(name, "something stayed in flight");
	start(rig);
	if (!blk_rig_alive(rig))
		wrong(name, "device dead after reset");
}

static gpa_t room(struct blk_rig *rig, uint32_t len)
{
	return driver_alloc(&rig->drv, len ? len : 1, 1);
}

/* B05: a header of every length, with and without a byte for the status. */
static void test_header_and_status(void **state)
{
	struct blk_rig *rig = *state;
	static const uint32_t types[] = {VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
					 VIRTIO_BLK_T_FLUSH,   VIRTIO_BLK_T_GET_ID,
					 VIRTIO_BLK_T_DISCARD, 0xffffffffu};
	static const unsigned whole[] = {OK, OK, OK, OK, OK, UNSUPP};
	char name[64];

	for (unsigned t = 0; t < 6; t++)
		for (uint32_t len = 1; len <= 16; len++)
			for (unsigned with = 0; with < 2; with++) {
				struct driver_seg segs[2] = {
					{blk_rig_header(rig, types[t], 0), len, 0},
					{room(rig, 1), 1, 1},
				};

				snprintf(name, sizeof(name), "type %x, %u header bytes, %u status",
					 types[t], len, with);
				expect(rig, name, segs, 1 + with,
				       len == 16 && with ? whole[t] : BROKEN);
			}
	for (uint32_t len = 1; len < 600; len = len * 3 + 1) {
		struct driver_seg in = {room(rig, len), len, 1};

		snprintf(name, sizeof(name), "only %u writable bytes", len);
		expect(rig, name, &in, 1, BROKEN);
	}
}

/* B02: an empty descriptor at every place of every kind of request. */
static void test_zero_length(void **state)
{
	struct blk_rig *rig = *state;
	static const struct {
		uint32_t type;
		uint32_t data;
		int write;
	} t[] = {
		{VIRTIO_BLK_T_IN, 512, 1},     {VIRTIO_BLK_T_OUT, 512, 0},
		{VIRTIO_BLK_T_FLUSH, 0, 0},    {VIRTIO_BLK_T_GET_ID, 20, 1},
		{VIRTIO_BLK_T_DISCARD, 16, 0},
	};
	char name[64];

	for (unsigned k = 0; k < 5; k++)
		for (unsigned at = 0; at < 4; at++) {
			struct driver_seg whole[3], segs[4];
			unsigned n = 0, m = 0;

			whole[n++] = (struct driver_seg){blk_rig_header(rig, t[k].type, 0), 16, 0};
			if (t[k].data)
				whole[n++] = (struct driver_seg){room(rig, t[k].data), t[k].data,
								 t[k].write};
			whole[n++] = (struct driver_seg){room(rig, 1), 1, 1};
			for (unsigned i = 0; i < n; i++) {
				if (m == at)
					segs[m++] =
						(struct driver_seg){UINT64_MAX, 0, whole[i].write};
				segs[m++] = whole[i];
			}
			if (m == n)
				segs[m++] = (struct driver_seg){0, 0, 1};
			snprintf(name, sizeof(name), "type %u, empty descriptor %u", t[k].type, at);
			expect(rig, name, segs, m, OK);
		}
	for (unsigned n = 1; n <= 64; n *= 4) {
		struct driver_seg segs[64] = {{0}};

		snprintf(name, sizeof(name), "%u empty descriptors and nothing else", n);
		expect(rig, name, segs, n, BROKEN);
	}
}

/* B03: where data and status may lie; 5 addresses by 4 lengths, as data and as status. */
static void test_addresses(void **state)
{
	struct blk_rig *rig = *state;
	const uint64_t addrs[] = {BLK_RIG_RAM - 512, BLK_RIG_RAM - 511, BLK_RIG_RAM, 1ull << 40,
				  UINT64_MAX - 511};
	const uint32_t lens[] = {1, 512, 1024, UINT32_MAX - 17};
	char name[80];

	for (unsigned a = 0; a < 5; a++)
		for (unsigned l = 0; l < 4; l++) {
			int inside = addrs[a] < BLK_RIG_RAM && lens[l] <= BLK_RIG_RAM - addrs[a];
			struct driver_seg segs[3] = {
				{blk_rig_header(rig, VIRTIO_BLK_T_IN, 0), 16, 0},
				{addrs[a], lens[l], 1},
				{room(rig, 1), 1, 1},
			};

			snprintf(name, sizeof(name), "data at %#llx + %u",
				 (unsigned long long)addrs[a], lens[l]);
			expect(rig, name, segs, 3,
			       !inside              ? BROKEN
			       : lens[l] % 512 == 0 ? OK
						    : IOERR);
			segs[0].addr = blk_rig_header(rig, VIRTIO_BLK_T_FLUSH, 0);
			segs[1] = (struct driver_seg){addrs[a], lens[l], 1};
			snprintf(name, sizeof(name), "status at %#llx + %u",
				 (unsigned long long)addrs[a], lens[l]);
			expect(rig, name, segs, 2, inside ? OK : BROKEN);
			segs[0].addr = addrs[a];
			segs[0].len = lens[l];
			segs[1] = (struct driver_seg){room(rig, 1), 1, 1};
			if (inside)
				memset(driver_ptr(&rig->drv, addrs[a], lens[l]), 0xff, lens[l]);
			snprintf(name, sizeof(name), "header at %#llx + %u",
				 (unsigned long long)addrs[a], lens[l]);
			expect(rig, name, segs, 2, inside && lens[l] >= 16 ? UNSUPP : BROKEN);
		}
}

/* B04: sectors and lengths against an oracle that counts in 128 bits. */
static void test_ranges(void **state)
{
	struct blk_rig *rig = *state;
	const uint64_t sectors[] = {
		0,          1,          CAPACITY - 1, CAPACITY,       CAPACITY + 1, UINT32_MAX,
		1ull << 54, 1ull << 55, 1ull << 63,   UINT64_MAX - 1, UINT64_MAX};
	const uint32_t lens[] = {0, 1, 511, 512, 513, 1024, BLK_RIG_BYTES, BLK_RIG_BYTES + 512};
	char name[80];

	for (unsigned type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++)
		for (unsigned s = 0; s < sizeof(sectors) / sizeof(sectors[0]); s++)
			for (unsigned l = 0; l < sizeof(lens) / sizeof(lens[0]); l++) {
				unsigned __int128 end =
					(unsigned __int128)sectors[s] * 512 + lens[l];
				int good = lens[l] % 512 == 0 && end <= BLK_RIG_BYTES;
				struct driver_seg segs[3] = {
					{blk_rig_header(rig, type, sectors[s]), 16, 0},
					{room(rig, lens[l]), lens[l], type == VIRTIO_BLK_T_IN},
					{room(rig, 1), 1, 1},
				};

				snprintf(name, sizeof(name), "%s, sector %llu, %u bytes",
					 type ? "write" : "read", (unsigned long long)sectors[s],
					 lens[l]);
				expect(rig, name, segs, 3, good ? OK : IOERR);
			}
}

/* Data where the request has none, and in the wrong direction. */
static void test_data_in_the_wrong_place(void **state)
{
	struct blk_rig *rig = *state;
	static const struct {
		const char *name;
		uint32_t type, out, in;
		unsigned verdict;
	} t[] = {
		{"read with bytes to write", VIRTIO_BLK_T_IN, 512, 512, OK},
		{"read into nothing, bytes to write", VIRTIO_BLK_T_IN, 512, 0, OK},
		{"write with room to read", VIRTIO_BLK_T_OUT, 512, 512, OK},
		{"write of nothing, room to read", VIRTIO_BLK_T_OUT, 0, 512, OK},
		{"write of an odd count, room to read", VIRTIO_BLK_T_OUT, 100, 412, IOERR},
		{"flush with bytes", VIRTIO_BLK_T_FLUSH, 4096, 0, OK},
		{"flush with room", VIRTIO_BLK_T_FLUSH, 0, 4096, OK},
		{"identity with bytes and no room", VIRTIO_BLK_T_GET_ID, 20, 0, OK},
		{"identity into 64 KiB", VIRTIO_BLK_T_GET_ID, 0, 65536, OK},
		{"discard of nothing, room", VIRTIO_BLK_T_DISCARD, 0, 16, OK},
		{"unknown with both", 77, 512, 512, UNSUPP},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct driver_seg segs[4];
		unsigned n = 0;

		segs[n++] = (struct driver_seg){blk_rig_header(rig, t[i].type, 0), 16, 0};
		if (t[i].out)
			segs[n++] = (struct driver_seg){room(rig, t[i].out), t[i].out, 0};
		if (t[i].in)
			segs[n++] = (struct driver_seg){room(rig, t[i].in), t[i].in, 1};
		segs[n++] = (struct driver_seg){room(rig, 1), 1, 1};
		expect(rig, t[i].name, segs, n, t[i].verdict);
	}
}

/* --- discard and write zeroes -------------------------------------------------------------- */

struct range_case {
	const char *name;
	uint64_t sector;
	uint32_t sectors, flags;
	unsigned discard, zeroes; /* the verdicts */
};

static void one_range(struct blk_rig *rig, const struct range_case *c, uint32_t type,
		      unsigned verdict)
{
	struct driver_seg segs[3] = {
		{blk_rig_header(rig, type, 0), 16, 0},
		{room(rig, 16), 16, 0},
		{room(rig, 1), 1, 1},
	};
	uint8_t *p = driver_ptr(&rig->drv, segs[1].addr, 16);

	memcpy(p, &c->sector, 8);
	memcpy(p + 8, &c->sectors, 4);
	memcpy(p + 12, &c->flags, 4);
	expect(rig, c->name, segs, 3, verdict);
}

static void test_erase_ranges(void **state)
{
	struct blk_rig *rig = *state;
	static const struct range_case t[] = {
		{"one sector", 0, 1, 0, OK, OK},
		{"nothing", 0, 0, 0, OK, OK},
		{"nothing at the end", CAPACITY, 0, 0, OK, OK},
		{"nothing past the end", CAPACITY + 1, 0, 0, IOERR, IOERR},
		{"whole disk", 0, CAPACITY, 0, OK, OK},
		{"whole disk and one", 0, CAPACITY + 1, 0, IOERR, IOERR},
		{"last and one", CAPACITY - 1, 2, 0, IOERR, IOERR},
		{"past the end", CAPACITY, 1, 0, IOERR, IOERR},
		{"sum wraps", UINT64_MAX, 1, 0, IOERR, IOERR},
		{"bytes wrap", 1ull << 55, 1, 0, IOERR, IOERR},
		{"count all ones", 0, UINT32_MAX, 0, IOERR, IOERR},
		{"count wraps in bytes", 0, 1u << 23, 0, IOERR, IOERR},
		{"unmap", 0, 1, 1, UNSUPP, OK},
		{"unknown flag", 0, 1, 2, UNSUPP, UNSUPP},
		{"unmap and unknown flag", 0, 1, 3, UNSUPP, UNSUPP},
		{"top flag", 0, 1, 1u << 31, UNSUPP, UNSUPP},
		{"all flags, past the end", UINT64_MAX, 1, UINT32_MAX, UNSUPP, UNSUPP},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		one_range(rig, &t[i], VIRTIO_BLK_T_DISCARD, t[i].discard);
		one_range(rig, &t[i], VIRTIO_BLK_T_WRITE_ZEROES, t[i].zeroes);
	}
}

static void test_erase_counts(void **state)
{
	struct blk_rig *rig = *state;
	static const struct {
		uint32_t bytes;
		unsigned verdict;
	} t[] = {{0, OK},  {1, IOERR}, {15, IOERR},  {16, OK},     {17, IOERR},   {31, IOERR},
		 {32, OK}, {128, OK},  {129, IOERR}, {144, IOERR}, {4096, IOERR}, {65536, IOERR}};
	char name[64];

	for (unsigned type = VIRTIO_BLK_T_DISCARD; type <= VIRTIO_BLK_T_WRITE_ZEROES; type += 2)
		for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
			struct driver_seg segs[3];
			unsigned n = 0;

			segs[n++] = (struct driver_seg){blk_rig_header(rig, type, 0), 16, 0};
			if (t[i].bytes)
				segs[n++] =
					(struct driver_seg){room(rig, t[i].bytes), t[i].bytes, 0};
			segs[n++] = (struct driver_seg){room(rig, 1), 1, 1};
			snprintf(name, sizeof(name), "type %u with %u bytes of segments", type,
				 t[i].bytes);
			expect(rig, name, segs, n, t[i].verdict);
		}
}

/* B17: what was not negotiated is not done. */
static void test_not_negotiated(void **state)
{
	struct blk_rig *rig = *state;
	static const uint32_t types[] = {VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};

	for (unsigned i = 0; i < 2; i++) {
		uint8_t seg[16] = {0, 0, 0, 0, 0, 0, 0, 0, 1};
		struct blk_ask ask = {types[i], 0, seg, 16, 0, 0, 0, 0};

		cases++;
		memset(rig->disk.bytes, 0x33, 512);
		assert_int_equal(driver_start(&rig->drv, 1ull << VIRTIO_F_VERSION_1, 0), 0);
		assert_int_equal(blk_rig_do(rig, &ask, NULL), UNSUPP);
		assert_int_equal(rig->disk.bytes[0], 0x33);
	}
}

/* §5.2.6.2: nothing changes a read-only disk (fake_disk aborts if it is even asked to). */
static void test_read_only(void **state)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_OUT,          VIRTIO_BLK_T_DISCARD,
					 VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_FLUSH,
					 VIRTIO_BLK_T_GET_ID,       VIRTIO_BLK_T_IN};
	static const unsigned verdict[] = {IOERR, UNSUPP, UNSUPP, OK, OK, OK};
	struct blk_rig rig;
	uint8_t *copy = malloc(BLK_RIG_BYTES);
	char name[64];

	(void)state;
	blk_rig_up(&rig, &(struct blk_rig_params){.read_only = 1});
	for (unsigned i = 0; i < BLK_RIG_BYTES; i++)
		rig.disk.bytes[i] = (uint8_t)(i * 31);
	start(&rig);
	for (unsigned i = 0; i < 6; i++)
		for (unsigned part = 0; part < 2; part++) {
			int in = types[i] == VIRTIO_BLK_T_IN || types[i] == VIRTIO_BLK_T_GET_ID;
			struct driver_seg segs[4] = {
				{blk_rig_header(&rig, types[i], 7), 16, 0},
				{room(&rig, 512), 256, in},
				{0, 256, in},
				{room(&rig, 1), 1, 1},
			};
			uint8_t *p = driver_ptr(&rig.drv, segs[1].addr, 512);

			segs[2].addr = segs[1].addr + 256;
			if (part == 0) { /* one valid segment, for those that take them */
				p[8] = 1;
				segs[1].len = in || types[i] == VIRTIO_BLK_T_OUT ? 256 : 8;
				segs[2].addr = segs[1].addr + segs[1].len;
				segs[2].len = segs[1].len;
			}
			memcpy(copy, rig.disk.bytes, BLK_RIG_BYTES);
			snprintf(name, sizeof(name), "read-only, type %u, form %u", types[i], part);
			cases++;
			offer(&rig, segs, 4, 0);
			assert_int_equal(*(uint8_t *)driver_ptr(&rig.drv, segs[3].addr, 1),
					 verdict[i]);
			if (memcmp(copy, rig.disk.bytes, BLK_RIG_BYTES))
				wrong(name, "the disk changed");
		}
	assert_true(rig.disk.count[BLK_READ] > 0);
	blk_rig_down(&rig);
	free(copy);
}

/* --- B14: sums ----------------------------------------------------------------------------- */

/* Many descriptors of the same 16 MiB: just under 4 GiB, and over. */
static void test_sums(void **state)
{
	struct blk_rig rig;
	char name[64];

	(void)state;
	blk_rig_up(&rig, &(struct blk_rig_params){.queue_size = 1024});
	start(&rig);
	for (unsigned write = 0; write < 2; write++)
		for (unsigned n = 250; n <= 270; n += 5) {
			uint64_t sum = (uint64_t)n << 24;
			struct driver_seg segs[300];

			segs[0] = (struct driver_seg){blk_rig_header(&rig, !write, 0), 16, 0};
			for (unsigned i = 1; i <= n; i++)
				segs[i] = (struct driver_seg){0, 1u << 24, (int)write};
			segs[n + 1] = (struct driver_seg){room(&rig, 1), 1, 1};
			snprintf(name, sizeof(name), "%s of %u times 16 MiB",
				 write ? "read" : "write", n);
			expect(&rig, name, segs, n + 2, sum + 17 > UINT32_MAX ? BROKEN : IOERR);
		}
	blk_rig_down(&rig);
}

/* A read of more than the disk is refused; many small reads of the same place are served. */
static void test_same_buffer_many_times(void **state)
{
	struct blk_rig *rig = *state;
	gpa_t data = driver_alloc(&rig->drv, 4096, 4096);
	struct driver_seg segs[64];

	segs[0] = (struct driver_seg){blk_rig_header(rig, VIRTIO_BLK_T_IN, 0), 16, 0};
	for (unsigned i = 1; i < 63; i++)
		segs[i] = (struct driver_seg){data, 4096, 1};
	segs[63] = (struct driver_seg){data + 7, 1, 1};
	expect(rig, "62 times one page, the status inside it", segs, 64, OK);
}

/* --- B12: configuration space --------------------------------------------------------------- */

static void test_config_grid(void **state)
{
	struct blk_rig *rig = *state;
	const uint32_t offs[] = {
		0,          1,          7,          8,          31,         32,        33,
		56,         57,         58,         59,         60,         61,        63,
		64,         65,         72,         255,        256,        4095,      4096,
		0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffff8, 0xfffffffc, 0xffffffff};
	const uint32_t lens[] = {1, 2, 4, 8};
	uint8_t whole[sizeof(struct vblk_config)], after[sizeof(whole)];

	driver_config_read(&rig->drv, 0, whole, sizeof(whole));
	for (unsigned o = 0; o < sizeof(offs) / sizeof(offs[0]); o++)
		for (unsigned l = 0; l < 4; l++) {
			uint8_t got[8], ones[8];

			cases++;
			memset(got, 0x5a, sizeof(got));
			memset(ones, 0xff, sizeof(ones));
			driver_config_read(&rig->drv, offs[o], got, lens[l]);
			for (uint32_t i = 0; i < lens[l]; i++) {
				uint64_t at = (uint64_t)offs[o] + i;

				assert_int_equal(got[i], at < sizeof(whole) ? whole[at] : 0);
			}
			driver_config_write(&rig->drv, offs[o], ones, lens[l]);
			driver_config_read(&rig->drv, 0, after, sizeof(after));
			assert_memory_equal(after, whole, sizeof(whole));
		}
	assert_true(blk_rig_alive(rig));
}

/* B11 */
static void test_queue_numbers(void **state)
{
	struct blk_rig *rig = *state;

	for (unsigned q = 0; q <= 65536; q++)
		driver_kick(&rig->drv, q);
	virtio_kick(virtio_blk_dev(rig->vb), UINT32_MAX);
	driver_pump(&rig->drv);
	cases += 65538;
	assert_true(blk_rig_alive(rig));
	/* They count as one here. */
	cases -= 65537;
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(test_header_and_status),
		RIGGED(test_zero_length),
		RIGGED(test_addresses),
		RIGGED(test_ranges),
		RIGGED(test_data_in_the_wrong_place),
		RIGGED(test_erase_ranges),
		RIGGED(test_erase_counts),
		RIGGED(test_not_negotiated),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_sums),
		RIGGED(test_same_buffer_many_times),
		RIGGED(test_config_grid),
		RIGGED(test_queue_numbers),
	};
	int r = cmocka_run_group_tests(tests, quiet, NULL);

	printf("test_hostile_blk: %u cases\n", cases);
	return r;
}
