/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_CPIO_H
#define VMM_BENCH_CPIO_H

/*
 * Writes directory @dir as an initramfs: a `newc` archive, files, directories and links, all owned
 * by root. 0, or -errno after one sentence that begins with @what.
 */
int cpio_write(const char *what, const char *dir, const char *out);

#endif
