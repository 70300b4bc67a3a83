/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts the agent in a place and talks to it. What differs from place to place is only the command
 * that starts it. One thread.
 */
#include "vmm/bench/place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vmm/bench/agent.h"
#include "vmm/bench/child.h"
#include "vmm/bench/container.h"
#include "vmm/bench/guest.h"
#include "vmm/bench/vm.h"
#include "vmm/clock.h"
#include "vmm/log.h"

#define START_LIMIT_MS 180000 /* a boot on an emulated host */
#define LOAD_LIMIT_MS  300000 /* beside its own time: writing files, threads that end late */
#define END_LIMIT_MS   20000
#define TICK_MS        500

static void host_command(const struct bench *b, struct words *w)
{
	words_init(w);
	words_add(w, "%s", b->self);
	words_add(w, "agent");
}

static const struct {
	void (*command)(const struct bench *b, struct words *w);
	const char *server; /* where this host's iperf3 is, seen from there */
} kinds[PLACE_KINDS] = {
	[PLACE_HOST] = {host_command, "127.0.0.1"},
	[PLACE_CONTAINER] = {container_command, "127.0.0.1"},
	[PLACE_VM] = {vm_skiff_command, GUEST_HOST},
	[PLACE_QEMU] = {vm_qemu_command, GUEST_HOST},
};

static const char *title(const struct place *p)
{
	return p->bench->titles[p->kind];
}

static void log_path(const struct place *p, char *path, size_t size)
{
	snprintf(path, size, "%s/%s.log", p->bench->work, place_names[p->kind]);
}

/* What it said last: its own complaints, or else what stood on its console. */
static const char *last_words(const struct place *p, char *line, int size)
{
	char path[PATH_MAX], next[200];
	FILE *f;

	snprintf(line, (size_t)size, "%s", p->last);
	log_path(p, path, sizeof(path));
	f = fopen(path, "re");
	while (f && fgets(next, sizeof(next), f))
		if (next[0] != '\n')
			snprintf(line, (size_t)size, "%.*s", (int)strcspn(next, "\r\n"), next);
	if (f)
		fclose(f);
	return line;
}

static int died(const struct place *p, const char *while_what)
{
	char line[200];

	last_words(p, line, sizeof(line));
	return log_fail(-EPIPE, "bench: %s: ended while %s%s%s", title(p), while_what,
			*line ? ": " : "", line);
}

/* --- lines from the agent -------------------------------------------------------------------- */

/* A complete line out of the buffer: 1, or 0 if there is none. */
static int take_line(struct place *p, char *line, size_t size)
{
	char *end = memchr(p->buf, '\n', p->used);
	size_t len;

	if (!end && p->used < sizeof(p->buf))
		return 0;
	len = end ? (size_t)(end - p->buf) + 1 : p->used;
	snprintf(line, size, "%.*s", (int)len, p->buf);
	line[strcspn(line, "\r\n")] = '\0';
	p->used -= len;
	memmove(p->buf, p->buf + len, p->used);
	return 1;
}

static int64_t now_ms(void)
{
	return (int64_t)(clock_now_ns() / CLOCK_NS_A_MS);
}

