/* SPDX-License-Identifier: BSD-2-Clause */
/* Options of `skiff run`: what each sets, and that each mistake gets one sentence that names it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/config.h"
#include "vmm/nearest.h"
#include "vmm/size.h"

#define MIB      (1024ull * 1024)
#define ARGS_MAX 64
#define KERNEL   "--kernel", "vmlinuz"
#define N(table) (sizeof(table) / sizeof((table)[0]))

static int parse(const char *const *args, struct config *c)
{
	char *argv[ARGS_MAX];
	int n = 0;

	while (args[n]) {
		assert_true(n < ARGS_MAX);
		argv[n] = (char *)args[n];
		n++;
	}
	said_start();
	return config_parse(n, argv, c);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		int expected;
		uint64_t bytes;
	} table[] = {
		{"0", 0, 0},
		{"1", 0, 1},
		{"4096", 0, 4096},
		{"1K", 0, 1024},
		{"1k", 0, 1024},
		{"512M", 0, 512 * MIB},
		{"2g", 0, 2048 * MIB},
		{"3T", 0, 3 * MIB * MIB},
		{"007M", 0, 7 * MIB},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18014398509481983K", 0, UINT64_MAX - 1023},
		{"16777215T", 0, 0xffffff0000000000},
		{"18446744073709551616", -EINVAL, 0},
		{"18014398509481984K", -EINVAL, 0},
		{"17592186044416M", -EINVAL, 0},
		{"17179869184G", -EINVAL, 0},
		{"16777216T", -EINVAL, 0},
		{"99999999999999999999999999G", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"M", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1 M", -EINVAL, 0},
		{"1MB", -EINVAL, 0},
		{"1MiB", -EINVAL, 0},
		{"1E", -EINVAL, 0},
		{"1B", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"1,5G", -EINVAL, 0},
		{"\xc2\xb2", -EINVAL, 0},
	};

	(void)state;
	said_start();
	for (size_t i = 0; i < N(table); i++) {
		uint64_t bytes = 42;
		int r = size_parse(table[i].text, &bytes);

		if (r != table[i].expected || bytes != (r < 0 ? 42 : table[i].bytes))
			fail_msg("\"%s\": %d, %llu", table[i].text, r, (unsigned long long)bytes);
	}
	assert_int_equal(said_count(), 0);
}

static void test_defaults(void **state)
{
	static const char *const args[] = {KERNEL, NULL};
	struct config c;

	(void)state;
	memset(&c, 0xff, sizeof(c));
	assert_int_equal(parse(args, &c), 0);
	assert_int_equal(said_count(), 0);
	assert_string_equal(c.kernel, "vmlinuz");
	assert_null(c.initrd);
	assert_null(c.append);
	assert_null(c.kvm_path);
	assert_string_equal(c.console, "stdio");
	assert_int_equal(c.kernel_entry, IMAGE_AUTO);
	assert_int_equal(c.cpus, 1);
	assert_int_equal(c.memory, 512 * MIB);
	assert_int_equal(c.no_reboot | c.stats | c.rng | c.virtio_console, 0);
	assert_int_equal(c.n_disks + c.n_nets, 0);
}

static void expect_all(const struct config *c)
{
	assert_int_equal(said_count(), 0);
	assert_string_equal(c->kernel, "k");
	assert_string_equal(c->initrd, "i");
	assert_string_equal(c->append, "a b=c --not-ours");
	assert_string_equal(c->console, "file:/tmp/x=y");
	assert_string_equal(c->kvm_path, "/dev/other");
	assert_int_equal(c->kernel_entry, IMAGE_BZIMAGE);
	assert_int_equal(c->cpus, 64);
	assert_int_equal(c->memory, 2 * MIB);
	assert_int_equal(c->no_reboot & c->stats & c->rng & c->virtio_console, 1);
	assert_int_equal(c->n_disks, 2);
	assert_string_equal(c->disk[0], "path=one");
	assert_string_equal(c->disk[1], "path=two,ro");
	assert_int_equal(c->n_nets, 1);
	assert_string_equal(c->net[0], "user");
}

static void test_every_option(void **state)
{
	static const char *const apart[] = {
		"--kernel",
		"k",
		"--initrd",
		"i",
		"--append",
		"a b=c --not-ours",
		"--cpus",
		"64",
		"--memory",
		"2M",
		"--disk",
		"path=one",
		"--disk",
		"path=two,ro",
		"--net",
		"user",
		"--console",
		"file:/tmp/x=y",
		"--virtio-console",
		"--rng",
		"--kernel-entry",
		"bzimage",
		"--no-reboot",
		"--stats",
		"--kvm",
		"/dev/other",
		NULL,
	};
	static const char *const joined[] = {
		"--kernel=k",
		"--initrd=i",
		"--append=a b=c --not-ours",
		"--cpus=64",
		"--memory=2048K",
		"--disk=path=one",
		"--disk=path=two,ro",
		"--net=user",
		"--console=file:/tmp/x=y",
		"--virtio-console",
		"--rng",
		"--kernel-entry=bzimage",
		"--no-reboot",
		"--stats",
		"--kvm=/dev/other",
		NULL,
	};
	struct config c;

	(void)state;
	assert_int_equal(parse(apart, &c), 0);
	expect_all(&c);
	assert_int_equal(parse(joined, &c), 0);
	expect_all(&c);
}

static void test_values(void **state)
{
	static const struct {
		const char *option, *value;
		int expected;
	} table[] = {
		{"--cpus", "1", 0},
		{"--cpus", "64", 0},
		{"--cpus", "0", -EINVAL},
		{"--cpus", "65", -EINVAL},
		{"--cpus", "-1", -EINVAL},
		{"--cpus", "", -EINVAL},
		{"--cpus", "two", -EINVAL},
		{"--cpus", "2x", -EINVAL},
		{"--cpus", "4294967297", -EINVAL},
		{"--cpus", "18446744073709551617", -EINVAL},
		{"--memory", "2M", 0},
		{"--memory", "3076K", 0},
		{"--memory", "4096T", 0},
		{"--memory", "4097T", -EINVAL},
		{"--memory", "16777215T", -EINVAL},
		{"--memory", "1M", -EINVAL},
		{"--memory", "0", -EINVAL},
		{"--memory", "3073K", -EINVAL},
		{"--memory", "2097153", -EINVAL},
		{"--memory", "512", -EINVAL},
		{"--memory", "", -EINVAL},
		{"--memory", "512MB", -EINVAL},
		{"--kernel-entry", "auto", 0},
		{"--kernel-entry", "direct", 0},
		{"--kernel-entry", "Direct", -EINVAL},
		{"--kernel-entry", "", -EINVAL},
		{"--console", "stdio", 0},
		{"--console", "null", 0},
		{"--console", "file:x", 0},
		{"--console", "file:", -EINVAL},
		{"--console", "file", -EINVAL},
		{"--console", "tty", -EINVAL},
		{"--append", "", 0},
		{"--append", "--", 0},
		{"--append", "--statss", 0},
		{"--append", "--stats", -EINVAL}, /* a value forgotten */
		{"--initrd", "--append", -EINVAL},
		{"--disk", "--rng", -EINVAL},
		{"--disk", "--memory=1G", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		const char *args[] = {KERNEL, table[i].option, table[i].value, NULL};
		struct config c;
		int r = parse(args, &c);

		if (r != table[i].expected)
			fail_msg("%s \"%s\": %d", table[i].option, table[i].value, r);
		assert_int_equal(said_count(), r < 0);
		if (r < 0 && strncmp(said(), table[i].option, strlen(table[i].option)) != 0)
			fail_msg("%s \"%s\": said: %s", table[i].option, table[i].value, said());
	}
	/* With `=`, a value may look like an option. */
	{
		static const char *const args[] = {KERNEL, "--append=--stats", NULL};
		struct config c;

		assert_int_equal(parse(args, &c), 0);
		assert_string_equal(c.append, "--stats");
		assert_int_equal(c.stats, 0);
	}
}

