/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_SEED_H
#define LOADER_SEED_H

#include <stddef.h>

#include "loader/cloud_config.h"

/*
 * The seed that cloud-init's NoCloud data source looks for: a FAT file system labelled CIDATA with
 * user-data, meta-data and, where they are given, vendor-data and network-config. A file that the
 * user gives goes in as it is, byte for byte, and takes the place of ours: nothing is merged.
 * Without a network-config of the user's there is none; cloud-init then asks DHCP on the first card
 * and ties the configuration to its MAC address, which must be the same in the next run.
 */
enum seed_file_kind {
	SEED_USER_DATA,
	SEED_META_DATA,
	SEED_VENDOR_DATA,
	SEED_NETWORK_CONFIG,
	SEED_FILES
};

#define SEED_FILE_MAX (16u << 20)

struct seed_file {
	char *data; /* NULL: not given. Not NULL, but never looked at, if len is 0 */
	size_t len; /* bytes */
};

struct seed_params {
	const char *instance_id, *hostname; /* not looked at if there is a SEED_META_DATA */
	struct cloud_user user;             /* not looked at if there is a SEED_USER_DATA */
	struct seed_file files[SEED_FILES];
};

/*
 * Makes the seed: 0 with *@fd, the caller's: a memfd that nobody can change or cut any more. The
 * same parameters make the same bytes. -EINVAL for something that loader/cloud_config.h does not
 * take, -ENOMEM, or the -errno of memfd_create() and the calls that fill and seal it, such as
 * -EMFILE or -ENOSPC. All but 0 after one sentence.
 */
int seed_create(const struct seed_params *p, int *fd);

/*
 * Reads what the user gave by --user-data and so on: a file, a pipe. 0, -EFBIG above SEED_FILE_MAX,
 * -EINVAL for an empty SEED_USER_DATA, -ENOMEM, or the -errno of open() and read(), after one
 * sentence that begins with the option. Data that cloud-init would not recognise by its beginning,
 * and ignore, gets a warning. seed_file_free() undoes it, also on a zeroed struct.
 */
int seed_file_read(enum seed_file_kind kind, const char *path, struct seed_file *f);
void seed_file_free(struct seed_file *f);

/* Its name in the seed: "user-data". The option is the same with "--" before it. */
const char *seed_file_name(enum seed_file_kind kind);

#endif
