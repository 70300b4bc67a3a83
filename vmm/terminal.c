/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carries bytes between the guest's consoles and what the user has in front of them. On the
 * loop's thread, as operations of the loop, of which there is at most one at a time for output
 * and one for input; other threads only ring its bell. Knows ports, not devices; the terminal's
 * mode is tty.c's.
 *
 *   output:  IDLE --something to show--> DELAY --> WRITE --> IDLE      (WAIT: the reader is full)
 *   input:   IDLE --> WATCH --readable--> READ --> kept[] --put--> port
 */
#include "vmm/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/time_types.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/container_of.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/scrollback.h"
#include "vmm/tty.h"

#define ESCAPE      0x1d /* Ctrl-] */
#define DELAY_NS    4000000u
#define LARGE       4096u /* so much is written at once */
#define NO_POSITION UINT64_MAX

static const char help[] = "\r\nCtrl-] x: end the VM   Ctrl-] Ctrl-]: send one Ctrl-]\r\n";

enum out_state { OUT_IDLE, OUT_DELAY, OUT_WAIT, OUT_WRITE };
enum in_state { IN_IDLE, IN_WATCH, IN_READ };

struct terminal {
	struct loop *loop;
	void (*end)(void *arg);
	void *arg;
	int in, out; /* -1: none */
	uint8_t is_file, is_tty;
	uint8_t draining, closing;
	struct console_port port[TERMINAL_PORTS_MAX];
	unsigned n_ports, input; /* input: the port that is typed to */
	unsigned in_flight;      /* ops at the loop, all kinds */
	struct op soon;

	enum out_state out_state;
	struct op out_op;
	struct iovec out_v;
	unsigned out_port; /* whose bytes out_v holds; n_ports: the note's */
	uint8_t out_ended; /* nobody reads: what is shown goes nowhere */
	uint8_t due;       /* written without delay */
	uint8_t mid_line;  /* of out_port: what was shown last is not the end of a line */
	uint64_t out_bytes;
	const char *note;
	size_t note_len;
	struct __kernel_timespec delay;
	struct terminal_watch watch;
	uint8_t held;
	struct scrollback held_back;

	enum in_state in_state;
	struct op in_op;
	struct iovec in_v;
	uint8_t in_ended;
	uint8_t escaped; /* Ctrl-] was the last key */
	uint8_t in_buf[256];
	uint8_t kept[1024]; /* not yet taken by the guest */
	size_t n_kept;

	int notify; /* eventfd that tty.c's handlers write to */
	struct op notify_op;
	struct iovec notify_v;
	uint64_t notify_count;

	struct op deadline_op;
	uint8_t deadline_armed;
	struct __kernel_timespec deadline;
};

static void advance(struct terminal *t);

/* --- output -------------------------------------------------------------------------------- */

static void end_output(struct terminal *t)
{
	t->out_ended = 1;
	t->note_len = 0;
}

static void consume(struct terminal *t, struct console_port *p, const uint8_t *bytes, size_t len)
{
	if (t->watch.seen)
		t->watch.seen(t->watch.arg, bytes, len);
	p->consume(p->dev, len);
}

static int shows_nothing(const struct terminal *t)
{
	return t->out < 0 || t->out_ended || t->held;
}

/* Takes what the ports have to show, for nobody or for later. A watch may change its mind. */
static void discard(struct terminal *t)
{
	for (unsigned i = 0; i < t->n_ports; i++) {
		struct console_port *p = &t->port[i];
		const uint8_t *bytes;
		size_t len;

		while (shows_nothing(t) && (bytes = p->peek(p->dev, &len), len > 0)) {
			if (t->held)
				scrollback_add(&t->held_back, bytes, len);
			consume(t, p, bytes, len);
		}
	}
}

/* Finds what to show next, the ports in turn, but no line within another's: 0 if there is nothing.
 */
static int find_output(struct terminal *t)
{
	if (t->note_len > 0) {
		t->out_port = TERMINAL_PORTS_MAX;
		t->out_v = (struct iovec){(void *)(uintptr_t)t->note, t->note_len};
		t->due = 1;
		t->mid_line = 0;
		return 1;
	}
	for (unsigned i = 0; i < t->n_ports; i++) {
		unsigned n = (t->out_port + !t->mid_line + i) % t->n_ports;
		struct console_port *p = &t->port[n];
		size_t len;
		const uint8_t *bytes = p->peek(p->dev, &len);

		if (len == 0)
			continue;
		t->out_port = n;
		t->out_v = (struct iovec){(void *)(uintptr_t)bytes, len};
		return 1;
	}
	return 0;
}

