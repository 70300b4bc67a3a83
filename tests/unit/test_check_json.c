/* SPDX-License-Identifier: BSD-2-Clause */
/* The report of `skiff check`: JSON that stays valid whatever is in it, and the text for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/check_report.h"
#include "vmm/json_out.h"

/*
 * Enough of RFC 8259 to say whether a text is one JSON value: pointers move past what they
 * accept, NULL is no.
 */
static const char *value(const char *s);

static const char *space(const char *s)
{
	while (*s == ' ' || *s == '\n' || *s == '\t' || *s == '\r')
		s++;
	return s;
}

static const char *string(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if ((unsigned char)*s < 0x20)
			return NULL;
		if (*s != '\\')
			continue;
		s++;
		if (*s == 'u') {
			for (int i = 0; i < 4; i++)
				if (!isxdigit((unsigned char)*++s))
					return NULL;
		} else if (!*s || !strchr("\"\\/bfnrt", *s)) {
			return NULL;
		}
	}
	return s + 1;
}

static const char *members(const char *s, char end, int keys)
{
	s = space(s);
	if (*s == end)
		return s + 1;
	for (;; s++) {
		s = space(s);
		if (keys) {
			s = string(s);
			if (!s)
				return NULL;
			s = space(s);
			if (*s++ != ':')
				return NULL;
		}
		s = value(s);
		if (!s)
			return NULL;
		s = space(s);
		if (*s == end)
			return s + 1;
		if (*s != ',')
			return NULL;
	}
}

static const char *value(const char *s)
{
	s = space(s);
	if (*s == '{')
		return members(s + 1, '}', 1);
	if (*s == '[')
		return members(s + 1, ']', 0);
	if (*s == '"')
		return string(s);
	if (strncmp(s, "true", 4) == 0)
		return s + 4;
	if (strncmp(s, "false", 5) == 0)
		return s + 5;
	if (isdigit((unsigned char)*s)) {
		while (isdigit((unsigned char)*s))
			s++;
		return s;
	}
	return NULL;
}

static int is_json(const char *s)
{
	s = value(s);
	return s && *space(s) == '\0';
}

static char *text;
static size_t text_len;

static FILE *begin(void)
{
	FILE *f = open_memstream(&text, &text_len);

	assert_non_null(f);
	return f;
}

static void end(void)
{
	free(text);
	text = NULL;
}

