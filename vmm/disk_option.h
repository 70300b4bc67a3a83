/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_DISK_OPTION_H
#define VMM_DISK_OPTION_H

#include <limits.h>
#include <stdint.h>

/*
 * One `--disk` option of the command line, taken apart:
 *
 *	path=FILE | fd=N	an image or block device, by name or as an open descriptor
 *	format=raw|qcow2	stated and never guessed from bytes that a guest may have written
 *	backing=off|on|FILE	files that a qcow2 image says it is laid over may be opened: none
 *				(the default), all, or FILE alone (a name with a slash in it)
 *	ro serial=S direct=on|off queues=N
 */
struct disk_option {
	char path[PATH_MAX];    /* with a descriptor: a name for messages */
	char backing[PATH_MAX]; /* backing=FILE; else empty */
	char serial[21];        /* empty: none */
	int fd;                 /* -1: by name */
	uint8_t read_only, direct, qcow2, any_backing;
	unsigned queues; /* 0: the default */
};

/*
 * 0, or -EINVAL after one sentence that names what is wrong. Two commas in a value stand for one.
 */
int disk_option_parse(const char *text, struct disk_option *out);

#endif
