/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives devices/net/netd/window.h with frames of TCP and of other things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/net/csum.h"
#include "devices/net/netd/window.h"

#define ETH 14

/* A TCP frame with @window and some bytes behind it, its checksum as a sender makes it. */
static size_t make(uint8_t *f, int v6, uint16_t window)
{
	size_t head = v6 ? 40 : 20, tcp = ETH + head, len = tcp + 20 + 7;
	uint8_t pseudo[4] = {0, 6, 0, 27};
	uint64_t sum;
	uint16_t csum;

	for (size_t i = 0; i < len; i++)
		f[i] = (uint8_t)(i * 37 + 11);
	f[12] = v6 ? 0x86 : 0x08;
	f[13] = v6 ? 0xdd : 0x00;
	f[ETH] = v6 ? 0x60 : 0x45;
	if (v6) {
		f[ETH + 6] = 6;
	} else {
		f[ETH + 6] = f[ETH + 7] = 0;
		f[ETH + 9] = 6;
	}
	f[tcp + 14] = (uint8_t)(window >> 8);
	f[tcp + 15] = (uint8_t)window;
	f[tcp + 16] = f[tcp + 17] = 0;
	sum = csum_add(0, pseudo, 4);
	sum = csum_add(sum, f + ETH + (v6 ? 8 : 12), v6 ? 32 : 8);
	sum = csum_add(sum, f + tcp, 27);
	csum = (uint16_t)~csum_fold(sum);
	memcpy(f + tcp + 16, &csum, 2);
	return len;
}

/* What is to be read at the receiver: 0xffff over all of it. */
static void assert_csum_holds(const uint8_t *f, int v6)
{
	uint8_t pseudo[4] = {0, 6, 0, 27};
	uint64_t sum = csum_add(0, pseudo, 4);

	sum = csum_add(sum, f + ETH + (v6 ? 8 : 12), v6 ? 32 : 8);
	sum = csum_add(sum, f + ETH + (v6 ? 40 : 20), 27);
	assert_int_equal(csum_fold(sum), 0xffff);
}

static unsigned window_of(const uint8_t *f, int v6)
{
	const uint8_t *tcp = f + ETH + (v6 ? 40 : 20);

	return (unsigned)tcp[14] << 8 | tcp[15];
}

static void the_largest_window_becomes_whole_segments(void **state)
{
	static const struct {
		int v6;
		uint32_t mtu;
		unsigned want;
	} cases[] = {
		{0, 32800, 65520}, {1, 32800, 65480}, {0, 21885, 65535}, {0, 1500, 65535},
		{0, 65520, 65480}, {0, 40, 65535},    {1, 60, 65535},    {0, 68, 65520},
	};
	uint8_t f[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = make(f, cases[i].v6, 65535);

		window_trim(f, len, cases[i].mtu);
		assert_int_equal(window_of(f, cases[i].v6), cases[i].want);
		assert_csum_holds(f, cases[i].v6);
	}
}

static void other_frames_stay_as_they_are(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{12, 0x81},       /* neither IP */
		{ETH, 0x44},      /* a header too short */
		{ETH, 0x4f},      /* one longer than the frame */
		{ETH + 9, 17},    /* UDP */
		{ETH + 7, 1},     /* a fragment */
		{ETH + 34, 0xfe}, /* another window */
	};
	uint8_t f[128], was[128];

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		size_t len = make(f, 0, 65535);

		f[changes[i].at] = changes[i].value;
		memcpy(was, f, len);
		window_trim(f, len, 32800);
		assert_memory_equal(f, was, len);
	}
}

/* Each length on the heap, so that ASan sees a byte too many. */
static void short_frames_are_not_read_past_their_end(void **state)
{
	uint8_t whole[128];

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		size_t all = make(whole, v6, 65535);

		for (size_t len = ETH; len <= all; len++) {
			uint8_t *f = malloc(len);

			assert_non_null(f);
			memcpy(f, whole, len);
			window_trim(f, len, 32800);
			if (len < ETH + (v6 ? 60u : 40u))
				assert_memory_equal(f, whole, len);
			free(f);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_largest_window_becomes_whole_segments),
		cmocka_unit_test(other_frames_stay_as_they_are),
		cmocka_unit_test(short_frames_are_not_read_past_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