/* What is said, word by word, for the mistakes that people make. */
static void test_sentences(void **state)
{
	static const struct {
		const char *args[4];
		const char *expected;
	} table[] = {
		{{NULL},
		 "run: nothing to boot: name an image (ubuntu:24.04 or ./disk.img) or give --kernel FILE"},
		{{"--stats"},
		 "run: nothing to boot: name an image (ubuntu:24.04 or ./disk.img) or give --kernel FILE"},
		{{"--kernel"}, "--kernel: give FILE"},
		{{"--initrd", "--append", "quiet"}, "--initrd: give FILE"},
		{{"--stats=yes"}, "--stats: takes no value"},
		{{"--no-reboot="}, "--no-reboot: takes no value"},
		{{"--mem", "1G"}, "run: --mem: no such option: did you mean --memory?"},
		{{"--memroy", "1G"}, "run: --memroy: no such option: did you mean --memory?"},
		{{"--memroy=1G"}, "run: --memroy=1G: no such option: did you mean --memory?"},
		{{"-memory", "1G"}, "run: -memory: no such option: did you mean --memory?"},
		{{"--cpu", "2"}, "run: --cpu: no such option: did you mean --cpus?"},
		{{"--quite-another-thing"},
		 "run: --quite-another-thing: no such option: see `skiff help run`"},
		{{"--a-word-that-is-longer-than-any-option-could-be-and-then-some-more-words-"
		  "which-go-on-and-on"},
		 "run: --a-word-that-is-longer-than-any-option-could-be-and-then-some-more-words-"
		 "which-go-on-and-on: no such option: see `skiff help run`"},
		{{"--"}, "run: --: no such option: see `skiff help run`"},
		{{"a.img", "b.img"}, "run: b.img: an image is named already: a.img"},
		{{"--name=x", KERNEL},
		 "--name: only with an image: name one, such as ubuntu:24.04"},
		{{KERNEL, "--boot-report"},
		 "--boot-report: only with an image: name one, such as ubuntu:24.04"},
		{{"a.img", "--initrd", "i"},
		 "--initrd: i: give --kernel FILE too, which it belongs to"},
		{{"a.img", "--disk-size", "20"},
		 "--disk-size: 20: give a size such as 20G (a multiple of 512 bytes)"},
		{{"a.img", "--disk-size=0"},
		 "--disk-size: 0: give a size such as 20G (a multiple of 512 bytes)"},
		{{"a.img", "--format", "vmdk"}, "--format: vmdk: raw and qcow2 are known"},
		{{"a.img", "--cloud-init", "no"}, "--cloud-init: no: give on or off"},
		{{"a.img", "--user-data=u", "--password"},
		 "--user-data: u: says itself who the users are: leave --user and --password out"},
		{{"a.img", "--cloud-init=off", "--user=me"},
		 "--cloud-init: off: what else is said for cloud-init would be lost: leave one of "
		 "them out"},
		{{"--memory", "512"},
		 "--memory: 512: too little for any guest: give 2M or more (a number without a "
		 "unit is bytes)"},
		{{"--memory", "1M"}, "--memory: 1M: too little for any guest: give 2M or more"},
		{{"--memory", "2049K"}, "--memory: 2049K: not a multiple of 4K"},
		{{"--cpus", "many"}, "--cpus: many: give a number from 1 to 64"},
		{{"--console", "\033[2J"}, "--console: ?[2J: give stdio, null or file:PATH"},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		struct config c;

		assert_int_equal(parse(table[i].args, &c), -EINVAL);
		assert_int_equal(said_count(), 1);
		assert_string_equal(said(), table[i].expected);
	}
}

