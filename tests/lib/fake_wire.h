/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_FAKE_WIRE_H
#define TESTS_LIB_FAKE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "devices/net/net.h"

/*
 * A wire in memory. The test plays the far end: it gives frames to be received and looks at what
 * was sent, both with their 12-byte headers. Checks that its caller keeps the contract of net.h
 * (header first in one piece, lengths that add up) and aborts where not.
 */
#define FAKE_WIRE_FRAMES 2048

struct fake_frame {
	uint8_t *bytes; /* malloc */
	size_t len;
};

struct fake_wire {
	struct net net;
	struct fake_frame sent[FAKE_WIRE_FRAMES], given[FAKE_WIRE_FRAMES];
	unsigned n_sent;           /* since fake_wire_forget() */
	unsigned n_given, n_taken; /* of given[] */
	unsigned room;             /* frames that send() still takes; then it is busy */
	unsigned sends, recvs;     /* calls */
	unsigned offload;          /* as last set */
	int busy, drained;         /* an event is owed */
};

/* @features NET_WIRE_*; unlimited room. */
void fake_wire_init(struct fake_wire *w, unsigned features, uint32_t mtu);
void fake_wire_free(struct fake_wire *w);

/* A frame to be received: header (NULL: zero) and Ethernet bytes. No event yet. */
void fake_wire_give(struct fake_wire *w, const struct net_hdr *hdr, const void *eth, size_t len);
/* The same without a form: any bytes. */
void fake_wire_give_raw(struct fake_wire *w, const void *bytes, size_t len);
/* The event for what was given, if it is owed. */
void fake_wire_ring(struct fake_wire *w);
/* Takes @room frames from now on, and says so if it was busy. */
void fake_wire_make_room(struct fake_wire *w, unsigned room);
void fake_wire_set_link(struct fake_wire *w, int up);
/* Frames given and not received yet. */
unsigned fake_wire_left(const struct fake_wire *w);
void fake_wire_forget(struct fake_wire *w);

#endif
