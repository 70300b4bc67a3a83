/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_SUMS_H
#define LOADER_IMAGE_SUMS_H

#include <stddef.h>

#include "loader/image/digest.h"

/*
 * Finds the digest of @file in a publisher's checksum list, @len bytes that strangers wrote:
 *
 *   HEX  NAME, HEX *NAME       sha256sum's form: SHA256SUMS, SHA512SUMS
 *   SHA256 (NAME) = HEX        BSD's: Fedora's CHECKSUM
 *   HEX                        alone in the list: Alpine's FILE.sha512
 *
 * All else is passed over. 0; -ENOENT if the list has none of that kind for the file; -EINVAL if
 * it has two that differ. Silent.
 */
int sums_find(const char *text, size_t len, enum digest_kind kind, const char *file,
	      struct digest *out);

#endif
