/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio network device: carries frames between a driver's buffers and a wire. It belongs to
 * the wire's loop; its state is touched with the loop's lock held, and frames move only on the
 * loop's thread. It knows neither what is behind the wire nor which transport is in front.
 *
 * Receiving: chains are taken from the queue into a row of buffers. For each call of the wire the
 * row is cut into slots of one frame each; with MRG_RXBUF a slot is as many buffers as the longest
 * frame needs. What the frames did not fill stays in the row, in front, for the next call. The
 * driver is asked for a kick only when the row has no room for a frame: what it adds before is
 * found when the next frame comes.
 */
#include "devices/virtio/net.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/net/csum.h"
#include "devices/virtio/net_hdr.h"
#include "vmm/container_of.h"
#include "vmm/iov.h"
#include "vmm/log.h"

#define QUEUE_RX 0
#define QUEUE_TX 1

#define BATCH    64                         /* frames a call of the wire */
#define TX_SEGS  (4 * VIRTIO_NET_QUEUE_MAX) /* room for one chain of any length, and more */
#define RX_SEGS  (3 * VIRTIO_NET_QUEUE_MAX) /* below NET_SEGS_MAX: one slot may take them all */

/* §5.1.4 */
struct net_config {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
};
#define STATUS_LINK_UP 1

struct tx {
	struct net_frame frame[BATCH];
	struct net_hdr hdr[BATCH];
	uint16_t head[BATCH];
	struct iovec seg[TX_SEGS];
	uint8_t blocked; /* the wire is busy: events->writable goes on */
};

struct rx_buf {
	uint16_t head;
	uint16_t segs; /* of them, the next in rx.seg */
	uint32_t len;
	uint32_t filled; /* by the frame that took it; 0: not taken */
};

struct rx_slot {
	uint16_t buf, bufs; /* the row's buffers that it takes */
	uint16_t seg;       /* where those have their segments */
};

struct rx {
	/* The row: chains popped and not pushed yet, in the order in which they are used. */
	struct rx_buf buf[VIRTIO_NET_QUEUE_MAX];
	struct iovec seg[RX_SEGS];
	unsigned bufs, segs;
	size_t room; /* bytes in the row */
	size_t most; /* the most bytes it held since the driver kicked: it can have that again */
	/* One call of the wire. */
	struct rx_slot slot[BATCH];
	struct net_frame frame[BATCH];
	struct net_hdr hdr[BATCH];
	struct iovec v[RX_SEGS + 2 * BATCH];
	uint8_t spare;   /* each slot ends here: a frame that reaches it was cut */
	uint8_t waiting; /* the wire was drained: events->readable goes on */
	uint8_t again;   /* the next kick is our own */
};

struct virtio_net {
	struct virtio_dev dev;
	struct net *wire;
	struct net_config config;
	struct virtio_net_stats stats;
	uint32_t hdr_len; /* of the driver's header: 10 or 12 */
	uint32_t rx_need; /* room that the longest frame takes, header included */
	uint8_t mergeable;
	struct tx tx;
	struct rx rx;
};

static struct virtio_net *to_net(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_net, dev);
}

static int running(const struct virtio_net *vn, unsigned q)
{
	return vn->dev.started && vn->dev.vq[q].desc != NULL;
}

/* --- transmit ------------------------------------------------------------------------------- */

/*
 * Makes a frame of a chain: takes the driver's header out, judges the copy, and puts the copy
 * before what is left. There is a free segment before chain->v. 0, or -EINVAL: drop it.
 */
static int tx_frame(struct virtio_net *vn, const struct vq_chain *chain, unsigned n)
{
	struct net_frame *frame = &vn->tx.frame[n];
	struct net_hdr *hdr = &vn->tx.hdr[n];
	struct iov rest;

	memset(hdr, 0, sizeof(*hdr));
	if (iov_init(&rest, chain->v, chain->out) || iov_get(&rest, hdr, vn->hdr_len))
		return -EINVAL;
	if (net_hdr_judge_tx(hdr, vn->dev.features, rest.left))
		return -EINVAL;
	while (rest.off == rest.v->iov_len) {
		rest.v++;
		rest.n--;
		rest.off = 0;
	}
	rest.v->iov_base = (uint8_t *)rest.v->iov_base + rest.off;
	rest.v->iov_len -= rest.off;
	frame->v = rest.v - 1;
	frame->v[0] = (struct iovec){hdr, sizeof(*hdr)};
	frame->n = rest.n + 1;
	frame->len = sizeof(*hdr) + rest.left;
	return 0;
}

