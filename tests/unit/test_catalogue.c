/* SPDX-License-Identifier: BSD-2-Clause */
/* The catalogue: what each line means, that each mistake is said with file and line, who wins. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loader/image/catalogue.h"
#include "tests/lib/said.h"
#include "tests/lib/scratch_home.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
#define HEX64                              \
	"0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef"

static int parse(struct catalogue *c, const char *text)
{
	memset(c, 0, sizeof(*c));
	return catalogue_parse(c, "cat", text, strlen(text));
}

static void test_lines(void **state)
{
	struct catalogue c;
	const struct catalogue_entry *e;

	(void)state;
	assert_int_equal(parse(&c, "# a comment\n"
				   "\n"
				   "  a:1,a:one\tx86_64  qcow2 https://example.org/d/a.img  "
				   "sha512=SUMS signature=SUMS.gpg keyring=k.gpg \r\n"
				   "a:1 arm64 raw http://example.org/b\n"
				   "b amd64 raw https://example.org/b digest=sha256:" HEX64),
			 0);
	assert_int_equal(c.n, 3);
	e = catalogue_find(&c, "a:one", "amd64");
	assert_non_null(e);
	assert_string_equal(e->names[0], "a:1");
	assert_string_equal(e->format, "qcow2");
	assert_string_equal(e->url, "https://example.org/d/a.img");
	assert_string_equal(e->sums, "SUMS");
	assert_int_equal(e->sums_kind, DIGEST_SHA512);
	assert_string_equal(e->signature, "SUMS.gpg");
	assert_string_equal(e->keyring, "k.gpg");
	assert_int_equal(e->line, 3);
	e = catalogue_find(&c, "a:1", "arm64");
	assert_non_null(e);
	assert_string_equal(e->format, "raw");
	assert_null(e->sums);
	e = catalogue_find(&c, "b", "amd64");
	assert_int_equal(e->has_digest, 1);
	assert_int_equal(e->digest.bytes[31], 0xef);
	assert_null(catalogue_find(&c, "b", "arm64"));
	assert_null(catalogue_find(&c, "a", "amd64"));
	catalogue_free(&c);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *text, *said;
	} table[] = {
		{"\n\na:1", "cat:3: a:1: a line is NAME ARCH FORMAT URL"},
		{"a:1 amd64 qcow2", "cat:1: a:1: a line is NAME ARCH FORMAT URL"},
		{"/a amd64 qcow2 https://localhost/f", "cat:1: /a: not a name"},
		{"a@1 amd64 qcow2 https://localhost/f", "cat:1: a@1: not a name"},
		{", amd64 qcow2 https://localhost/f", "cat:1: a line begins with the image's name"},
		{"a,b,c,d,e,f,g,h,i amd64 qcow2 https://localhost/f",
		 "cat:1: i: more than 8 names"},
		{"a riscv64 qcow2 https://localhost/f", "cat:1: riscv64: not an architecture"},
		{"a amd64 vmdk https://localhost/f", "cat:1: vmdk: not a format"},
		{"a amd64 raw ftp://localhost/f", "cat:1: ftp://localhost/f: not an https"},
		{"a amd64 raw https://", "cat:1: https:"},
		{"a amd64 raw https:///f", "cat:1: https:///f: not an https"},
		{"a amd64 raw file:///etc/passwd", "cat:1: file:///etc/passwd: not an https"},
		{"a amd64 raw https://localhost/f sums", "cat:1: sums: not one of sha256="},
		{"a amd64 raw https://localhost/f md5=S", "cat:1: md5=: not one of sha256="},
		{"a amd64 raw https://localhost/f sha256=", "cat:1: sha256=: give an https"},
		{"a amd64 raw https://localhost/f sha256=file:///S",
		 "cat:1: sha256=file:///S: give an"},
		{"a amd64 raw https://localhost/f sha256=A sha512=B",
		 "cat:1: sha512=: given twice"},
		{"a amd64 raw https://localhost/f digest=sha256:12",
		 "cat:1: digest=sha256:12: give one"},
		{"a amd64 raw https://localhost/f signature=S", "cat:1: signature=: goes with"},
		{"a amd64 raw https://localhost/f sha256=A signature=S",
		 "cat:1: signature=: goes with"},
		{"a amd64 raw https://localhost/f keyring=", "cat:1: keyring=: give one file"},
		{"a amd64 raw https://localhost/f sha256=A digest=sha256:" HEX64,
		 "cat:1: digest=: takes the place"},
		{"a amd64 raw https://localhost/f\nb,a amd64 raw https://localhost/g",
		 "cat:2: a for amd64: line 1 has it already"},
	};

	(void)state;
	said_start();
	for (size_t i = 0; i < N(table); i++) {
		struct catalogue c;

		said_clear();
		assert_int_equal(parse(&c, table[i].text), -EINVAL);
		assert_int_equal(said_count(), 1);
		if (strncmp(said(), table[i].said, strlen(table[i].said)) != 0)
			fail_msg("%s: said `%s`", table[i].text, said());
		assert_int_equal(c.n, 0);
		catalogue_free(&c);
	}
}

static void test_not_text(void **state)
{
	static const char nul[] = "a amd64 raw https://localhost/f\n\0b";
	struct catalogue c = {.n = 0};

	(void)state;
	said_start();
	assert_int_equal(catalogue_parse(&c, "cat", nul, sizeof(nul)), -EINVAL);
	assert_int_equal(catalogue_parse(&c, "cat", nul, CATALOGUE_BYTES_MAX + 1), -EFBIG);
	catalogue_free(&c);
}

static void test_urls(void **state)
{
	static const struct {
		const char *url, *word, *expected;
	} table[] = {
		{"https://localhost/a/b.img", "SUMS", "https://localhost/a/SUMS"},
		{"https://localhost/b.img", "SUMS", "https://localhost/SUMS"},
		{"https://localhost/a/b.img", "https://example.org/SUMS",
		 "https://example.org/SUMS"},
	};
	char out[CATALOGUE_URL_MAX], longest[CATALOGUE_URL_MAX + 1];

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		struct catalogue_entry e = {.url = table[i].url};

		assert_int_equal(catalogue_url(&e, table[i].word, out), 0);
		assert_string_equal(out, table[i].expected);
	}
	memset(longest, 'a', CATALOGUE_URL_MAX);
	longest[CATALOGUE_URL_MAX] = '\0';
	assert_int_equal(catalogue_url(&(struct catalogue_entry){.url = "https://localhost/x"},
				       longest, out),
			 -ENAMETOOLONG);
}

/* What is built in has every name that the documentation promises, for both architectures. */
static void test_built_in(void **state)
{
	static const char *const names[] = {
		"ubuntu:20.04",  "ubuntu:22.04",  "ubuntu:24.04", "ubuntu:noble",
		"ubuntu:24.10",  "ubuntu:25.04",  "ubuntu:25.10", "ubuntu:26.04",
		"ubuntu:latest", "ubuntu",        "debian:12",    "debian:bookworm",
		"debian:13",     "debian:trixie", "fedora:43",    "alpine:3.22",
	};
	struct catalogue c;

	(void)state;
	assert_int_equal(catalogue_load(&c), 0);
	for (size_t i = 0; i < N(names); i++) {
		assert_non_null(catalogue_find(&c, names[i], "amd64"));
		assert_non_null(catalogue_find(&c, names[i], "arm64"));
	}
	for (size_t i = 0; i < c.n; i++) {
		assert_memory_equal(c.entry[i].url, "https://", 8);
		assert_non_null(c.entry[i].sums);
	}
	catalogue_free(&c);
}

