/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status line of a machine that starts, and its time line. On the main thread, which is the
 * loop's; what the guest says comes from the terminal with the lock held. Knows how a line is
 * drawn; what the guest's words mean is boot_watch.c's.
 */
#include "vmm/boot_status.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/clock.h"
#include "vmm/container_of.h"
#include "vmm/log.h"
#include "vmm/terminal.h"

#define REDRAW_NS    250000000u
#define LINE_BYTES   512u
#define PROMPT_LINES 3 /* what getty says: the system's name, an empty line, the prompt */
#define NARROW       40u
#define KEYS         "   (Enter: console, Ctrl-] x: end)"

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

/* --- the text ------------------------------------------------------------------------------- */

/* Stages in the order in which they were reached, which the guest decides. */
static unsigned in_order(const struct boot_watch *w, enum boot_stage order[BOOT_STAGES])
{
	unsigned n = 0;

	for (unsigned stage = BOOT_NONE + 1; stage < BOOT_STAGES; stage++) {
		unsigned at = n;

		if (!w->at_ns[stage])
			continue;
		for (; at > 0 && w->at_ns[order[at - 1]] > w->at_ns[stage]; at--)
			order[at] = order[at - 1];
		order[at] = (enum boot_stage)stage;
		n++;
	}
	return n;
}

/* What goes on from @stage on, for the line; NULL: not worth a word. */
static const char *goes_on(enum boot_stage stage)
{
	switch (stage) {
	case BOOT_IMAGE:
	case BOOT_LOGIN:
	case BOOT_CLOUD_DONE:
		return NULL;
	case BOOT_ENTERED:
	case BOOT_FIRST_BYTE:
		return boot_stage_name(BOOT_KERNEL);
	default:
		return boot_stage_name(stage);
	}
}

struct text {
	char *out;
	size_t size, len;
};

static void add(struct text *t, const char *what, double took, int last)
{
	int n;

	if (t->len >= t->size)
		return;
	n = snprintf(t->out + t->len, t->size - t->len, last ? "%s %.0f s" : "%s %.1f s, ", what,
		     took);
	t->len += n > 0 ? (size_t)n : 0;
}

static void compose_parts(const struct boot_status *s, uint64_t now_ns, struct text *t)
{
	enum boot_stage order[BOOT_STAGES];
	unsigned n = in_order(&s->watch, order);
	const char *what = s->doing;
	uint64_t from = s->start_ns;

	for (unsigned i = 0; i < n; i++) {
		const char *next = goes_on(order[i]);
		uint64_t at = s->watch.at_ns[order[i]];

		/* The same words go on: one part. */
		if (next && what && !strcmp(next, what))
			continue;
		if (what)
			add(t, what, seconds(from, at), 0);
		what = next;
		from = at;
	}
	if (what)
		add(t, what, seconds(from, now_ns), 1);
	else if (t->len >= 2)
		t->len -= 2; /* the comma */
	if (t->len < t->size)
		t->out[t->len] = '\0';
}

void boot_status_compose(const struct boot_status *s, uint64_t now_ns, unsigned columns, char *out,
			 size_t size)
{
	char parts[LINE_BYTES] = "";
	struct text t = {parts, sizeof(parts), 0};
	const char *from = parts, *keys = s->held ? KEYS : "";
	size_t head, room = columns < size ? columns : size - 1;
	int n;

	compose_parts(s, now_ns, &t);
	/* What it does is worth more than whose it is. */
	if (columns < NARROW) {
		snprintf(out, room + 1, "%s", parts);
		return;
	}
	n = snprintf(out, size, "skiff: %s: ", s->name);
	head = n > 0 && (size_t)n < size ? (size_t)n : 0;
	/* Too long: the oldest parts are history, and so are the keys before the last part. */
	while (head + strlen(from) + strlen(keys) > room) {
		const char *comma = strstr(from, ", ");

		if (!comma)
			break;
		from = comma + 2;
	}
	if (head + strlen(from) + strlen(keys) > room)
		keys = "";
	snprintf(out + head, size - head, "%s%s", from, keys);
	if (strlen(out) > room)
		out[room] = '\0';
}

/* --- the line ------------------------------------------------------------------------------- */

static volatile sig_atomic_t on_screen; /* s->shown, for a signal */

static void put(const char *text, size_t len)
{
	/* Nobody can be told when the terminal is gone. */
	if (write(STDERR_FILENO, text, len) < 0)
		return;
}

static void draw(struct boot_status *s)
{
	char text[LINE_BYTES], line[LINE_BYTES + 16];
	struct winsize ws;
	unsigned columns = 79;
	int n;

	if (!s->line)
		return;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 1)
		columns = ws.ws_col - 1u;
	boot_status_compose(s, clock_now_ns(), columns, text, sizeof(text));
	n = snprintf(line, sizeof(line), "\r%s\33[K\r", text);
	on_screen = 1;
	put(line, (size_t)n);
	s->shown = 1;
	log_over_status(1);
}

