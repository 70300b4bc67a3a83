/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which ports a frame goes to. Pure state: one thread, no descriptor, no clock. The addresses are
 * what guests say they are.
 */
#include "devices/net/netd/switch.h"

#include <string.h>

enum { FREE, LEARNT, PINNED };

static struct switch_entry *set_of(struct switching *sw, const uint8_t mac[6])
{
	uint64_t h = 0;

	memcpy(&h, mac, 6);
	h = (h ^ sw->key) * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 29)) * (sw->key | 1);
	return sw->entry[(h >> 40) % SWITCH_SETS];
}

static struct switch_entry *find(struct switching *sw, const uint8_t mac[6])
{
	struct switch_entry *set = set_of(sw, mac);

	for (unsigned i = 0; i < SWITCH_WAYS; i++)
		if (set[i].state != FREE && !memcmp(set[i].mac, mac, 6))
			return &set[i];
	return NULL;
}

static void release(struct switching *sw, struct switch_entry *e)
{
	sw->addrs[e->port]--;
	e->state = FREE;
}

static int is_old(const struct switch_entry *e, uint32_t now_s)
{
	return e->state == LEARNT && now_s - e->seen_s > SWITCH_AGE_S;
}

void switch_init(struct switching *sw, uint64_t key)
{
	memset(sw, 0, sizeof(*sw));
	sw->key = key;
}

void switch_plug(struct switching *sw, unsigned port)
{
	sw->ports |= 1ull << port;
}

void switch_unplug(struct switching *sw, unsigned port)
{
	sw->ports &= ~(1ull << port);
	for (unsigned s = 0; s < SWITCH_SETS; s++)
		for (unsigned w = 0; w < SWITCH_WAYS; w++)
			if (sw->entry[s][w].state != FREE && sw->entry[s][w].port == port)
				release(sw, &sw->entry[s][w]);
}

/* A place for a new address in its set, or NULL: free, else old, else the longest unseen. */
static struct switch_entry *make_place(struct switching *sw, const uint8_t mac[6], uint32_t now_s)
{
	struct switch_entry *set = set_of(sw, mac), *worst = NULL;

	for (unsigned i = 0; i < SWITCH_WAYS; i++) {
		struct switch_entry *e = &set[i];

		if (e->state == FREE)
			return e;
		if (e->state == PINNED)
			continue;
		if (!worst || now_s - e->seen_s > now_s - worst->seen_s)
			worst = e;
	}
	if (worst)
		release(sw, worst);
	return worst;
}

void switch_pin(struct switching *sw, const uint8_t mac[6], unsigned port)
{
	struct switch_entry *e = find(sw, mac);

	if (e)
		release(sw, e);
	else
		e = make_place(sw, mac, 0);
	if (!e)
		return;
	memcpy(e->mac, mac, 6);
	e->port = (uint8_t)port;
	e->state = PINNED;
	sw->addrs[port]++;
}

static void learn(struct switching *sw, unsigned port, const uint8_t mac[6], uint32_t now_s)
{
	struct switch_entry *e = find(sw, mac);

	if (e && e->state == PINNED)
		return;
	if (e && e->port == port) {
		e->seen_s = now_s;
		return;
	}
	/* Also for an address that moves: a port that is full takes none away from others. */
	if (sw->addrs[port] >= SWITCH_PORT_ADDRS)
		return;
	if (e)
		release(sw, e);
	else
		e = make_place(sw, mac, now_s);
	if (!e)
		return;
	memcpy(e->mac, mac, 6);
	e->port = (uint8_t)port;
	e->state = LEARNT;
	e->seen_s = now_s;
	sw->addrs[port]++;
}

uint64_t switch_forward(struct switching *sw, unsigned port, const uint8_t *frame, uint32_t now_s)
{
	uint64_t others = sw->ports & ~(1ull << port);
	struct switch_entry *e;

	/* A group address is nobody's (IEEE 802 §8.4): a frame from one is forged. */
	if (frame[6] & 1)
		return 0;
	learn(sw, port, frame + 6, now_s);
	if (frame[0] & 1)
		return others;
	e = find(sw, frame);
	if (e && is_old(e, now_s)) {
		release(sw, e);
		e = NULL;
	}
	/* To itself: the frame was on the right cable already. */
	return e ? others & (1ull << e->port) : others;
}
