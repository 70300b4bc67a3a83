/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <stdint.h>

#include "loader/image.h"

/*
 * What the user asked for, as `skiff run` understood it. Strings are the command line's own and
 * live as long as the process. Numbers are judged here; files are judged by whoever opens them.
 */
#define CONFIG_DISKS_MAX 16
#define CONFIG_NETS_MAX  8

struct config {
	const char *kernel, *initrd, *append;
	const char *console; /* stdio, null or file:PATH */
	const char *kvm_path;
	enum image_mode kernel_entry;
	unsigned cpus;
	uint64_t memory; /* bytes */
	int no_reboot;
	int stats;
	const char *disk[CONFIG_DISKS_MAX];
	unsigned n_disks;
	const char *net[CONFIG_NETS_MAX];
	unsigned n_nets;
	int rng, virtio_console;
};

/*
 * Reads `skiff run` options. 0, or -EINVAL after one sentence that names the option. `--help` is
 * the caller's.
 */
int config_parse(int argc, char **argv, struct config *config);

/* "512M" -> bytes: a decimal number and an optional K, M, G or T. 0 or -EINVAL, silent. */
int config_parse_size(const char *text, uint64_t *bytes);

/* Prints the options of `skiff run`, with their defaults. */
void config_print_help(void);

#endif
