/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the public keys of the person who started us, judges them line by line, and has one made
 * where there are none. Runs on the main thread before any vCPU does. What lies in a home may be a
 * link to anywhere, and we may be root: so only lines that are public keys ever leave this file.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/companion.h"
#include "vmm/log.h"
#include "vmm/login.h"

#define FILE_SIZE_MAX (64u << 10)
#define BLOB_MIN      68 /* characters of the shortest key, Ed25519 */
#define KEY_NAME      "id_ed25519"
#define KEYGEN        "ssh-keygen"

#define UPPER         "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER         "abcdefghijklmnopqrstuvwxyz"
#define BASE64        UPPER LOWER "0123456789+/"

/* --- what a key looks like ------------------------------------------------------------------ */

/*
 * The blob begins with the length and the name of the kind again (RFC 4253 §6.6), in base64: we
 * make as much of that as fills whole groups of four characters, and compare.
 */
static int begins_with_kind(const char *blob, const char *kind, size_t len)
{
	uint8_t head[64] = {0};
	size_t head_len = 4 + len;

	if (head_len > sizeof(head))
		return 0;
	head[3] = (uint8_t)len;
	memcpy(head + 4, kind, len);
	for (size_t i = 0; i + 3 <= head_len; i += 3, blob += 4) {
		unsigned bits = (unsigned)head[i] << 16 | head[i + 1] << 8 | head[i + 2];

		for (unsigned j = 0; j < 4; j++)
			if (blob[j] != BASE64[bits >> (18 - 6 * j) & 63])
				return 0;
	}
	return 1;
}

static int is_kind(const char *word, size_t len)
{
	static const char *const kinds[] = {
		"ssh-ed25519",
		"ssh-rsa",
		"ecdsa-sha2-nistp256",
		"ecdsa-sha2-nistp384",
		"ecdsa-sha2-nistp521",
		"sk-ssh-ed25519@openssh.com",
		"sk-ecdsa-sha2-nistp256@openssh.com",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i]) == len && memcmp(kinds[i], word, len) == 0)
			return 1;
	return 0;
}

/* `kind blob comment`, or without the comment, and no options before them. */
static int is_key(const char *line)
{
	size_t kind = strcspn(line, " "), blob, padding;
	const char *at = line + kind + strspn(line + kind, " ");

	blob = strspn(at, BASE64);
	padding = strspn(at + blob, "=");
	return is_kind(line, kind) && blob + padding >= BLOB_MIN && (blob + padding) % 4 == 0 &&
	       padding <= 2 && (at[blob + padding] == ' ' || at[blob + padding] == '\0') &&
	       begins_with_kind(at, line, kind);
}

static int is_certificate(const char *line)
{
	static const char end[] = "-cert-v01@openssh.com";
	size_t kind = strcspn(line, " "), len = sizeof(end) - 1;

	return kind > len && memcmp(line + kind - len, end, len) == 0;
}

/* Blanks at both ends go; what is not printable, in a comment, becomes '?'. */
static char *make_plain(char *line)
{
	size_t len;

	for (char *c = line; *c; c++) {
		if (*c == '\t' || *c == '\r')
			*c = ' ';
		else if (!isascii(*c) || !isprint(*c))
			*c = '?';
	}
	line += strspn(line, " ");
	for (len = strlen(line); len > 0 && line[len - 1] == ' '; len--)
		line[len - 1] = '\0';
	return line;
}

/* --- reading them ----------------------------------------------------------------------------- */

static int add_key(struct login_keys *k, const char *line)
{
	size_t had = k->text ? strlen(k->text) : 0, len = strlen(line);
	char *text = realloc(k->text, had + len + 2);

	if (!text)
		return -ENOMEM;
	memcpy(text + had, line, len);
	memcpy(text + had + len, "\n", 2);
	k->text = text;
	return 0;
}

static int add_keys(const char *path, char *text, struct login_keys *k)
{
	int found = 0, n = 0, r;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		n++;
		line = make_plain(line);
		if (line[0] == '\0' || line[0] == '#' || is_certificate(line))
			continue;
		if (!is_key(line)) {
			log_line(LOG_WARN,
				 "ssh key: %s: line %d is no public key that sshd takes: "
				 "left out",
				 path, n);
			continue;
		}
		r = add_key(k, line);
		if (r < 0)
			return r;
		found++;
	}
	return found;
}

/* All of a small regular file, with a NUL after it. */
static int slurp(int fd, char *text, size_t size)
{
	size_t len = 0;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	for (;;) {
		ssize_t n = read(fd, text + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len == size)
			return -EFBIG;
	}
	text[len] = '\0';
	return 0;
}

