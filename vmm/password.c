/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a password and keeps nothing but its hash. Runs on the main thread before there are others,
 * hence the one static word that the signal handler writes.
 */
#include "vmm/password.h"

#include <crypt.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/log.h"

#define ROUNDS 100000 /* about 50 ms here; 20 times what SHA-512 does unasked */

static const int signals[] = {SIGINT, SIGHUP, SIGQUIT, SIGTERM, SIGTSTP};

#define N_SIGNALS (sizeof(signals) / sizeof(signals[0]))

static volatile sig_atomic_t caught;

struct hidden {
	int fd;
	struct termios before;
	sigset_t mask; /* as it was: what is let through while we wait */
	struct sigaction old[N_SIGNALS];
};

static void on_signal(int sig)
{
	caught = sig;
}

/* --- one line -----------------------------------------------------------------------------------
 */

/*
 * Reads up to a newline or the end. 0, -EINTR if a signal came in, -EMSGSIZE, -EILSEQ for a NUL, or
 * the -errno of ppoll() and read(). @mask: the signals that are blocked while it waits.
 */
static int read_line(int fd, const sigset_t *mask, char line[PASSWORD_MAX + 1])
{
	size_t len = 0;
	int r = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;
		char c;

		if (ppoll(&p, 1, NULL, mask) < 0)
			return -errno;
		n = read(fd, &c, 1);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n < 0)
			continue;
		if (n == 0 || c == '\n')
			break;
		if (c == '\0')
			r = -EILSEQ;
		else if (len == PASSWORD_MAX)
			r = -EMSGSIZE;
		else
			line[len++] = c;
	}
	line[len] = '\0';
	return r;
}

/* With the terminal as it was, the signal that came in is taken as it would have been. */
static void unhide(const struct hidden *h)
{
	tcsetattr(h->fd, TCSAFLUSH, &h->before);
	for (unsigned i = 0; i < N_SIGNALS; i++)
		sigaction(signals[i], &h->old[i], NULL);
	if (caught)
		raise(caught);
	sigprocmask(SIG_SETMASK, &h->mask, NULL);
}

static int hide(struct hidden *h, int fd)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct termios mode;
	sigset_t block;
	int r = 0;

	h->fd = fd;
	if (tcgetattr(fd, &h->before))
		return -errno;
	caught = 0;
	sigemptyset(&block);
	sigemptyset(&sa.sa_mask);
	for (unsigned i = 0; i < N_SIGNALS; i++)
		sigaddset(&block, signals[i]);
	sigprocmask(SIG_BLOCK, &block, &h->mask);
	for (unsigned i = 0; i < N_SIGNALS; i++) {
		sigaction(signals[i], NULL, &h->old[i]);
		if (h->old[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	}
	mode = h->before;
	mode.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	if (tcsetattr(fd, TCSAFLUSH, &mode)) {
		r = -errno;
		unhide(h);
	}
	return r;
}

static void prompt(const char *before, const char *user, const char *after)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "%s%.40s%s", before, user, after);

	/* Whoever closed standard error types without being asked. */
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		return;
}

static int read_hidden(int fd, const char *before, const char *user, char line[PASSWORD_MAX + 1])
{
	struct hidden h;
	int r;

	do {
		r = hide(&h, fd);
		if (r < 0)
			return r;
		prompt(before, user, ": ");
		r = read_line(fd, &h.mask, line);
		prompt("\n", "", "");
		unhide(&h);
	} while (r == -EINTR && caught == SIGTSTP); /* stopped, and now continued */
	return r;
}

/* --- all of it
 * ------------------------------------------------------------------------------------ */

static int fail(int r)
{
	switch (r) {
	case -EILSEQ:
		return log_fail(-EINVAL, "password: holds a NUL byte; give one that can be typed");
	case -EMSGSIZE:
		return log_fail(-EINVAL, "password: is longer than %d bytes; give a shorter one",
				PASSWORD_MAX);
	default:
		return log_fail(r, "password: cannot be read: %s", strerror(-r));
	}
}

static int read_twice(int fd, const char *user, char once[PASSWORD_MAX + 1])
{
	char again[PASSWORD_MAX + 1];
	int r = read_hidden(fd, "Password for the guest's user ", user, once);

	if (r < 0)
		return fail(r);
	if (once[0] == '\0')
		return 0; /* which is refused; not asked for again */
	r = read_hidden(fd, "The same again for ", user, again);
	if (r < 0)
		r = fail(r);
	else if (strcmp(once, again) != 0)
		r = log_fail(-EINVAL, "password: the two are not the same; try again");
	explicit_bzero(again, sizeof(again));
	return r;
}

int password_ask(int fd, const char *user, char hash[PASSWORD_HASH_SIZE])
{
	char password[PASSWORD_MAX + 1];
	int r;

	if (isatty(fd)) {
		r = read_twice(fd, user, password);
	} else {
		r = read_line(fd, NULL, password);
		if (r < 0)
			r = fail(r);
	}
	if (r == 0 && password[0] == '\0')
		r = log_fail(-EINVAL, "password: is empty; leave it out, or type one");
	if (r == 0)
		r = password_hash(password, hash);
	explicit_bzero(password, sizeof(password));
	return r;
}

void password_skip(int fd)
{
	char line[PASSWORD_MAX + 1];

	if (!isatty(fd))
		read_line(fd, NULL, line);
	explicit_bzero(line, sizeof(line));
}

int password_hash(const char *password, char hash[PASSWORD_HASH_SIZE])
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *made = NULL;
	int r = 0;

	if (!data)
		return log_fail(-ENOMEM, "password: out of memory");
	if (crypt_gensalt_rn("$6$", ROUNDS, NULL, 0, setting, sizeof(setting)))
		made = crypt_r(password, setting, data);
	/* A failure is NULL or begins with '*'. */
	if (!made || made[0] != '$' || strlen(made) >= PASSWORD_HASH_SIZE)
		r = log_fail(-EIO, "password: this host's libcrypt makes no SHA-512 hash");
	else
		memcpy(hash, made, strlen(made) + 1);
	explicit_bzero(data, sizeof(*data));
	free(data);
	return r;
}
