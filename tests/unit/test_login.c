/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives vmm/login.h: names in a table, keys in a home of this test's making. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/cases.h"
#include "tests/lib/said.h"
#include "tests/lib/tool.h"
#include "vmm/login.h"

/* Made of bytes 0 to 31: no one has the other half. */
#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
#define SK                                                                                   \
	"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQY" \
	"HCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo="
#define SK_ECDSA                                                                              \
	"sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5j" \
	"b20AAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAECAwQFBgcICQ"  \
	"oLDA0ODxAREhMUFRYXGBkaGxwdHh8AAAAEc3NoOg=="

static char temp[] = "/tmp/skiff-login-XXXXXX", home[64], dir[64], out[4096];

/* --- names --------------------------------------------------------------------------------------
 */

static void names_are_made_fit(void **state)
{
	static const struct {
		const char *name, *fit;
	} cases[] = {
		{"jan", "jan"},
		{"_apt", "_apt"},
		{"jan-eve_2", "jan-eve_2"},
		{"Jan", "jan"},
		{"jan.kowalski", "jan_kowalski"},
		{"jan kowalski", "jan_kowalski"},
		{"CORP\\Jan.K", "jan_k"},
		{"jan@corp.example.com", "jan"},
		{"CORP\\jan@x", "jan"},
		{"1jan", "_1jan"},
		{"-jan", "_-jan"},
		{"jan$", "jan"},
		{"j\xc3\xa4n", "jn"},
		{"jan\nroot:x", "janrootx"},
		{"\"; rm -rf /", "_rm_-rf_"},
		{"a2345678901234567890123456789012", "a2345678901234567890123456789012"},
		{"a23456789012345678901234567890123", "a2345678901234567890123456789012"},
		{"123456789012345678901234567890123", "_1234567890123456789012345678901"},
		{"", "skiff"},
		{"@corp", "skiff"},
		{"CORP\\", "skiff"},
		{"\xe5\xb0\x8f\xe6\x98\x8e", "skiff"},
		{"\xe5\xb0\x8f.\xe6\x98\x8e", "skiff"},
		{"...", "skiff"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char fit[LOGIN_NAME_SIZE];

		case_begin("name %zu", i);
		login_fit_name(cases[i].name, fit);
		assert_string_equal(fit, cases[i].fit);
	}
}

static void who_we_are(void **state)
{
	const struct passwd *pw = getpwnam("daemon");
	uid_t daemon = pw ? pw->pw_uid : 0, unknown = 3999999999u;
	struct login l;

	(void)state;
	login_find(0, NULL, &l);
	assert_string_equal(l.name, "root");
	assert_string_equal(l.home, getpwuid(0)->pw_dir);
	/* Of an account of the system's, only the home. */
	if (daemon) {
		login_find(daemon, NULL, &l);
		assert_string_equal(l.name, "skiff");
		assert_string_equal(l.home, getpwuid(daemon)->pw_dir);
		login_find(0, "daemon", &l);
		assert_string_equal(l.home, getpwuid(daemon)->pw_dir);
		/* Only root may be somebody else. */
		login_find(daemon, "root", &l);
		assert_string_equal(l.name, "skiff");
	}
	login_find(0, "root", &l);
	assert_string_equal(l.name, "root");
	login_find(0, "no such user", &l);
	assert_string_equal(l.name, "root");
	assert_null(getpwuid(unknown));
	login_find(unknown, NULL, &l);
	assert_string_equal(l.name, "skiff");
	assert_string_equal(l.home, "");
}

static void people_keep_their_names(void **state)
{
	const struct passwd *pw;
	char name[256] = "";
	struct login l;
	uid_t uid = 0;

	(void)state;
	setpwent();
	while ((pw = getpwent()) && !name[0])
		if (pw->pw_uid >= 100 && pw->pw_uid != 65534 &&
		    strlen(pw->pw_name) < LOGIN_NAME_SIZE &&
		    strspn(pw->pw_name, "abcdefghijklmnopqrstuvwxyz") == strlen(pw->pw_name)) {
			uid = pw->pw_uid;
			snprintf(name, sizeof(name), "%s", pw->pw_name);
		}
	endpwent();
	if (!name[0]) {
		printf("nobody of uid 100 or more lives here\n");
		skip();
	}
	login_find(uid, NULL, &l);
	assert_string_equal(l.name, name);
	login_find(0, name, &l);
	assert_string_equal(l.name, name);
}

/* --- keys
 * ----------------------------------------------------------------------------------------- */

static const char *in(const char *where, const char *name)
{
	static char p[8][256];
	static unsigned turn;

	turn = (turn + 1) % 8;
	snprintf(p[turn], sizeof(p[turn]), "%s/%s", where, name);
	return p[turn];
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void lines_are_judged(void **state)
{
	static const struct {
		const char *line, *key; /* NULL: left out */
		unsigned said;
	} cases[] = {
		{ED25519, ED25519 "\n", 0},
		{ED25519 " jan@here\n", ED25519 " jan@here\n", 0},
		{ED25519 " two words\r\n", ED25519 " two words\n", 0},
		{"  " ED25519 " \t\n", ED25519 "\n", 0},
		{ED25519 " b\xc3\xbcro\033[2J\n", ED25519 " b??ro?[2J\n", 0},
		{ED25519 " \"q\" \\ # '\n", ED25519 " \"q\" \\ # '\n", 0},
		{SK, SK "\n", 0},
		{SK_ECDSA " token", SK_ECDSA " token\n", 0},
		{"# note\n\n" ED25519 "\n" SK "\n", ED25519 "\n" SK "\n", 0},
		{"", NULL, 0},
		{"\n# only a note\n", NULL, 0},
		{"hello", NULL, 1},
		{"hello\n" ED25519 "\n", ED25519 "\n", 1},
		{"ssh-ed25519", NULL, 1},
		{"ssh-ed25519 ", NULL, 1},
		{"ssh-ed25519 AAAA", NULL, 1},
		/* The kind that the blob names is another. */
		{"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
		 NULL, 1},
		{"ssh-dss AAAAB3NzaC1kc3MAAAAgAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AAAA=",
		 NULL, 1},
		{"ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2g=",
		 NULL, 0},
		{ED25519 "=", NULL, 1},
		{ED25519 "====", NULL, 1},
		{ED25519 "!", NULL, 1},
		{ED25519 "A", NULL, 1},
		{"command=\"rm -rf /\" " ED25519, NULL, 1},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n", NULL, 2},
		{"root:$6$salt$hash:19000:0:99999:7:::\n", NULL, 1},
	};
	const char *path = in(temp, "key.pub");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct login_keys k = {0};
		int r;

		case_begin("line %zu", i);
		put(path, cases[i].line);
		said_clear();
		r = login_keys_read(path, &k);
		CHECK(said_count() == cases[i].said);
		/* Of what was in the way, nothing is shown: it may be a secret. */
		CHECK(!strstr(said(), "hash") && !strstr(said(), "b3Blb"));
		if (cases[i].key) {
			CHECK(r >= 1);
			assert_string_equal(k.text, cases[i].key);
		} else {
			CHECK(r == 0);
			CHECK(!k.text);
		}
		login_keys_free(&k);
	}
	unlink(path);
}

static void files_that_are_no_keys(void **state)
{
	const char *path = in(temp, "key.pub");
	struct login_keys k = {0};

	(void)state;
	assert_int_equal(login_keys_read(path, &k), -ENOENT);
	assert_int_equal(login_keys_read(temp, &k), -EINVAL);
	/* Nobody writes into it, and nobody waits for that. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(login_keys_read(path, &k), -EINVAL);
	unlink(path);
	assert_int_equal(symlink(path, path), 0);
	assert_int_equal(login_keys_read(path, &k), -ELOOP);
	unlink(path);
	put(path, ED25519);
	assert_int_equal(truncate(path, 65536), 0);
	assert_int_equal(login_keys_read(path, &k), 1);
	assert_int_equal(truncate(path, 65537), 0);
	assert_int_equal(login_keys_read(path, &k), -EFBIG);
	assert_string_equal(k.text, ED25519 "\n");
	login_keys_free(&k);
	unlink(path);
}

static void empty_home(void)
{
	assert_int_equal(tool_run(out, sizeof(out), "rm", "-rf", home, dir, NULL), 0);
	assert_int_equal(mkdir(home, 0700), 0);
	assert_int_equal(mkdir(in(home, ".ssh"), 0700), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
}

static void the_users_own_keys_come_first(void **state)
{
	struct login_keys k;

	(void)state;
	empty_home();
	put(in(home, ".ssh/id_ed25519.pub"), ED25519 " b\n");
	put(in(home, ".ssh/id_ecdsa_sk.pub"), SK_ECDSA " a\n");
	put(in(home, ".ssh/id_work.pub"), SK);
	put(in(home, ".ssh/id_rsa"), "PRIVATE");
	put(in(home, ".ssh/authorized_keys"), ED25519 " somebody else\n");
	put(in(home, ".ssh/other.pub"), ED25519 " other\n");
	put(in(home, ".ssh/id_.pub.bak"), ED25519 " old\n");
	said_clear();
	assert_int_equal(login_keys_find(home, dir, 1, &k), 0);
	assert_string_equal(k.text, SK_ECDSA " a\n" ED25519 " b\n" SK "\n");
	assert_string_equal(k.identity, "");
	assert_int_equal(said_count(), 0);
	login_keys_free(&k);

	/* One that cannot be read does not take the others with it. */
	assert_int_equal(symlink("nowhere", in(home, ".ssh/id_gone.pub")), 0);
	assert_int_equal(login_keys_find(home, dir, 1, &k), 0);
	assert_string_equal(k.text, SK_ECDSA " a\n" ED25519 " b\n" SK "\n");
	assert_int_equal(said_count(), 1);
	assert_non_null(strstr(said(), "id_gone.pub"));
	login_keys_free(&k);
	assert_int_equal(access(in(dir, "id_ed25519"), F_OK), -1);
}

/* What ssh-keygen makes is what we take for a key. */
static void every_kind_of_ssh_keygen_is_taken(void **state)
{
	static const char *const kinds[][2] = {{"ed25519", "256"},
					       {"ecdsa", "256"},
					       {"ecdsa", "384"},
					       {"ecdsa", "521"},
					       {"rsa", "2048"}};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *key = in(home, ".ssh/id_kind"), *pub = in(home, ".ssh/id_kind.pub");
		struct login_keys k;

		case_begin("%s of %s bits", kinds[i][0], kinds[i][1]);
		empty_home();
		CHECK(tool_run(out, sizeof(out), "ssh-keygen", "-q", "-t", kinds[i][0], "-b",
			       kinds[i][1], "-N", "", "-C", "a b", "-f", key, NULL) == 0);
		said_clear();
		CHECK(login_keys_find(home, dir, 1, &k) == 0);
		CHECK(k.text && strlen(k.text) > 70 && strstr(k.text, " a b\n"));
		CHECK(strcmp(k.identity, key) == 0 && !k.made && said_count() == 0);
		login_keys_free(&k);
		/* And ssh-keygen takes what we keep of one. */
		put(pub, ED25519 "\n" SK "\n" SK_ECDSA "\n");
		CHECK(tool_run(out, sizeof(out), "ssh-keygen", "-l", "-f", pub, NULL) == 0);
	}
}

