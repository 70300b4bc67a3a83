/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Figures out of the output of sysbench, fio and iperf3. Pure functions of a text, which may be cut
 * anywhere: tools die. They know no load and start nothing.
 */
#include "vmm/bench/parse.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int good(double v, double *figure)
{
	if (!isfinite(v) || v <= 0)
		return -EBADMSG;
	*figure = v;
	return 0;
}

/* --- sysbench 1.0: `    key:    value` --------------------------------------------------- */

/* The number after @key, which is the first word of a line or stands behind a bracket. */
static int number_after(const char *text, const char *key, double *v)
{
	for (const char *at = strstr(text, key); at; at = strstr(at + 1, key)) {
		const char *value = at + strlen(key);
		char *end;

		if (at > text && !strchr(" \n(", at[-1]))
			continue;
		*v = strtod(value, &end);
		if (end != value)
			return 0;
	}
	return -EBADMSG;
}

static int sysbench_value(const char *text, const char *key, double *figure)
{
	double v;

	return number_after(text, key, &v) < 0 ? -EBADMSG : good(v, figure);
}

int parse_sysbench_cpu(const char *text, double *figure)
{
	return sysbench_value(text, "events per second:", figure);
}

int parse_sysbench_memory(const char *text, double *figure)
{
	return sysbench_value(text, "MiB transferred (", figure);
}

int parse_sysbench_rate(const char *text, double *figure)
{
	double events, seconds;

	if (sysbench_value(text, "total number of events:", &events) < 0 ||
	    sysbench_value(text, "total time:", &seconds) < 0)
		return -EBADMSG;
	return good(events / seconds, figure);
}

int parse_sysbench_time(const char *text, double *figure)
{
	return sysbench_value(text, "total time:", figure);
}

int parse_sysbench_reads(const char *text, double *figure)
{
	return sysbench_value(text, "reads/s:", figure);
}

int parse_sysbench_writes(const char *text, double *figure)
{
	return sysbench_value(text, "writes/s:", figure);
}

int parse_sysbench_read(const char *text, double *figure)
{
	return sysbench_value(text, "read, MiB/s:", figure);
}

/* --- JSON of fio and iperf3 ---------------------------------------------------------------- */

/* The object that begins a line; warnings may stand before it. NULL if there is none. */
static json_t *object_in(const char *text)
{
	const char *at = text;

	while (at && *at != '{') {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at ? json_loads(at, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
}

int parse_fio(const char *text, double *figure)
{
	json_t *root = object_in(text);
	json_t *job = json_array_get(json_object_get(root, "jobs"), 0);
	double read = json_number_value(json_object_get(json_object_get(job, "read"), "iops"));
	double write = json_number_value(json_object_get(json_object_get(job, "write"), "iops"));
	int failed = json_integer_value(json_object_get(job, "error")) != 0;

	json_decref(root);
	return failed ? -EBADMSG : good(read + write, figure);
}

int parse_iperf3(const char *text, double *figure)
{
	json_t *root = object_in(text);
	json_t *sum = json_object_get(json_object_get(root, "end"), "sum_received");
	double bits = json_number_value(json_object_get(sum, "bits_per_second"));
	int failed = json_object_get(root, "error") != NULL;

	json_decref(root);
	return failed ? -EBADMSG : good(bits / 1e6, figure);
}

/* --- complaints --------------------------------------------------------------------------- */

static int complains(const char *line, size_t len)
{
	static const char *const begin[] = {"FATAL:", "fio:", "iperf3:", "sysbench:"};

	for (size_t i = 0; i < sizeof(begin) / sizeof(begin[0]); i++)
		if (len > strlen(begin[i]) && strncmp(line, begin[i], strlen(begin[i])) == 0)
			return 1;
	return 0;
}

void parse_complaint(const char *text, char *line, size_t size)
{
	json_t *root = object_in(text);
	const char *error = json_string_value(json_object_get(root, "error"));
	const char *best = "";
	size_t best_len = 0;

	if (error) {
		best = error;
		best_len = strcspn(error, "\r\n");
	}
	for (const char *at = text; !error && *at;) {
		size_t len = strcspn(at, "\r\n");

		if (len) {
			best = at;
			best_len = len;
		}
		if (complains(at, len))
			break;
		at += len + (at[len] != '\0');
	}
	snprintf(line, size, "%.*s", (int)(best_len < size ? best_len : size - 1), best);
	json_decref(root);
}