static int limit_file(struct terminal *t)
{
	uint64_t left = TERMINAL_FILE_MAX - t->out_bytes;

	if (t->is_file && left == 0) {
		log_line(LOG_WARN, "console: the file has %llu MiB: nothing more is written to it",
			 TERMINAL_FILE_MAX >> 20);
		end_output(t);
		discard(t);
		return 0;
	}
	if (t->is_file && t->out_v.iov_len > left)
		t->out_v.iov_len = (size_t)left;
	return 1;
}

static void advance_output(struct terminal *t)
{
	if (t->out_state != OUT_IDLE)
		return;
	discard(t);
	if (t->out < 0 || t->out_ended)
		return;
	if (!find_output(t) || !limit_file(t))
		return;
	t->in_flight++;
	if (t->due || t->draining || t->out_v.iov_len >= LARGE) {
		t->out_state = OUT_WRITE;
		loop_writev(t->loop, &t->out_op, t->out, &t->out_v, 1, NO_POSITION);
	} else {
		/* A guest speaks a byte at a time: let it finish its line. */
		t->out_state = OUT_DELAY;
		loop_timer(t->loop, &t->out_op, &t->delay, DELAY_NS);
	}
	t->due = 0;
}

static void written(struct terminal *t, size_t len)
{
	t->out_bytes += len;
	if (t->out_port < t->n_ports) {
		t->mid_line = ((const char *)t->out_v.iov_base)[len - 1] != '\n';
		consume(t, &t->port[t->out_port], t->out_v.iov_base, len);
	} else if (t->note == t->out_v.iov_base) { /* and has not been replaced */
		t->note += len;
		t->note_len -= len;
	}
}

static void write_failed(struct terminal *t, int res)
{
	if (res == -EINTR) {
		t->due = 1;
		return;
	}
	/* Somebody who shares the file made it non-blocking. */
	if (res == -EAGAIN) {
		t->out_state = OUT_WAIT;
		t->in_flight++;
		loop_watch(t->loop, &t->out_op, t->out, POLLOUT);
		return;
	}
	/* EPIPE, EIO: the reader has gone, which is its right. */
	if (res != -EPIPE && res != -EIO && res != -ECANCELED)
		log_line(LOG_WARN, "console: cannot write the guest's output: %s", strerror(-res));
	end_output(t);
}

static void out_came(struct op *op, int res)
{
	struct terminal *t = container_of(op, struct terminal, out_op);
	enum out_state was = t->out_state;

	t->in_flight--;
	t->out_state = OUT_IDLE;
	if (was != OUT_WRITE)
		t->due = 1;
	else if (res > 0)
		written(t, (size_t)res);
	else
		write_failed(t, res < 0 ? res : -EIO);
	advance(t);
}

/* --- input --------------------------------------------------------------------------------- */

static void keep(struct terminal *t, uint8_t byte)
{
	if (t->n_kept < sizeof(t->kept))
		t->kept[t->n_kept++] = byte;
}

static void deliver(struct terminal *t)
{
	struct console_port *p = &t->port[t->input];
	size_t n;

	if (t->n_kept == 0 || t->n_ports == 0)
		return;
	n = p->put(p->dev, t->kept, t->n_kept);
	t->n_kept -= n;
	memmove(t->kept, t->kept + n, t->n_kept);
}

static void command(struct terminal *t, uint8_t key)
{
	switch (key) {
	case ESCAPE:
		keep(t, ESCAPE);
		break;
	case 'x':
		t->end(t->arg);
		break;
	case '?':
	case 'h':
		t->note = help;
		t->note_len = t->out_ended ? 0 : sizeof(help) - 1;
		break;
	default:
		break;
	}
}

static void typed(struct terminal *t, uint8_t key)
{
	if (t->escaped) {
		t->escaped = 0;
		command(t, key);
	} else if (t->is_tty && key == ESCAPE) {
		t->escaped = 1;
	} else if (t->held) {
		t->watch.key(t->watch.arg);
	} else {
		keep(t, key);
	}
}

