/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The progress line. Main thread. Knows nothing of what is counted.
 */
#include "loader/image/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "loader/image/units.h"
#include "vmm/clock.h"

#define DRAW_NS   200000000ull
#define RATE_NS   1000000000ull
#define BAR_MIN   8
#define BAR_MAX   40
#define NAME_MIN  8
#define SEPARATOR "  "

/* --- the line -------------------------------------------------------------------------------- */

static int percent(const struct progress *p)
{
	return p->done >= p->total ? 100 : (int)((double)p->done / (double)p->total * 100);
}

/* The parts right of the bar, the most wanted first: how much; rate or note; time left. */
static unsigned right_parts(const struct progress *p, char part[3][80])
{
	char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX];
	unsigned n = 0;

	if (p->total)
		snprintf(part[n++], 80, "%s of %s", units_bytes(p->done, a),
			 units_bytes(p->total, b));
	else
		snprintf(part[n++], 80, "%s", units_bytes(p->done, a));
	if (p->note[0]) {
		snprintf(part[n++], 80, "%s", p->note);
		return n;
	}
	if (p->rate < 1)
		return n;
	snprintf(part[n++], 80, "%s/s", units_bytes((uint64_t)p->rate, a));
	if (p->total > p->done)
		snprintf(part[n++], 80, "%s left",
			 units_seconds((uint64_t)((double)(p->total - p->done) / p->rate) + 1, a));
	return n;
}

static void append(char *line, size_t *len, const char *text)
{
	size_t n = strlen(text);

	memcpy(line + *len, text, n + 1);
	*len += n;
}

static void append_bar(const struct progress *p, char *line, size_t *len, unsigned columns)
{
	unsigned inner = columns - 2, full = inner * (unsigned)percent(p) / 100;

	line[(*len)++] = '[';
	memset(line + *len, '#', full);
	memset(line + *len + full, ' ', inner - full);
	*len += inner;
	line[(*len)++] = ']';
	line[*len] = '\0';
}

void progress_line(const struct progress *p, unsigned width, char out[PROGRESS_WIDTH_MAX + 1])
{
	char part[3][80], share[8] = "";
	unsigned n = right_parts(p, part), used, bar = 0;
	size_t len = 0, name = strlen(p->name);

	if (width > PROGRESS_WIDTH_MAX)
		width = PROGRESS_WIDTH_MAX;
	if (p->total)
		snprintf(share, sizeof(share), " %3d%%", percent(p));
	/* What is there without the bar: parts are left out until it fits, then the name is cut. */
	for (;;) {
		used = (unsigned)strlen(share);
		for (unsigned i = 0; i < n; i++)
			used += (unsigned)(strlen(SEPARATOR) + strlen(part[i]));
		if (used + name <= width || !n)
			break;
		if (n == 1 && used + NAME_MIN <= width)
			break;
		n--;
	}
	if (used + name > width)
		name = used < width ? width - used : 0;
	if (p->total && used + name + BAR_MIN < width)
		bar = width - used - (unsigned)name - 1;
	if (bar > BAR_MAX)
		bar = BAR_MAX;
	memcpy(out, p->name, name);
	len = name;
	out[len] = '\0';
	if (used + name <= width)
		append(out, &len, share);
	if (bar >= BAR_MIN) {
		append(out, &len, " ");
		append_bar(p, out, &len, bar);
	}
	for (unsigned i = 0; i < n; i++) {
		append(out, &len, SEPARATOR);
		append(out, &len, part[i]);
	}
}

/* --- drawing --------------------------------------------------------------------------------- */

static unsigned columns_of(int fd)
{
	struct winsize w;

	if (ioctl(fd, TIOCGWINSZ, &w) || w.ws_col == 0)
		return 80;
	return w.ws_col;
}

/* Writes @line over what is there. The last column stays free: some terminals wrap there. */
static void put_line(struct progress *p, const char *line)
{
	char text[2 * PROGRESS_WIDTH_MAX + 4];
	unsigned len = (unsigned)strlen(line), blanks = p->columns > len ? p->columns - len : 0;
	int n = snprintf(text, sizeof(text), "\r%s%*s%s", line, (int)blanks, "", len ? "" : "\r");

	/* Nobody can be told when the terminal is gone. */
	if (write(p->fd, text, (size_t)n) < 0)
		p->fd = -1;
	p->columns = len;
}

static void draw(struct progress *p, uint64_t now)
{
	char line[PROGRESS_WIDTH_MAX + 1];
	unsigned width;

	if (p->fd < 0)
		return;
	width = columns_of(p->fd);
	/* On a terminal that was made narrower the old line is not to be blanked: it would wrap. */
	if (p->columns >= width)
		p->columns = width ? width - 1 : 0;
	progress_line(p, width - 1, line);
	put_line(p, line);
	p->drawn_ns = now;
}

static void look_at_rate(struct progress *p, uint64_t now)
{
	double seconds = (double)(now - p->rated_ns) / 1e9, rate;

	if (now - p->rated_ns < (p->rate < 1 ? RATE_NS / 2 : RATE_NS))
		return;
	rate = p->done > p->rated_at ? (double)(p->done - p->rated_at) / seconds : 0;
	p->rate = p->rate < 1 ? rate : p->rate * 0.7 + rate * 0.3;
	p->rated_ns = now;
	p->rated_at = p->done;
}

void progress_start(struct progress *p, int fd, const char *name)
{
	*p = (struct progress){.fd = isatty(fd) ? fd : -1, .name = name};
}

void progress_from(struct progress *p, uint64_t done, uint64_t total)
{
	p->done = done;
	p->total = total;
	p->rated_ns = clock_now_ns();
	p->rated_at = done;
	draw(p, p->rated_ns);
}

void progress_set(struct progress *p, uint64_t done)
{
	uint64_t now;

	p->done = done;
	if (p->fd < 0)
		return;
	now = clock_now_ns();
	look_at_rate(p, now);
	if (now - p->drawn_ns >= DRAW_NS)
		draw(p, now);
}

void progress_note(struct progress *p, const char *note)
{
	snprintf(p->note, sizeof(p->note), "%s", note);
	draw(p, clock_now_ns());
}

void progress_end(struct progress *p)
{
	unsigned width;

	if (p->fd < 0 || !p->columns)
		return;
	width = columns_of(p->fd);
	p->columns += 2; /* the terminal's echo of Ctrl-C */
	if (p->columns >= width)
		p->columns = width ? width - 1 : 0;
	put_line(p, "");
}
