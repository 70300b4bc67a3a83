/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs gpgv. Main thread, blocking. The bytes go through files in memory (memfd), by the names they
 * have in /proc, so nothing is left behind; gpgv talks to nobody and keeps nothing.
 */
#include "loader/image/signature.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/log.h"
#include "vmm/xdg.h"

#define SIGNED_MAX (1u << 20)
#define WORDS_MAX  4096 /* of gpgv's */
/* What gpgv sees its files as. */
enum { TEXT_FD = 10, SIG_FD = 11, OUT_FD = 12, N_FILES = 3 };

extern char **environ;

int signature_keyring(const char *name, char *path, size_t size)
{
	char within[PATH_MAX];

	if (strchr(name, '/')) {
		snprintf(path, size, "%s", name);
		return access(path, R_OK) ? -ENOENT : 0;
	}
	snprintf(within, sizeof(within), "keyrings/%s", name);
	if (xdg_path(XDG_CONFIG, within, path, size) == 0 && access(path, R_OK) == 0)
		return 0;
	snprintf(path, size, "/usr/share/keyrings/%s", name);
	return access(path, R_OK) ? -ENOENT : 0;
}

/* A file in memory that holds @len bytes; out of the way of the numbers above. -errno. */
static int memory_file(const char *data, size_t len)
{
	int low = memfd_create("skiff-image", MFD_CLOEXEC), fd, r;

	fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, 64);
	r = -errno;
	if (low >= 0)
		close(low);
	if (fd < 0)
		return r;
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n <= 0) {
			r = n < 0 ? -errno : -EIO;
			close(fd);
			return r;
		}
		data += n;
		len -= (size_t)n;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* All of @fd, NUL-terminated, at most @max bytes; NULL if there is more or no memory. */
static char *read_all(int fd, size_t max, size_t *len)
{
	char *text = malloc(max + 2);
	ssize_t n = 0;

	*len = 0;
	while (text && *len <= max && (n = pread(fd, text + *len, max + 1 - *len, (off_t)*len)) > 0)
		*len += (size_t)n;
	if (text && (n < 0 || *len > max)) {
		free(text);
		return NULL;
	}
	if (text)
		text[*len] = '\0';
	return text;
}

/* gpgv over @fds (text, signature, output), its words into @words: its exit status, or -errno. */
static int run_gpgv(const char *keyring, const int fds[N_FILES], int detached, int words)
{
	char *inline_argv[] = {"gpgv",
			       "--keyring",
			       (char *)keyring,
			       "--output",
			       "/proc/self/fd/12",
			       "--",
			       "/proc/self/fd/10",
			       NULL};
	char *detached_argv[] = {"gpgv", "--keyring",        (char *)keyring,
				 "--",   "/proc/self/fd/11", "/proc/self/fd/10",
				 NULL};
	posix_spawn_file_actions_t files;
	int r = 0, status;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	for (int i = 0; i < N_FILES && !r; i++)
		r = posix_spawn_file_actions_adddup2(&files, fds[i], TEXT_FD + i);
	for (int i = 1; i <= 2 && !r; i++)
		r = posix_spawn_file_actions_adddup2(&files, words, i);
	if (!r)
		r = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawnp(&pid, "gpgv", &files, NULL, detached ? detached_argv : inline_argv,
				 environ);
	posix_spawn_file_actions_destroy(&files);
	if (r)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* The line of gpgv's words that says most, without its name. */
static void pick_words(int fd, int good, char said[SIGNATURE_TEXT_MAX])
{
	char *save = NULL, *text;
	size_t len;

	snprintf(said, SIGNATURE_TEXT_MAX, "%s", good ? "Good signature" : "no reason given");
	text = read_all(fd, WORDS_MAX, &len);
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *words = strncmp(line, "gpgv: ", 6) == 0 ? line + 6 : line;

		if (good && strncmp(words, "Good signature", 14) != 0)
			continue;
		snprintf(said, SIGNATURE_TEXT_MAX, "%.*s", SIGNATURE_TEXT_MAX - 1, words);
	}
	free(text);
}

/* Judges gpgv's exit status @r: as signature_check(). */
static int judge(const char *what, const char *keyring, int r, int words,
		 char said[SIGNATURE_TEXT_MAX])
{
	if (r == -ENOENT || r == 127) {
		snprintf(said, SIGNATURE_TEXT_MAX, "gpgv is not installed");
		return 0;
	}
	if (r < 0)
		return log_fail(r, "%s: cannot run gpgv: %s", what, strerror(-r));
	pick_words(words, r == 0, said);
	if (r)
		return log_fail(-EBADMSG,
				"%s: the publisher's checksum list is not signed by a key of %s: "
				"gpgv: %s",
				what, keyring, said);
	return 1;
}

int signature_check(const char *what, const char *keyring, char **text, size_t *len,
		    const char *sig, size_t sig_len, char said[SIGNATURE_TEXT_MAX])
{
	int fds[N_FILES] = {memory_file(*text, *len),
			    memory_file(sig ? sig : "", sig ? sig_len : 0), memory_file("", 0)};
	int words = memory_file("", 0), r = words < 0 ? words : 0;
	char *signed_text;
	size_t n;

	for (int i = 0; i < N_FILES && !r; i++)
		r = fds[i] < 0 ? fds[i] : 0;
	if (r)
		r = log_fail(r, "%s: cannot check the signature: %s", what, strerror(-r));
	else
		r = judge(what, keyring, run_gpgv(keyring, fds, sig != NULL, words), words, said);
	if (r == 1 && !sig) {
		signed_text = read_all(fds[2], SIGNED_MAX, &n);
		if (signed_text) {
			free(*text);
			*text = signed_text;
			*len = n;
		} else {
			r = log_fail(-ENOMEM, "%s: not enough memory", what);
		}
	}
	for (int i = 0; i < N_FILES; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (words >= 0)
		close(words);
	return r;
}
