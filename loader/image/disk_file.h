/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_DISK_FILE_H
#define LOADER_IMAGE_DISK_FILE_H

/*
 * `skiff image create|info|check|resize`: files that hold a disk, raw or qcow2. Each takes the
 * arguments after the command's name and returns the exit status: 0 done, 1 it could not be done,
 * 2 used wrongly; check has others (disk_file_check_help). Nothing but what the user named is
 * opened: of a backing file, create looks at its size alone.
 */
int disk_file_create(int argc, char **argv);
int disk_file_info(int argc, char **argv);
int disk_file_check(int argc, char **argv);
int disk_file_resize(int argc, char **argv);

void disk_file_create_help(void);
void disk_file_info_help(void);
void disk_file_check_help(void);
void disk_file_resize_help(void);

#endif
