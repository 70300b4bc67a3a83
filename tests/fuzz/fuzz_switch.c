/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The learning switch under frames and cables of the input's choice. Oracle: a frame never goes
 * back or to a port that is not there; a known address gets it alone or not at all; the pinned
 * address stays; the counts of addresses are right and bounded.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/net/netd/switch.h"

#define CHECK(cond)                                                        \
	do {                                                               \
		if (!(cond)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #cond); \
			abort();                                           \
		}                                                          \
	} while (0)

static struct switching sw;
static const uint8_t gate[6] = {0x52, 0x55, 10, 0, 2, 2};

static void check_counts(void)
{
	unsigned count[SWITCH_PORTS] = {0};

	for (unsigned s = 0; s < SWITCH_SETS; s++)
		for (unsigned w = 0; w < SWITCH_WAYS; w++)
			if (sw.entry[s][w].state) {
				CHECK(sw.entry[s][w].port < SWITCH_PORTS);
				CHECK(sw.ports >> sw.entry[s][w].port & 1);
				count[sw.entry[s][w].port]++;
			}
	for (unsigned p = 0; p < SWITCH_PORTS; p++) {
		CHECK(count[p] == sw.addrs[p]);
		CHECK(count[p] <= SWITCH_PORT_ADDRS + 1);
	}
}

static void one_frame(const uint8_t *in, unsigned port, uint32_t now)
{
	uint64_t to;
	uint8_t frame[12] = {0x52, 0x54, 0, 0, in[2] & 3, in[3],
			     0x52, 0x54, 0, 0, in[4] & 3, in[5]};

	if (in[2] & 0x80)
		frame[0] |= 1;
	if (in[2] & 0x40)
		memcpy(frame, gate, 6);
	if (in[4] & 0x80)
		memcpy(frame + 6, gate, 6);
	if ((in[4] & 0x70) == 0x70)
		frame[6] |= 1;
	to = switch_forward(&sw, port, frame, now);
	CHECK(!(to >> port & 1));
	CHECK(!(to & ~sw.ports));
	if (frame[6] & 1)
		CHECK(to == 0);
	else if (frame[0] & 1)
		CHECK(to == (sw.ports & ~(1ull << port)));
	else if (!memcmp(frame, gate, 6))
		CHECK(to == (port ? 1u : 0u));
	else
		CHECK(!(to & (to - 1)) || to == (sw.ports & ~(1ull << port)));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
	uint32_t now = 0;

	switch_init(&sw, size > 8 ? in[7] * 0x0101010101010101u : 0);
	switch_plug(&sw, 0);
	switch_pin(&sw, gate, 0);
	for (; size >= 6; in += 6, size -= 6) {
		unsigned port = in[1] % SWITCH_PORTS;

		now += in[0] & 0x40 ? in[3] : 0;
		if (in[0] < 24 && port)
			switch_unplug(&sw, port);
		else if (!(sw.ports >> port & 1))
			switch_plug(&sw, port);
		else
			one_frame(in, port, now);
	}
	check_counts();
	return 0;
}