static void test_the_oracle_can_say_no(void **state)
{
	static const char *const wrong[] = {
		"",        "{",   "{\"a\"}", "{\"a\":1,}", "[1,]",        "\"\x01\"",
		"\"\\x\"", "\"a", "{} {}",   "{a:1}",      "\"\\u12g4\"", "[1 2]",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(is_json(wrong[i]));
	assert_true(is_json("{\"a\": [1, true, {}], \"b\": \"\\n\\u00e9\"}"));
}

static void test_escapes(void **state)
{
	static const struct {
		const char *in, *out;
	} table[] = {
		{"", "\"\""},
		{"plain /dev/kvm", "\"plain /dev/kvm\""},
		{"\"\\", "\"\\\"\\\\\""},
		{"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
		{"\x01\x1b[31m\x1f\x7f", "\"\\u0001\\u001b[31m\\u001f\\u007f\""},
		{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x9a\xa4",
		 "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x9a\xa4\""},
		/* Not UTF-8: alone, cut off, overlong, a surrogate, above U+10FFFF. */
		{"\xff", "\"\\ufffd\""},
		{"a\x80z", "\"a\\ufffdz\""},
		{"\xc3", "\"\\ufffd\""},
		{"\xe2\x82", "\"\\ufffd\\ufffd\""},
		{"\xc0\xaf", "\"\\ufffd\\ufffd\""},
		{"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""},
		{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
		{"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
		{"\xf0\x9f\x9a\"", "\"\\ufffd\\ufffd\\ufffd\\\"\""},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		FILE *f = begin();
		struct json_out j;

		json_out_init(&j, f);
		json_out_string(&j, NULL, table[i].in);
		fclose(f);
		assert_string_equal(text, table[i].out);
		assert_true(is_json(text));
		end();
	}
}

static void test_every_pair_of_bytes_is_valid(void **state)
{
	(void)state;
	for (unsigned a = 1; a < 256; a++) {
		FILE *f = begin();
		struct json_out j;

		json_out_init(&j, f);
		json_out_open(&j, NULL, '[');
		for (unsigned b = 1; b < 256; b++)
			json_out_string(&j, NULL, (char[]){(char)a, (char)b, '\0'});
		json_out_close(&j, ']');
		fclose(f);
		assert_true(is_json(text));
		end();
	}
}

static void test_nesting(void **state)
{
	FILE *f = begin();
	struct json_out j;

	(void)state;
	json_out_init(&j, f);
	json_out_open(&j, NULL, '{');
	json_out_open(&j, "empty", '[');
	json_out_close(&j, ']');
	json_out_uint(&j, "big", UINT64_MAX);
	json_out_open(&j, "list", '[');
	json_out_bool(&j, NULL, 1);
	json_out_open(&j, NULL, '{');
	json_out_close(&j, '}');
	json_out_close(&j, ']');
	json_out_bool(&j, "a \"key\"", 0);
	json_out_close(&j, '}');
	fclose(f);
	assert_true(is_json(text));
	assert_string_equal(text, "{\n  \"empty\": [],\n  \"big\": 18446744073709551615,\n"
				  "  \"list\": [\n    true,\n    {}\n  ],\n"
				  "  \"a \\\"key\\\"\": false\n}\n");
	end();
}

static void fill(struct check_report *report, enum check_state guest)
{
	memset(report, 0, sizeof(*report));
	snprintf(report->arch, sizeof(report->arch), "%s", "x86_64");
	snprintf(report->kernel, sizeof(report->kernel), "%s", "6.1.0 \"odd\"");
	report->cpus = 2;
	report->memory_total = 1ull << 40;
	check_add(report, CHECK_OK, "kvm", "device", "%s can be opened", "/dev/kvm");
	check_add(report, CHECK_NOTE, "capability", "XSAVE", "not there\x1b[2J\n");
	check_add(report, guest, "guest", "int3", "suberror %u", 1);
	check_add(report, guest, "guest", "popcnt", "suberror %u", 2);
}

static void test_report_as_json(void **state)
{
	struct check_report report;
	FILE *f;

	(void)state;
	fill(&report, CHECK_MISSING);
	f = begin();
	check_print_json(&report, f);
	fclose(f);
	assert_true(is_json(text));
	assert_non_null(strstr(text, "\"can_run_linux\": false"));
	assert_non_null(
		strstr(text, "\"verdict\": \"Linux cannot run here: guest int3: suberror 1\""));
	assert_non_null(strstr(text, "\"arch\": \"x86_64\""));
	assert_non_null(strstr(text, "\"kernel\": \"6.1.0 \\\"odd\\\"\""));
	assert_non_null(strstr(text, "\"cpus\": 2"));
	assert_non_null(strstr(text, "\"memory_total\": 1099511627776"));
	assert_non_null(strstr(text, "\"memory_available\": 0"));
	assert_non_null(strstr(text, "\"state\": \"missing\""));
	assert_non_null(strstr(text, "\"state\": \"note\""));
	end();

	fill(&report, CHECK_OK);
	f = begin();
	check_print_json(&report, f);
	fclose(f);
	assert_true(is_json(text));
	assert_non_null(strstr(text, "\"can_run_linux\": true"));
	end();
}

static void test_report_as_text(void **state)
{
	struct check_report report;
	const char *ok, *missing;
	FILE *f;

	(void)state;
	fill(&report, CHECK_MISSING);
	f = begin();
	check_print_text(&report, f, 0);
	fclose(f);
	assert_null(strchr(text, '\033')); /* neither ours nor the detail's */
	assert_non_null(strstr(text, "not there?[2J?\n"));
	/* The states stand below each other. */
	ok = strstr(text, "ok ");
	missing = strstr(text, "\nguest");
	assert_non_null(ok);
	assert_non_null(missing);
	assert_int_equal(strstr(missing, "MISSING") - (missing + 1), ok - text);
	assert_non_null(strstr(text, "\n\nLinux cannot run here: guest int3: suberror 1\n"));
	end();

	fill(&report, CHECK_OK);
	f = begin();
	check_print_text(&report, f, 1);
	fclose(f);
	assert_non_null(strstr(text, "\033[32mok"));
	assert_non_null(strstr(text, "\n\nLinux can run here.\n"));
	end();
}

static void test_nothing_looked_at_is_no(void **state)
{
	struct check_report report = {0};

	(void)state;
	assert_false(check_can_run_linux(&report));
}

static void test_a_full_list_keeps_what_is_missing(void **state)
{
	struct check_report report = {0};

	(void)state;
	for (unsigned i = 0; i < CHECK_ITEMS_MAX + 10; i++)
		check_add(&report, CHECK_NOTE, "host", "note", "%u", i);
	assert_true(check_can_run_linux(&report));
	for (unsigned i = 0; i < 3; i++)
		check_add(&report, CHECK_MISSING, "kvm", "device", "%u", i);
	assert_int_equal(report.n, CHECK_ITEMS_MAX);
	assert_false(check_can_run_linux(&report));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_oracle_can_say_no),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_every_pair_of_bytes_is_valid),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_report_as_json),
		cmocka_unit_test(test_report_as_text),
		cmocka_unit_test(test_nothing_looked_at_is_no),
		cmocka_unit_test(test_a_full_list_keeps_what_is_missing),
	};

	return cmocka_run_group_tests_name("check_json", tests, NULL, NULL);
}
