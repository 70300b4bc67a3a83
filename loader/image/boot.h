/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_BOOT_H
#define LOADER_IMAGE_BOOT_H

/*
 * `skiff-image boot --parent PID [--image-size BYTES] FORMAT:NAME...`: takes kernel, initrd and
 * command line out of the disk that the images make, the topmost first. If its partitions or file
 * systems reach beyond BYTES, that is an error: the image was cut short. It has no paths: the
 * images are descriptors IMAGE_BOOT_DISK_FD and following, in the order of the arguments; NAME is
 * for messages, FORMAT is raw or qcow2.
 *
 * The report is lines of text, `KEY VALUE`; fields of a value are divided by tabs. Bytes that are
 * no printable ASCII or UTF-8 are `?`.
 *
 *   part    number  bytes  type  label  uuid  partuuid  name
 *   os      what /etc/os-release says
 *   from    which file said what to boot
 *   kernel  path           initrd   path (one for each; they are written one after the other)
 *   cmdline words          driver   name  y|m|n
 *   warning sentence       error    sentence
 *   end     (all of the above has been said, and the files are whole)
 *
 * Exit status: 0 with `end`, else 1 after an error; 2 for wrong arguments.
 */
#define IMAGE_BOOT_REPORT_FD  3
#define IMAGE_BOOT_KERNEL_FD  4
#define IMAGE_BOOT_INITRD_FD  5
#define IMAGE_BOOT_DISK_FD    6
#define IMAGE_BOOT_DISKS_MAX  16

#define IMAGE_BOOT_KERNEL_MAX (256ull << 20)
#define IMAGE_BOOT_INITRD_MAX (1ull << 30)
#define IMAGE_BOOT_REPORT_MAX (256u << 10) /* bytes */
#define IMAGE_BOOT_MEMORY_MAX (256ull << 20)
#define IMAGE_BOOT_SECONDS    30 /* of processor time */

int image_boot_main(int argc, char **argv);

#endif
