/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_TTY_H
#define VMM_TTY_H

/*
 * The mode of the one terminal that a process may have taken over. It is given back whatever
 * happens: tty_restore(), exit(), a signal that ends the process, a crash. Only SIGKILL leaves the
 * terminal raw.
 *
 * Nothing but the mode is changed: O_NONBLOCK in particular belongs to everybody who shares the
 * terminal.
 */

/*
 * Makes terminal @fd raw: no echo, no line editing, no signals from keys, output as it is. For
 * signals that end the process (HUP INT QUIT TERM, and crashes) a handler is put before the one
 * that is there: it restores the terminal and hands on to the old one. So whoever wants to handle
 * such signals installs that first. SIGWINCH and SIGCONT write 1 to eventfd @notify.
 *
 * 0; -EBUSY if another job owns the terminal now (nothing is changed but the handlers;
 * tty_resume() tries again); or -errno, saying why. One terminal at a time.
 */
int tty_take(int fd, int notify);

/* The process may have been stopped and continued: raw mode again. 0, or -EBUSY as above. */
int tty_resume(void);

/* Gives the terminal back, and the signals. Does nothing without tty_take(). */
void tty_restore(void);

/* True unless another job of the session owns terminal @fd: reading it would stop us. */
int tty_is_ours(int fd);

#endif