void boot_status_clear(struct boot_status *s)
{
	if (!s->shown)
		return;
	put("\r\33[K", 4);
	s->shown = 0;
	on_screen = 0;
	log_over_status(0);
}

/* Before the loop has them: a line that stayed would have the shell's prompt behind it. */
static void on_signal(int sig)
{
	if (on_screen)
		put("\r\33[K", 4);
	raise(sig); /* has its own effect, once this has returned */
}

static void wipe_on_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	const struct sigaction wipe = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct sigaction was;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler == SIG_DFL)
			sigaction(signals[i], &wipe, NULL);
}

static int can_draw(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) == 1 && term && *term && strcmp(term, "dumb") != 0;
}

void boot_status_begin(struct boot_status *s, const char *name, uint64_t start_ns, int quiet)
{
	*s = (struct boot_status){
		.name = name,
		.hint = "",
		.start_ns = start_ns,
		.line = (uint8_t)(!quiet && can_draw()),
	};
	if (s->line)
		wipe_on_signals();
}

void boot_status_doing(struct boot_status *s, const char *what)
{
	s->doing = what;
	draw(s);
}

void boot_status_reached(struct boot_status *s, enum boot_stage stage)
{
	boot_watch_reached(&s->watch, stage, clock_now_ns());
}

/* --- with the guest -------------------------------------------------------------------------- */

/* The console is the user's from here on; there is no line any more. */
static void let_go(struct boot_status *s, unsigned lines)
{
	if (!s->held)
		return;
	boot_status_clear(s);
	s->held = s->line = 0;
	terminal_release(s->terminal, lines);
}

static void say_ready(struct boot_status *s)
{
	boot_status_clear(s);
	log_line(LOG_INFO, "%s: ready after %.1f s%s%s", s->name,
		 seconds(s->start_ns, clock_now_ns()), s->hint[0] ? ": " : "", s->hint);
}

static void on_seen(void *arg, const uint8_t *bytes, size_t len)
{
	struct boot_status *s = arg;

	if (!boot_watch_bytes(&s->watch, bytes, len, clock_now_ns()) || !s->held)
		return;
	if (s->watch.trouble[0]) {
		boot_status_clear(s);
		log_line(LOG_WARN, "%s: the guest has stopped: %s", s->name, s->watch.trouble);
		let_go(s, 0);
	} else if (s->watch.at_ns[BOOT_LOGIN]) {
		say_ready(s);
		let_go(s, PROMPT_LINES);
	} else {
		draw(s);
	}
}

static void on_key(void *arg)
{
	struct boot_status *s = arg;

	boot_status_clear(s);
	if (s->hint[0])
		log_line(LOG_INFO, "%s: once it is up: %s", s->name, s->hint);
	let_go(s, 0);
}

static void arm(struct boot_status *s)
{
	if (!s->held || s->timer_armed || s->detached)
		return;
	s->timer_armed = 1;
	loop_timer(s->loop, &s->timer, &s->ts, REDRAW_NS);
}

static void timer_came(struct op *op, int res)
{
	struct boot_status *s = container_of(op, struct boot_status, timer);

	(void)res;
	s->timer_armed = 0;
	if (s->held && !s->detached)
		draw(s);
	arm(s);
}

int boot_status_will_hold(const struct boot_status *s, const char *spec)
{
	return s->line && strcmp(spec, "stdio") == 0 && isatty(STDIN_FILENO) == 1 &&
	       isatty(STDOUT_FILENO) == 1;
}

void boot_status_attach(struct boot_status *s, struct loop *loop, struct terminal *terminal)
{
	struct terminal_watch watch = {on_seen, on_key, s};

	s->loop = loop;
	s->terminal = terminal;
	s->timer.fn = timer_came;
	loop_lock(loop);
	terminal_set_watch(terminal, &watch);
	s->held = s->line && terminal_is_tty(terminal);
	s->line = s->held;
	if (s->held)
		terminal_hold(terminal);
	else
		boot_status_clear(s);
	arm(s);
	loop_unlock(loop);
}

void boot_status_detach(struct boot_status *s)
{
	if (!s->loop || s->detached)
		return;
	loop_lock(s->loop);
	let_go(s, 0);
	s->detached = 1;
	if (s->timer_armed)
		loop_cancel(s->loop, &s->timer);
	loop_unlock(s->loop);
	while (s->timer_armed)
		loop_run_once(s->loop);
}

/* --- the time line --------------------------------------------------------------------------- */

void boot_status_report(const struct boot_status *s)
{
	enum boot_stage order[BOOT_STAGES];
	unsigned n = in_order(&s->watch, order);
	uint64_t before = s->start_ns;

	fprintf(stderr, "boot: %8.3f s            process\n", 0.0);
	for (unsigned i = 0; i < n; i++) {
		uint64_t at = s->watch.at_ns[order[i]];

		fprintf(stderr, "boot: %8.3f s %+8.3f s %s\n", seconds(s->start_ns, at),
			seconds(before, at), boot_stage_name(order[i]));
		before = at;
	}
	if (s->watch.trouble[0])
		fprintf(stderr, "boot: stopped at: %s\n", s->watch.trouble);
}
