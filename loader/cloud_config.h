/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_CLOUD_CONFIG_H
#define LOADER_CLOUD_CONFIG_H

#include <stdio.h>

/*
 * What cloud-init is told where the user told it nothing. The texts are YAML; whatever comes from
 * outside stands in double quotes there, and is judged first: it is printable ASCII on one line.
 *
 * The user is the image's default user under another name (`user:`, a mapping), rather than one
 * more entry of `users:`. So it has the groups and the shell that the distribution gives to
 * people: /bin/bash in Ubuntu, Debian and Fedora, /bin/ash in Alpine, which has no bash.
 */
struct cloud_user {
	const char *name;          /* root too: then the keys are root's */
	const char *keys;          /* public keys, one a line; NULL or "" for none */
	const char *password_hash; /* as crypt(3) makes it; NULL: no password is good */
	/*
	 * The image's default user has a doas rule (Alpine). It names that user, and cloud-init
	 * stops at a rule for another one; so there it is told ours. Elsewhere old versions would
	 * complain of a word they do not know.
	 */
	int doas;
};

/*
 * Judges, and writes user-data: 0, or -EINVAL after one sentence that names what is wrong. A login
 * name is one that every useradd takes: a-z, 0-9, '-' and '_', first a letter or '_', at most 32.
 * Empty lines among the keys, and those that begin with '#', are left out.
 */
int cloud_config_user(FILE *out, const struct cloud_user *u);

/*
 * Judges, and writes meta-data: 0, or -EINVAL likewise. @instance_id: letters, digits, '-', '_' and
 * '.', first none of '.', at most 128; when it changes the guest does its first boot again.
 * @hostname: labels of letters, digits and '-', at most 63 each and 253 together. What follows the
 * first '.' is taken for the domain.
 */
int cloud_config_meta(FILE *out, const char *instance_id, const char *hostname);

/* Whether it is a login name, or a host name, as above. */
int cloud_config_is_user(const char *name);
int cloud_config_is_hostname(const char *name);

#endif