/* Waits for bytes: 0, -EPIPE at the end, -ECANCELED, -ETIMEDOUT. */
static int more(struct place *p, int64_t until_ms)
{
	struct pollfd fds[2] = {{.fd = p->from, .events = POLLIN},
				{.fd = p->bench->stop_fd, .events = POLLIN}};
	ssize_t n;

	while (!fds[0].revents) {
		if (now_ms() > until_ms)
			return -ETIMEDOUT;
		if (poll(fds, 2, TICK_MS) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			return -ECANCELED;
		if (p->tick)
			p->tick();
	}
	n = read(p->from, p->buf + p->used, sizeof(p->buf) - p->used);
	if (n <= 0)
		return -EPIPE;
	p->used += (size_t)n;
	return 0;
}

/* The agent's next answer, without its mark. */
static int next_answer(struct place *p, int64_t limit_ms, char *answer, size_t size)
{
	int64_t until_ms = now_ms() + limit_ms;
	char line[AGENT_LINE_MAX];

	for (;;) {
		const char *mark;
		int r;

		while (take_line(p, line, sizeof(line))) {
			/* On a console another line may stand before it that was not ended. */
			mark = strstr(line, AGENT_MARK);
			if (mark) {
				snprintf(answer, size, "%s", mark + strlen(AGENT_MARK));
				return 0;
			}
			if (line[0])
				snprintf(p->last, sizeof(p->last), "%.*s", (int)sizeof(p->last) - 1,
					 line);
		}
		r = more(p, until_ms);
		if (r < 0)
			return r;
	}
}

static int say(struct place *p, const char *line)
{
	size_t len = strlen(line);

	return write(p->to, line, len) == (ssize_t)len ? 0 : -EPIPE;
}

/* --- starting, running, ending ------------------------------------------------------------- */

static int start_program(struct place *p, int in, int out)
{
	char path[PATH_MAX], dir[PATH_MAX];
	struct child_spec spec = {.in = in, .out = out, .cpus = p->bench->o.cpus, .dir = dir};
	struct words w;
	int r;

	kinds[p->kind].command(p->bench, &w);
	snprintf(dir, sizeof(dir), "%s/host", p->bench->work);
	log_path(p, path, sizeof(path));
	spec.argv = w.v;
	spec.err = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	r = w.overflow ? -E2BIG : child_start(&spec, &p->pid);
	if (spec.err >= 0)
		close(spec.err);
	if (r < 0) {
		p->pid = 0;
		return log_fail(r, "bench: %s: cannot start %s: %s", title(p), w.v[0],
				strerror(-r));
	}
	return 0;
}

static int open_pipes(struct place *p)
{
	int to[2], from[2], r;

	if (pipe2(to, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(from, O_CLOEXEC) < 0) {
		r = -errno;
		close(to[0]);
		close(to[1]);
		return r;
	}
	p->to = to[1];
	p->from = from[0];
	r = start_program(p, to[0], from[1]);
	close(to[0]);
	close(from[1]);
	if (r < 0) {
		close(p->to);
		close(p->from);
	}
	return r;
}

static int say_settings(struct place *p)
{
	const struct bench *b = p->bench;
	struct load_settings s = {
		.cpus = b->o.cpus,
		.seconds = b->o.seconds,
		.size_mib = b->o.size_mib,
		.direct = b->direct,
		.port = b->port,
	};
	char settings[256], line[300], answer[AGENT_LINE_MAX];
	int r;

	snprintf(s.server, sizeof(s.server), "%s", kinds[p->kind].server);
	load_settings_print(&s, settings, sizeof(settings));
	snprintf(line, sizeof(line), "set %s\n", settings);
	r = say(p, line);
	if (r == 0)
		r = next_answer(p, START_LIMIT_MS, answer, sizeof(answer));
	if (r < 0 || strcmp(answer, "set") == 0)
		return r;
	return log_fail(-EPROTO, "bench: %s: cannot be told what to do: %s", title(p), answer);
}

int place_start(struct place *p)
{
	char answer[AGENT_LINE_MAX];
	int r;

	p->used = 0;
	p->last[0] = '\0';
	r = open_pipes(p);
	if (r < 0)
		return r;
	r = next_answer(p, START_LIMIT_MS, answer, sizeof(answer));
	if (r == 0)
		r = say_settings(p);
	if (r == -EPIPE)
		died(p, "it was started");
	else if (r < 0 && r != -ECANCELED && r != -EPROTO)
		log_fail(r, "bench: %s: was not ready within %d s: %s", title(p),
			 START_LIMIT_MS / 1000, p->last);
	if (r < 0)
		place_stop(p, 1);
	return r;
}

/* What follows `WORD LOAD` in an answer, if it begins so; NULL if it does not. */
static const char *answered(const char *answer, const char *word, const struct load *load)
{
	char want[100];
	size_t len;

	snprintf(want, sizeof(want), "%s %s", word, load->name);
	len = strlen(want);
	if (strncmp(answer, want, len) != 0 || (answer[len] && answer[len] != ' '))
		return NULL;
	return answer + len + (answer[len] == ' ');
}

/*
 * Asks to @question (`run`) a load: 0 with what stands behind @expected (`figure`) and its name in
 * @rest, AGENT_LINE_MAX bytes. An answer to another question, or one that is cut, is none.
 */
static int ask(struct place *p, const char *question, const char *expected, const struct load *load,
	       char *rest)
{
	char line[AGENT_LINE_MAX];
	int limit_ms = LOAD_LIMIT_MS + (int)p->bench->o.seconds * 1000;
	const char *found;
	int r;

	snprintf(line, sizeof(line), "%s %s\n", question, load->name);
	r = say(p, line);
	if (r == 0)
		r = next_answer(p, limit_ms, line, sizeof(line));
	if (r == -ECANCELED)
		return r;
	if (r == -ETIMEDOUT)
		return log_fail(r, "bench: %s: %s: took more than %d s", title(p), load->title,
				limit_ms / 1000);
	if (r < 0)
		return died(p, load->title);
	found = answered(line, "failed", load);
	if (found)
		return log_fail(-EBADMSG, "bench: %s: %s: %s", title(p), load->title, found);
	found = answered(line, expected, load);
	if (!found)
		return log_fail(-EPROTO, "bench: %s: %s: not an answer to that: %s", title(p),
				load->title, line);
	snprintf(rest, AGENT_LINE_MAX, "%s", found);
	return 0;
}

int place_prepare(struct place *p, const struct load *load)
{
	char rest[AGENT_LINE_MAX];

	return ask(p, "prepare", "prepared", load, rest);
}

int place_run(struct place *p, const struct load *load, double *figure)
{
	char rest[AGENT_LINE_MAX], *end;
	int r = ask(p, "run", "figure", load, rest);

	if (r < 0)
		return r;
	*figure = strtod(rest, &end);
	if (end == rest || *end)
		return log_fail(-EPROTO, "bench: %s: %s: not a figure: %s", title(p), load->title,
				rest);
	return 0;
}

/* Has it ended within that time? */
static int ends_within(pid_t pid, int limit_ms)
{
	for (; limit_ms > 0; limit_ms -= 10) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return 1;
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000}, NULL);
	}
	return 0;
}

void place_stop(struct place *p, int at_once)
{
	if (p->pid <= 0)
		return;
	/* An agent that loses its stream ends, and what it runs; a guest must be told. */
	say(p, "end\n");
	close(p->to);
	if (!ends_within(p->pid, !at_once ? END_LIMIT_MS : p->kind == PLACE_CONTAINER ? 2000 : 0)) {
		child_end(p->pid, 500);
		if (p->kind == PLACE_CONTAINER)
			container_clean(p->bench);
	}
	close(p->from);
	p->pid = 0;
}
