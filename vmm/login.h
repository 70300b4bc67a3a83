/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_LOGIN_H
#define VMM_LOGIN_H

#include <limits.h>
#include <sys/types.h>

/*
 * Who the guest's user is: the person who started skiff, under the name that they have here, with
 * the keys that they have here, so that `ssh` finds its way in without being told a name or a key.
 */
#define LOGIN_NAME_SIZE 33 /* with the NUL: useradd takes 32 */

struct login {
	char name[LOGIN_NAME_SIZE]; /* one that every useradd takes */
	char home[PATH_MAX];        /* on this host; "" if there is none */
};

/*
 * The person behind the real user id @uid (getuid()). Where that is root because of sudo, it is
 * still the one who typed `sudo skiff run`, most often for /dev/kvm's sake, who will type `ssh`
 * without it: @sudo_user is getenv("SUDO_USER"), believed of root only. Pass NULL to ignore it.
 * Root who is nobody else is root in the guest, too.
 *
 * An account that every system has (ids 1 to 99, and nobody) would be found in the guest, without
 * a shell; its user, and one without an entry in the user database, is called "skiff".
 */
void login_find(uid_t uid, const char *sudo_user, struct login *l);

/*
 * Makes @name one that useradd takes: a name of a domain (`DOMAIN\name`, `name@domain`) without
 * it, in small letters, '_' for a '.' or blank and before a first character that is a digit or '-',
 * other characters left out, at most 32. What is empty then is "skiff".
 */
void login_fit_name(const char *name, char fit[LOGIN_NAME_SIZE]);

/* Public keys that may log in. Zeroed, it is none. */
struct login_keys {
	char *text; /* one a line, printable ASCII; NULL if there is none */
	/* The private key that ssh has to be told, as it does not look for it by itself; else "".
	 */
	char identity[PATH_MAX];
	int made; /* and it was made for the machine */
};

/*
 * Finds the keys of whoever lives in @home: ~/.ssh/id_*.pub. If there are none, one is made by
 * ssh-keygen in directory @dir, id_ed25519 and its .pub: for skiff alone, without a passphrase,
 * readable by its owner only. Where that is, it is one of the keys; but a machine that is not new
 * (@is_new 0) knows those of its first start, so none is made for it. One process at a time may do
 * so in a directory, which exists.
 *
 * 0; also without a key, after a warning, where ssh-keygen is not installed. -errno after one
 * sentence if a key cannot be made or read in @dir, or -ENOMEM. A file of the user's that cannot be
 * read or a line in it that is no key of a kind that sshd takes (Ed25519, ECDSA, RSA, and the first
 * two on a token) is left out with a warning; its content is never shown.
 */
int login_keys_find(const char *home, const char *dir, int is_new, struct login_keys *k);
void login_keys_free(struct login_keys *k);

/*
 * Adds the good lines of public key file @path to @k, in the form that struct login_keys wants.
 * How many there were, or -errno: of open() and read(), -EINVAL if it is no regular file, -EFBIG
 * above 64 KiB, -ENOMEM. Warns as above; -errno comes without a sentence.
 */
int login_keys_read(const char *path, struct login_keys *k);

#endif
