/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <stdint.h>

#include "loader/image.h"

/*
 * What the user asked for, as `skiff run` understood it. Strings are the command line's own and
 * live as long as the process. Numbers are judged here; files are judged by whoever opens them.
 */
#define CONFIG_DISKS_MAX   16
#define CONFIG_DISKS_ALL   (CONFIG_DISKS_MAX + 2) /* with an image's own disk and seed */
#define CONFIG_NETS_MAX    8
#define CONFIG_PUBLISH_MAX 32

struct boot_status;

struct config {
	const char *kernel, *initrd, *append;
	const char *console; /* stdio, null or file:PATH */
	const char *kvm_path;
	enum image_mode kernel_entry;
	unsigned cpus;
	uint64_t memory; /* bytes; 0: not given */
	int no_reboot;
	int stats;
	const char *disk[CONFIG_DISKS_ALL];
	unsigned n_disks;
	const char *net[CONFIG_NETS_MAX];
	unsigned n_nets;
	const char *publish[CONFIG_PUBLISH_MAX]; /* -p */
	unsigned n_publish;
	int rng, virtio_console;

	/* With an image (vmm/launch.h), which is a file or a name such as ubuntu:24.04. */
	const char *image;
	const char *image_format; /* "raw" or "qcow2"; NULL: not stated */
	const char *name;
	uint64_t disk_size; /* bytes; 0: not given */
	int ephemeral;
	int no_cloud_init, password;
	const char *user, *user_data, *meta_data, *network_config, *vendor_data;
	int quiet, boot_report;

	/* What a launch has found. */
	int kernel_fd, initrd_fd; /* the machine's from machine_create() on; -1: none */
	const uint8_t *uuid;      /* 16 bytes; NULL: a random one */
	struct boot_status *boot; /* follows the console; NULL: nobody does */
	/*
	 * Before a reboot, with no vCPU running and the disks flushed: finds what boots now, within
	 * half a minute. 0: kernel, initrd, append and the descriptors here are new, and those the
	 * caller's; or -errno, said, and all is as it was. NULL: what booted is booted again.
	 */
	int (*reload)(void *arg);
	void *reload_arg;
};

#define CONFIG_MEMORY       (512ull << 20)
#define CONFIG_IMAGE_MEMORY (1ull << 30)

/*
 * Reads `skiff run` options. 0, or -EINVAL after one sentence that names the option. `--help` is
 * the caller's.
 */
int config_parse(int argc, char **argv, struct config *config);

/* Prints the options of `skiff run`, with their defaults. */
void config_print_help(void);

#endif
