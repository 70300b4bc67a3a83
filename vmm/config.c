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
	if (config_parse_size(arg, &c->memory) < 0)
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

static int set_kernel(struct config *c, const char *arg)
{
	c->kernel = arg;
	return 0;
}

static int set_initrd(struct config *c, const char *arg)
{
	c->initrd = arg;
	return 0;
}

static int set_append(struct config *c, const char *arg)
{
	c->append = arg;
	return 0;
}

static int set_kvm(struct config *c, const char *arg)
{
	c->kvm_path = arg;
	return 0;
}

static int set_no_reboot(struct config *c, const char *arg)
{
	(void)arg;
	c->no_reboot = 1;
	return 0;
}

static int set_stats(struct config *c, const char *arg)
{
	(void)arg;
	c->stats = 1;
	return 0;
}

static int set_rng(struct config *c, const char *arg)
{
	(void)arg;
	c->rng = 1;
	return 0;
}

static int set_virtio_console(struct config *c, const char *arg)
{
	(void)arg;
	c->virtio_console = 1;
	return 0;
}

struct option {
	const char *name;
	const char *arg; /* what it takes, for help; NULL: nothing */
	int (*set)(struct config *c, const char *arg);
	const char *help;
};

static const struct option options[] = {
	{"--kernel", "FILE", set_kernel,
	 "Linux bzImage (x86-64), Image (arm64) or ELF vmlinux with a PVH note"},
	{"--initrd", "FILE", set_initrd, "initial RAM disk"},
	{"--append", "STRING", set_append, "kernel command line; replaces the default one"},
	{"--cpus", "N", set_cpus, "vCPUs, 1 to 64 (default 1)"},
	{"--memory", "SIZE", set_memory, "guest RAM (default 512M)"},
	{"--disk",
	 "path=FILE[,format=raw|qcow2][,backing=on][,ro][,serial=S][,direct=on][,queues=N]",
	 add_disk, "image or block device as the next virtio disk"},
	{"--net", "user|tap,name=IF|stream,path=SOCK|switch,path=SOCK", add_net,
	 "virtio network card; user takes [,mac=M][,hostfwd=tcp|udp:[ADDR]:PORT-[ADDR]:PORT]..."},
	{"--console", "stdio|null|file:PATH", set_console,
	 "where the serial port goes (default stdio; Ctrl-] x quits)"},
	{"--virtio-console", NULL, set_virtio_console,
	 "a virtio console, hvc0, beside the serial port"},
	{"--rng", NULL, set_rng, "a virtio entropy source"},
	{"--kernel-entry", "auto|direct|bzimage", set_entry,
	 "unpack the kernel on the host, or let it unpack itself (default auto)"},
	{"--no-reboot", NULL, set_no_reboot, "end with 0 where the guest would reboot"},
	{"--stats", NULL, set_stats, "print exits, times and memory at the end"},
	{"--kvm", "PATH", set_kvm, "KVM's device (default /dev/kvm)"},
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

int config_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	unsigned shift = 0;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	if (*end) {
		const char *u = strchr(units, toupper((unsigned char)*end));

		if (!u || end[1])
			return -EINVAL;
		shift = 10 * (unsigned)(u - units + 1);
	}
	if (n > UINT64_MAX >> shift)
		return -EINVAL;
	*bytes = (uint64_t)n << shift;
	return 0;
}

static int unknown(const char *word)
{
	const char *names[N_OPTIONS + 1] = {NULL};
	const char *near;
	char name[64];

	for (size_t i = 0; i < N_OPTIONS; i++)
		names[i] = options[i].name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	near = nearest_word(name, names);
	if (word[0] != '-')
		return log_fail(-EINVAL,
				"run: %s: not an option: to boot a kernel write "
				"`--kernel %s`",
				word, word);
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

int config_parse(int argc, char **argv, struct config *c)
{
	*c = (struct config){
		.cpus = 1,
		.memory = 512ull << 20,
		.console = "stdio",
		.kernel_entry = IMAGE_AUTO,
	};
	for (int i = 0; i < argc; i++) {
		const char *value, *ignored;
		const struct option *o = find(argv[i], &value);
		int r;

		if (!o)
			return unknown(argv[i]);
		if (!o->arg && value)
			return log_fail(-EINVAL, "%s: takes no value", o->name);
		/* An option's name where a value belongs is a value forgotten. */
		if (o->arg && !value && (++i == argc || find(argv[i], &ignored)))
			return log_fail(-EINVAL, "%s: give %s", o->name, o->arg);
		r = o->set(c, o->arg && !value ? argv[i] : value);
		if (r < 0)
			return r;
	}
	if (!c->kernel)
		return log_fail(-EINVAL, "run: no kernel: give --kernel FILE");
	return 0;
}

void config_print_help(void)
{
	puts("usage: skiff run --kernel FILE [OPTION]...\n"
	     "\n"
	     "Boots a Linux kernel in a virtual machine. Sizes take K, M, G and T.\n");
	for (size_t i = 0; i < N_OPTIONS; i++)
		printf("  %s%s%s\n          %s\n", options[i].name, options[i].arg ? " " : "",
		       options[i].arg ? options[i].arg : "", options[i].help);
	puts("\n"
	     "Exit status: 0 the guest powered off (or rebooted, with --no-reboot), 2 the command, its\n"
	     "files or this host do not allow it and nothing was started, 3 the guest ended in a\n"
	     "triple fault, 1 this host failed under way.");
}