/*
 * Hands over @n frames. What the wire does not take goes back into the queue, last one first.
 * The number that was dealt with; fewer than @n: blocked.
 */
static unsigned tx_send(struct virtio_net *vn, unsigned n)
{
	struct tx *tx = &vn->tx;
	int r = 0;
	unsigned sent;

	if (!n)
		return 0;
	vn->stats.tx_calls++;
	r = vn->wire->ops->send(vn->wire, tx->frame, n);
	sent = r < 0 ? n : (unsigned)r;
	for (unsigned i = 0; i < sent; i++) {
		if (r < 0) {
			vn->stats.tx_lost++;
		} else {
			vn->stats.tx_frames++;
			vn->stats.tx_bytes += tx->frame[i].len - NET_HDR_LEN;
		}
		virtio_push(&vn->dev, QUEUE_TX, tx->head[i], 0);
	}
	tx->blocked = sent < n;
	return sent;
}

/* One call of the wire: the number of chains that were popped for good; 0: nothing to do. */
static unsigned tx_batch(struct virtio_net *vn)
{
	struct tx *tx = &vn->tx;
	struct vq_chain chain;
	unsigned n = 0, segs = 0, sent;
	int bad = 0;

	while (n < BATCH && segs + 1 + VIRTIO_NET_QUEUE_MAX <= TX_SEGS) {
		chain.v = tx->seg + segs + 1;
		chain.max = VIRTIO_NET_QUEUE_MAX;
		if (!virtio_pop(&vn->dev, QUEUE_TX, &chain))
			break;
		tx->head[n] = chain.head;
		/* A bad chain ends the batch, so that what goes back is in one piece. */
		bad = tx_frame(vn, &chain, n) != 0;
		if (bad)
			break;
		n++;
		segs += 1 + chain.out;
	}
	if (!running(vn, QUEUE_TX))
		return 0;
	sent = tx_send(vn, n);
	if (sent == n) {
		if (bad) {
			vn->stats.tx_bad++;
			virtio_push(&vn->dev, QUEUE_TX, tx->head[n], 0);
		}
		return n + (unsigned)bad;
	}
	for (unsigned i = n + (unsigned)bad; i-- > sent;)
		vq_unpop(&vn->dev.vq[QUEUE_TX], tx->head[i]);
	return sent;
}

static void tx_run(struct virtio_net *vn)
{
	unsigned done = 0;

	while (running(vn, QUEUE_TX) && !vn->tx.blocked) {
		unsigned n = tx_batch(vn);

		if (!n)
			return;
		done += n;
		if (done >= VIRTIO_BUDGET) {
			virtio_kick_later(&vn->dev, QUEUE_TX);
			return;
		}
	}
}

/* --- receive: the row ------------------------------------------------------------------------ */

static void rx_forget(struct rx *rx)
{
	rx->bufs = rx->segs = 0;
	rx->room = rx->most = 0;
	rx->again = 0;
}

/* Takes chains into the row until it is full or the queue is empty: how many it took. */
static unsigned rx_fill(struct virtio_net *vn)
{
	struct rx *rx = &vn->rx;
	struct vq_chain chain;
	unsigned taken = 0;

	for (; taken < VIRTIO_BUDGET; taken++) {
		if (rx->bufs == VIRTIO_NET_QUEUE_MAX || rx->segs + VIRTIO_NET_QUEUE_MAX > RX_SEGS)
			break;
		chain.v = rx->seg + rx->segs;
		chain.max = VIRTIO_NET_QUEUE_MAX;
		if (!virtio_pop_quietly(&vn->dev, QUEUE_RX, &chain))
			break;
		/* No place for a header (§5.1.6.3.1): of no use to anyone. */
		if (chain.in_len < vn->hdr_len) {
			virtio_push(&vn->dev, QUEUE_RX, chain.head, 0);
			continue;
		}
		/* Bytes that are ours to read are not ours to fill. */
		if (chain.out)
			memmove(chain.v, chain.v + chain.out, chain.in * sizeof(*chain.v));
		rx->buf[rx->bufs++] = (struct rx_buf){
			.head = chain.head,
			.segs = (uint16_t)chain.in,
			.len = (uint32_t)chain.in_len,
		};
		rx->segs += chain.in;
		rx->room += chain.in_len;
	}
	if (rx->room > rx->most)
		rx->most = rx->room;
	return taken;
}