static void in_submit_read(struct terminal *t)
{
	t->in_state = IN_READ;
	t->in_flight++;
	t->in_v = (struct iovec){t->in_buf, sizeof(t->in_buf)};
	loop_readv(t->loop, &t->in_op, t->in, &t->in_v, 1, NO_POSITION);
}

static void advance_input(struct terminal *t)
{
	deliver(t);
	if (t->in < 0 || t->in_ended || t->in_state != IN_IDLE || t->draining)
		return;
	/* Keys are always read, for the escape key; a pipe waits for the guest. */
	if (t->is_tty ? !tty_is_ours(t->in) : t->n_kept > 0)
		return;
	t->in_state = IN_WATCH;
	t->in_flight++;
	loop_watch(t->loop, &t->in_op, t->in, POLLIN);
}

static void in_came(struct op *op, int res)
{
	struct terminal *t = container_of(op, struct terminal, in_op);
	enum in_state was = t->in_state;

	t->in_flight--;
	t->in_state = IN_IDLE;
	if (t->draining || t->closing)
		return;
	if (was == IN_WATCH) {
		/* Whatever the reason, the read will tell. But not if the shell is back. */
		if (!t->is_tty || tty_is_ours(t->in))
			in_submit_read(t);
		return;
	}
	for (int i = 0; i < res; i++)
		typed(t, t->in_buf[i]);
	if (res <= 0 && res != -EAGAIN && res != -EINTR)
		t->in_ended = 1;
	advance(t);
}

/* --- size, signals ------------------------------------------------------------------------- */

static void tell_size(struct terminal *t)
{
	struct winsize ws;

	if (t->out < 0 || ioctl(t->out, TIOCGWINSZ, &ws))
		return;
	for (unsigned i = 0; i < t->n_ports; i++)
		if (t->port[i].resize)
			t->port[i].resize(t->port[i].dev, ws.ws_col, ws.ws_row);
}

static void notify_arm(struct terminal *t)
{
	t->notify_v = (struct iovec){&t->notify_count, sizeof(t->notify_count)};
	t->in_flight++;
	loop_readv(t->loop, &t->notify_op, t->notify, &t->notify_v, 1, 0);
}

static void notify_came(struct op *op, int res)
{
	struct terminal *t = container_of(op, struct terminal, notify_op);

	t->in_flight--;
	if (t->closing || (res < 0 && res != -EINTR && res != -EAGAIN))
		return;
	tty_resume();
	tell_size(t);
	notify_arm(t);
	advance(t);
}

/* --- the whole ----------------------------------------------------------------------------- */

static void advance(struct terminal *t)
{
	if (t->closing)
		return;
	advance_output(t);
	advance_input(t);
}

/* The time to drain is over: what is not written by now never will be. */
static void deadline_came(struct op *op, int res)
{
	struct terminal *t = container_of(op, struct terminal, deadline_op);

	(void)res;
	t->in_flight--;
	t->deadline_armed = 0;
	if (t->closing || t->n_ports == 0)
		return;
	end_output(t);
	if (t->out_state == OUT_IDLE)
		advance(t);
	else
		loop_cancel(t->loop, &t->out_op);
}

static void soon_came(struct op *op, int res)
{
	(void)res;
	advance(container_of(op, struct terminal, soon));
}

void terminal_output(struct terminal *t)
{
	if (t->out_state == OUT_IDLE)
		loop_soon(t->loop, &t->soon);
}

void terminal_input(struct terminal *t)
{
	loop_soon(t->loop, &t->soon);
}

void terminal_attach(struct terminal *t, const struct console_port *port, int input)
{
	if (t->n_ports == TERMINAL_PORTS_MAX)
		return;
	if (input)
		t->input = t->n_ports;
	t->port[t->n_ports++] = *port;
	tell_size(t);
	loop_soon(t->loop, &t->soon);
}

void terminal_set_watch(struct terminal *t, const struct terminal_watch *watch)
{
	t->watch = *watch;
}

int terminal_is_tty(const struct terminal *t)
{
	return t->is_tty && isatty(t->out) == 1;
}

void terminal_hold(struct terminal *t)
{
	t->held = 1;
}

