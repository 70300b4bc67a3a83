/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The options of `skiff run`: one table, which parsing and help both read. Main thread, before
 * anything is built; opens nothing. Every complaint names the option and says what it takes.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config.h"
#include "vmm/log.h"
#include "vmm/nearest.h"
#include "vmm/size.h"

#define CPUS_MAX   64
#define MEMORY_MIN (2ull << 20)
#define MEMORY_MAX (1ull << 52) /* the widest physical address of x86-64 and arm64 */
#define PAGE       4096u

static int set_cpus(struct config *c, const char *arg)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (!isdigit((unsigned char)*arg) || *end || errno || n < 1 || n > CPUS_MAX)
		return log_fail(-EINVAL, "--cpus: %s: give a number from 1 to %d", arg, CPUS_MAX);
	c->cpus = (unsigned)n;
	return 0;
}

static int set_memory(struct config *c, const char *arg)
{
	if (size_parse(arg, &c->memory) < 0)
		return log_fail(-EINVAL,
				"--memory: %s: give a size such as 512M or 2G (K, M, G and T are "
				"powers of 1024)",
				arg);
	if (c->memory < MEMORY_MIN)
		return log_fail(-EINVAL,
				"--memory: %s: too little for any guest: give 2M or more%s", arg,
				isdigit((unsigned char)arg[strlen(arg) - 1])
					? " (a number without a unit is bytes)"
					: "");
	if (c->memory > MEMORY_MAX)
		return log_fail(-EINVAL,
				"--memory: %s: more than a processor can address: give less", arg);
	if (c->memory % PAGE)
		return log_fail(-EINVAL, "--memory: %s: not a multiple of 4K", arg);
	return 0;
}

static int set_entry(struct config *c, const char *arg)
{
	if (strcmp(arg, "auto") == 0)
		c->kernel_entry = IMAGE_AUTO;
	else if (strcmp(arg, "direct") == 0)
		c->kernel_entry = IMAGE_DIRECT;
	else if (strcmp(arg, "bzimage") == 0)
		c->kernel_entry = IMAGE_BZIMAGE;
	else
		return log_fail(-EINVAL, "--kernel-entry: %s: give auto, direct or bzimage", arg);
	return 0;
}

static int set_console(struct config *c, const char *arg)
{
	if (strcmp(arg, "stdio") != 0 && strcmp(arg, "null") != 0 &&
	    (strncmp(arg, "file:", 5) != 0 || arg[5] == '\0'))
		return log_fail(-EINVAL, "--console: %s: give stdio, null or file:PATH", arg);
	c->console = arg;
	return 0;
}

static int add_disk(struct config *c, const char *arg)
{
	if (c->n_disks == CONFIG_DISKS_MAX)
		return log_fail(-EINVAL, "--disk: %s: more than %d disks", arg, CONFIG_DISKS_MAX);
	c->disk[c->n_disks++] = arg;
	return 0;
}

static int add_net(struct config *c, const char *arg)
{
	if (c->n_nets == CONFIG_NETS_MAX)
		return log_fail(-EINVAL, "--net: %s: more than %d networks", arg, CONFIG_NETS_MAX);
	c->net[c->n_nets++] = arg;
	return 0;
}

static int add_publish(struct config *c, const char *arg)
{
	if (c->n_publish == CONFIG_PUBLISH_MAX)
		return log_fail(-EINVAL, "-p: %s: more than %d ports", arg, CONFIG_PUBLISH_MAX);
	c->publish[c->n_publish++] = arg;
	return 0;
}

static int set_disk_size(struct config *c, const char *arg)
{
	if (size_parse(arg, &c->disk_size) < 0 || !c->disk_size || c->disk_size % 512)
		return log_fail(
			-EINVAL,
			"--disk-size: %s: give a size such as 20G (a multiple of 512 bytes)", arg);
	return 0;
}

static int set_image_format(struct config *c, const char *arg)
{
	if (strcmp(arg, "raw") != 0 && strcmp(arg, "qcow2") != 0)
		return log_fail(-EINVAL, "--format: %s: raw and qcow2 are known", arg);
	c->image_format = arg;
	return 0;
}

static int set_cloud_init(struct config *c, const char *arg)
{
	if (strcmp(arg, "on") != 0 && strcmp(arg, "off") != 0)
		return log_fail(-EINVAL, "--cloud-init: %s: give on or off", arg);
	c->no_cloud_init = arg[1] == 'f';
	return 0;
}