static void one_is_made_and_kept(void **state)
{
	struct login_keys a, b;
	struct stat st;

	(void)state;
	empty_home();
	put(in(dir, ".id_ed25519.new"), "what an interrupted run left");
	said_clear();
	assert_int_equal(login_keys_find(home, dir, 1, &a), 0);
	assert_int_equal(said_count(), 0);
	assert_string_equal(a.identity, in(dir, "id_ed25519"));
	assert_memory_equal(a.text, "ssh-ed25519 ", 12);
	assert_non_null(strstr(a.text, " skiff\n"));
	assert_int_equal(stat(a.identity, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(access(in(dir, ".id_ed25519.new"), F_OK), -1);
	/* Without a passphrase, and the half that belongs to it. */
	assert_int_equal(
		tool_run(out, sizeof(out), "ssh-keygen", "-y", "-P", "", "-f", a.identity, NULL),
		0);
	assert_memory_equal(out, a.text, 80);

	assert_int_equal(login_keys_find("", dir, 1, &b), 0);
	assert_string_equal(b.text, a.text);
	assert_string_equal(b.identity, a.identity);
	login_keys_free(&b);

	/* Half of a pair is none. */
	assert_int_equal(unlink(in(dir, "id_ed25519.pub")), 0);
	assert_int_equal(login_keys_find(home, dir, 1, &b), 0);
	assert_string_not_equal(b.text, a.text);
	login_keys_free(&b);
	login_keys_free(&a);

	put(in(dir, "id_ed25519.pub"), "garbage\n");
	said_clear();
	assert_int_equal(login_keys_find(home, dir, 1, &a), -EINVAL);
	assert_int_equal(said_count(), 2); /* the line, the file */
	assert_non_null(strstr(said(), "id_ed25519.pub"));
	assert_null(a.text);
}

/* A machine that has started knows the keys of its first start, and no later one. */
static void a_kept_machine_gets_none(void **state)
{
	struct login_keys k;

	(void)state;
	empty_home();
	said_clear();
	assert_int_equal(login_keys_find(home, dir, 0, &k), 0);
	assert_null(k.text);
	assert_int_equal(access(in(dir, "id_ed25519"), F_OK), -1);
	assert_int_equal(login_keys_find(home, dir, 1, &k), 0);
	assert_true(k.made);
	login_keys_free(&k);
	/* By now there is one of the user's own, which the guest does not know. */
	put(in(home, ".ssh/id_ed25519.pub"), ED25519 " b\n");
	assert_int_equal(login_keys_find(home, dir, 0, &k), 0);
	assert_string_equal(k.identity, in(dir, "id_ed25519"));
	assert_true(k.made);
	login_keys_free(&k);
	assert_int_equal(said_count(), 0);
}

/* Keys that ssh does not try by itself: one of them is named, if its private half is here. */
static void unusual_names(void **state)
{
	struct login_keys k;

	(void)state;
	empty_home();
	put(in(home, ".ssh/id_agent.pub"), ED25519 " held by an agent\n");
	assert_int_equal(login_keys_find(home, dir, 1, &k), 0);
	assert_string_equal(k.identity, "");
	login_keys_free(&k);
	put(in(home, ".ssh/id_github.pub"), ED25519 " b\n");
	put(in(home, ".ssh/id_github"), "PRIVATE");
	assert_int_equal(login_keys_find(home, dir, 1, &k), 0);
	assert_string_equal(k.identity, in(home, ".ssh/id_github"));
	assert_false(k.made);
	login_keys_free(&k);
	put(in(home, ".ssh/id_rsa.pub"), ED25519 " c\n");
	assert_int_equal(login_keys_find(home, dir, 1, &k), 0);
	assert_string_equal(k.identity, "");
	login_keys_free(&k);
	assert_int_equal(access(in(dir, "id_ed25519"), F_OK), -1);
}

static void what_is_in_the_way(void **state)
{
	char *path = strdup(getenv("PATH"));
	struct login_keys k;
	char longest[PATH_MAX];

	(void)state;
	empty_home();
	said_clear();
	assert_int_equal(login_keys_find(home, in(temp, "no-such-directory"), 1, &k), -EIO);
	assert_int_equal(said_count(), 1);
	assert_non_null(strstr(said(), "no-such-directory"));
	memset(longest, 'd', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(login_keys_find(home, longest, 1, &k), -ENAMETOOLONG);
	assert_int_equal(login_keys_find(longest, dir, 1, &k), 0); /* no home there */
	login_keys_free(&k);

	empty_home();
	setenv("PATH", home, 1);
	said_clear();
	assert_int_equal(login_keys_find(home, dir, 1, &k), 0);
	setenv("PATH", path, 1);
	free(path);
	assert_null(k.text);
	assert_string_equal(k.identity, "");
	assert_int_equal(said_count(), 1);
	assert_non_null(strstr(said(), "openssh-client"));
	login_keys_free(&k);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(temp))
		return -1;
	snprintf(home, sizeof(home), "%s/home", temp);
	snprintf(dir, sizeof(dir), "%s/machine", temp);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return tool_run(out, sizeof(out), "rm", "-rf", temp, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_made_fit),
		cmocka_unit_test(who_we_are),
		cmocka_unit_test(people_keep_their_names),
		cmocka_unit_test(lines_are_judged),
		cmocka_unit_test(files_that_are_no_keys),
		cmocka_unit_test(the_users_own_keys_come_first),
		cmocka_unit_test(every_kind_of_ssh_keygen_is_taken),
		cmocka_unit_test(one_is_made_and_kept),
		cmocka_unit_test(a_kept_machine_gets_none),
		cmocka_unit_test(unusual_names),
		cmocka_unit_test(what_is_in_the_way),
	};

	if (!tool_is_there("ssh-keygen")) {
		printf("ssh-keygen is missing; run tests/deps test\n");
		return 77;
	}
	said_start();
	return cases_report(cmocka_run_group_tests(tests, set_up, tear_down));
}
