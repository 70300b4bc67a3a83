/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_TTY_BENCH_H
#define TESTS_LIB_TTY_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "vmm/loop.h"
#include "vmm/terminal.h"

/*
 * A terminal on a bench: a real loop, a pseudo-terminal whose slave is the user's terminal and
 * whose master is what the user sees, and console devices made of two arrays. There is one bench;
 * tty_bench_up() and tty_bench_down() are cmocka's setup and teardown. An alarm ends a test that
 * hangs.
 */
#define TTY_BENCH_ROOM    65536u
#define TTY_BENCH_SECONDS 60

struct fake_port {
	struct console_port port;
	uint8_t out[TTY_BENCH_ROOM], in[TTY_BENCH_ROOM]; /* shown and typed */
	size_t out_head, out_tail, n_in;
	size_t accept; /* how many more bytes it takes */
	size_t peeked_most;
	unsigned refused, resizes;
	uint16_t cols, rows;
};

struct tty_bench {
	struct loop *loop; /* NULL: no io_uring here */
	struct terminal *term;
	struct fake_port dev, dev2; /* dev is attached, and is typed to */
	int master, slave;          /* the master does not block */
	struct termios before;      /* the slave's mode */
	unsigned ends;              /* how often the end was asked for */
};

extern struct tty_bench tb;

int tty_bench_up(void **state);
int tty_bench_down(void **state);

void tty_bench_port(struct fake_port *p);
/* Skips the test, with the reason, if there is no loop. */
void tty_bench_need_loop(void);
/* For terminal_params, whose arg is &tb.dev then: counts. */
void tty_bench_end(void *arg);
/* terminal_open() and, if it succeeds, tb.dev attached. */
int tty_bench_open(const char *spec, int in, int out);
/* The usual: `stdio` on the slave. */
void tty_bench_on_pty(void);

/* The guest says something. */
void tty_bench_show(struct fake_port *p, const void *bytes, size_t len);
/* Turns until @len bytes came out at @fd; they are compared with @want. */
void tty_bench_expect(int fd, const void *want, size_t len);
/* The user types; turns until the guest has @len bytes, which are compared. */
void tty_bench_type(const void *bytes, size_t len);
void tty_bench_expect_typed(const void *want, size_t len);

/* The slave's mode. */
int tty_bench_is_raw(void);
int tty_bench_is_as_before(void);

#endif
