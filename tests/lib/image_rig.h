/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_IMAGE_RIG_H
#define TESTS_LIB_IMAGE_RIG_H

#include <stddef.h>
#include <stdint.h>

/*
 * Disk images for tests, made by the tools that people make them with (mke2fs, sgdisk, qemu-img) in
 * a directory of the test's own. All paths are inside that directory. What fails aborts the test.
 */
int image_rig_is_there(void); /* whether the tools are; if not, says which */
void image_rig_up(void);
void image_rig_down(void);

/* The path of @name on the host: one of a few that are kept. */
const char *image_rig_path(const char *name);

/* Files to be put into a file system; directories on the way are made. */
void image_rig_text(const char *name, const char *text);
/* @size bytes that come from @seed. */
void image_rig_bytes(const char *name, uint32_t seed, size_t size);
void image_rig_link(const char *name, const char *target);

/* An image of @mib MiB with the files of directory @dir (NULL: none); options for mke2fs. */
void image_rig_ext(const char *name, const char *dir, unsigned mib, const char *type,
		   const char *label, const char *uuid, const char *features);

/* An empty disk, with a GPT by sgdisk's own words ("-n", "1:2048:0", ... NULL). */
void image_rig_disk(const char *name, unsigned mib, const char *const *words);
/* Copies image @from into disk @name, from @sector on. */
void image_rig_put(const char *name, uint64_t sector, const char *from);
/* Bytes over what is there. */
void image_rig_poke(const char *name, uint64_t at, const void *bytes, size_t len);

/* Runs a program in silence: its exit code or -1. Arguments up to NULL. */
int image_rig_run(const char *program, ...) __attribute__((sentinel));

#endif
