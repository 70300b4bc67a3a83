/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_DISK_OPTION_H
#define VMM_DISK_OPTION_H

#include <limits.h>
#include <stdint.h>

/*
 * `--disk
 * path=FILE[,format=raw|qcow2][,backing=on|off][,ro][,serial=S][,direct=on|off][,queues=N]`, taken
 * apart. The format is stated here and never guessed from bytes that a guest may have written.
 * backing=on: files that a qcow2 image names as those it is laid over may be opened.
 */
struct disk_option {
	char path[PATH_MAX];
	char serial[21]; /* empty: none */
	uint8_t read_only, direct, qcow2, backing;
	unsigned queues; /* 0: the default */
};

/*
 * 0, or -EINVAL after one sentence that names what is wrong. Two commas in a value stand for one.
 */
int disk_option_parse(const char *text, struct disk_option *out);

#endif
