/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_UUID_H
#define VMM_UUID_H

#include <stdint.h>

/*
 * A random UUID (RFC 4122 §4.4), in the order in which it is printed, that does not print as "ec2",
 * by which clouds know Amazon's, in either byte order.
 */
void uuid_make(uint8_t uuid[16]);

#endif
