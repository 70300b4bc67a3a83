/* SPDX-License-Identifier: BSD-2-Clause */
/* Signatures of checksum lists, judged by the real gpgv. Skipped where there is none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/image/signature.h"
#include "tests/lib/said.h"
#include "tests/lib/scratch_home.h"
#include "tests/lib/signed_list.h"

static char said_of[SIGNATURE_TEXT_MAX];
static char *text;
static size_t len;

static int check(const char *list, const unsigned char *ring, size_t ring_len, const void *sig,
		 size_t sig_len)
{
	char keyring[4096];

	free(text);
	text = strdup(list);
	len = strlen(list);
	scratch_home_write("config/skiff/keyrings/test.gpg", ring, ring_len);
	assert_int_equal(signature_keyring("test.gpg", keyring, sizeof(keyring)), 0);
	said_start();
	return signature_check("test", keyring, &text, &len, sig, sig_len, said_of);
}

static void test_good(void **state)
{
	(void)state;
	assert_int_equal(check(SIGNED_LIST_TEXT, signed_list_keyring, signed_list_keyring_len,
			       signed_list_signature, signed_list_signature_len),
			 1);
	assert_string_equal(said_of, SIGNED_LIST_SIGNER);
	assert_string_equal(text, SIGNED_LIST_TEXT);
	assert_int_equal(said_count(), 0);
}

/* Of a list that carries its signature, what is outside of it is gone afterwards. */
static void test_inline(void **state)
{
	char around[2048];

	(void)state;
	snprintf(around, sizeof(around), "SHA256 (evil.raw) = 00\n%s", signed_list_inline);
	assert_int_equal(check(around, signed_list_keyring, signed_list_keyring_len, NULL, 0), 1);
	assert_null(strstr(text, "evil"));
	assert_memory_equal(text, "SHA256 (abc.raw) = ba78", 23);
	assert_int_equal(len, strlen(text));
}

static void test_changed(void **state)
{
	char changed[2048];

	(void)state;
	snprintf(changed, sizeof(changed), "%s", SIGNED_LIST_TEXT);
	changed[0] ^= 1;
	assert_int_equal(check(changed, signed_list_keyring, signed_list_keyring_len,
			       signed_list_signature, signed_list_signature_len),
			 -EBADMSG);
	assert_non_null(strstr(said(), "BAD signature"));
	snprintf(changed, sizeof(changed), "%s", signed_list_inline);
	strstr(changed, "abc.raw")[0] = 'x';
	assert_int_equal(check(changed, signed_list_keyring, signed_list_keyring_len, NULL, 0),
			 -EBADMSG);
	/* an inline list without a signature */
	assert_int_equal(check("SHA256 (abc.raw) = 00\n", signed_list_keyring,
			       signed_list_keyring_len, NULL, 0),
			 -EBADMSG);
}

static void test_other_key(void **state)
{
	(void)state;
	assert_int_equal(check(SIGNED_LIST_TEXT, signed_list_other_keyring,
			       signed_list_other_keyring_len, signed_list_signature,
			       signed_list_signature_len),
			 -EBADMSG);
	assert_int_equal(
		check(SIGNED_LIST_TEXT, signed_list_keyring, signed_list_keyring_len, "junk", 4),
		-EBADMSG);
	assert_int_equal(said_count(), 1);
}

static void test_no_gpgv(void **state)
{
	char *path = strdup(getenv("PATH"));

	(void)state;
	setenv("PATH", scratch_home_path("nowhere"), 1);
	assert_int_equal(check(SIGNED_LIST_TEXT, signed_list_keyring, signed_list_keyring_len,
			       signed_list_signature, signed_list_signature_len),
			 0);
	assert_string_equal(said_of, "gpgv is not installed");
	setenv("PATH", path, 1);
	free(path);
}

static void test_keyrings(void **state)
{
	char path[4096];

	(void)state;
	assert_int_equal(signature_keyring("skiff-test-none.gpg", path, sizeof(path)), -ENOENT);
	assert_int_equal(signature_keyring("/nowhere/none.gpg", path, sizeof(path)), -ENOENT);
	scratch_home_write("ring", "x", 1);
	assert_int_equal(signature_keyring(scratch_home_path("ring"), path, sizeof(path)), 0);
	assert_string_equal(path, scratch_home_path("ring"));
}

static int teardown(void **state)
{
	free(text);
	text = NULL;
	return scratch_home_remove(state);
}

int main(void)
{
#define WITH_HOME(t) cmocka_unit_test_setup_teardown(t, scratch_home_make, teardown)
	const struct CMUnitTest tests[] = {
		WITH_HOME(test_good),      WITH_HOME(test_inline),  WITH_HOME(test_changed),
		WITH_HOME(test_other_key), WITH_HOME(test_no_gpgv), WITH_HOME(test_keyrings),
	};

	if (access("/usr/bin/gpgv", X_OK)) {
		puts("there is no gpgv here");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
