/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives loader/cloud_config.h: what is written, what is quoted, what is refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/cloud_config.h"
#include "tests/lib/cases.h"
#include "tests/lib/said.h"

#define HASH "$6$salt$Q4QZ/abc.def"

static char *text;
static size_t text_len;

static int user(struct cloud_user u)
{
	FILE *f = open_memstream(&text, &text_len);
	int r;

	assert_non_null(f);
	said_clear();
	r = cloud_config_user(f, &u);
	fclose(f);
	return r;
}

static int meta(const char *id, const char *host)
{
	FILE *f = open_memstream(&text, &text_len);
	int r;

	assert_non_null(f);
	said_clear();
	r = cloud_config_meta(f, id, host);
	fclose(f);
	return r;
}

static void what_is_written(void **state)
{
	static const struct {
		struct cloud_user u;
		const char *text;
	} cases[] = {
		{{"jan", NULL, NULL, 0},
		 "#cloud-config\nuser:\n  name: \"jan\"\n  sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n"
		 "  lock_passwd: true\nmanage_etc_hosts: localhost\n"},
		{{"jan", "ssh-rsa A jan@here\n\n# a comment\n  \nssh-rsa B\n", NULL, 0},
		 "#cloud-config\nuser:\n  name: \"jan\"\n  sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n"
		 "  lock_passwd: true\nmanage_etc_hosts: localhost\nssh_authorized_keys:\n"
		 "  - \"ssh-rsa A jan@here\"\n  - \"ssh-rsa B\"\n"},
		{{"jan", "", HASH, 0},
		 "#cloud-config\nuser:\n  name: \"jan\"\n  sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n"
		 "  hashed_passwd: \"" HASH "\"\n  lock_passwd: false\nssh_pwauth: false\n"
		 "manage_etc_hosts: localhost\n"},
		{{"root", "ssh-rsa A", NULL, 0},
		 "#cloud-config\nuser:\n  name: \"root\"\n  sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n"
		 "  lock_passwd: true\ndisable_root: false\nmanage_etc_hosts: localhost\n"
		 "ssh_authorized_keys:\n  - \"ssh-rsa A\"\n"},
		{{"jan", NULL, NULL, 1},
		 "#cloud-config\nuser:\n  name: \"jan\"\n  sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n"
		 "  doas: [\"permit nopass jan\"]\n  lock_passwd: true\n"
		 "manage_etc_hosts: localhost\n"},
		{{"jan-eve", NULL, NULL, 1},
		 "#cloud-config\nuser:\n  name: \"jan-eve\"\n  sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n"
		 "  doas: []\n  lock_passwd: true\nmanage_etc_hosts: localhost\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		case_begin("user %zu", i);
		CHECK(user(cases[i].u) == 0);
		assert_string_equal(text, cases[i].text);
		free(text);
	}
	case_begin("meta");
	CHECK(meta("skiff-0123", "noble") == 0);
	assert_string_equal(text, "instance-id: \"skiff-0123\"\nlocal-hostname: \"noble\"\n");
	free(text);
}

/* A key's comment is the one value that may hold what means something in YAML. */
static void what_is_quoted(void **state)
{
	static const struct {
		const char *key, *quoted;
	} cases[] = {
		{"ssh-rsa A \"it\"", "\"ssh-rsa A \\\"it\\\"\""},
		{"ssh-rsa A DOMAIN\\jan", "\"ssh-rsa A DOMAIN\\\\jan\""},
		{"ssh-rsa A \\", "\"ssh-rsa A \\\\\""},
		{"ssh-rsa A \\\"", "\"ssh-rsa A \\\\\\\"\""},
		{"ssh-rsa A \\x41\\n", "\"ssh-rsa A \\\\x41\\\\n\""},
		{"ssh-rsa A a: b # c", "\"ssh-rsa A a: b # c\""},
		{"- ssh-rsa A", "\"- ssh-rsa A\""},
		{"&a *b !c |d >e %f @g `h {i [j", "\"&a *b !c |d >e %f @g `h {i [j\""},
		{"'", "\"'\""},
		{"{{ v1.x }}", "\"{{ v1.x }}\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[256];

		case_begin("key %zu", i);
		CHECK(user((struct cloud_user){.name = "jan", .keys = cases[i].key}) == 0);
		snprintf(line, sizeof(line), "\nssh_authorized_keys:\n  - %s\n", cases[i].quoted);
		CHECK(text_len > strlen(line));
		assert_string_equal(text + text_len - strlen(line), line);
		free(text);
	}
}

static void a_long_key_is_one_line(void **state)
{
	size_t len = 100000;
	char *key = malloc(len + 1);

	(void)state;
	memset(key, '\\', len);
	key[len] = '\0';
	case_begin("long key");
	CHECK(user((struct cloud_user){.name = "jan", .keys = key}) == 0);
	CHECK(text_len > 2 * len && strspn(strstr(text, "\\\\"), "\\") == 2 * len);
	free(text);
	free(key);
}

static void what_is_refused(void **state)
{
	static const struct {
		struct cloud_user u;
		const char *says;
	} cases[] = {
		{{"", NULL, NULL, 0}, "user \"\""},
		{{"Jan", NULL, NULL, 0}, "user \"Jan\""},
		{{"1jan", NULL, NULL, 0}, "begins with a letter"},
		{{"-jan", NULL, NULL, 0}, "-jan"},
		{{"jan.k", NULL, NULL, 0}, "jan.k"},
		{{"jan\nroot", NULL, NULL, 0}, "jan?root"},
		{{"jan\"", NULL, NULL, 0}, "jan\""},
		{{"j\xc3\xa4n", NULL, NULL, 0}, "j??n"},
		{{"a23456789012345678901234567890123", NULL, NULL, 0}, "at most 32"},
		{{"jan", "ssh-rsa A\033[2J", NULL, 0}, "printable ASCII"},
		{{"jan", "ssh-rsa A\tb", NULL, 0}, "printable ASCII"},
		{{"jan", "ssh-rsa A\r", NULL, 0}, "printable ASCII"},
		{{"jan", "ssh-rsa A b\xc3\xbcro", NULL, 0}, "printable ASCII"},
		{{"jan", NULL, "", 0}, "hash"},
		{{"jan", NULL, "secret", 0}, "hash"},
		{{"jan", NULL, "$6$a$b:0", 0}, "hash"},
		{{"jan", NULL, "$6$a$b c", 0}, "hash"},
		{{"jan", NULL, "$6$a$b\n", 0}, "hash"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		case_begin("refused %zu", i);
		CHECK(user(cases[i].u) == -EINVAL);
		CHECK(said_count() == 1);
		CHECK(strstr(said(), cases[i].says));
		/* A password may have been typed where its hash belongs. */
		CHECK(!strstr(said(), "secret"));
		free(text);
	}
}

#define L63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"

static void identities(void **state)
{
	static const struct {
		const char *id, *host;
		int r;
	} cases[] = {
		{"i", "h", 0},
		{"skiff-0.9_A", "Noble-24", 0},
		{"i", "a.b.example.com", 0},
		{"i", "24", 0},
		{"i", L63, 0},
		{"i", L63 "." L63 "." L63 "." L63, -EINVAL},
		{"i", L63 "." L63 "." L63 ".a23456789-123456789-123456789-123456789-123456789-1",
		 0},
		{"i", L63 "4", -EINVAL},
		{"i", "", -EINVAL},
		{"i", "-a", -EINVAL},
		{"i", "a-", -EINVAL},
		{"i", "a-.b", -EINVAL},
		{"i", ".a", -EINVAL},
		{"i", "a.", -EINVAL},
		{"i", "a..b", -EINVAL},
		{"i", "a_b", -EINVAL},
		{"i", "a b", -EINVAL},
		{"i", "a\nb", -EINVAL},
		{"i", "\xc3\xa4", -EINVAL},
		{"i", "a\"b", -EINVAL},
		{"", "h", -EINVAL},
		{".", "h", -EINVAL},
		{"..", "h", -EINVAL},
		{"a/b", "h", -EINVAL},
		{"a\nb", "h", -EINVAL},
		{L63 "-" L63 "-", "h", 0},
		{L63 "-" L63 "--", "h", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		case_begin("meta %zu", i);
		CHECK(meta(cases[i].id, cases[i].host) == cases[i].r);
		CHECK(said_count() == (cases[i].r ? 1 : 0));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written),
		cmocka_unit_test(what_is_quoted),
		cmocka_unit_test(a_long_key_is_one_line),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(identities),
	};

	said_start();
	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
