/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_PASSWORD_H
#define VMM_PASSWORD_H

#define PASSWORD_MAX       255 /* bytes of a password */
#define PASSWORD_HASH_SIZE 384 /* of a hash, with its NUL */

/*
 * Asks for the password of @user and makes its hash. From a terminal at @fd (standard input) it is
 * asked for twice on standard error, without echo; the terminal gets its mode back before a signal
 * from a key (Ctrl-C, Ctrl-Z) or from elsewhere has its effect. From anything else one line is
 * read, and not a byte more: the rest may be for the guest's console.
 *
 * 0; -EINVAL if it is empty, holds a NUL, is longer than PASSWORD_MAX or was not typed twice alike;
 * -EINTR after a signal that someone handles; or the -errno of a call that failed. All but 0 after
 * one sentence. No copy of the password stays in memory.
 */
int password_ask(int fd, const char *user, char hash[PASSWORD_HASH_SIZE]);

/* Reads, from anything but a terminal, the line that password_ask() would have, and forgets it. */
void password_skip(int fd);

/*
 * Hashes by crypt(3) with a random salt: SHA-512, `$6$`, which the C library of every guest knows;
 * musl (Alpine) does not know yescrypt. 0, -ENOMEM, or -EIO if this host's libcrypt will not; after
 * one sentence.
 */
int password_hash(const char *password, char hash[PASSWORD_HASH_SIZE]);

#endif