/* Takes the buffers that frames have filled out of the row. */
static void rx_close_up(struct rx *rx)
{
	unsigned bufs = 0, segs = 0, from = 0;

	for (unsigned i = 0; i < rx->bufs; i++) {
		const struct rx_buf buf = rx->buf[i];

		if (!buf.filled) {
			rx->buf[bufs++] = buf;
			if (segs != from)
				memmove(rx->seg + segs, rx->seg + from,
					buf.segs * sizeof(*rx->seg));
			segs += buf.segs;
		} else {
			rx->room -= buf.len;
		}
		from += buf.segs;
	}
	rx->bufs = bufs;
	rx->segs = segs;
}

/* --- receive: slots and frames --------------------------------------------------------------- */

/*
 * Makes the wire's view of a slot at @v: our header, the buffers from behind the driver's header
 * on, the spare byte. The number of segments.
 */
static unsigned rx_view(struct virtio_net *vn, unsigned s, unsigned segs, struct iovec *v)
{
	const struct iovec *seg = vn->rx.seg + vn->rx.slot[s].seg;
	size_t skip = vn->hdr_len;
	unsigned n = 0;

	v[n++] = (struct iovec){&vn->rx.hdr[s], sizeof(struct net_hdr)};
	for (unsigned i = 0; i < segs; i++) {
		size_t pass = seg[i].iov_len < skip ? seg[i].iov_len : skip;

		skip -= pass;
		if (pass < seg[i].iov_len)
			v[n++] = (struct iovec){(uint8_t *)seg[i].iov_base + pass,
						seg[i].iov_len - pass};
	}
	v[n++] = (struct iovec){&vn->rx.spare, 1};
	return n;
}

/* Cuts the row into slots: how many. 0: the driver has to add buffers first. */
static unsigned rx_lay(struct virtio_net *vn)
{
	struct rx *rx = &vn->rx;
	size_t need = vn->rx_need < rx->most ? vn->rx_need : rx->most;
	unsigned n = 0, b = 0, seg = 0, view = 0;

	while (n < BATCH && b < rx->bufs) {
		struct rx_slot *slot = &rx->slot[n];
		unsigned segs = 0;
		size_t room = 0;

		*slot = (struct rx_slot){.buf = (uint16_t)b, .seg = (uint16_t)seg};
		do {
			rx->buf[b].filled = 0;
			segs += rx->buf[b].segs;
			room += rx->buf[b].len;
			b++;
		} while (vn->mergeable && room < need && b < rx->bufs);
		if (vn->mergeable && room < need)
			break;
		slot->bufs = (uint16_t)(b - slot->buf);
		seg += segs;
		rx->frame[n].v = rx->v + view;
		rx->frame[n].n = rx_view(vn, n, segs, rx->v + view);
		view += rx->frame[n].n;
		n++;
	}
	return n;
}

/* The driver cannot complete a partial checksum, so it is done in its buffers. */
static void rx_complete_csum(struct net_frame *frame, const struct net_hdr *hdr, size_t len)
{
	size_t field = le16toh(hdr->csum_start) + (size_t)le16toh(hdr->csum_offset);
	unsigned n = 1;
	uint16_t csum;
	struct iov at;

	/* Behind the header, and no further than the frame reaches. */
	for (size_t left = len;; n++) {
		if (frame->v[n].iov_len >= left) {
			frame->v[n].iov_len = left;
			break;
		}
		left -= frame->v[n].iov_len;
	}
	csum = csum_finish(hdr, frame->v + 1, n);
	iov_init(&at, frame->v + 1, n);
	if (!iov_skip(&at, field))
		iov_put(&at, &csum, sizeof(csum));
}

/* Writes the header and gives the buffers that a frame of @len bytes filled to the driver. */
static void rx_push(struct virtio_net *vn, unsigned s, size_t len)
{
	struct rx *rx = &vn->rx;
	const struct rx_slot *slot = &rx->slot[s];
	size_t left = vn->hdr_len + len;
	unsigned used = 0, segs = 0;
	struct iov to;

	for (; left; used++) {
		struct rx_buf *buf = &rx->buf[slot->buf + used];

		buf->filled = (uint32_t)(left < buf->len ? left : buf->len);
		left -= buf->filled;
		segs += buf->segs;
	}
	/* §5.1.6.4.1: 1 without MRG_RXBUF; the legacy header of 10 bytes ends before it. */
	rx->hdr[s].num_buffers = htole16((uint16_t)used);
	iov_init(&to, rx->seg + slot->seg, segs);
	iov_put(&to, &rx->hdr[s], vn->hdr_len);
	for (unsigned i = 0; i < used; i++) {
		const struct rx_buf *buf = &rx->buf[slot->buf + i];

		virtio_push(&vn->dev, QUEUE_RX, buf->head, buf->filled);
	}
	vn->stats.rx_frames++;
	vn->stats.rx_bytes += len;
}