struct option {
	const char *name;
	const char *arg; /* what it takes, for help; NULL: nothing */
	const char *help;
	int (*set)(struct config *c, const char *arg);
	size_t field;     /* without `set`: of a const char *, or of an int that becomes 1 */
	uint8_t of_image; /* makes sense only with an image */
};

#define FIELD(f)    .field = offsetof(struct config, f)
#define OF_IMAGE(f) FIELD(f), .of_image = 1

static const struct option options[] = {
	{"--name", "NAME", "the machine's name (default: made from the image's)", OF_IMAGE(name)},
	{"--disk-size", "SIZE",
	 "the machine's disk (default 20G, or the image's size if that is more); grows, never shrinks",
	 .set = set_disk_size, .of_image = 1},
	{"--ephemeral", NULL, "keep nothing of the machine when it ends", OF_IMAGE(ephemeral)},
	{"--format", "raw|qcow2", "what kind of file the image is", .set = set_image_format,
	 .of_image = 1},
	{"--user-data", "FILE", "cloud-init's user-data, in place of what is made here",
	 OF_IMAGE(user_data)},
	{"--meta-data", "FILE", "cloud-init's meta-data, likewise", OF_IMAGE(meta_data)},
	{"--network-config", "FILE", "cloud-init's network-config (default: DHCP)",
	 OF_IMAGE(network_config)},
	{"--vendor-data", "FILE", "cloud-init's vendor-data", OF_IMAGE(vendor_data)},
	{"--cloud-init", "on|off", "off: no seed disk", .set = set_cloud_init, .of_image = 1},
	{"--user", "NAME", "the user that is made in the guest (default: you)", OF_IMAGE(user)},
	{"--password", NULL, "ask for that user's password, for the console", OF_IMAGE(password)},
	{"--quiet", NULL, "no status line: the console is shown from the start", OF_IMAGE(quiet)},
	{"--boot-report", NULL, "print at the end when each stage of the boot was reached",
	 OF_IMAGE(boot_report)},
	{"-p", "[ADDR:]PORT:PORT[/udp]",
	 "a port of this host (127.0.0.1 unless ADDR says otherwise) leads to the guest's",
	 .set = add_publish},
	{"--cpus", "N", "vCPUs, 1 to 64 (default 1)", .set = set_cpus},
	{"--memory", "SIZE", "guest RAM (default 512M, with an image 1G)", .set = set_memory},
	{"--kernel", "FILE",
	 "Linux bzImage (x86-64), Image (arm64) or ELF vmlinux with a PVH note; with an image: in "
	 "place of the one in it",
	 FIELD(kernel)},
	{"--initrd", "FILE", "initial RAM disk", FIELD(initrd)},
	{"--append", "STRING",
	 "kernel command line; replaces the default one, is added to an image's own",
	 FIELD(append)},
	{"--disk",
	 "path=FILE[,format=raw|qcow2][,backing=on|FILE][,ro][,serial=S][,direct=on][,queues=N]",
	 "image or block device as the next virtio disk; fd=N in place of path", .set = add_disk},
	{"--net", "user|tap,name=IF|stream,path=SOCK|switch,path=SOCK",
	 "virtio network card; user takes [,mac=M][,hostfwd=tcp|udp:[ADDR]:PORT-[ADDR]:PORT]...",
	 .set = add_net},
	{"--console", "stdio|null|file:PATH",
	 "where the serial port goes (default stdio; Ctrl-] x quits)", .set = set_console},
	{"--virtio-console", NULL, "a virtio console, hvc0, beside the serial port",
	 FIELD(virtio_console)},
	{"--rng", NULL, "a virtio entropy source (with an image always)", FIELD(rng)},
	{"--kernel-entry", "auto|direct|bzimage",
	 "unpack the kernel on the host, or let it unpack itself (default auto)", .set = set_entry},
	{"--no-reboot", NULL, "end with 0 where the guest would reboot", FIELD(no_reboot)},
	{"--stats", NULL, "print exits, times and memory at the end", FIELD(stats)},
	{"--kvm", "PATH", "KVM's device (default /dev/kvm)", FIELD(kvm_path)},
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static int unknown(const char *word)
{
	const char *names[N_OPTIONS + 1] = {NULL};
	const char *near;
	char name[64];

	/* Nothing is near a name of one letter. */
	for (size_t i = 0, n = 0; i < N_OPTIONS; i++)
		if (strlen(options[i].name) > 2)
			names[n++] = options[i].name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	near = nearest_word(name, names);
	if (near)
		return log_fail(-EINVAL, "run: %s: no such option: did you mean %s?", word, near);
	return log_fail(-EINVAL, "run: %s: no such option: see `skiff help run`", word);
}

/* The option that @word names, which may go on with `=VALUE`. */
static const struct option *find(const char *word, const char **value)
{
	size_t len = strcspn(word, "=");

	for (size_t i = 0; i < N_OPTIONS; i++) {
		if (strlen(options[i].name) != len || strncmp(word, options[i].name, len) != 0)
			continue;
		*value = word[len] == '=' ? word + len + 1 : NULL;
		return &options[i];
	}
	return NULL;
}

static int apply(const struct option *o, const char *value, struct config *c)
{
	void *field = (char *)c + o->field;

	if (o->set)
		return o->set(c, value);
	if (o->arg)
		*(const char **)field = value;
	else
		*(int *)field = 1;
	return 0;
}

static int set_image(struct config *c, const char *word)
{
	if (c->image)
		return log_fail(-EINVAL, "run: %s: an image is named already: %s", word, c->image);
	c->image = word;
	return 0;
}

/* What options mean together. @of_image: one that is for images, or NULL. */
static int check_whole(struct config *c, const struct option *of_image)
{
	if (!c->memory)
		c->memory = c->image ? CONFIG_IMAGE_MEMORY : CONFIG_MEMORY;
	if (!c->image && of_image)
		return log_fail(-EINVAL, "%s: only with an image: name one, such as ubuntu:24.04",
				of_image->name);
	if (!c->image && !c->kernel)
		return log_fail(-EINVAL,
				"run: nothing to boot: name an image (ubuntu:24.04 or ./disk.img) "
				"or give --kernel FILE");
	if (c->image && c->initrd && !c->kernel)
		return log_fail(-EINVAL,
				"--initrd: %s: give --kernel FILE too, which it belongs to",
				c->initrd);
	if (c->user_data && (c->user || c->password))
		return log_fail(-EINVAL,
				"--user-data: %s: says itself who the users are: leave --user and "
				"--password out",
				c->user_data);
	if (c->no_cloud_init && (c->user_data || c->meta_data || c->network_config ||
				 c->vendor_data || c->password || c->user))
		return log_fail(-EINVAL, "--cloud-init: off: what else is said for cloud-init "
					 "would be lost: leave one of them out");
	return 0;
}

int config_parse(int argc, char **argv, struct config *c)
{
	const struct option *of_image = NULL;

	*c = (struct config){
		.cpus = 1,
		.console = "stdio",
		.kernel_entry = IMAGE_AUTO,
		.kernel_fd = -1,
		.initrd_fd = -1,
	};
	for (int i = 0; i < argc; i++) {
		const char *value, *ignored;
		const struct option *o = find(argv[i], &value);
		int r;

		if (!o) {
			r = argv[i][0] == '-' ? unknown(argv[i]) : set_image(c, argv[i]);
			if (r < 0)
				return r;
			continue;
		}
		if (!o->arg && value)
			return log_fail(-EINVAL, "%s: takes no value", o->name);
		/* An option's name where a value belongs is a value forgotten. */
		if (o->arg && !value && (++i == argc || find(argv[i], &ignored)))
			return log_fail(-EINVAL, "%s: give %s", o->name, o->arg);
		r = apply(o, o->arg && !value ? argv[i] : value, c);
		if (r < 0)
			return r;
		if (o->of_image && !of_image)
			of_image = o;
	}
	return check_whole(c, of_image);
}

static void print_options(int of_image)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (options[i].of_image == of_image)
			printf("  %s%s%s\n          %s\n", options[i].name,
			       options[i].arg ? " " : "", options[i].arg ? options[i].arg : "",
			       options[i].help);
}

void config_print_help(void)
{
	puts("usage: skiff run IMAGE [OPTION]...\n"
	     "       skiff run --kernel FILE [OPTION]...\n"
	     "\n"
	     "Boots a cloud image, which is a file or a name such as ubuntu:24.04 (`skiff image ls\n"
	     "--available` lists names), with the kernel that is in it, as a machine that keeps its\n"
	     "changes; or a Linux kernel alone. Sizes take K, M, G and T.\n"
	     "\n"
	     "With an image:\n");
	print_options(1);
	puts("\nWith or without one:\n");
	print_options(0);
	puts("\n"
	     "Exit status: 0 the guest powered off (or rebooted, with --no-reboot), 2 the command, its\n"
	     "files or this host do not allow it and nothing was started, 3 the guest ended in a\n"
	     "triple fault, 1 this host failed under way.");
}
