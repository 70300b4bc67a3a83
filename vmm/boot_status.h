/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BOOT_STATUS_H
#define VMM_BOOT_STATUS_H

#include <linux/time_types.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/boot_watch.h"
#include "vmm/loop.h"

struct terminal;

/*
 * What a person is told while a machine starts. Where standard error is a terminal and so is the
 * console, one line says what is being waited for and how long each part took, and the guest's
 * console is held back; it is shown at the login prompt, at trouble, or at a key:
 *
 *	skiff: jammy: image 0.4 s, kernel 3.1 s, init 5 s    (Enter: console, Ctrl-] x: end)
 *
 * In a pipe nothing is said and nothing is held back. boot_status_report() prints the same as a
 * time line. Main thread, which is the loop's.
 */
struct boot_status {
	const char *name; /* the machine's; the caller's */
	const char *hint; /* "" or what to do once it is ready, such as how to log in; likewise */
	uint64_t start_ns;
	struct boot_watch watch;
	/* Its own: */
	uint8_t line; /* a status line is wanted */
	uint8_t shown;
	uint8_t held;
	const char *doing;
	struct loop *loop;
	struct terminal *terminal;
	struct op timer;
	struct __kernel_timespec ts;
	uint8_t timer_armed, detached;
};

/* @start_ns: CLOCK_MONOTONIC when the process began. @quiet: never a line. */
void boot_status_begin(struct boot_status *s, const char *name, uint64_t start_ns, int quiet);

/* Before there is a loop: what is being done, such as "looking for the kernel". Kept, not copied.
 */
void boot_status_doing(struct boot_status *s, const char *what);

void boot_status_reached(struct boot_status *s, enum boot_stage stage);

/* Whether it will hold a console back that goes where @spec, of `--console`, says. */
int boot_status_will_hold(const struct boot_status *s, const char *spec);

/* Follows what the guest says on @terminal, before its first port. Detach before either goes. */
void boot_status_attach(struct boot_status *s, struct loop *loop, struct terminal *terminal);
void boot_status_detach(struct boot_status *s);

/* Takes the line away, if there is one: something else is about to be shown. */
void boot_status_clear(struct boot_status *s);

/* The time line, a line a stage, on standard error. */
void boot_status_report(const struct boot_status *s);

/* The status line's text at @now_ns, at most @size - 1 characters, cut to @columns. For tests. */
void boot_status_compose(const struct boot_status *s, uint64_t now_ns, unsigned columns, char *out,
			 size_t size);

#endif
