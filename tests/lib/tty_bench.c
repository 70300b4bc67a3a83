/* SPDX-License-Identifier: BSD-2-Clause */
/* The bench on which tests of vmm/terminal.c and vmm/tty.c stand. On the test's thread. */
#include "tests/lib/tty_bench.h"

#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"

/* --- a console device ------------------------------------------------------------------------ */

static const uint8_t *fake_peek(void *dev, size_t *len)
{
	struct fake_port *p = dev;

	*len = p->out_tail - p->out_head;
	if (*len > p->peeked_most)
		p->peeked_most = *len;
	return p->out + p->out_head;
}

static void fake_consume(void *dev, size_t len)
{
	struct fake_port *p = dev;

	assert_true(len <= p->out_tail - p->out_head);
	p->out_head += len;
}

static size_t fake_put(void *dev, const void *bytes, size_t len)
{
	struct fake_port *p = dev;
	size_t n = len < p->accept ? len : p->accept;

	memcpy(p->in + p->n_in, bytes, n);
	p->n_in += n;
	p->accept -= n;
	p->refused += n < len;
	return n;
}

static void fake_resize(void *dev, uint16_t cols, uint16_t rows)
{
	struct fake_port *p = dev;

	p->cols = cols;
	p->rows = rows;
	p->resizes++;
}

void tty_bench_port(struct fake_port *p)
{
	memset(p, 0, sizeof(*p));
	p->accept = TTY_BENCH_ROOM;
	p->port = (struct console_port){p, fake_peek, fake_consume, fake_put, fake_resize};
}

/* --- the bench ------------------------------------------------------------------------------- */

struct tty_bench tb;

void tty_bench_end(void *arg)
{
	assert_ptr_equal(arg, &tb.dev);
	tb.ends++;
}

int tty_bench_open(const char *spec, int in, int out)
{
	struct terminal_params p = {.loop = tb.loop,
				    .spec = spec,
				    .in = in,
				    .out = out,
				    .end = tty_bench_end,
				    .arg = &tb.dev};
	int r = terminal_open(&tb.term, &p);

	if (r < 0)
		return r;
	loop_lock(tb.loop);
	terminal_attach(tb.term, &tb.dev.port, 1);
	loop_unlock(tb.loop);
	return 0;
}

int tty_bench_up(void **state)
{
	(void)state;
	said_start();
	alarm(TTY_BENCH_SECONDS);
	tb.ends = 0;
	tb.term = NULL;
	tty_bench_port(&tb.dev);
	tty_bench_port(&tb.dev2);
	if (openpty(&tb.master, &tb.slave, NULL, NULL,
		    &(struct winsize){.ws_row = 25, .ws_col = 80}))
		return -1;
	fcntl(tb.master, F_SETFL, O_NONBLOCK);
	tcgetattr(tb.slave, &tb.before);
	if (loop_create(&tb.loop, 64))
		tb.loop = NULL;
	return 0;
}

int tty_bench_down(void **state)
{
	(void)state;
	if (tb.term) {
		terminal_drain(tb.term, 200);
		terminal_close(tb.term);
	}
	loop_destroy(tb.loop);
	close(tb.master);
	close(tb.slave);
	alarm(0);
	return 0;
}

void tty_bench_need_loop(void)
{
	if (!tb.loop) {
		print_message("    skipped: %s\n", said());
		skip();
	}
}

void tty_bench_on_pty(void)
{
	tty_bench_need_loop();
	assert_int_equal(tty_bench_open("stdio", tb.slave, tb.slave), 0);
}

void tty_bench_show(struct fake_port *p, const void *bytes, size_t len)
{
	loop_lock(tb.loop);
	memcpy(p->out + p->out_tail, bytes, len);
	p->out_tail += len;
	terminal_output(tb.term);
	loop_unlock(tb.loop);
}

/* Turns until the other side has @len bytes; they are compared with @want. */
void tty_bench_expect(int fd, const void *want, size_t len)
{
	static uint8_t got[TTY_BENCH_ROOM];
	size_t n = 0;

	while (n < len) {
		ssize_t r = read(fd, got + n, len - n);

		if (r > 0)
			n += (size_t)r;
		else
			loop_run_once(tb.loop);
	}
	assert_memory_equal(got, want, len);
}

void tty_bench_type(const void *bytes, size_t len)
{
	assert_int_equal(write(tb.master, bytes, len), len);
}

void tty_bench_expect_typed(const void *want, size_t len)
{
	while (tb.dev.n_in < len)
		loop_run_once(tb.loop);
	assert_int_equal(tb.dev.n_in, len);
	assert_memory_equal(tb.dev.in, want, len);
}

int tty_bench_is_raw(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(tb.slave, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO | ISIG));
}

int tty_bench_is_as_before(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(tb.slave, &now), 0);
	return now.c_lflag == tb.before.c_lflag && now.c_iflag == tb.before.c_iflag &&
	       now.c_oflag == tb.before.c_oflag && now.c_cflag == tb.before.c_cflag;
}
