/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_SPEC_H
#define DEVICES_VIRTIO_SPEC_H

#include <endian.h>
#include <stdint.h>

/* Numbers and layouts of the virtio 1.2 specification; little-endian on the wire. */

/* §2.1 device status */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01
#define VIRTIO_STATUS_DRIVER      0x02
#define VIRTIO_STATUS_DRIVER_OK   0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_NEEDS_RESET 0x40
#define VIRTIO_STATUS_FAILED      0x80

/* §6 reserved feature bits */
#define VIRTIO_F_NOTIFY_ON_EMPTY  24 /* legacy */
#define VIRTIO_F_ANY_LAYOUT       27 /* legacy */
#define VIRTIO_F_INDIRECT_DESC    28
#define VIRTIO_F_EVENT_IDX        29
#define VIRTIO_F_VERSION_1        32
#define VIRTIO_F_ACCESS_PLATFORM  33
#define VIRTIO_F_RING_RESET       40

/* §5 device types */
#define VIRTIO_ID_NET             1
#define VIRTIO_ID_BLOCK           2
#define VIRTIO_ID_CONSOLE         3
#define VIRTIO_ID_RNG             4
#define VIRTIO_ID_INPUT           18

/* §2.7.5 descriptor table */
struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};
#define VRING_DESC_F_NEXT          1
#define VRING_DESC_F_WRITE         2
#define VRING_DESC_F_INDIRECT      4

/* §2.7.6, §2.7.8 */
#define VRING_AVAIL_F_NO_INTERRUPT 1
#define VRING_USED_F_NO_NOTIFY     1

struct vring_used_elem {
	uint32_t id;
	uint32_t len;
};

#endif
