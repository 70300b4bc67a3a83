/* SPDX-License-Identifier: BSD-2-Clause */
/* What boot loaders' configurations say: GRUB's, boot loader entries, extlinux; versions. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/image/bls.h"
#include "loader/image/grub.h"
#include "tests/lib/cases.h"

static struct entry_vars vars;

static int up(void **state)
{
	(void)state;
	memset(&vars, 0, sizeof(vars));
	return 0;
}

#define DEBIAN_HEAD                                                                               \
	"if [ -s $prefix/grubenv ]; then\n"                                                       \
	"  set have_grubenv=true\n"                                                               \
	"  load_env\n"                                                                            \
	"fi\n"                                                                                    \
	"if [ \"${next_entry}\" ] ; then\n"                                                       \
	"   set default=\"${next_entry}\"\n"                                                      \
	"   set next_entry=\n"                                                                    \
	"   save_env next_entry\n"                                                                \
	"else\n"                                                                                  \
	"   set default=\"%s\"\n"                                                                 \
	"fi\n"                                                                                    \
	"if [ x\"${feature_menuentry_id}\" = xy ]; then\n"                                        \
	"  menuentry_id_option=\"--id\"\n"                                                        \
	"else\n"                                                                                  \
	"  menuentry_id_option=\"\"\n"                                                            \
	"fi\n"                                                                                    \
	"export menuentry_id_option\n"                                                            \
	"function load_video {\n"                                                                 \
	"  if [ x$feature_all_video_module = xy ]; then\n"                                        \
	"    insmod all_video\n"                                                                  \
	"  fi\n"                                                                                  \
	"}\n"                                                                                     \
	"terminal_input console\n"                                                                \
	"### BEGIN /etc/grub.d/10_linux ###\n"                                                    \
	"function gfxmode {\n\tset gfxpayload=\"${1}\"\n}\n"                                      \
	"menuentry 'Debian GNU/Linux' --class debian --class os $menuentry_id_option "            \
	"'simple-1' {\n"                                                                          \
	"\tload_video\n"                                                                          \
	"\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi\n"                  \
	"\tset root='hd0,gpt1'\n"                                                                 \
	"\techo\t'Loading Linux 6.1.0-9 ...'\n"                                                   \
	"\tlinux\t/boot/vmlinuz-6.1.0-9 root=PARTUUID=1-2 ro  console=ttyS0,115200 $vt_handoff\n" \
	"\tinitrd\t/boot/initrd.img-6.1.0-9\n"                                                    \
	"}\n"                                                                                     \
	"submenu 'Advanced options' $menuentry_id_option 'advanced-1' {\n"                        \
	"\tmenuentry 'Debian, with 6.1.0-9' --class gnu $menuentry_id_option 'a-9' {\n"           \
	"\t\tlinux\t/boot/vmlinuz-6.1.0-9 root=X ro \n"                                           \
	"\t\tinitrd\t/boot/initrd.img-6.1.0-9\n\t}\n"                                             \
	"\tmenuentry 'Debian, with 6.1.0-8' $menuentry_id_option 'a-8' {\n"                       \
	"\t\tlinux\t/boot/vmlinuz-6.1.0-8 root=Y ro \n"                                           \
	"\t\tinitrd\t/boot/initrd.img-6.1.0-8\n\t}\n"                                             \
	"}\n"                                                                                     \
	"menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi' {\n\tfwsetup\n}\n"

static const struct {
	const char *dflt, *saved, *kernel, *cmdline;
} defaults[] = {
	{"0", "", "/boot/vmlinuz-6.1.0-9", "root=PARTUUID=1-2 ro console=ttyS0,115200"},
	{"simple-1", "", "/boot/vmlinuz-6.1.0-9", "root=PARTUUID=1-2 ro console=ttyS0,115200"},
	{"1>1", "", "/boot/vmlinuz-6.1.0-8", "root=Y ro"},
	{"1", "", "/boot/vmlinuz-6.1.0-9", "root=X ro"},
	{"advanced-1>a-8", "", "/boot/vmlinuz-6.1.0-8", "root=Y ro"},
	{"Advanced options>Debian, with 6.1.0-8", "", "/boot/vmlinuz-6.1.0-8", "root=Y ro"},
	{"${saved_entry}", "advanced-1>a-8", "/boot/vmlinuz-6.1.0-8", "root=Y ro"},
	{"${saved_entry}", "", "/boot/vmlinuz-6.1.0-9",
	 "root=PARTUUID=1-2 ro console=ttyS0,115200"},
	/* One that boots no Linux, and one that is not there: the first that does. */
	{"uefi", "", "/boot/vmlinuz-6.1.0-9", "root=PARTUUID=1-2 ro console=ttyS0,115200"},
	{"gone", "", "/boot/vmlinuz-6.1.0-9", "root=PARTUUID=1-2 ro console=ttyS0,115200"},
};

