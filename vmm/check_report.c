/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The report of `skiff check`: a list, a verdict, and two ways to print them. Main thread. It
 * looks at nothing on the host, so that tests can say what the host is.
 */
#include <stdarg.h>
#include <string.h>

#include "vmm/check_report.h"
#include "vmm/json_out.h"

static const struct {
	const char *word;   /* for a person */
	const char *json;   /* for a machine */
	const char *colour; /* ECMA-48 §8.3.117: green, yellow, red */
} looks[] = {
	[CHECK_OK] = {"ok", "ok", "\033[32m"},
	[CHECK_NOTE] = {"note", "note", "\033[33m"},
	[CHECK_MISSING] = {"MISSING", "missing", "\033[31m"},
};

/* A terminal is driven by none of the bytes that paths or the kernel put into a detail. */
static void make_printable(char *s)
{
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
}

void check_add(struct check_report *report, enum check_state state, const char *part,
	       const char *name, const char *fmt, ...)
{
	/* The last place is kept for something missing, which then takes it again and again. */
	unsigned room = state == CHECK_MISSING ? CHECK_ITEMS_MAX : CHECK_ITEMS_MAX - 1;
	struct check_item *item;
	va_list ap;

	if (report->n >= room) {
		if (state != CHECK_MISSING)
			return;
		report->n = CHECK_ITEMS_MAX - 1;
	}
	item = &report->item[report->n++];
	item->part = part;
	item->state = state;
	snprintf(item->name, sizeof(item->name), "%s", name);
	va_start(ap, fmt);
	vsnprintf(item->detail, sizeof(item->detail), fmt, ap);
	va_end(ap);
	make_printable(item->name);
	make_printable(item->detail);
}

static const struct check_item *first_missing(const struct check_report *report)
{
	for (unsigned i = 0; i < report->n; i++)
		if (report->item[i].state == CHECK_MISSING)
			return &report->item[i];
	return NULL;
}

int check_can_run_linux(const struct check_report *report)
{
	return report->n > 0 && !first_missing(report);
}

void check_verdict(const struct check_report *report, char *out, size_t len)
{
	const struct check_item *item = first_missing(report);

	if (item)
		snprintf(out, len, "Linux cannot run here: %s %s: %s", item->part, item->name,
			 item->detail);
	else if (report->n)
		snprintf(out, len, "Linux can run here.");
	else
		snprintf(out, len, "Linux cannot run here: nothing was found out");
}

void check_print_text(const struct check_report *report, FILE *f, int colour)
{
	int part_width = 0, name_width = 0;
	char verdict[sizeof(report->item[0].detail) + 96];

	for (unsigned i = 0; i < report->n; i++) {
		int part = (int)strlen(report->item[i].part);
		int name = (int)strlen(report->item[i].name);

		part_width = part > part_width ? part : part_width;
		name_width = name > name_width ? name : name_width;
	}
	for (unsigned i = 0; i < report->n; i++) {
		const struct check_item *item = &report->item[i];

		fprintf(f, "%-*s  %-*s  %s%-7s%s  %s\n", part_width, item->part, name_width,
			item->name, colour ? looks[item->state].colour : "",
			looks[item->state].word, colour ? "\033[0m" : "", item->detail);
	}
	check_verdict(report, verdict, sizeof(verdict));
	fprintf(f, "\n%s\n", verdict);
}

void check_print_json(const struct check_report *report, FILE *f)
{
	char verdict[sizeof(report->item[0].detail) + 96];
	struct json_out j;

	check_verdict(report, verdict, sizeof(verdict));
	json_out_init(&j, f);
	json_out_open(&j, NULL, '{');
	json_out_bool(&j, "can_run_linux", check_can_run_linux(report));
	json_out_string(&j, "verdict", verdict);
	json_out_string(&j, "arch", report->arch);
	json_out_string(&j, "kernel", report->kernel);
	json_out_uint(&j, "cpus", report->cpus);
	json_out_uint(&j, "memory_total", report->memory_total);
	json_out_uint(&j, "memory_available", report->memory_available);
	json_out_open(&j, "checks", '[');
	for (unsigned i = 0; i < report->n; i++) {
		const struct check_item *item = &report->item[i];

		json_out_open(&j, NULL, '{');
		json_out_string(&j, "part", item->part);
		json_out_string(&j, "name", item->name);
		json_out_string(&j, "state", looks[item->state].json);
		json_out_string(&j, "detail", item->detail);
		json_out_close(&j, '}');
	}
	json_out_close(&j, ']');
	json_out_close(&j, '}');
}
