/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CONTAINER_OF_H
#define VMM_CONTAINER_OF_H

#include <stddef.h>

/* The struct of @type whose @member is at @ptr. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