static void test_image(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(parse((const char *const[]){"ubuntu:24.04", NULL}, &c), 0);
	assert_string_equal(c.image, "ubuntu:24.04");
	assert_null(c.kernel);
	assert_int_equal(c.memory, 1024 * MIB);
	assert_int_equal(c.disk_size, 0);
	assert_false(c.ephemeral || c.no_cloud_init || c.password || c.quiet || c.boot_report);

	assert_int_equal(parse((const char *const[]){"--name",
						     "web",
						     "./a.img",
						     "--disk-size=20G",
						     "--ephemeral",
						     "-p",
						     "8080:80",
						     "-p",
						     "53:53/udp",
						     "--meta-data=m",
						     "--network-config",
						     "n",
						     "--vendor-data",
						     "v",
						     "--user",
						     "me",
						     "--password",
						     "--quiet",
						     "--boot-report",
						     "--format=raw",
						     "--memory",
						     "2G",
						     NULL},
			       &c),
			 0);
	assert_string_equal(c.image, "./a.img");
	assert_string_equal(c.name, "web");
	assert_int_equal(c.disk_size, 20ull << 30);
	assert_int_equal(c.n_publish, 2);
	assert_string_equal(c.publish[0], "8080:80");
	assert_string_equal(c.publish[1], "53:53/udp");
	assert_string_equal(c.meta_data, "m");
	assert_string_equal(c.network_config, "n");
	assert_string_equal(c.vendor_data, "v");
	assert_string_equal(c.user, "me");
	assert_string_equal(c.image_format, "raw");
	assert_true(c.ephemeral && c.password && c.quiet && c.boot_report);
	assert_int_equal(c.memory, 2048 * MIB);

	assert_int_equal(parse((const char *const[]){"a.img", "--cloud-init=off", "--kernel", "k",
						     "--initrd", "i", NULL},
			       &c),
			 0);
	assert_true(c.no_cloud_init);
	assert_string_equal(c.kernel, "k");
}

