/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_BLS_H
#define LOADER_IMAGE_BLS_H

#include "loader/image/entry.h"

/*
 * One file of a directory of boot entries (UAPI.1, the Boot Loader Specification, type 1), as
 * Fedora and its kin have them. @version says which of several is newer: what the file says, or its
 * name. 0, -ENOENT if it names no kernel, -E2BIG.
 */
int bls_read(const char *text, const char *name, const struct entry_vars *vars,
	     struct boot_entry *out, char version[ENTRY_PATH]);

/* Whether @saved, of GRUB's environment, means the entry in file @name. */
int bls_is_saved(const char *name, const struct boot_entry *entry, const char *saved);

/*
 * The default entry of an extlinux.conf or syslinux.cfg. Paths that do not begin with a slash begin
 * at @dir, where the file is. 0, -ENOENT if there is none with a kernel, -E2BIG.
 */
int extlinux_read(const char *text, const char *dir, struct boot_entry *out);

#endif
