/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_PARTTABLE_H
#define LOADER_IMAGE_PARTTABLE_H

#include "loader/image/reader.h"

/*
 * The partitions of a disk with blocks of 512 bytes: GPT (UEFI 2.10 §5.3) or MBR with logical
 * partitions. Every number comes from a stranger; what is handed out lies inside the disk.
 */
#define PARTS_MAX 128

struct part {
	unsigned number; /* as Linux counts; 0: the whole disk */
	uint64_t start, len;
	char partuuid[37]; /* as root=PARTUUID= has it, "" if there is none */
	char type[37];     /* GPT: the type's GUID; MBR: "0x83" */
	char name[37];     /* GPT's, ASCII; what is not becomes `?` */
};

enum parttable_kind { PARTTABLE_NONE, PARTTABLE_GPT, PARTTABLE_MBR };

struct parttable {
	enum parttable_kind kind;
	uint8_t from_backup; /* GPT: the header in front is damaged */
	uint8_t damaged;     /* there should be a GPT, and none holds */
	uint8_t dropped;     /* entries that lie outside the disk or over another were left out */
	uint64_t reach;      /* bytes that it needs, with what was dropped and with GPT's copy */
	unsigned n;
	struct part part[PARTS_MAX];
};

/* 0, also where there is no table (PARTTABLE_NONE), or -errno when the disk cannot be read. */
int parttable_read(struct reader *r, struct parttable *t);

#endif
