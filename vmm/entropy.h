/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENTROPY_H
#define VMM_ENTROPY_H

#include "devices/virtio/rng.h"

struct loop;
struct entropy;

/*
 * The host's random bytes for a virtio-rng: getrandom(), and a timer of the loop that gives the
 * guest its next share. 0 or -ENOMEM. entropy_is_idle(): no timer is running, so that
 * entropy_destroy() may follow; it takes NULL.
 */
int entropy_create(struct entropy **out, struct loop *loop, const struct mem *mem);
void entropy_destroy(struct entropy *e);
int entropy_is_idle(const struct entropy *e);

struct virtio_dev *entropy_dev(struct entropy *e);

#endif
