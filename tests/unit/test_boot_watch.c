/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest says on its console, and how far that shows it to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/boot_watch.h"

static unsigned say(struct boot_watch *w, const char *text, uint64_t now)
{
	return boot_watch_bytes(w, (const uint8_t *)text, strlen(text), now);
}

static void test_signs(void **state)
{
	static const struct {
		const char *line;
		enum boot_stage stage;
	} t[] = {
		{"[    0.000000] Linux version 6.1.0-50-cloud-amd64 (x) #1 SMP\r\n", BOOT_KERNEL},
		{"[    1.2] Run /init as init process\r\n", BOOT_INITRAMFS},
		{"Loading, please wait...\r\n", BOOT_INITRAMFS},
		{"[    3.1] systemd[1]: systemd 252.39 running in system mode (+PAM)\r\n",
		 BOOT_INIT},
		{"Welcome to \33[1;31mDebian GNU/Linux 12\33[0m!\r\n", BOOT_INIT},
		{"\33[1mOpenRC\33[m 0.60 is starting up\n", BOOT_INIT},
		{"[   12.0] cloud-init[301]: Cloud-init v. 22.4.2 running 'init-local' at T\r\n",
		 BOOT_CLOUD_LOCAL},
		{"Cloud-init v. 24.1 running 'init' at T\n", BOOT_CLOUD_NETWORK},
		{"Cloud-init v. 24.1 running 'modules:config' at T\n", BOOT_CLOUD_CONFIG},
		{"Cloud-init v. 24.1 running 'modules:final' at T\n", BOOT_CLOUD_FINAL},
		{"Cloud-init v. 24.1 finished at T. Datasource DataSourceNoCloud.  Up 30\n",
		 BOOT_CLOUD_DONE},
		{"\r\nDebian GNU/Linux 12 vm ttyS0\r\n\r\nvm login: ", BOOT_LOGIN},
		{"\33]0;title\a\33[Hvm login: ", BOOT_LOGIN},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		/* However the bytes come, in one piece or one by one. */
		for (int by_one = 0; by_one < 2; by_one++) {
			struct boot_watch w = {0};
			unsigned n = 0;

			for (size_t at = 0; by_one && t[i].line[at]; at++)
				n += boot_watch_bytes(&w, (const uint8_t *)t[i].line + at, 1, 7);
			if (!by_one)
				n = say(&w, t[i].line, 7);
			assert_int_equal(n, 2); /* the first byte, and the stage */
			assert_int_equal(w.at_ns[t[i].stage], 7);
			assert_int_equal(w.last, t[i].stage);
			assert_string_equal(w.trouble, "");
		}
	}
}

static void test_no_signs(void **state)
{
	static const char *const t[] = {
		"Last login: Mon Jan 1\n",
		"vm login: root\n",
		"linux version\n",
		"Cloud-init v. 1\n",
		"running 'init'\n",
		"Welcome\n",
		"\33[999\n",
		"login:",
		"x ALERT!\n",
		"\302\23331m\n",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct boot_watch w = {0};

		assert_int_equal(say(&w, t[i], 1), 1);
		assert_int_equal(w.last, BOOT_FIRST_BYTE);
		assert_string_equal(w.trouble, "");
	}
}

static void test_first_time_counts(void **state)
{
	struct boot_watch w = {0};

	(void)state;
	boot_watch_reached(&w, BOOT_IMAGE, 3);
	boot_watch_reached(&w, BOOT_IMAGE, 4);
	assert_int_equal(w.at_ns[BOOT_IMAGE], 3);
	assert_int_equal(say(&w, "Linux version 6\n", 5), 2);
	assert_int_equal(say(&w, "Linux version 6\n", 6), 0);
	assert_int_equal(w.at_ns[BOOT_KERNEL], 5);
}

static void test_trouble(void **state)
{
	static const struct {
		const char *text, *says;
	} t[] = {
		{"[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root\n",
		 "Kernel panic - not syncing: VFS: Unable to mount root"},
		{"You are in emergency mode. After\n", "You are in emergency mode. After"},
		{"(initramfs) ", "a shell in the initramfs: no root file system"},
		{"ALERT!  LABEL=x does not exist.  Dropping to a shell!\n",
		 "ALERT!  LABEL=x does not exist.  Dropping to a shell!"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct boot_watch w = {0};

		/* What is told is printable, whatever the guest put there. */
		assert_int_equal(say(&w, "\xc2\x9b\x80", 1), 1);
		assert_int_equal(say(&w, t[i].text, 1), 1);
		assert_string_equal(w.trouble, t[i].says);
	}
}

/* A guest that writes without end, newlines, or sense. */
static void test_anything(void **state)
{
	struct boot_watch w = {0};
	uint8_t noise[997];
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		for (size_t i = 0; i < sizeof(noise); i++) {
			seed = seed * 1664525u + 1013904223u;
			noise[i] = (uint8_t)(seed >> 24);
			if (round % 3 == 0 && noise[i] == '\n')
				noise[i] = 'x';
		}
		boot_watch_bytes(&w, noise, sizeof(noise), round + 1);
		assert_true(w.len <= BOOT_WATCH_LINE);
	}
	boot_watch_bytes(&w, (const uint8_t *)"\a\n", 2, 1);
	say(&w, "\nLinux version 6\n", 9000);
	assert_int_equal(w.at_ns[BOOT_KERNEL], 9000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signs),
		cmocka_unit_test(test_no_signs),
		cmocka_unit_test(test_first_time_counts),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
