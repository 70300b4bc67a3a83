/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_QEMU_IMG_H
#define TESTS_LIB_QEMU_IMG_H

/*
 * qemu-img as a judge. qemu_img() runs it with the arguments, up to NULL, in silence, and returns
 * its exit code, or -1.
 */
int qemu_img_is_there(void);
int qemu_img(const char *arg, ...) __attribute__((sentinel));
/* The same with qemu-io. */
int qemu_io(const char *arg, ...) __attribute__((sentinel));
/* The start of what the last of them wrote, on either output. */
const char *qemu_img_said(void);

#endif
