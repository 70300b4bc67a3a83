/* SPDX-License-Identifier: BSD-2-Clause */
/* -p, in the words of --net. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/net_option.h"
#include "vmm/publish.h"

static void test_understood(void **state)
{
	static const struct {
		const char *text, *hostfwd;
	} t[] = {
		{"8080:80", "hostfwd=tcp::8080-:80"},
		{"8080:80/tcp", "hostfwd=tcp::8080-:80"},
		{"53:53/udp", "hostfwd=udp::53-:53"},
		{"0.0.0.0:2222:22", "hostfwd=tcp:0.0.0.0:2222-:22"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char out[160], net[200];
		struct net_option option;

		assert_int_equal(publish_to_hostfwd(t[i].text, out, sizeof(out)), 0);
		assert_string_equal(out, t[i].hostfwd);
		snprintf(net, sizeof(net), "user,%s", out);
		assert_int_equal(net_option_parse(net, &option), 0);
		assert_int_equal(option.n_forwards, 1);
	}
}

/* The guest's address is wanted then, which only --net can say. */
static void test_ipv6(void **state)
{
	char out[160];

	(void)state;
	said_start();
	said_clear();
	assert_int_equal(publish_to_hostfwd("[::1]:2222:22", out, sizeof(out)), -EINVAL);
	assert_non_null(strstr(said(), "`--net user,hostfwd=tcp:[::1]:2222-[GUEST]:22`"));
}

static void test_mistakes(void **state)
{
	static const char *const t[] = {
		"",
		"80",
		":",
		":80",
		"80:",
		"80:80/sctp",
		"80:80/",
		"8080:80,mac=x",
		"a:b/udp/tcp",
		"99999:22",
		"0:22",
		"22:22abc",
		"+1:22",
		"2222:65536",
	};
	char longest[300], out[400];

	(void)state;
	said_start();
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		said_clear();
		assert_int_equal(publish_to_hostfwd(t[i], out, sizeof(out)), -EINVAL);
		assert_int_equal(said_count(), 1);
		assert_non_null(strstr(said(), "such as 8080:80"));
	}
	memset(longest, '1', sizeof(longest) - 1);
	longest[200] = ':';
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(publish_to_hostfwd(longest, out, sizeof(out)), -EINVAL);
	assert_int_equal(publish_to_hostfwd("8080:80", out, 5), -EINVAL);
}

static void test_of_a_port(void **state)
{
	unsigned host = 0;
	char addr[64];

	(void)state;
	assert_true(publish_is_of("2222:22", 22, addr, sizeof(addr), &host));
	assert_int_equal(host, 2222);
	assert_true(publish_is_of("0.0.0.0:2022:22/tcp", 22, addr, sizeof(addr), &host));
	assert_int_equal(host, 2022);
	assert_string_equal(addr, "127.0.0.1");
	assert_true(publish_is_of("192.168.1.5:2022:22", 22, addr, sizeof(addr), &host));
	assert_string_equal(addr, "192.168.1.5");
	assert_false(publish_is_of("2222:22/udp", 22, addr, sizeof(addr), &host));
	assert_false(publish_is_of("22:2222", 22, addr, sizeof(addr), &host));
	assert_false(publish_is_of("22", 22, addr, sizeof(addr), &host));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_understood),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_of_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
