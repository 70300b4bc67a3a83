/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_BE_H
#define DEVICES_NET_NETD_BE_H

#include <stdint.h>

/* Big-endian numbers in the headers of frames, wherever they lie. */
static inline uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

#endif
