/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_DIGEST_H
#define LOADER_IMAGE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* What tells one file from all others: SHA-256 and SHA-512 (FIPS 180-4), and their spelling. */
enum digest_kind { DIGEST_SHA256, DIGEST_SHA512 };

#define DIGEST_TEXT_MAX 136 /* "sha512:", 128 digits, NUL */

struct digest {
	enum digest_kind kind;
	uint8_t bytes[64];
};

size_t digest_size(enum digest_kind kind);      /* bytes: 32 or 64 */
const char *digest_name(enum digest_kind kind); /* "sha256", "sha512" */

/* @len hex digits in either case. 0 or -EINVAL, silent. */
int digest_parse_hex(enum digest_kind kind, const char *hex, size_t len, struct digest *out);

/* "sha256:HEX" or "sha512:HEX". 0 or -EINVAL, silent. */
int digest_parse(const char *text, struct digest *out);

void digest_print(const struct digest *d, char out[DIGEST_TEXT_MAX]);
int digest_equal(const struct digest *a, const struct digest *b);

/* Both at once over bytes as they come. The hasher is the caller's; free undoes start. */
struct hasher {
	void *ctx[2];
	uint8_t kinds; /* bits of 1 << enum digest_kind */
};

/* 0 or -ENOMEM, said. SHA-256 always, SHA-512 if @sha512. */
int hasher_start(struct hasher *h, int sha512);
/* Forgets the bytes so far. */
void hasher_restart(struct hasher *h);
void hasher_add(struct hasher *h, const void *data, size_t len);
/* The digest of all bytes so far; @kind is one that was started. Ends that one. */
void hasher_end(struct hasher *h, enum digest_kind kind, struct digest *out);
void hasher_free(struct hasher *h);

#endif
