/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_INPUT_H
#define DEVICES_VIRTIO_INPUT_H

#include <stdint.h>

#include "devices/virtio/dev.h"

/*
 * A virtio input device (virtio 1.2 §5.8): a keyboard with a single key, such as a power button.
 * Pressing it sends four events, which wait until the driver has given buffers for them; what the
 * driver sends (LEDs) is taken and forgotten. Lock held for every call.
 */
#define INPUT_QUEUE_SIZE 64
#define INPUT_KEY_MAX    0x2ff
#define INPUT_NAME_MAX   127

/* §5.8.4 */
struct virtio_input_config {
	uint8_t select, subsel; /* the driver's question */
	uint8_t size;           /* how much of the answer below counts */
	uint8_t reserved[5];
	uint8_t u[128];
};

struct virtio_input {
	struct virtio_dev dev;
	struct virtio_input_config config;
	const char *name;
	uint16_t key;
	uint8_t events_left; /* of the press under way */
};

/* @key is a KEY_ code of Linux's input-event-codes.h up to INPUT_KEY_MAX; @name is the caller's. */
void virtio_input_init(struct virtio_input *in, const struct mem *mem, const char *name,
		       uint16_t key);

/*
 * Presses the key and lets it go; any thread. Nothing happens while no driver runs the device, or
 * while an earlier press has not got through.
 */
void virtio_input_press(struct virtio_input *in);

#endif
