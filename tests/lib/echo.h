/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_ECHO_H
#define TESTS_LIB_ECHO_H

#include <stdint.h>

#include "devices/virtio/dev.h"

/*
 * The simplest device that does something: a chain's out bytes come back as its in bytes, and
 * what is left of the in bytes stays as it was. Behaves like a disk if it is told to be slow:
 * chains stay in flight, and touch guest memory when they end, until echo_finish().
 */
#define ECHO_TYPE   64 /* no type of the specification's */
#define ECHO_CONFIG 24
#define ECHO_HELD   (2 * VQ_SIZE_MAX)
#define ECHO_SEGS   64

struct echo_chain {
	unsigned q;
	struct vq_chain chain;
	struct iovec v[ECHO_SEGS];
};

struct echo {
	struct virtio_dev dev;
	uint8_t config[ECHO_CONFIG];
	int slow;     /* chains wait for echo_finish() */
	int lazy;     /* kicks are counted and nothing is popped */
	int question; /* what ops->reset() asked and has not been told; -2: nothing */
	unsigned starts, kicks, resets, config_writes, answered;
	unsigned wrong_calls; /* kick before start or after reset; two questions at a time */
	unsigned n_held;
	struct echo_chain *held; /* ECHO_HELD of them */
};

/* @type: ECHO_TYPE, or a VIRTIO_ID_* for a transitional identity. Aborts without memory. */
void echo_init(struct echo *e, const struct mem *mem, unsigned queues, uint16_t size,
	       uint16_t type);
void echo_destroy(struct echo *e);

/* Ends the oldest @n chains in flight (all: UINT_MAX), and the reset that waited for the last. */
void echo_finish(struct echo *e, unsigned n);

#endif
