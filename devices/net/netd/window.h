/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_NET_NETD_WINDOW_H
#define DEVICES_NET_NETD_WINDOW_H

#include <stddef.h>
#include <stdint.h>

/*
 * @frame is an Ethernet frame of @len bytes for a guest whose MTU is @mtu. If it is TCP and offers
 * libslirp's largest window, 65535 bytes, the window becomes a whole number of the segments that
 * fit the MTU, where that takes away no more than a few bytes; the checksum follows. Of all other
 * frames nothing changes.
 */
void window_trim(uint8_t *frame, size_t len, uint32_t mtu);

#endif
