/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_SIGNED_LIST_H
#define TESTS_LIB_SIGNED_LIST_H

#include <stddef.h>

/* A publisher's checksum list of abc.raw, which is the three bytes "abc", and who signed it. */
#define SIGNED_LIST_TEXT \
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  abc.raw\n"
#define SIGNED_LIST_SIGNER "Good signature from \"Test Publisher <images@example.org>\""

extern const unsigned char signed_list_keyring[], signed_list_other_keyring[];
extern const unsigned char signed_list_signature[]; /* of SIGNED_LIST_TEXT */
extern const size_t signed_list_keyring_len, signed_list_other_keyring_len;
extern const size_t signed_list_signature_len;
/* The same digest in BSD's form, with its signature around it. */
extern const char signed_list_inline[];

#endif
