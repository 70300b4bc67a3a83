/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line that tells how long it will still take: by the steps that are done, as all take about
 * the same. One thread.
 */
#include "vmm/bench/progress.h"
#include "vmm/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static struct {
	int on;
	unsigned steps, done;
	uint64_t start;
	char what[120];
} line;

static uint64_t now_seconds(void)
{
	return clock_now_ns() / CLOCK_NS_A_SECOND;
}

void progress_begin(unsigned steps)
{
	line.on = isatty(STDERR_FILENO);
	line.steps = steps;
	line.done = 0;
	line.start = now_seconds();
}

void progress_step(unsigned done, const char *fmt, ...)
{
	va_list ap;

	line.done = done;
	va_start(ap, fmt);
	vsnprintf(line.what, sizeof(line.what), fmt, ap);
	va_end(ap);
	progress_draw();
}

void progress_draw(void)
{
	unsigned passed = (unsigned)(now_seconds() - line.start), all;

	if (!line.on)
		return;
	fprintf(stderr, "\r\033[K[%u/%u] %s; %u:%02u", line.done + 1, line.steps, line.what,
		passed / 60, passed % 60);
	if (line.done) {
		all = (unsigned)((unsigned long long)passed * line.steps / line.done);
		fprintf(stderr, " of about %u:%02u", all / 60, all % 60);
	}
	fflush(stderr);
}

void progress_clear(void)
{
	if (line.on)
		fputs("\r\033[K", stderr);
}
