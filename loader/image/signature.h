/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_SIGNATURE_H
#define LOADER_IMAGE_SIGNATURE_H

#include <stddef.h>

/*
 * OpenPGP signatures, judged by gpgv, which takes every key of a keyring as one that may sign.
 */
#define SIGNATURE_TEXT_MAX 160

/*
 * The path of keyring @name: itself if it is a path, else in the user's skiff/keyrings or in
 * /usr/share/keyrings. 0 or -ENOENT, silent.
 */
int signature_keyring(const char *name, char *path, size_t size);

/*
 * Judges @text by @sig, a detached signature; @sig NULL: the text carries its signature, and
 * *@text, *@len become what was signed (freed and replaced). 1: good, and @said names the signer;
 * 0: could not be judged, @said says why; -EBADMSG: not good, and -errno, both said.
 */
int signature_check(const char *what, const char *keyring, char **text, size_t *len,
		    const char *sig, size_t sig_len, char said[SIGNATURE_TEXT_MAX]);

#endif
