/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages for people. Any thread; a line is composed on the stack and written by one write(2), so
 * lines of different threads do not mix. Knows nothing of who speaks.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/log.h"

#define LINE_MAX_BYTES 1024

static enum log_level limit = LOG_INFO;
static void (*sink)(void *arg, enum log_level level, const char *line);
static void *sink_arg;
static int over_status;

void log_set_level(enum log_level level)
{
	limit = level;
}

void log_set_sink(void (*fn)(void *arg, enum log_level level, const char *line), void *arg)
{
	sink_arg = arg;
	sink = fn;
}

void log_over_status(int on)
{
	over_status = on;
}

/* Leaves bytes that a terminal prints; all others become `?`. UTF-8 is left out on purpose. */
static void make_printable(char *s)
{
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
}

static void emit(enum log_level level, const char *fmt, va_list ap)
{
	static const char *const prefix[] = {"skiff: ", "skiff: warning: ", "skiff: ", "skiff: "};
	static const char clear[] = "\r\33[K";
	char line[LINE_MAX_BYTES + 1];
	size_t n, p, c = over_status && !sink ? sizeof(clear) - 1 : 0;
	int saved = errno;

	if (level > limit)
		return;
	memcpy(line, clear, c);
	p = sink ? 0 : strlen(prefix[level]);
	memcpy(line + c, prefix[level], p);
	vsnprintf(line + c + p, sizeof(line) - c - p - 2, fmt, ap);
	make_printable(line + c);
	if (sink) {
		sink(sink_arg, level, line);
	} else {
		n = strlen(line);
		/* A terminal may be in raw mode, where a newline alone does not return. */
		if (isatty(STDERR_FILENO))
			line[n++] = '\r';
		line[n++] = '\n';
		/* Nobody can be told when standard error itself is gone. */
		if (write(STDERR_FILENO, line, n) < 0)
			errno = saved;
	}
	errno = saved;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(level, fmt, ap);
	va_end(ap);
}

int log_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_ERROR, fmt, ap);
	va_end(ap);
	return err;
}