void terminal_release(struct terminal *t, unsigned lines)
{
	if (!t->held)
		return;
	t->held = 0;
	t->note = scrollback_last(&t->held_back, lines, &t->note_len);
	loop_soon(t->loop, &t->soon);
}

static int open_file(struct terminal *t, const char *path)
{
	t->is_file = 1;
	t->out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	if (t->out < 0)
		return log_fail(-errno, "console: %s: cannot open for writing: %s", path,
				strerror(errno));
	return 0;
}

static int open_stdio(struct terminal *t, const struct terminal_params *p)
{
	int r;

	t->in = p->in;
	t->out = p->out;
	t->is_tty = isatty(t->in) == 1;
	if (!t->is_tty)
		return 0;
	t->notify = eventfd(0, EFD_CLOEXEC);
	if (t->notify < 0)
		return log_fail(-errno, "console: cannot make an eventfd: %s", strerror(errno));
	r = tty_take(t->in, t->notify);
	return r == -EBUSY ? 0 : r;
}

static int open_spec(struct terminal *t, const struct terminal_params *p)
{
	if (strcmp(p->spec, "stdio") == 0)
		return open_stdio(t, p);
	if (strncmp(p->spec, "file:", 5) == 0 && p->spec[5])
		return open_file(t, p->spec + 5);
	if (strcmp(p->spec, "null") == 0)
		return 0;
	return log_fail(-EINVAL, "--console: %s: choose stdio, null or file:PATH", p->spec);
}

static void terminal_free(struct terminal *t)
{
	if (t->is_tty)
		tty_restore();
	if (t->is_file && t->out >= 0)
		close(t->out);
	if (t->notify >= 0)
		close(t->notify);
	scrollback_free(&t->held_back);
	free(t);
}

int terminal_open(struct terminal **out, const struct terminal_params *p)
{
	struct terminal *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return log_fail(-ENOMEM, "console: out of memory");
	t->loop = p->loop;
	t->end = p->end;
	t->arg = p->arg;
	t->in = t->out = t->notify = -1;
	t->soon.fn = soon_came;
	t->out_op.fn = out_came;
	t->in_op.fn = in_came;
	t->notify_op.fn = notify_came;
	t->deadline_op.fn = deadline_came;
	r = open_spec(t, p);
	if (r < 0) {
		terminal_free(t);
		return r;
	}
	/* A reader that goes away is an error of the write, not the end of the VM. */
	signal(SIGPIPE, SIG_IGN);
	loop_lock(t->loop);
	if (t->notify >= 0)
		notify_arm(t);
	loop_soon(t->loop, &t->soon);
	loop_unlock(t->loop);
	*out = t;
	return 0;
}

/* --- the end ------------------------------------------------------------------------------- */

static int is_drained(struct terminal *t)
{
	int done;

	loop_lock(t->loop);
	advance(t);
	done = t->out_state == OUT_IDLE && t->in_state == IN_IDLE && !find_output(t);
	loop_unlock(t->loop);
	return done;
}

void terminal_drain(struct terminal *t, unsigned ms)
{
	loop_lock(t->loop);
	terminal_release(t, 0);
	t->draining = 1;
	if (t->in_state != IN_IDLE)
		loop_cancel(t->loop, &t->in_op);
	if (!t->deadline_armed) {
		t->deadline_armed = 1;
		t->in_flight++;
		loop_timer(t->loop, &t->deadline_op, &t->deadline, ms * 1000000ull);
	}
	loop_unlock(t->loop);
	while (!is_drained(t))
		loop_run_once(t->loop);
	loop_lock(t->loop);
	t->n_ports = 0;
	t->n_kept = 0;
	loop_unlock(t->loop);
}

void terminal_close(struct terminal *t)
{
	if (!t)
		return;
	loop_lock(t->loop);
	t->closing = 1;
	if (t->out_state != OUT_IDLE)
		loop_cancel(t->loop, &t->out_op);
	if (t->in_state != IN_IDLE)
		loop_cancel(t->loop, &t->in_op);
	if (t->notify >= 0)
		loop_cancel(t->loop, &t->notify_op);
	if (t->deadline_armed)
		loop_cancel(t->loop, &t->deadline_op);
	loop_unlock(t->loop);
	while (t->in_flight > 0 || t->soon.queued)
		loop_run_once(t->loop);
	terminal_free(t);
}
