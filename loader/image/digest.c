/* SPDX-License-Identifier: BSD-2-Clause */
/* Digests, by libcrypto. Any thread, a hasher at a time. Knows nothing of files. */
#include "loader/image/digest.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "vmm/log.h"

static const struct {
	const char *name;
	size_t size;
} kinds[] = {[DIGEST_SHA256] = {"sha256", 32}, [DIGEST_SHA512] = {"sha512", 64}};

size_t digest_size(enum digest_kind kind)
{
	return kinds[kind].size;
}

const char *digest_name(enum digest_kind kind)
{
	return kinds[kind].name;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int digest_parse_hex(enum digest_kind kind, const char *hex, size_t len, struct digest *out)
{
	if (len != 2 * kinds[kind].size)
		return -EINVAL;
	*out = (struct digest){.kind = kind};
	for (size_t i = 0; i < len / 2; i++) {
		int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		out->bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

int digest_parse(const char *text, struct digest *out)
{
	for (enum digest_kind k = DIGEST_SHA256; k <= DIGEST_SHA512; k++)
		if (strncmp(text, kinds[k].name, 6) == 0 && text[6] == ':')
			return digest_parse_hex(k, text + 7, strlen(text + 7), out);
	return -EINVAL;
}

void digest_print(const struct digest *d, char out[DIGEST_TEXT_MAX])
{
	size_t n = (size_t)snprintf(out, DIGEST_TEXT_MAX, "%s:", kinds[d->kind].name);

	for (size_t i = 0; i < kinds[d->kind].size; i++, n += 2)
		snprintf(out + n, DIGEST_TEXT_MAX - n, "%02x", d->bytes[i]);
}

int digest_equal(const struct digest *a, const struct digest *b)
{
	return a->kind == b->kind && memcmp(a->bytes, b->bytes, kinds[a->kind].size) == 0;
}

static const EVP_MD *algorithm(enum digest_kind kind)
{
	return kind == DIGEST_SHA256 ? EVP_sha256() : EVP_sha512();
}

int hasher_start(struct hasher *h, int sha512)
{
	*h = (struct hasher){.kinds = 1 << DIGEST_SHA256 | (sha512 ? 1 << DIGEST_SHA512 : 0)};
	for (enum digest_kind k = DIGEST_SHA256; k <= DIGEST_SHA512; k++) {
		if (!(h->kinds & 1 << k))
			continue;
		h->ctx[k] = EVP_MD_CTX_new();
		if (!h->ctx[k] || !EVP_DigestInit_ex(h->ctx[k], algorithm(k), NULL)) {
			hasher_free(h);
			return log_fail(-ENOMEM, "image: this system's libcrypto gives no %s",
					kinds[k].name);
		}
	}
	return 0;
}

/* Once started, libcrypto has nothing left that could fail. */
static void insist(int ok)
{
	assert(ok);
	(void)ok;
}

void hasher_restart(struct hasher *h)
{
	for (enum digest_kind k = DIGEST_SHA256; k <= DIGEST_SHA512; k++)
		if (h->ctx[k])
			insist(EVP_DigestInit_ex(h->ctx[k], NULL, NULL));
}

void hasher_add(struct hasher *h, const void *data, size_t len)
{
	for (enum digest_kind k = DIGEST_SHA256; k <= DIGEST_SHA512; k++)
		if (h->ctx[k])
			insist(EVP_DigestUpdate(h->ctx[k], data, len));
}

void hasher_end(struct hasher *h, enum digest_kind kind, struct digest *out)
{
	*out = (struct digest){.kind = kind};
	insist(EVP_DigestFinal_ex(h->ctx[kind], out->bytes, NULL));
}

void hasher_free(struct hasher *h)
{
	for (enum digest_kind k = DIGEST_SHA256; k <= DIGEST_SHA512; k++) {
		EVP_MD_CTX_free(h->ctx[k]);
		h->ctx[k] = NULL;
	}
}