static void test_own_entries_win(void **state)
{
	static const char own[] = "ubuntu:24.04 amd64 raw https://example.org/mine\n";
	struct catalogue c;

	(void)state;
	scratch_home_write("config/skiff/catalogue", own, strlen(own));
	assert_int_equal(catalogue_load(&c), 0);
	assert_string_equal(catalogue_find(&c, "ubuntu:24.04", "amd64")->url,
			    "https://example.org/mine");
	assert_non_null(strstr(catalogue_find(&c, "ubuntu:24.04", "arm64")->url, "ubuntu.com"));
	assert_non_null(strstr(catalogue_find(&c, "ubuntu:noble", "amd64")->url, "ubuntu.com"));
	catalogue_free(&c);
}

static void test_own_mistake_is_named(void **state)
{
	char expected[512];
	struct catalogue c;

	(void)state;
	said_start();
	scratch_home_write("config/skiff/catalogue", "\nmine amd64\n", 12);
	assert_int_equal(catalogue_load(&c), -EINVAL);
	snprintf(expected, sizeof(expected), "%s:2: mine: a line is NAME ARCH FORMAT URL",
		 scratch_home_path("config/skiff/catalogue"));
	assert_string_equal(said(), expected);
	assert_int_equal(c.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_not_text),
		cmocka_unit_test(test_urls),
		cmocka_unit_test_setup_teardown(test_built_in, scratch_home_make,
						scratch_home_remove),
		cmocka_unit_test_setup_teardown(test_own_entries_win, scratch_home_make,
						scratch_home_remove),
		cmocka_unit_test_setup_teardown(test_own_mistake_is_named, scratch_home_make,
						scratch_home_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
