/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_BLK_RIG_H
#define TESTS_LIB_BLK_RIG_H

#include <stdint.h>

#include "devices/virtio/blk.h"
#include "devices/virtio/blk_parse.h"
#include "tests/lib/driver.h"
#include "tests/lib/fake_disk.h"

/*
 * A guest with one virtio disk on a bench: memory, driver, device, and a disk made of bytes. The
 * test is vCPU, loop and disk in turn.
 */
struct blk_rig {
	struct mem mem;
	struct fake_disk disk;
	struct virtio_blk *vb;
	struct driver drv;
};

#define BLK_RIG_RAM   (24u << 20)
#define BLK_RIG_BYTES (1u << 20) /* size of the disk */

struct blk_rig_params {
	unsigned queues;     /* 0: 1 */
	uint16_t queue_size; /* 0: 64 */
	uint8_t read_only;
	uint32_t bytes; /* of the disk; 0: BLK_RIG_BYTES */
	const char *serial;
};

/* Builds the rig, the driver not yet started; aborts the test if it cannot. NULL: the defaults. */
void blk_rig_up(struct blk_rig *rig, const struct blk_rig_params *params);
/* Answers what is pending, resets and takes the rig apart. */
void blk_rig_down(struct blk_rig *rig);

/* A request header in guest memory. */
gpa_t blk_rig_header(struct blk_rig *rig, uint32_t type, uint64_t sector);

/*
 * One request in the usual three parts, made available and kicked: header, @len bytes of data
 * copied from @data (if it is not NULL), status. @write: the device may write the data.
 */
struct blk_ask {
	uint32_t type;
	uint64_t sector;
	const void *data;
	uint32_t len;
	int write;
	/* Filled in by blk_rig_ask(): */
	gpa_t data_at, status_at;
	int head;
};
void blk_rig_ask(struct blk_rig *rig, unsigned q, struct blk_ask *ask);

/* The same, answered (async disks too): the status byte, the used length in @used unless NULL. */
uint8_t blk_rig_do(struct blk_rig *rig, struct blk_ask *ask, uint32_t *used);

/* Writes and reads back one sector: true if the device does its work. */
int blk_rig_alive(struct blk_rig *rig);

#endif
