/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_SWITCH_H
#define DEVICES_NET_NETD_SWITCH_H

#include <stdint.h>

/*
 * A learning Ethernet switch: which ports a frame goes to. It moves no bytes.
 *
 * An address is learnt from frames that come in, and forgotten after SWITCH_AGE_S seconds, when
 * its port goes, or when the table needs the place. The table is of fixed size, and one port may
 * hold only SWITCH_PORT_ADDRS of it, so no guest can push the others out. An address may be
 * pinned to a port: then no frame can take it away.
 */
#define SWITCH_PORTS      64
#define SWITCH_SETS       256
#define SWITCH_WAYS       4
#define SWITCH_PORT_ADDRS 64
#define SWITCH_AGE_S      300

struct switch_entry {
	uint8_t mac[6];
	uint8_t port;
	uint8_t state; /* 0 free, 1 learnt, 2 pinned */
	uint32_t seen_s;
};

struct switching {
	struct switch_entry entry[SWITCH_SETS][SWITCH_WAYS];
	uint64_t key;   /* of the hash: guests cannot aim at one set */
	uint64_t ports; /* bit per port that is plugged in */
	uint16_t addrs[SWITCH_PORTS];
};

void switch_init(struct switching *sw, uint64_t key);
void switch_plug(struct switching *sw, unsigned port);
void switch_unplug(struct switching *sw, unsigned port);
/* Gives @mac to @port for good (until it is unplugged). */
void switch_pin(struct switching *sw, const uint8_t mac[6], unsigned port);

/*
 * A frame from @port with the destination @frame[0..6) and the source @frame[6..12): the ports to
 * send it to, never @port itself. 0: it goes nowhere. @now_s is any clock that only goes forward.
 */
uint64_t switch_forward(struct switching *sw, unsigned port, const uint8_t *frame, uint32_t now_s);

#endif
