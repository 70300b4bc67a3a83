/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts the seed together in memory: texts of ours or the user's, a file system around them, and
 * seals so that the disk is what it says, read-only. Runs before any vCPU does. Knows nothing of
 * disks.
 */
#include "loader/seed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/fat.h"
#include "vmm/log.h"

/* NoCloud looks for this label; in capitals it is one that FAT takes. */
#define LABEL "CIDATA"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

/* The volume's number follows from what it holds (FNV-1a), so that the same seed is the same. */
static uint32_t volume_id(const struct fat_file *files, unsigned n)
{
	uint32_t h = 2166136261u;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *at = files[i].data;

		for (size_t j = 0; j < files[i].len; j++)
			h = (h ^ at[j]) * 16777619u;
	}
	return h;
}

static int new_memfd(void)
{
	const char *name = "skiff-seed";
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	/* Before Linux 6.3 there was no such flag; since then a host may insist on it. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return log_fail(-errno, "cloud-init: no memory file for the seed: memfd_create: %s",
				strerror(errno));
	return fd;
}

static int write_seed(const struct fat_file *files, unsigned n, int *out)
{
	struct fat_params fat = {.label = LABEL, .id = volume_id(files, n), .files = files, .n = n};
	int fd = new_memfd(), r;

	if (fd < 0)
		return fd;
	r = fat_write(&fat, fd);
	if (r < 0)
		goto out_close;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
		r = log_fail(-errno, "cloud-init: the seed cannot be sealed: %s", strerror(errno));
		goto out_close;
	}
	*out = fd;
	return 0;

out_close:
	close(fd);
	return r;
}

/* What the user did not give: user-data and meta-data must be there, the others need not. */
static int make_text(enum seed_file_kind kind, const struct seed_params *p, struct seed_file *f)
{
	FILE *out = open_memstream(&f->data, &f->len);
	int r;

	if (!out)
		return log_fail(-ENOMEM, "cloud-init: there is no memory for the seed");
	if (kind == SEED_USER_DATA)
		r = cloud_config_user(out, &p->user);
	else
		r = cloud_config_meta(out, p->instance_id, p->hostname);
	/* A stream in memory fails for want of memory only, and then without a sentence. */
	if ((ferror(out) | fclose(out)) && r == 0)
		r = log_fail(-ENOMEM, "cloud-init: there is no memory for the seed");
	return r;
}

int seed_create(const struct seed_params *p, int *fd)
{
	struct seed_file ours[SEED_FILES] = {0};
	struct fat_file files[SEED_FILES];
	unsigned n = 0;
	int r = 0;

	for (unsigned kind = 0; kind < SEED_FILES && r == 0; kind++) {
		const struct seed_file *f = &p->files[kind];

		if (!f->data && kind != SEED_USER_DATA && kind != SEED_META_DATA)
			continue;
		if (!f->data) {
			r = make_text(kind, p, &ours[kind]);
			f = &ours[kind];
		}
		files[n].name = seed_file_name(kind);
		files[n].data = f->data;
		files[n].len = f->len;
		n++;
	}
	if (r == 0)
		r = write_seed(files, n, fd);
	for (unsigned kind = 0; kind < SEED_FILES; kind++)
		seed_file_free(&ours[kind]);
	return r;
}
