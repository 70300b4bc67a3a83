/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw mode and the way back from it. The handlers run on whatever thread a signal hits and call
 * only what signal-safety(7) allows: tcsetattr, sigaction, raise, write. A process has one
 * controlling terminal, hence the one static struct.
 */
#include "vmm/tty.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/log.h"

static const int ending[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS,
};
static const int telling[] = {SIGWINCH, SIGCONT};

#define N_ENDING  (sizeof(ending) / sizeof(ending[0]))
#define N_TELLING (sizeof(telling) / sizeof(telling[0]))

static struct {
	int fd, notify;
	struct termios before;
	struct sigaction old_ending[N_ENDING], old_telling[N_TELLING];
	volatile sig_atomic_t taken; /* handlers are in place, `before` is known */
	volatile sig_atomic_t raw;
} tty;

/* Safe in a signal handler. SIGTTOU would stop us if we are in the background by now. */
static void set_mode(const struct termios *mode)
{
	sigset_t block, old;

	sigemptyset(&block);
	sigaddset(&block, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	tcsetattr(tty.fd, TCSANOW, mode);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void leave_raw(void)
{
	if (!tty.raw)
		return;
	tty.raw = 0;
	set_mode(&tty.before);
}

static void on_ending(int sig)
{
	int saved = errno;

	leave_raw();
	for (unsigned i = 0; i < N_ENDING; i++) {
		const struct sigaction *old = &tty.old_ending[i];

		if (ending[i] != sig)
			continue;
		if (old->sa_handler == SIG_DFL || old->sa_flags & (int)SA_RESETHAND) {
			/* Its own again, which may be for once. Delivered, or the faulting
			 * instruction run again, once we return. */
			sigaction(sig, old, NULL);
			raise(sig);
		} else {
			old->sa_handler(sig);
		}
	}
	errno = saved;
}

static void on_telling(int sig)
{
	uint64_t one = 1;
	int saved = errno;

	(void)sig;
	/* An eventfd whose count is full tells as well. */
	if (write(tty.notify, &one, sizeof(one)) < 0)
		errno = saved;
	errno = saved;
}

static void install(const int *signals, unsigned n, void (*handler)(int), struct sigaction *old)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};

	sigfillset(&sa.sa_mask);
	for (unsigned i = 0; i < n; i++) {
		sigaction(signals[i], NULL, &old[i]);
		/* What is ignored stays ignored; handlers that want more are not ours to call. */
		if (old[i].sa_handler != SIG_IGN && !(old[i].sa_flags & SA_SIGINFO))
			sigaction(signals[i], &sa, NULL);
	}
}

static void uninstall(const int *signals, unsigned n, const struct sigaction *old)
{
	for (unsigned i = 0; i < n; i++)
		sigaction(signals[i], &old[i], NULL);
}

int tty_is_ours(int fd)
{
	pid_t owner = tcgetpgrp(fd);

	/* Not our controlling terminal: then there is no job control on it. */
	return owner < 0 || owner == getpgrp();
}

int tty_resume(void)
{
	struct termios mode;

	if (!tty.taken)
		return 0;
	if (!tty_is_ours(tty.fd))
		return -EBUSY;
	mode = tty.before;
	cfmakeraw(&mode);
	tty.raw = 1;
	set_mode(&mode);
	return 0;
}

int tty_take(int fd, int notify)
{
	static int registered;

	if (tcgetattr(fd, &tty.before))
		return log_fail(-errno, "console: cannot read the terminal's mode: %s",
				strerror(errno));
	if (!registered && atexit(tty_restore))
		return log_fail(-ENOMEM, "console: out of memory");
	registered = 1;
	tty.fd = fd;
	tty.notify = notify;
	tty.taken = 1;
	install(ending, N_ENDING, on_ending, tty.old_ending);
	install(telling, N_TELLING, on_telling, tty.old_telling);
	return tty_resume();
}

void tty_restore(void)
{
	if (!tty.taken)
		return;
	leave_raw();
	uninstall(ending, N_ENDING, tty.old_ending);
	uninstall(telling, N_TELLING, tty.old_telling);
	tty.taken = 0;
}
