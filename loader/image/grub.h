/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_GRUB_H
#define LOADER_IMAGE_GRUB_H

#include "loader/image/entry.h"

/*
 * The entry of a grub.cfg that GRUB would boot if nobody touched a key. @vars holds what the
 * environment block says, and afterwards what the file sets, too. 0, -ENOENT if no entry has a
 * `linux` line, -E2BIG, -ENOMEM.
 *
 * It is not a shell: conditions are not evaluated, so all branches are taken; where an entry names
 * several kernels, the first that has an initrd is taken. Where `root` points does not matter: the
 * caller looks for the paths.
 */
int grub_read(const char *text, struct entry_vars *vars, struct boot_entry *out);

#endif
