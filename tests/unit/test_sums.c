/* SPDX-License-Identifier: BSD-2-Clause */
/* Digests and publishers' checksum lists. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loader/image/digest.h"
#include "loader/image/sums.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))
/* SHA-256 and SHA-512 of "abc" (FIPS 180-4's examples), and others of their length. */
#define A256     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define B256     "0000000000000000000000000000000000000000000000000000000000000b0b"
#define A512                                                               \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
	"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

static void test_known_answers(void **state)
{
	char text[DIGEST_TEXT_MAX];
	struct digest d;
	struct hasher h;

	(void)state;
	assert_int_equal(hasher_start(&h, 1), 0);
	hasher_add(&h, "zzz", 3);
	hasher_restart(&h);
	hasher_add(&h, "a", 1);
	hasher_add(&h, "bc", 2);
	hasher_end(&h, DIGEST_SHA256, &d);
	digest_print(&d, text);
	assert_string_equal(text, "sha256:" A256);
	hasher_end(&h, DIGEST_SHA512, &d);
	digest_print(&d, text);
	assert_string_equal(text, "sha512:" A512);
	hasher_free(&h);
	hasher_free(&h);
}

static void test_spelling(void **state)
{
	static const struct {
		const char *text;
		int r;
	} table[] = {
		{"sha256:" A256, 0},
		{"sha512:" A512, 0},
		{"sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", 0},
		{"", -EINVAL},
		{"sha256", -EINVAL},
		{"sha256:", -EINVAL},
		{"sha512:" A256, -EINVAL},
		{"sha256:" A256 "0", -EINVAL},
		{"sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		 -EINVAL},
		{"md5:" A256, -EINVAL},
		{A256, -EINVAL},
	};
	struct digest d;

	(void)state;
	for (size_t i = 0; i < N(table); i++)
		assert_int_equal(digest_parse(table[i].text, &d), table[i].r);
}

static void test_lists(void **state)
{
	static const struct {
		const char *text;
		enum digest_kind kind;
		int r;
	} table[] = {
		{A256 "  disk.img\n", DIGEST_SHA256, 0},
		{A256 " *disk.img\n", DIGEST_SHA256, 0},
		{A256 " disk.img", DIGEST_SHA256, 0},
		{A256 "  ./disk.img\r\n", DIGEST_SHA256, 0},
		{B256 "  other\n" A256 "  disk.img\n" B256 "  disk.img.xz\n", DIGEST_SHA256, 0},
		{A512 "  disk.img\n", DIGEST_SHA512, 0},
		{"SHA256 (disk.img) = " A256 "\n", DIGEST_SHA256, 0},
		{"sha256 (disk.img) = " A256, DIGEST_SHA256, 0},
		{"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# disk.img: 5 bytes\n"
		 "SHA256 (disk.img) = " A256 "\n-----BEGIN PGP SIGNATURE-----\n\niQ==\n",
		 DIGEST_SHA256, 0},
		{"SHA512 (disk.img) = " A512 "\nSHA256 (disk.img) = " A256, DIGEST_SHA256, 0},
		{A256 "\n", DIGEST_SHA256, 0},
		{"\n\n " A512 " \n\n", DIGEST_SHA512, 0},
		/* the same twice is no contradiction */
		{A256 "  disk.img\n" A256 " *disk.img\n", DIGEST_SHA256, 0},

		{"", DIGEST_SHA256, -ENOENT},
		{"\n\n", DIGEST_SHA256, -ENOENT},
		{A256 "  other.img\n", DIGEST_SHA256, -ENOENT},
		{A256 "  a disk.img\n", DIGEST_SHA256, -ENOENT},
		{A256 "  DISK.IMG\n", DIGEST_SHA256, -ENOENT},
		{A256 "  path/disk.img\n", DIGEST_SHA256, -ENOENT},
		{A256 "disk.img\n", DIGEST_SHA256, -ENOENT},
		{A256 "0  disk.img\n", DIGEST_SHA256, -ENOENT},
		{A256 "  disk.img\n", DIGEST_SHA512, -ENOENT},
		{A512 "  disk.img\n", DIGEST_SHA256, -ENOENT},
		{"SHA512 (disk.img) = " A256, DIGEST_SHA512, -ENOENT},
		{"SHA256 (disk.img) =" A256, DIGEST_SHA256, -ENOENT},
		{"SHA256 () = " A256, DIGEST_SHA256, -ENOENT},
		{"SHA256 (disk.img) = ", DIGEST_SHA256, -ENOENT},
		/* a digest alone counts only where it is alone */
		{A256 "\n" B256 "\n", DIGEST_SHA256, -ENOENT},
		{A256 "\nwords\n", DIGEST_SHA256, -ENOENT},

		{A256 "  disk.img\n" B256 "  disk.img\n", DIGEST_SHA256, -EINVAL},
		{A256 "  disk.img\nSHA256 (disk.img) = " B256, DIGEST_SHA256, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		char text[DIGEST_TEXT_MAX] = "";
		struct digest d;
		int r = sums_find(table[i].text, strlen(table[i].text), table[i].kind, "disk.img",
				  &d);

		if (r != table[i].r)
			fail_msg("%s: %d", table[i].text, r);
		if (r)
			continue;
		digest_print(&d, text);
		assert_string_equal(text,
				    d.kind == DIGEST_SHA256 ? "sha256:" A256 : "sha512:" A512);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_spelling),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
