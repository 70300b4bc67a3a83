/* SPDX-License-Identifier: BSD-2-Clause */
/* A wire whose far end is a test. Keeps copies of everything that crosses it. */
#include "tests/lib/fake_wire.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/container_of.h"

#define MUST(cond)                                                                  \
	do {                                                                        \
		if (!(cond)) {                                                      \
			fprintf(stderr, "fake_wire: contract broken: %s\n", #cond); \
			abort();                                                    \
		}                                                                   \
	} while (0)

static size_t length_of(const struct net_frame *frame)
{
	size_t len = 0;

	MUST(frame->n >= 1 && frame->n <= NET_SEGS_MAX);
	MUST(frame->v[0].iov_len == sizeof(struct net_hdr));
	for (unsigned i = 0; i < frame->n; i++)
		len += frame->v[i].iov_len;
	return len;
}

static int fake_send(struct net *net, const struct net_frame *frames, unsigned count)
{
	struct fake_wire *w = container_of(net, struct fake_wire, net);

	w->sends++;
	MUST(count > 0);
	if (!net->up)
		return -EPIPE;
	for (unsigned i = 0; i < count; i++) {
		struct fake_frame *to;
		size_t at = 0;

		if (!w->room) {
			w->busy = 1;
			return (int)i;
		}
		if (w->room != UINT_MAX)
			w->room--;
		MUST(w->n_sent < FAKE_WIRE_FRAMES);
		MUST(frames[i].len == length_of(&frames[i]));
		MUST(frames[i].len <= NET_FRAME_MAX);
		to = &w->sent[w->n_sent++];
		to->len = frames[i].len;
		to->bytes = malloc(to->len);
		MUST(to->bytes);
		for (unsigned k = 0; k < frames[i].n; k++) {
			memcpy(to->bytes + at, frames[i].v[k].iov_base, frames[i].v[k].iov_len);
			at += frames[i].v[k].iov_len;
		}
	}
	return (int)count;
}

static int fake_recv(struct net *net, struct net_frame *frames, unsigned count)
{
	struct fake_wire *w = container_of(net, struct fake_wire, net);
	unsigned done = 0;

	w->recvs++;
	MUST(count > 0);
	if (!net->up)
		return -EPIPE;
	for (; done < count && w->n_taken < w->n_given; done++) {
		const struct fake_frame *from = &w->given[w->n_taken++];
		size_t room = length_of(&frames[done]), at = 0;

		frames[done].len = from->len < room ? from->len : room;
		for (unsigned k = 0; k < frames[done].n && at < from->len; k++) {
			size_t n = frames[done].v[k].iov_len;

			if (n > from->len - at)
				n = from->len - at;
			memcpy(frames[done].v[k].iov_base, from->bytes + at, n);
			at += n;
		}
	}
	if (done < count)
		w->drained = 1;
	return (int)done;
}

static void fake_offload(struct net *net, unsigned features)
{
	container_of(net, struct fake_wire, net)->offload = features;
}

static void fake_close(struct net *net)
{
	(void)net;
}

static const struct net_ops fake_ops = {
	.send = fake_send,
	.recv = fake_recv,
	.offload = fake_offload,
	.close = fake_close,
};

void fake_wire_init(struct fake_wire *w, unsigned features, uint32_t mtu)
{
	memset(w, 0, sizeof(*w));
	w->net.ops = &fake_ops;
	w->net.features = features;
	w->net.mtu = mtu;
	w->net.up = 1;
	w->room = UINT_MAX;
}

void fake_wire_forget(struct fake_wire *w)
{
	for (unsigned i = 0; i < w->n_sent; i++)
		free(w->sent[i].bytes);
	for (unsigned i = 0; i < w->n_given; i++)
		free(w->given[i].bytes);
	w->n_sent = w->n_given = w->n_taken = 0;
}

void fake_wire_free(struct fake_wire *w)
{
	fake_wire_forget(w);
}

void fake_wire_give_raw(struct fake_wire *w, const void *bytes, size_t len)
{
	struct fake_frame *to = &w->given[w->n_given++];

	MUST(w->n_given <= FAKE_WIRE_FRAMES);
	to->len = len;
	to->bytes = malloc(len ? len : 1);
	MUST(to->bytes);
	memcpy(to->bytes, bytes, len);
}

void fake_wire_give(struct fake_wire *w, const struct net_hdr *hdr, const void *eth, size_t len)
{
	static const struct net_hdr zero;
	uint8_t *all = malloc(sizeof(*hdr) + len);

	MUST(all);
	memcpy(all, hdr ? hdr : &zero, sizeof(*hdr));
	memcpy(all + sizeof(*hdr), eth, len);
	fake_wire_give_raw(w, all, sizeof(*hdr) + len);
	free(all);
}

void fake_wire_ring(struct fake_wire *w)
{
	if (!w->drained || w->n_taken == w->n_given || !w->net.up)
		return;
	w->drained = 0;
	w->net.events->readable(w->net.events_arg);
}

void fake_wire_make_room(struct fake_wire *w, unsigned room)
{
	w->room = room;
	if (!w->busy || !room)
		return;
	w->busy = 0;
	w->net.events->writable(w->net.events_arg);
}

void fake_wire_set_link(struct fake_wire *w, int up)
{
	w->net.up = (uint8_t)up;
	w->net.events->link(w->net.events_arg, up);
}

unsigned fake_wire_left(const struct fake_wire *w)
{
	return w->n_given - w->n_taken;
}