static void test_grub_defaults(void **state)
{
	char text[8192], env[256];
	struct boot_entry e;

	(void)state;
	for (unsigned i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		case_begin("default=%s saved_entry=%s", defaults[i].dflt, defaults[i].saved);
		memset(&vars, 0, sizeof(vars));
		snprintf(env, sizeof(env), "# GRUB Environment Block\nsaved_entry=%s\n####",
			 defaults[i].saved);
		vars_read_grubenv(&vars, env);
		snprintf(text, sizeof(text), DEBIAN_HEAD, defaults[i].dflt);
		CHECK(grub_read(text, &vars, &e) == 0);
		CHECK(!strcmp(e.kernel, defaults[i].kernel));
		CHECK(!strcmp(e.cmdline, defaults[i].cmdline));
		CHECK(e.n_initrds == 1);
	}
}

static const struct {
	const char *what, *text, *kernel, *initrd, *cmdline;
	int err;
} grubs[] = {
	{"a minimal Ubuntu: first without, then with an initrd",
	 "menuentry 'Ubuntu' {\n if [ \"${initrdfail}\" = 1 ]; then\n"
	 " linux /boot/vmlinuz-5 root=PARTUUID=1 ro console=ttyS0\n initrd /boot/initrd.img-5\n"
	 " else\n linux /boot/vmlinuz-5 root=PARTUUID=1 ro console=ttyS0 panic=-1\n fi\n}\n",
	 "/boot/vmlinuz-5", "/boot/initrd.img-5", "root=PARTUUID=1 ro console=ttyS0", 0},
	{"the one with an initrd second",
	 "menuentry U {\nlinux /k root=1 panic=-1\nlinux /k root=1\ninitrd /i\n}\n", "/k", "/i",
	 "root=1", 0},
	{"without any", "menuentry U {\nlinux /k root=/dev/vda1\n}\n", "/k", "", "root=/dev/vda1",
	 0},
	{"devices before paths", "menuentry U {\nlinux ($root)/k a\ninitrd (hd0,gpt2)/i\n}\n", "/k",
	 "/i", "a", 0},
	{"quotes and backslashes",
	 "menuentry \"a \\\"b\\\" 'c'\" {\nlinux '/k' root=\"LABEL=a b\" x\\ y 'z'\ninitrd /i\n}\n",
	 "/k", "/i", "\"root=LABEL=a b\" \"x y\" z", 0},
	{"variables",
	 "set a=1\nb=\"$a 2\"\nmenuentry U {\nlinux /k-${a} b=${b} $none c$a\ninitrd /i\n}\n",
	 "/k-1", "/i", "\"b=1 2\" c1", 0},
	{"one line", "menuentry U { linux /k x ; initrd /i ; }", "/k", "/i", "x", 0},
	{"continued lines", "menuentry U {\nlinux /k \\\n  x y\ninitrd /i\n}\n", "/k", "/i", "x y",
	 0},
	{"linuxefi", "menuentry U {\nlinuxefi /k x\ninitrdefi /i\n}\n", "/k", "/i", "x", 0},
	{"a comment", "# menuentry U { linux /no }\nmenuentry V {\nlinux /k # x\ninitrd /i\n}\n",
	 "/k", "/i", "", 0},
	{"no entry", "blscfg\nmenuentry 'UEFI' {\nfwsetup\n}\n", "", "", "", -ENOENT},
	{"nothing", "", "", "", "", -ENOENT},
	{"a linux outside of entries", "linux /k x\n", "", "", "", -ENOENT},
	{"never closed", "menuentry U {\nlinux /k x\n", "", "", "", -ENOENT},
	{"only closed", "}}}\n}\n}\nmenuentry U {\nlinux /k x\n}\n", "/k", "", "x", 0},
	{"braces in quotes", "echo '{'\nmenuentry U '{' {\nlinux /k '{'\ninitrd /i\n}\n", "/k",
	 "/i", "{", 0},
	{"a quote that is never closed", "menuentry U {\nlinux /k 'x\n}\n", "", "", "", -ENOENT},
};

