/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Figures out of what tools printed: outputs in tests/unit/bench were recorded from
 * sysbench 1.0.20, fio 3.33 and iperf3 3.12.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/bench/parse.h"

/* A recorded output, in memory until the next one. */
static char *recorded(const char *name)
{
	static char text[65536];
	char path[128];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "tests/unit/bench/%s", name);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

static void near(double got, double want)
{
	assert_true(got > want * 0.999999 && got < want * 1.000001);
}

static const struct {
	const char *file;
	parse_fn *parse;
	double figure;
} figures[] = {
	{"sysbench-cpu", parse_sysbench_cpu, 1286.48},
	{"sysbench-memory", parse_sysbench_memory, 1417.09},
	{"sysbench-threads", parse_sysbench_rate, 486 / 1.0041},
	{"sysbench-mutex", parse_sysbench_time, 0.0863},
	{"sysbench-fileio-rndrd", parse_sysbench_reads, 421661.15},
	{"sysbench-fileio-rndwr", parse_sysbench_writes, 20164.59},
	{"sysbench-fileio-seqrd", parse_sysbench_read, 4299.81},
	{"fio-read", parse_fio, 53501.996008},
	{"fio-write", parse_fio, 12527.472527},
	{"iperf3", parse_iperf3, 10341.821742276628},
};

#define N_FIGURES (sizeof(figures) / sizeof(figures[0]))

static void test_recorded(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FIGURES; i++) {
		double v = 0;

		print_message("%s\n", figures[i].file);
		assert_int_equal(figures[i].parse(recorded(figures[i].file), &v), 0);
		near(v, figures[i].figure);
	}
}

/* A warning before it does no harm. */
static void test_after_a_warning(void **state)
{
	char text[66000];
	double v;

	(void)state;
	for (size_t i = 0; i < N_FIGURES; i++) {
		snprintf(text, sizeof(text), "%s: a {warning}\nand more\n%s", figures[i].file,
			 recorded(figures[i].file));
		assert_int_equal(figures[i].parse(text, &v), 0);
		near(v, figures[i].figure);
	}
}

/* Tools die anywhere: no cut is read beyond its end, and no half JSON is believed. */
static void test_cut(void **state)
{
	double v;

	(void)state;
	for (size_t i = 0; i < N_FIGURES; i++) {
		char *text = recorded(figures[i].file);
		size_t len = strlen(text);

		while (len && text[len - 1] == '\n')
			len--;
		for (size_t n = 0; n < len; n += 1 + n / 64) {
			char *cut = strndup(text, n), line[64];
			int r = figures[i].parse(cut, &v);

			if (strncmp(figures[i].file, "sysbench", 8) != 0)
				assert_int_equal(r, -EBADMSG);
			parse_complaint(cut, line, sizeof(line));
			free(cut);
		}
	}
}

static void test_not_there(void **state)
{
	static const struct {
		parse_fn *parse;
		const char *text;
	} cases[] = {
		{parse_sysbench_cpu, ""},
		{parse_sysbench_cpu, "events per second:"},
		{parse_sysbench_cpu, "    events per second:  nan\n"},
		{parse_sysbench_cpu, "    events per second:  inf\n"},
		{parse_sysbench_cpu, "    events per second:  0.00\n"},
		{parse_sysbench_cpu, "    events per second:  -4\n"},
		{parse_sysbench_cpu, "    noevents per second:  4\n"},
		{parse_sysbench_rate, "    total time:   1.0s\n"},
		{parse_sysbench_rate, "    total number of events:   10\n"},
		{parse_sysbench_rate, "    total time: 0s\n    total number of events:   10\n"},
		{parse_sysbench_memory, "1.00 MiB transferred (none)\n"},
		{parse_fio, "{}"},
		{parse_fio, "{\"jobs\":{}}"},
		{parse_fio, "{\"jobs\":[]}"},
		{parse_fio, "{\"jobs\":[{\"read\":{\"iops\":\"5\"}}]}"},
		{parse_fio, "{\"jobs\":[{\"read\":{\"iops\":0},\"write\":{\"iops\":0}}]}"},
		{parse_fio, "{\"jobs\":[{\"error\":5,\"read\":{\"iops\":7}}]}"},
		{parse_fio, " {\"jobs\":[{\"read\":{\"iops\":7}}]}"},
		{parse_iperf3, "[]"},
		{parse_iperf3, "{\"end\":{\"sum_received\":{\"bits_per_second\":null}}}"},
		{parse_iperf3, "{\"end\":{\"sum_sent\":{\"bits_per_second\":1e9}}}"},
		{parse_iperf3,
		 "{\"error\":\"x\",\"end\":{\"sum_received\":{\"bits_per_second\":1e9}}}"},
	};
	double v;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].text);
		assert_int_equal(cases[i].parse(cases[i].text, &v), -EBADMSG);
	}
}

/* Output of a tool that failed holds no figure, and says why. */
static void test_complaints(void **state)
{
	static const struct {
		const char *file;
		parse_fn *parse;
		const char *complaint;
	} cases[] = {
		{"sysbench-no-files", parse_sysbench_reads,
		 "FATAL: Cannot open file 'test_file.0' errno = 2 (No such file or directory)"},
		{"sysbench-no-option", parse_sysbench_cpu, "invalid option: --tiem=1"},
		{"fio-no-engine", parse_fio, "fio: engine nosuch not loadable"},
		{"fio-no-file", parse_fio,
		 "fio: pid=0, err=2/file:filesetup.c:174, func=open, error=No such file or "
		 "directory"},
		{"iperf3-refused", parse_iperf3, "unable to connect to server: Connection refused"},
	};
	char line[200];
	double v;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = recorded(cases[i].file);

		assert_int_equal(cases[i].parse(text, &v), -EBADMSG);
		parse_complaint(text, line, sizeof(line));
		assert_string_equal(line, cases[i].complaint);
	}
}

static void test_complaint_fits(void **state)
{
	char line[8];

	(void)state;
	parse_complaint("", line, sizeof(line));
	assert_string_equal(line, "");
	parse_complaint("\n\r\n", line, sizeof(line));
	assert_string_equal(line, "");
	parse_complaint("first\nlast and long\n\n", line, sizeof(line));
	assert_string_equal(line, "last an");
	parse_complaint("{\"error\": 5}\nbye", line, sizeof(line));
	assert_string_equal(line, "bye");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),   cmocka_unit_test(test_after_a_warning),
		cmocka_unit_test(test_cut),        cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_complaints), cmocka_unit_test(test_complaint_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