static void test_too_many(void **state)
{
	const char *args[ARGS_MAX + 1] = {KERNEL};
	struct config c;
	unsigned n = 2;

	(void)state;
	for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
		args[n++] = "--disk=path=x";
	for (unsigned i = 0; i < CONFIG_NETS_MAX; i++)
		args[n++] = "--net=user";
	args[n] = NULL;
	assert_int_equal(parse(args, &c), 0);
	assert_int_equal(c.n_disks, CONFIG_DISKS_MAX);
	assert_int_equal(c.n_nets, CONFIG_NETS_MAX);
	args[n] = "--disk=path=last";
	assert_int_equal(parse(args, &c), -EINVAL);
	assert_string_equal(said(), "--disk: path=last: more than 16 disks");
	args[n] = "--net=user,last";
	assert_int_equal(parse(args, &c), -EINVAL);
	assert_string_equal(said(), "--net: user,last: more than 8 networks");
}

static void test_nearest(void **state)
{
	static const char *const words[] = {"run", "check", "version", "help", NULL};
	static const struct {
		const char *word, *expected;
	} table[] = {
		{"run", "run"},
		{"rnu", "run"},
		{"rn", "run"},
		{"chek", "check"},
		{"chcek", "check"},
		{"vresion", "version"},
		{"verison", "version"},
		{"halp", "help"},
		{"ver", "version"}, /* shortened */
		{"xyz", NULL},
		{"he", NULL},
		{"", NULL},
		{"build", NULL},
		{"a-word-longer-than-any-that-is-kept-here", NULL},
	};
	char longest[201];

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		const char *got = nearest_word(table[i].word, words);

		if (got != table[i].expected &&
		    (!got || !table[i].expected || strcmp(got, table[i].expected) != 0))
			fail_msg("%s: %s", table[i].word, got ? got : "none");
	}
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(nearest_word(longest, words));
	assert_null(nearest_word("run", (const char *const[]){NULL}));
}

/* The help names every option that parsing knows. */
static void test_help(void **state)
{
	static const char *const names[] = {
		"--name ",
		"--disk-size ",
		"--ephemeral\n",
		"--user-data ",
		"-p ",
		"--quiet\n",
		"--kernel ",
		"--initrd ",
		"--append ",
		"--cpus ",
		"--memory ",
		"--disk ",
		"--net ",
		"--console ",
		"--virtio-console\n",
		"--rng\n",
		"--kernel-entry ",
		"--no-reboot\n",
		"--stats\n",
		"--kvm ",
	};
	static char text[8192];
	int out = dup(STDOUT_FILENO), fd[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	fflush(stdout);
	assert_true(dup2(fd[1], STDOUT_FILENO) >= 0);
	config_print_help();
	fflush(stdout);
	assert_true(dup2(out, STDOUT_FILENO) >= 0);
	close(out);
	close(fd[1]);
	n = read(fd[0], text, sizeof(text) - 1);
	close(fd[0]);
	assert_true(n > 0);
	for (size_t i = 0; i < N(names); i++)
		if (!strstr(text, names[i]))
			fail_msg("help does not name %s", names[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),        cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_option), cmocka_unit_test(test_values),
		cmocka_unit_test(test_sentences),    cmocka_unit_test(test_image),
		cmocka_unit_test(test_too_many),     cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