static void test_grub_files(void **state)
{
	struct boot_entry e;

	(void)state;
	for (unsigned i = 0; i < sizeof(grubs) / sizeof(grubs[0]); i++) {
		case_begin("%s", grubs[i].what);
		memset(&vars, 0, sizeof(vars));
		CHECK(grub_read(grubs[i].text, &vars, &e) == grubs[i].err);
		if (grubs[i].err)
			continue;
		CHECK(!strcmp(e.kernel, grubs[i].kernel));
		CHECK(e.n_initrds == (grubs[i].initrd[0] != 0));
		CHECK(!e.n_initrds || !strcmp(e.initrd[0], grubs[i].initrd));
		CHECK(!strcmp(e.cmdline, grubs[i].cmdline));
	}
}

/* Words without end, blocks in blocks, entries by the thousand: refused or cut, never followed. */
static void test_grub_without_bounds(void **state)
{
	size_t size = 1 << 20;
	char *text = malloc(size + 64);
	struct boot_entry e;

	(void)state;
	memset(text, 'a', size);
	text[size] = '\0';
	assert_int_equal(grub_read(text, &vars, &e), -ENOENT);
	memcpy(text, "menuentry U {\nlinux /k ", 23);
	memcpy(text + size, "\n}\n", 4);
	assert_int_equal(grub_read(text, &vars, &e), -ENOENT);
	for (size_t i = 0; i + 4 <= size; i += 4)
		memcpy(text + i, "a {\n", 4);
	text[size] = '\0';
	assert_int_equal(grub_read(text, &vars, &e), -E2BIG);
	size = 0;
	for (unsigned i = 0; i < 2000; i++)
		size += (size_t)snprintf(text + size, 64, "menuentry U {\nlinux /k%u x\n}\n", i);
	assert_int_equal(grub_read(text, &vars, &e), 0);
	assert_string_equal(e.kernel, "/k0");
	free(text);
}

/* A command too long for us still opens its block, so that what closes it closes nothing else. */
static void test_grub_blocks_of_long_commands(void **state)
{
	static const char *const forms[] = {
		"menuentry A {\nif %s {\nx\n}\nlinux /a x\ninitrd /i\n}\n"
		"menuentry B {\nlinux /b x\n}\n",
		"menuentry A %s {\nlinux /a x\ninitrd /i\n}\nmenuentry B {\nlinux /b x\n}\n",
		"submenu S %s {\nmenuentry A {\nlinux /a x\ninitrd /i\n}\n}\n"
		"menuentry B {\nlinux /b x\n}\n",
		"menuentry A {\nx %s { linux /a x\ninitrd /i\n}\n}\n"
		"menuentry B {\nlinux /b x\n}\n",
	};
	char words[2][8192] = {"", ""}, text[9000];
	struct boot_entry e;

	(void)state;
	memset(words[0], 'w', 6000);
	for (unsigned i = 0; i < 1000; i++)
		strncat(words[1], "w ", sizeof(words[1]) - strlen(words[1]) - 1);
	for (unsigned i = 0; i < 2 * sizeof(forms) / sizeof(forms[0]); i++) {
		case_begin("%s, %s", forms[i / 2], i % 2 ? "many words" : "a long word");
		memset(&vars, 0, sizeof(vars));
		snprintf(text, sizeof(text), forms[i / 2], words[i % 2]);
		CHECK(grub_read(text, &vars, &e) == 0);
		CHECK(!strcmp(e.kernel, "/a") && !strcmp(e.cmdline, "x") && e.n_initrds == 1);
	}
}

static void test_variables_that_refer_to_themselves(void **state)
{
	char text[4096] = "set a=xxxxxxxxxxxxxxxx\n";
	struct boot_entry e;

	(void)state;
	/* Doubles each time; stops at what a value may have. */
	for (unsigned i = 0; i < 64; i++)
		strncat(text, "set a=$a$a\n", sizeof(text) - strlen(text) - 1);
	strncat(text, "menuentry U {\nlinux /k x\ninitrd /i\n}\n", sizeof(text) - strlen(text) - 1);
	assert_int_equal(grub_read(text, &vars, &e), 0);
	assert_string_equal(e.cmdline, "x");
}

