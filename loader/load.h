/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_LOAD_H
#define LOADER_LOAD_H

#include "loader/image.h"

/*
 * Reads the kernel @fd (a regular file; the caller's) into @mem, by the magic bytes it starts
 * with. 0, or -errno after one sentence that names p->path, what is wrong with it and what to do.
 * Guest memory may hold part of a kernel after an error.
 */
int load_kernel(int fd, const struct load_params *p, struct mem *mem, struct image *img);

/*
 * Reads the whole of @fd into RAM as high as img->initrd_max and RAM allow, page-aligned and clear
 * of the kernel and of everything below @floor. Stores where it lies; an empty file is an error.
 */
int load_initrd(int fd, const char *path, const struct image *img, struct mem *mem, gpa_t floor,
		gpa_t *addr, uint64_t *len);

#endif
