/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes YAML that cloud-init 20 and later takes, from values that it trusts only once they are
 * judged. Runs before any vCPU does. Knows nothing of where the text goes.
 */
#include "loader/cloud_config.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "vmm/log.h"

#define USER_MAX        32 /* useradd's limit */
#define INSTANCE_ID_MAX 128
#define LABEL_MAX       63
#define HOSTNAME_MAX    253
#define HASH_MAX        384 /* crypt(3)'s longest */

#define LOWER           "abcdefghijklmnopqrstuvwxyz"
#define UPPER           "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS          "0123456789"

/* --- judging --------------------------------------------------------------------------- */

static int made_of(const char *s, const char *set, size_t max)
{
	size_t len = strlen(s);

	return len > 0 && len <= max && strspn(s, set) == len;
}

static int is_printable(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isascii(s[i]) || !isprint(s[i]))
			return 0;
	return 1;
}

int cloud_config_is_user(const char *name)
{
	return made_of(name, LOWER DIGITS "-_", USER_MAX) && name[0] != '-' &&
	       !isdigit((unsigned char)name[0]);
}

int cloud_config_is_hostname(const char *name)
{
	if (!made_of(name, LOWER UPPER DIGITS "-.", HOSTNAME_MAX))
		return 0;
	for (;;) {
		size_t len = strcspn(name, ".");

		if (len == 0 || len > LABEL_MAX || name[0] == '-' || name[len - 1] == '-')
			return 0;
		if (name[len] == '\0')
			return 1;
		name += len + 1;
	}
}

static int judge_user(const struct cloud_user *u)
{
	const char *hash = u->password_hash;

	if (!cloud_config_is_user(u->name))
		return log_fail(-EINVAL,
				"cloud-init: user \"%s\": a login name has at most %d of a-z, 0-9, "
				"- and _, and begins with a letter or _",
				u->name, USER_MAX);
	/* ':' and a blank would begin another field of the guest's /etc/shadow. */
	if (hash && (hash[0] != '$' || strlen(hash) > HASH_MAX || strpbrk(hash, ": ") ||
		     !is_printable(hash, strlen(hash))))
		return log_fail(-EINVAL,
				"cloud-init: the password's hash is not one of crypt(3), $...; "
				"let skiff or mkpasswd make it");
	return 0;
}

/* --- writing --------------------------------------------------------------------------- */

/* Of printable ASCII these two alone mean something between double quotes (YAML 1.2 §7.3.1). */
static void put_quoted(FILE *out, const char *s, size_t len)
{
	fputc('"', out);
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '"' || s[i] == '\\')
			fputc('\\', out);
		fputc(s[i], out);
	}
	fputc('"', out);
}

static void put_value(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%s: ", key);
	put_quoted(out, value, strlen(value));
	fputc('\n', out);
}

static int put_keys(FILE *out, const char *keys)
{
	int some = 0;

	while (*keys) {
		size_t len = strcspn(keys, "\n"), blank = strspn(keys, " \t");

		if (blank < len && keys[blank] != '#') {
			if (!is_printable(keys, len))
				return log_fail(
					-EINVAL,
					"cloud-init: key %.40s...: holds bytes that are not "
					"printable ASCII; change its comment",
					keys);
			if (!some)
				fputs("ssh_authorized_keys:\n", out);
			some = 1;
			fputs("  - ", out);
			put_quoted(out, keys, len);
			fputc('\n', out);
		}
		keys += len + (keys[len] == '\n');
	}
	return 0;
}

static void put_doas(FILE *out, const char *name)
{
	/* cloud-init's own check of a rule knows no '-' in a name; without a rule there is sudo. */
	if (strchr(name, '-'))
		fputs("  doas: []\n", out);
	else
		fprintf(out, "  doas: [\"permit nopass %s\"]\n", name);
}

int cloud_config_user(FILE *out, const struct cloud_user *u)
{
	int r = judge_user(u);

	if (r < 0)
		return r;
	fputs("#cloud-config\nuser:\n", out);
	put_value(out, "  name", u->name);
	fputs("  sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n", out);
	if (u->doas)
		put_doas(out, u->name);
	if (u->password_hash) {
		/* `passwd` would not do for a user that the image has, such as root. */
		put_value(out, "  hashed_passwd", u->password_hash);
		fputs("  lock_passwd: false\nssh_pwauth: false\n", out);
	} else {
		fputs("  lock_passwd: true\n", out);
	}
	if (strcmp(u->name, "root") == 0)
		fputs("disable_root: false\n", out);
	/* Without a line for its own name, sudo complains of a host that it cannot resolve. */
	fputs("manage_etc_hosts: localhost\n", out);
	return u->keys ? put_keys(out, u->keys) : 0;
}

int cloud_config_meta(FILE *out, const char *instance_id, const char *hostname)
{
	if (!made_of(instance_id, LOWER UPPER DIGITS "-_.", INSTANCE_ID_MAX) ||
	    instance_id[0] == '.')
		return log_fail(
			-EINVAL,
			"cloud-init: instance id \"%s\": it has at most %d letters, digits, "
			"-, _ and ., and begins with none of .",
			instance_id, INSTANCE_ID_MAX);
	if (!cloud_config_is_hostname(hostname))
		return log_fail(
			-EINVAL,
			"cloud-init: host name \"%s\": it has letters, digits and -, at most "
			"%d, and neither begins nor ends with -",
			hostname, LABEL_MAX);
	put_value(out, "instance-id", instance_id);
	put_value(out, "local-hostname", hostname);
	return 0;
}
