/* SPDX-License-Identifier: BSD-2-Clause */
/* The pure steps of virtio-blk: chains taken apart, requests judged. Tables, no device, no ring. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/blk_parse.h"

#define OK     VIRTIO_BLK_S_OK
#define IOERR  VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP

/* Out and in bytes of every length about the header and the status, in one piece and in two. */
static void test_parse(void **state)
{
	static uint8_t bytes[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (unsigned out = 0; out <= 20; out++)
		for (unsigned in = 0; in <= 3; in++)
			for (unsigned cut = 0; cut <= out; cut++) {
				struct iovec v[3] = {
					{bytes, cut}, {bytes + cut, out - cut}, {bytes + 40, in}};
				struct vq_chain chain = {.v = v,
							 .max = 3,
							 .out = 2,
							 .in = 1,
							 .out_len = out,
							 .in_len = in};
				struct vblk_cmd cmd;
				int r = vblk_parse(&cmd, &chain);

				assert_int_equal(r, out >= 16 && in >= 1 ? 0 : -EPROTO);
				if (r)
					continue;
				assert_int_equal(cmd.type, 0x03020100);
				assert_int_equal(cmd.sector, 0x0f0e0d0c0b0a0908);
				assert_int_equal(cmd.out.left, out - 16);
				assert_int_equal(cmd.in.left, in - 1);
				assert_ptr_equal(cmd.status, bytes + 40 + in - 1);
			}
}

static void test_judge(void **state)
{
	static const struct {
		const char *name;
		uint32_t type;
		uint64_t sector;
		uint32_t len;
		uint8_t read_only, status;
		unsigned ranges;
	} t[] = {
		{"first sector", VIRTIO_BLK_T_IN, 0, 512, 0, OK, 1},
		{"whole disk", VIRTIO_BLK_T_IN, 0, 100 * 512, 0, OK, 1},
		{"last sector", VIRTIO_BLK_T_OUT, 99, 512, 0, OK, 1},
		{"nothing at all", VIRTIO_BLK_T_IN, 0, 0, 0, OK, 0},
		{"nothing at the end", VIRTIO_BLK_T_OUT, 100, 0, 0, OK, 0},
		{"nothing past the end", VIRTIO_BLK_T_OUT, 101, 0, 0, IOERR, 0},
		{"one past the end", VIRTIO_BLK_T_IN, 100, 512, 0, IOERR, 0},
		{"two from the last", VIRTIO_BLK_T_IN, 99, 1024, 0, IOERR, 0},
		{"sector wraps bytes", VIRTIO_BLK_T_IN, UINT64_MAX / 512, 512, 0, IOERR, 0},
		{"sector wraps to 0", VIRTIO_BLK_T_IN, 1ull << 55, 512, 0, IOERR, 0},
		{"largest sector", VIRTIO_BLK_T_OUT, UINT64_MAX, 1024, 0, IOERR, 0},
		{"half a sector", VIRTIO_BLK_T_IN, 0, 511, 0, IOERR, 0},
		{"sector and a byte", VIRTIO_BLK_T_OUT, 0, 513, 0, IOERR, 0},
		{"read of read-only", VIRTIO_BLK_T_IN, 0, 512, 1, OK, 1},
		{"write of read-only", VIRTIO_BLK_T_OUT, 0, 512, 1, IOERR, 0},
		{"write of nothing, read-only", VIRTIO_BLK_T_OUT, 0, 0, 1, IOERR, 0},
		{"flush", VIRTIO_BLK_T_FLUSH, 0, 0, 0, OK, 0},
		{"flush with a sector", VIRTIO_BLK_T_FLUSH, 999, 0, 0, OK, 0},
		{"SCSI command", 2, 0, 512, 0, UNSUPP, 0},
		{"lifetime", 10, 0, 0, 0, UNSUPP, 0},
		{"secure erase", 14, 0, 16, 0, UNSUPP, 0},
		{"barrier bit", 0x80000000u, 0, 512, 0, UNSUPP, 0},
		{"all ones", UINT32_MAX, 0, 512, 0, UNSUPP, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		static uint8_t bytes[100 * 512 + 17];
		struct iovec out = {bytes, t[i].len}, in = {bytes, t[i].len};
		struct vblk_limits limits = {100, t[i].read_only, 1, 1};
		struct vblk_cmd cmd = {.type = t[i].type, .sector = t[i].sector};
		struct vblk_range range[VBLK_SEGMENTS_MAX];
		unsigned n;

		iov_init(&cmd.out, &out, 1);
		iov_init(&cmd.in, &in, 1);
		if (vblk_judge(&cmd, &limits, range, &n) != t[i].status || n != t[i].ranges)
			fail_msg("%s", t[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_judge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