static void rx_deliver(struct virtio_net *vn, unsigned s)
{
	struct net_frame *frame = &vn->rx.frame[s];
	struct net_hdr *hdr = &vn->rx.hdr[s];
	size_t len, room = 0;
	int r;

	for (unsigned i = 0; i < frame->n; i++)
		room += frame->v[i].iov_len;
	if (frame->len >= room) {
		vn->stats.rx_cut++;
		return;
	}
	len = frame->len < NET_HDR_LEN ? 0 : frame->len - NET_HDR_LEN;
	r = net_hdr_judge_rx(hdr, vn->dev.features, len);
	if (r < 0) {
		vn->stats.rx_bad++;
		return;
	}
	if (r) {
		rx_complete_csum(frame, hdr, len);
		memset(hdr, 0, sizeof(*hdr));
	}
	rx_push(vn, s, len);
}

/* One call of the wire, for @n slots. */
static void rx_receive(struct virtio_net *vn, unsigned n)
{
	struct rx *rx = &vn->rx;
	int r;

	vn->stats.rx_calls++;
	r = vn->wire->ops->recv(vn->wire, rx->frame, n);
	rx->waiting = r < (int)n;
	for (int i = 0; i < r; i++)
		rx_deliver(vn, (unsigned)i);
	rx_close_up(rx);
}

static void rx_run(struct virtio_net *vn)
{
	struct rx *rx = &vn->rx;

	for (unsigned done = 0; running(vn, QUEUE_RX) && !rx->waiting;) {
		unsigned n;

		rx_fill(vn);
		/* Popping may have shown that the ring is broken: then nothing may be filled. */
		if (!running(vn, QUEUE_RX))
			return;
		n = rx_lay(vn);
		if (n) {
			rx_receive(vn, n);
		} else {
			/* Chains that came before the driver saw that it should kick count too. */
			n = vq_ask_kick(&vn->dev.vq[QUEUE_RX]) ? rx_fill(vn) : 0;
			if (!n)
				return;
		}
		done += n;
		if (!rx->waiting && done >= VIRTIO_BUDGET) {
			rx->again = 1;
			virtio_kick_later(&vn->dev, QUEUE_RX);
			return;
		}
	}
}

/* --- the wire's events ----------------------------------------------------------------------- */

static void wire_readable(void *arg)
{
	struct virtio_net *vn = arg;

	vn->rx.waiting = 0;
	rx_run(vn);
}

static void wire_writable(void *arg)
{
	struct virtio_net *vn = arg;

	vn->tx.blocked = 0;
	tx_run(vn);
}

static void wire_link(void *arg, int up)
{
	struct virtio_net *vn = arg;

	vn->config.status = htole16(up ? STATUS_LINK_UP : 0);
	/* Chains that wait for a wire that is gone go the way of all frames on it. */
	vn->tx.blocked = 0;
	vn->rx.waiting = 0;
	virtio_config_changed(&vn->dev);
	virtio_kick_later(&vn->dev, QUEUE_TX);
}

static const struct net_events wire_events = {
	.readable = wire_readable,
	.writable = wire_writable,
	.link = wire_link,
};

/* --- the device ------------------------------------------------------------------------------ */

static void net_start(struct virtio_dev *dev)
{
	struct virtio_net *vn = to_net(dev);
	uint32_t longest =
		vn->wire->mtu ? NET_ETH_LEN + 4 + vn->wire->mtu : NET_FRAME_MAX - NET_HDR_LEN;
	unsigned offload = 0;

	vn->mergeable = (uint8_t)virtio_has(dev, VIRTIO_NET_F_MRG_RXBUF);
	/* §5.1.6.1: num_buffers is part of the header with VERSION_1 or MRG_RXBUF. */
	vn->hdr_len = vn->mergeable || !dev->legacy ? 12 : 10;
	if (virtio_has(dev, VIRTIO_NET_F_GUEST_CSUM)) {
		offload |= NET_WIRE_CSUM;
		if (virtio_has(dev, VIRTIO_NET_F_GUEST_TSO4) &&
		    virtio_has(dev, VIRTIO_NET_F_GUEST_TSO6))
			offload |= NET_WIRE_TSO;
	}
	if (offload & NET_WIRE_TSO)
		longest = NET_FRAME_MAX - NET_HDR_LEN;
	vn->rx_need = vn->hdr_len + longest;
	if (vn->wire->ops->offload)
		vn->wire->ops->offload(vn->wire, offload);
}

