/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs loads where it is, and hands out their figures: output is parsed here, since a guest's
 * serial port is slow. One thread. It knows tools and loads, and not what kind of place this is.
 */
#include "vmm/bench/agent.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/bench/child.h"
#include "vmm/bench/loads.h"

#define OUTPUT_MAX (256u << 10)

struct agent {
	int in, out;
	struct load_settings settings;
	const char *asked; /* which load */
	int prepared[LOAD_FILES_KINDS];
	char output[OUTPUT_MAX];
};

static void answer(const struct agent *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void answer(const struct agent *a, const char *fmt, ...)
{
	char line[AGENT_LINE_MAX] = AGENT_MARK;
	size_t len = strlen(line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	len = strlen(line);
	line[len++] = '\n';
	for (size_t done = 0; done < len;) {
		ssize_t n = write(a->out, line + done, len - done);

		if (n < 0 && errno != EINTR)
			return; /* who asked is gone, which the next read will say */
		done += n > 0 ? (size_t)n : 0;
	}
}

/* Runs @w; 0, or a negative number when the question has been answered. */
static int run_tool(struct agent *a, struct words *w)
{
	/* A container's runtime may have undone what was set outside. */
	struct child_spec spec = {.argv = w->v, .in = -1, .cpus = a->settings.cpus};
	char said[200];
	int status;

	if (w->overflow) {
		answer(a, "failed %s the command of %s is too long", a->asked, w->v[0]);
		return -E2BIG;
	}
	status = child_capture(&spec, a->in, a->output, sizeof(a->output));
	if (status == 0)
		return 0;
	parse_complaint(a->output, said, sizeof(said));
	if (status < 0)
		answer(a, "failed %s %s: %s", a->asked, w->v[0], strerror(-status));
	else
		answer(a, "failed %s %s ended with status %d%s%s", a->asked, w->v[0], status,
		       *said ? ": " : " and said nothing", said);
	return -EIO;
}

/*
 * Files that a load reads are written once, and have left the way to the disk before it starts.
 * Those of an earlier agent are not good enough: a guest that has just started does not have them
 * in memory, as who has written them does.
 */
static int prepare(struct agent *a, enum load_files files)
{
	struct words w;
	int r = 0;

	if (files == LOAD_NO_FILES || a->prepared[files])
		return 0;
	if (load_remove_command(files, &a->settings, &w))
		r = run_tool(a, &w);
	if (r == 0) {
		load_prepare_command(files, &a->settings, &w);
		r = run_tool(a, &w);
	}
	if (r == 0) {
		sync();
		a->prepared[files] = 1;
	}
	return r;
}

static void run_load(struct agent *a, const struct load *load)
{
	char said[200];
	struct words w;
	double figure;

	load_command(load, &a->settings, &w);
	if (run_tool(a, &w) < 0)
		return;
	if (load->parse(a->output, &figure) < 0) {
		parse_complaint(a->output, said, sizeof(said));
		answer(a, "failed %s %s printed no figure that is understood; it said: %s",
		       a->asked, w.v[0], said);
		return;
	}
	answer(a, "figure %s %.17g", a->asked, figure);
}

static void load_asked(struct agent *a, const char *name, int run)
{
	const struct load *load = load_find(name);

	a->asked = name;
	if (!load)
		answer(a, "failed %s no such load", name);
	else if (prepare(a, load->files) < 0)
		return; /* and it is answered */
	else if (run)
		run_load(a, load);
	else
		answer(a, "prepared %s", name);
}

void agent_serve(int in, int out)
{
	struct agent *a = calloc(1, sizeof(*a));
	char line[AGENT_LINE_MAX];
	FILE *f = a ? fdopen(dup(in), "r") : NULL;

	if (!f) {
		free(a);
		return;
	}
	/* A line at a time is asked and answered, so nothing is left in a buffer that we poll. */
	setvbuf(f, NULL, _IONBF, 0);
	a->in = in;
	a->out = out;
	answer(a, "ready");
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (strcmp(line, "end") == 0)
			break;
		if (strncmp(line, "set ", 4) == 0) {
			if (load_settings_scan(&a->settings, line + 4) < 0)
				answer(a, "failed set not understood: %s", line + 4);
			else
				answer(a, "set");
		} else if (strncmp(line, "prepare ", 8) == 0) {
			load_asked(a, line + 8, 0);
		} else if (strncmp(line, "run ", 4) == 0) {
			load_asked(a, line + 4, 1);
		}
	}
	fclose(f);
	free(a);
}
