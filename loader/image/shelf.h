/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_SHELF_H
#define LOADER_IMAGE_SHELF_H

/* `skiff image ls` and `rm`: what is in the store, for a person. Exit statuses. */
int shelf_ls(int argc, char **argv);
int shelf_rm(int argc, char **argv);
void shelf_ls_help(void);
void shelf_rm_help(void);

#endif
