/* SPDX-License-Identifier: BSD-2-Clause */
/* What queue.c calls at each load of ring memory when it is built with RING_LOAD_HOOK (ring.h). */
#define RING_LOAD_HOOK
#include "devices/virtio/ring.h"

uint64_t (*ring_load_hook)(const void *at, unsigned size, uint64_t value);