static void test_bls(void **state)
{
	static const char text[] =
		"title Fedora Linux (6.17.1) 43 (Cloud)\nversion 6.17.1-300.fc43\n"
		"linux /vmlinuz-6.17.1\r\ninitrd /initramfs-6.17.1.img $tuned_initrd\n"
		"options root=UUID=1 rootflags=subvol=root $tuned_params\n"
		"options ${kernelopts}  \n\n# x\ngrub_class fedora\n";
	char version[ENTRY_PATH];
	struct boot_entry e;

	(void)state;
	vars_read_grubenv(&vars, "kernelopts=console=ttyS0 quiet\n");
	assert_int_equal(bls_read(text, "abc-6.17.1.conf", &vars, &e, version), 0);
	assert_string_equal(e.kernel, "/vmlinuz-6.17.1");
	assert_int_equal(e.n_initrds, 1);
	assert_string_equal(e.initrd[0], "/initramfs-6.17.1.img");
	assert_string_equal(e.cmdline, "root=UUID=1 rootflags=subvol=root  console=ttyS0 quiet");
	assert_string_equal(version, "6.17.1-300.fc43");
	assert_true(bls_is_saved("abc-6.17.1.conf", &e, "abc-6.17.1"));
	assert_true(bls_is_saved("abc-6.17.1.conf", &e, "Fedora Linux (6.17.1) 43 (Cloud)"));
	assert_false(bls_is_saved("abc-6.17.1.conf", &e, ""));
	assert_false(bls_is_saved("abc-6.17.1.conf", &e, "abc"));
	assert_int_equal(bls_read("title x\n", "x.conf", &vars, &e, version), -ENOENT);
	assert_int_equal(bls_read("linux /a\ninitrd /1 /2 /3 /4 /5\n", "x", &vars, &e, version),
			 -E2BIG);
}

static void test_extlinux(void **state)
{
	static const char alpine[] = "# Generated\nDEFAULT menu.c32\nPROMPT 0\nMENU TITLE Alpine\n"
				     "LABEL virt\n  MENU DEFAULT\n  MENU LABEL Linux virt\n"
				     "  LINUX vmlinuz-virt\n  INITRD initramfs-virt\n"
				     "  APPEND root=LABEL=/ modules=ext4 console=ttyS0,115200n8\n";
	static const char two[] = "default b\nlabel a\nkernel /a\nappend 1\nlabel b\nkernel /b\n"
				  "initrd /i1,/i2\nappend 2\nlabel c\nkernel /c\n";
	struct boot_entry e;

	(void)state;
	assert_int_equal(extlinux_read(alpine, "/boot", &e), 0);
	assert_string_equal(e.kernel, "/boot/vmlinuz-virt");
	assert_string_equal(e.initrd[0], "/boot/initramfs-virt");
	assert_string_equal(e.cmdline, "root=LABEL=/ modules=ext4 console=ttyS0,115200n8");
	assert_int_equal(extlinux_read(two, "", &e), 0);
	assert_string_equal(e.kernel, "/b");
	assert_int_equal(e.n_initrds, 2);
	assert_string_equal(e.initrd[1], "/i2");
	assert_string_equal(e.cmdline, "2");
	assert_int_equal(extlinux_read("default x\n", "", &e), -ENOENT);
}

static void test_versions(void **state)
{
	static const char *const in_order[] = {
		"",          "0-rescue-4f",   "5.4.0-1",          "5.4.0-200-generic",
		"5.15.0-1",  "6.1.0-9-amd64", "6.1.0-10-amd64",   "6.1.0-10-cloud-amd64",
		"6.8.0~rc1", "6.8.0",         "6.8.0-45-generic", "6.17.1-300.fc43",
		"10",
	};
	unsigned n = sizeof(in_order) / sizeof(in_order[0]);

	(void)state;
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < n; k++) {
			int r = version_compare(in_order[i], in_order[k]);

			case_begin("%s, %s", in_order[i], in_order[k]);
			CHECK(i < k ? r < 0 : i > k ? r > 0 : r == 0);
		}
	assert_int_equal(version_compare("6.01", "6.1"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_grub_defaults, up),
		cmocka_unit_test_setup(test_grub_files, up),
		cmocka_unit_test_setup(test_grub_without_bounds, up),
		cmocka_unit_test_setup(test_grub_blocks_of_long_commands, up),
		cmocka_unit_test_setup(test_variables_that_refer_to_themselves, up),
		cmocka_unit_test_setup(test_bls, up),
		cmocka_unit_test_setup(test_extlinux, up),
		cmocka_unit_test_setup(test_versions, up),
	};

	return cases_report(cmocka_run_group_tests(tests, NULL, NULL));
}
