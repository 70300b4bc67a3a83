/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio input device with one key. On its loop with the lock held. Who presses the key, and
 * why, is its owner's affair.
 */
#include "devices/virtio/input.h"

#include <assert.h>
#include <linux/input-event-codes.h>
#include <linux/input.h>
#include <string.h>

#include "vmm/container_of.h"
#include "vmm/iov.h"

enum { EVENTQ, STATUSQ };

/* §5.8.4: what the driver may ask for. */
enum { CFG_UNSET = 0x00, CFG_ID_NAME = 0x01, CFG_ID_DEVIDS = 0x03, CFG_EV_BITS = 0x11 };

/* §5.8.6 */
struct input_event_le {
	uint16_t type, code;
	uint32_t value;
};

/* Pressed, released, and after each the end of what happened at once. */
#define EVENTS 4

static struct input_event_le event(const struct virtio_input *in, unsigned n)
{
	if (n % 2)
		return (struct input_event_le){htole16(EV_SYN), htole16(SYN_REPORT), 0};
	return (struct input_event_le){htole16(EV_KEY), htole16(in->key), htole32(n == 0)};
}

static void send_events(struct virtio_input *in)
{
	struct iovec v[INPUT_QUEUE_SIZE];

	while (in->events_left) {
		struct vq_chain chain = {.v = v, .max = INPUT_QUEUE_SIZE};
		struct input_event_le e = event(in, EVENTS - in->events_left);
		struct iov iov;

		if (!virtio_pop(&in->dev, EVENTQ, &chain))
			return;
		if (iov_init(&iov, v + chain.out, chain.in) < 0 ||
		    iov_put(&iov, &e, sizeof(e)) < 0) {
			virtio_broken(&in->dev, "a buffer of %zu bytes is too small for an event",
				      chain.in_len);
			return;
		}
		in->events_left--;
		virtio_push(&in->dev, EVENTQ, chain.head, sizeof(e));
	}
}

static void take_status(struct virtio_input *in)
{
	struct iovec v[INPUT_QUEUE_SIZE];

	for (unsigned n = 0; n < VIRTIO_BUDGET; n++) {
		struct vq_chain chain = {.v = v, .max = INPUT_QUEUE_SIZE};

		if (!virtio_pop(&in->dev, STATUSQ, &chain))
			return;
		virtio_push(&in->dev, STATUSQ, chain.head, 0);
	}
	virtio_kick_later(&in->dev, STATUSQ);
}

static void input_kick(struct virtio_dev *dev, unsigned q)
{
	struct virtio_input *in = container_of(dev, struct virtio_input, dev);

	if (q == EVENTQ)
		send_events(in);
	else
		take_status(in);
}

static void set_bit(struct virtio_input_config *c, unsigned bit)
{
	c->u[bit / 8] = (uint8_t)(1u << bit % 8);
	c->size = (uint8_t)(bit / 8 + 1);
}

/* §5.8.5.1: the answer to select and subsel; of size 0 where there is none. */
static void input_config_written(struct virtio_dev *dev, uint32_t off, uint32_t len)
{
	struct virtio_input *in = container_of(dev, struct virtio_input, dev);
	struct virtio_input_config *c = &in->config;

	(void)off;
	(void)len;
	c->size = 0;
	memset(c->u, 0, sizeof(c->u));
	if (c->select == CFG_EV_BITS && c->subsel == EV_KEY) {
		set_bit(c, in->key);
	} else if (c->select == CFG_ID_NAME && c->subsel == 0) {
		c->size = (uint8_t)strlen(in->name);
		memcpy(c->u, in->name, c->size);
	} else if (c->select == CFG_ID_DEVIDS && c->subsel == 0) {
		const uint16_t ids[4] = {htole16(BUS_VIRTUAL), 0, 0, htole16(1)};

		c->size = sizeof(ids);
		memcpy(c->u, ids, sizeof(ids));
	}
}

static void input_reset(struct virtio_dev *dev, int q)
{
	struct virtio_input *in = container_of(dev, struct virtio_input, dev);

	if (q < 0) {
		in->events_left = 0;
		memset(&in->config, 0, sizeof(in->config));
	}
	virtio_reset_done(dev);
}

static const struct virtio_dev_ops input_ops = {
	.name = "input",
	.type = VIRTIO_ID_INPUT,
	.kick = input_kick,
	.reset = input_reset,
	.config_written = input_config_written,
};

void virtio_input_init(struct virtio_input *in, const struct mem *mem, const char *name,
		       uint16_t key)
{
	assert(key <= INPUT_KEY_MAX && strlen(name) <= INPUT_NAME_MAX);
	memset(in, 0, sizeof(*in));
	virtio_dev_init(&in->dev, &input_ops, mem, 2, INPUT_QUEUE_SIZE);
	in->name = name;
	in->key = key;
	in->dev.config = (uint8_t *)&in->config;
	in->dev.config_len = sizeof(in->config);
	in->dev.config_writable = 2;
}

void virtio_input_press(struct virtio_input *in)
{
	if (!in->dev.started || in->events_left)
		return;
	in->events_left = EVENTS;
	virtio_kick_later(&in->dev, EVENTQ);
}