int login_keys_read(const char *path, struct login_keys *k)
{
	/* Not to wait for whoever writes into a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;
	char *text;

	if (fd < 0)
		return -errno;
	text = malloc(FILE_SIZE_MAX + 1);
	r = text ? slurp(fd, text, FILE_SIZE_MAX + 1) : -ENOMEM;
	close(fd);
	if (r == 0)
		r = add_keys(path, text, k);
	free(text);
	return r;
}

static int is_public_key(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return len > 7 && memcmp(e->d_name, "id_", 3) == 0 &&
	       memcmp(e->d_name + len - 4, ".pub", 4) == 0;
}

/* One that ssh tries without being told (ssh_config(5), IdentityFile). */
static int is_usual(const char *name)
{
	static const char *const usual[] = {"id_rsa.pub", "id_ecdsa.pub", "id_ecdsa_sk.pub",
					    "id_ed25519.pub", "id_ed25519_sk.pub"};

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (strcmp(usual[i], name) == 0)
			return 1;
	return 0;
}

/* The private key beside public key @path, unless that is not here. */
static void name_private(const char *path, struct login_keys *k)
{
	size_t n = strlen(path) - strlen(".pub");

	if (n >= sizeof(k->identity))
		return;
	memcpy(k->identity, path, n);
	k->identity[n] = '\0';
	if (access(k->identity, F_OK) != 0)
		k->identity[0] = '\0';
}

static int add_own_keys(const char *home, struct login_keys *k)
{
	char dir[PATH_MAX + 8], path[sizeof(dir) + NAME_MAX + 2];
	struct dirent **list;
	int n, usual = 0, r = 0;

	if (home[0] == '\0')
		return 0;
	snprintf(dir, sizeof(dir), "%.*s/.ssh", PATH_MAX, home);
	n = scandir(dir, &list, is_public_key, alphasort);
	if (n < 0) /* most often there is none */
		return 0;
	for (int i = 0; i < n; i++) {
		int is_one = is_usual(list[i]->d_name);

		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		free(list[i]);
		if (r == -ENOMEM)
			continue;
		r = login_keys_read(path, k);
		usual |= r > 0 && is_one;
		if (r > 0 && !k->identity[0])
			name_private(path, k);
		if (r < 0 && r != -ENOMEM)
			log_line(LOG_WARN, "ssh key: %s: cannot be read: %s: left out", path,
				 strerror(-r));
	}
	free(list);
	if (usual)
		k->identity[0] = '\0';
	return r == -ENOMEM ? log_fail(r, "ssh key: out of memory") : 0;
}

/* --- making one ---------------------------------------------------------------------------------
 */

static int find_keygen(char *path, size_t size)
{
	const char *at = getenv("PATH");

	while (at && *at) {
		size_t len = strcspn(at, ":");

		if (at[0] == '/' &&
		    (size_t)snprintf(path, size, "%.*s/%s", (int)len, at, KEYGEN) < size &&
		    access(path, X_OK) == 0)
			return 0;
		at += len + (at[len] == ':');
	}
	return -ENOENT;
}

static int run_keygen(const char *program, const char *key)
{
	const char *const argv[] = {KEYGEN, "-q",    "-t", "ed25519", "-N", "",
				    "-C",   "skiff", "-f", key,       NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), r;
	const struct companion_fd fds[] = {{null, STDIN_FILENO}, {null, STDOUT_FILENO}};
	pid_t pid;

	if (null < 0)
		return log_fail(-errno, "ssh key: cannot open /dev/null: %s", strerror(errno));
	r = companion_start("ssh key", program, (char **)argv, fds, 2, &pid);
	close(null);
	if (r < 0)
		return r;
	r = companion_wait(pid);
	if (r != 0)
		return log_fail(r < 0 ? r : -EIO,
				"ssh key: %s failed to make %s; is its directory writable?", KEYGEN,
				key);
	return 0;
}

/* Made under another name: what has the right one, the public half last, is complete. */
static int make_key(const char *program, const char *dir, const char *key, const char *key_pub)
{
	char new[PATH_MAX + 16], new_pub[PATH_MAX + 32];
	int r;

	snprintf(new, sizeof(new), "%s/.%s.new", dir, KEY_NAME);
	snprintf(new_pub, sizeof(new_pub), "%s.pub", new);
	unlink(new);
	unlink(new_pub);
	r = run_keygen(program, new);
	if (r < 0)
		return r;
	if (chmod(new, 0600) != 0 || rename(new, key) != 0 || rename(new_pub, key_pub) != 0)
		return log_fail(-errno, "ssh key: %s: cannot be put in its place: %s", key,
				strerror(errno));
	return 0;
}

static int add_made_key(const char *dir, int is_new, struct login_keys *k)
{
	char key[PATH_MAX], key_pub[PATH_MAX + 8], program[PATH_MAX];
	int r;

	if ((size_t)snprintf(key, sizeof(key), "%s/%s", dir, KEY_NAME) >= sizeof(key))
		return log_fail(-ENAMETOOLONG, "ssh key: %s: is too long a path", dir);
	snprintf(key_pub, sizeof(key_pub), "%s.pub", key);
	if (access(key, F_OK) != 0 || access(key_pub, F_OK) != 0) {
		if (!is_new || k->text)
			return 0;
		if (find_keygen(program, sizeof(program)) < 0) {
			log_line(LOG_WARN,
				 "ssh key: there is none in ~/.ssh, and no %s to make one: install "
				 "openssh-client (Fedora, Alpine: openssh); the guest gets no key",
				 KEYGEN);
			return 0;
		}
		r = make_key(program, dir, key, key_pub);
		if (r < 0)
			return r;
	}
	r = login_keys_read(key_pub, k);
	if (r <= 0 && (!is_new || k->text)) {
		log_line(LOG_WARN, "ssh key: %s: cannot be read, or holds no key: left out",
			 key_pub);
		return r == -ENOMEM ? r : 0;
	}
	if (r < 0)
		return log_fail(r, "ssh key: %s: cannot be read: %s", key_pub, strerror(-r));
	if (r == 0)
		return log_fail(-EINVAL,
				"ssh key: %s: holds no key; remove it, so that one is made",
				key_pub);
	memcpy(k->identity, key, strlen(key) + 1);
	k->made = 1;
	return 0;
}

int login_keys_find(const char *home, const char *dir, int is_new, struct login_keys *k)
{
	int r;

	*k = (struct login_keys){0};
	r = add_own_keys(home, k);
	if (r == 0)
		r = add_made_key(dir, is_new, k);
	if (r < 0)
		login_keys_free(k);
	return r;
}

void login_keys_free(struct login_keys *k)
{
	free(k->text);
	*k = (struct login_keys){0};
}