static void net_kick(struct virtio_dev *dev, unsigned q)
{
	struct virtio_net *vn = to_net(dev);

	if (q == QUEUE_TX) {
		tx_run(vn);
		return;
	}
	/* A driver kicks when it has added what it is going to: that much room is to be had. */
	if (!vn->rx.again)
		vn->rx.most = 0;
	vn->rx.again = 0;
	rx_run(vn);
}

static void net_reset(struct virtio_dev *dev, int q)
{
	struct virtio_net *vn = to_net(dev);

	if (q != QUEUE_TX)
		rx_forget(&vn->rx);
	if (q < 0 && vn->wire->ops->offload)
		vn->wire->ops->offload(vn->wire, 0);
	virtio_reset_done(dev);
}

static const struct virtio_dev_ops net_dev_ops = {
	.name = "net",
	.type = VIRTIO_ID_NET,
	.start = net_start,
	.kick = net_kick,
	.reset = net_reset,
};

static uint64_t offered_features(const struct net *wire)
{
	uint64_t bits = 1u << VIRTIO_NET_F_MAC | 1u << VIRTIO_NET_F_STATUS |
			1u << VIRTIO_NET_F_MRG_RXBUF | 1u << VIRTIO_NET_F_GUEST_CSUM;

	if (wire->mtu)
		bits |= 1u << VIRTIO_NET_F_MTU;
	if (wire->features & NET_WIRE_CSUM)
		bits |= 1u << VIRTIO_NET_F_CSUM;
	if (wire->features & NET_WIRE_TSO)
		bits |= 1u << VIRTIO_NET_F_HOST_TSO4 | 1u << VIRTIO_NET_F_HOST_TSO6 |
			1u << VIRTIO_NET_F_GUEST_TSO4 | 1u << VIRTIO_NET_F_GUEST_TSO6;
	return bits;
}

int virtio_net_create(struct virtio_net **out, const struct virtio_net_params *params)
{
	uint16_t size = params->queue_size ? params->queue_size : VIRTIO_NET_QUEUE_MAX;
	struct virtio_net *vn;

	if (size < 2 || size > VIRTIO_NET_QUEUE_MAX || (size & (size - 1)))
		return log_fail(-EINVAL, "virtio-net: queue size %u: give a power of two, 2 to %u",
				size, VIRTIO_NET_QUEUE_MAX);
	if (params->mac[0] & 1)
		return log_fail(-EINVAL, "virtio-net: the MAC address is a multicast one: "
					 "its first byte has to be even");
	vn = calloc(1, sizeof(*vn));
	if (!vn)
		return log_fail(-ENOMEM, "virtio-net: out of memory");
	virtio_dev_init(&vn->dev, &net_dev_ops, params->mem, 2, size);
	vn->wire = params->wire;
	vn->dev.input_queues = 1u << QUEUE_RX;
	vn->dev.offered |= 1ull << VIRTIO_F_RING_RESET | offered_features(vn->wire);
	memcpy(vn->config.mac, params->mac, sizeof(vn->config.mac));
	vn->config.status = htole16(vn->wire->up ? STATUS_LINK_UP : 0);
	vn->config.max_virtqueue_pairs = htole16(1);
	vn->config.mtu = htole16((uint16_t)vn->wire->mtu);
	vn->dev.config = (uint8_t *)&vn->config;
	vn->dev.config_len = sizeof(vn->config);
	vn->wire->events = &wire_events;
	vn->wire->events_arg = vn;
	*out = vn;
	return 0;
}

void virtio_net_destroy(struct virtio_net *vn)
{
	if (!vn)
		return;
	vn->wire->events = NULL;
	free(vn);
}

struct virtio_dev *virtio_net_dev(struct virtio_net *vn)
{
	return &vn->dev;
}

void virtio_net_get_stats(const struct virtio_net *vn, struct virtio_net_stats *out)
{
	*out = vn->stats;
}
