/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules for virtio-net headers in both directions. A header tells the other side where to
 * write a checksum and how to cut a frame, so every offset is held against the frame's length
 * here, once, on a private copy. Knows no queue, no wire and no guest memory.
 */
#include "devices/virtio/net_hdr.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "devices/net/csum.h"

static int has(uint64_t features, unsigned bit)
{
	return features >> bit & 1;
}

/* A frame that the receiver is to cut into segments: 0, or -EINVAL. */
static int judge_gso(const struct net_hdr *hdr, int tso4, int tso6, size_t frame_len)
{
	size_t transport = le16toh(hdr->csum_start);

	/* ECN is not offered, so its bit is as wrong as an unknown type (§5.1.6.2). */
	if (!(hdr->gso_type == NET_GSO_TCPV4 && tso4) && !(hdr->gso_type == NET_GSO_TCPV6 && tso6))
		return -EINVAL;
	/* §5.1.6.2.1: with gso_type goes NEEDS_CSUM; the checksum is TCP's, 16 bytes in. */
	if (!(hdr->flags & NET_HDR_NEEDS_CSUM) || le16toh(hdr->csum_offset) != 16)
		return -EINVAL;
	if (!hdr->gso_size || frame_len < transport + 20)
		return -EINVAL;
	/* A hint; what cannot be a length of headers in this frame is one that is wrong. */
	if (le16toh(hdr->hdr_len) > frame_len)
		return -EINVAL;
	return 0;
}

int net_hdr_judge_tx(struct net_hdr *hdr, uint64_t features, size_t frame_len)
{
	int csum = has(features, VIRTIO_NET_F_CSUM);

	if (frame_len < NET_ETH_LEN || frame_len > NET_FRAME_MAX - NET_HDR_LEN)
		return -EINVAL;
	/* §5.1.6.2.2: flags that the device does not know are ignored; DATA_VALID is not theirs. */
	hdr->flags &= NET_HDR_NEEDS_CSUM;
	hdr->num_buffers = 0;
	if (hdr->flags && (!csum || !csum_fits(hdr, frame_len)))
		return -EINVAL;
	if (!hdr->flags)
		hdr->csum_start = hdr->csum_offset = 0;
	if (hdr->gso_type != NET_GSO_NONE)
		return judge_gso(hdr, csum && has(features, VIRTIO_NET_F_HOST_TSO4),
				 csum && has(features, VIRTIO_NET_F_HOST_TSO6), frame_len);
	hdr->hdr_len = hdr->gso_size = 0;
	return 0;
}

int net_hdr_judge_rx(struct net_hdr *hdr, uint64_t features, size_t frame_len)
{
	int csum = has(features, VIRTIO_NET_F_GUEST_CSUM);

	if (frame_len < NET_ETH_LEN || frame_len > NET_FRAME_MAX - NET_HDR_LEN)
		return -EINVAL;
	hdr->flags &= NET_HDR_NEEDS_CSUM | NET_HDR_DATA_VALID;
	hdr->num_buffers = 0;
	if ((hdr->flags & NET_HDR_NEEDS_CSUM) && !csum_fits(hdr, frame_len))
		return -EINVAL;
	if (hdr->gso_type != NET_GSO_NONE)
		return judge_gso(hdr, csum && has(features, VIRTIO_NET_F_GUEST_TSO4),
				 csum && has(features, VIRTIO_NET_F_GUEST_TSO6), frame_len);
	hdr->hdr_len = hdr->gso_size = 0;
	if (!(hdr->flags & NET_HDR_NEEDS_CSUM))
		hdr->csum_start = hdr->csum_offset = 0;
	if (csum)
		return 0;
	/* §5.1.6.4.1: a driver without GUEST_CSUM sees flags 0 and checksummed packets. */
	if (hdr->flags & NET_HDR_NEEDS_CSUM)
		return 1;
	hdr->flags = 0;
	return 0;
}
