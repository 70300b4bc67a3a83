/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum. Sums 32-bit halves of 64-bit words into 64-bit accumulators: no carry is
 * lost below 2^32 words, far more than a frame holds, and one's complement addition does not care
 * about byte order, so words are taken as memory has them. Knows nothing of guests or wires.
 */
#include "devices/net/csum.h"

#include <endian.h>
#include <string.h>

static uint64_t load64(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

static uint64_t halves(uint64_t w)
{
	return (w & 0xffffffff) + (w >> 32);
}

uint64_t csum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t s1 = 0, s2 = 0, s3 = 0;
	uint8_t tail[8] = {0};

	for (; len >= 32; p += 32, len -= 32) {
		sum += halves(load64(p));
		s1 += halves(load64(p + 8));
		s2 += halves(load64(p + 16));
		s3 += halves(load64(p + 24));
	}
	for (; len >= 8; p += 8, len -= 8)
		s1 += halves(load64(p));
	memcpy(tail, p, len);
	s2 += halves(load64(tail));
	/* Below 2^48 each for any frame, so this sum cannot wrap either. */
	return sum + s1 + s2 + s3;
}

uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

int csum_fits(const struct net_hdr *hdr, size_t frame_len)
{
	size_t start = le16toh(hdr->csum_start);
	size_t field = start + le16toh(hdr->csum_offset);

	return start >= NET_ETH_LEN && frame_len >= 2 && field <= frame_len - 2;
}

uint16_t csum_finish(const struct net_hdr *hdr, const struct iovec *v, unsigned n)
{
	size_t skip = le16toh(hdr->csum_start);
	uint64_t sum = 0;
	int odd = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = v[i].iov_base;
		size_t len = v[i].iov_len;
		uint16_t part;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		p += skip;
		len -= skip;
		skip = 0;
		part = csum_fold(csum_add(0, p, len));
		/* A piece at an odd offset has its bytes in the other halves (RFC 1071 §2B). */
		sum += odd ? __builtin_bswap16(part) : part;
		odd ^= len & 1;
	}
	sum = csum_fold(sum);
	return sum == 0xffff ? 0xffff : (uint16_t)~sum;
}

void csum_complete(const struct net_hdr *hdr, uint8_t *frame, size_t len)
{
	struct iovec v = {frame, len};
	uint16_t csum = csum_finish(hdr, &v, 1);

	memcpy(frame + le16toh(hdr->csum_start) + le16toh(hdr->csum_offset), &csum, 2);
}
