/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The options of `skiff bench`: one table, which parsing and help both read. Before anything runs;
 * opens nothing.
 */
#include "vmm/bench/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/bench/container.h"
#include "vmm/bench/loads.h"
#include "vmm/log.h"
#include "vmm/nearest.h"
#include "vmm/size.h"

#define MIB ((uint64_t)1 << 20)

const char *const place_names[PLACE_KINDS] = {
	[PLACE_HOST] = "host",
	[PLACE_CONTAINER] = "container",
	[PLACE_VM] = "vm",
	[PLACE_QEMU] = "qemu",
};

static int set_number(const char *name, const char *arg, unsigned max, unsigned *to)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (!isdigit((unsigned char)*arg) || *end || errno || n < 1 || n > max)
		return log_fail(-EINVAL, "bench: %s: %s: give a number from 1 to %u", name, arg,
				max);
	*to = (unsigned)n;
	return 0;
}

static int set_runs(struct bench_options *o, const char *arg)
{
	return set_number("--runs", arg, FIGURES_MAX, &o->runs);
}

static int set_seconds(struct bench_options *o, const char *arg)
{
	return set_number("--seconds", arg, 600, &o->seconds);
}

static int set_cpus(struct bench_options *o, const char *arg)
{
	return set_number("--cpus", arg, 64, &o->cpus);
}

static int set_memory(struct bench_options *o, const char *arg)
{
	if (size_parse(arg, &o->memory) < 0 || o->memory % MIB)
		return log_fail(-EINVAL, "bench: --memory: %s: give a size such as 1G", arg);
	if (o->memory < 256 * MIB)
		return log_fail(-EINVAL,
				"bench: --memory: %s: too little for these loads: give "
				"256M or more",
				arg);
	return 0;
}

static int set_only(struct bench_options *o, const char *arg)
{
	o->loads = loads_select("bench: --only", arg);
	return o->loads ? 0 : -EINVAL;
}

/* The place that @arg names, or a negative number after a sentence. */
static int place_named(const char *name, const char *arg)
{
	for (int i = 0; i < PLACE_KINDS; i++)
		if (strcmp(arg, place_names[i]) == 0)
			return i;
	return log_fail(-EINVAL, "bench: %s: %s: give host, container, vm or qemu", name, arg);
}

static int set_with(struct bench_options *o, const char *arg)
{
	int place = place_named("--with", arg);

	if (place >= 0)
		o->places |= 1u << place;
	return place < 0 ? place : 0;
}

static int set_without(struct bench_options *o, const char *arg)
{
	int place = place_named("--without", arg);

	if (place >= 0)
		o->places &= ~(1u << place);
	return place < 0 ? place : 0;
}

static int set_kernel(struct bench_options *o, const char *arg)
{
	o->kernel = arg;
	return 0;
}

static int set_modules(struct bench_options *o, const char *arg)
{
	o->modules = arg;
	return 0;
}

static int set_dir(struct bench_options *o, const char *arg)
{
	o->dir = arg;
	return 0;
}

static int set_container(struct bench_options *o, const char *arg)
{
	o->container = arg;
	return container_known(arg)
		       ? 0
		       : log_fail(-EINVAL,
				  "bench: --container: %s: give crun, runc, podman or namespaces",
				  arg);
}

static int set_json(struct bench_options *o, const char *arg)
{
	o->json = arg;
	return 0;
}

static int set_chart(struct bench_options *o, const char *arg)
{
	o->chart = arg;
	return 0;
}

static int set_quick(struct bench_options *o, const char *arg)
{
	(void)arg;
	o->quick = 1;
	return 0;
}

static int set_list(struct bench_options *o, const char *arg)
{
	(void)arg;
	o->list = 1;
	return 0;
}

static int set_help(struct bench_options *o, const char *arg)
{
	(void)arg;
	o->help = 1;
	return 0;
}

struct option {
	const char *name;
	const char *arg; /* what it takes, for help; NULL: nothing */
	int (*set)(struct bench_options *o, const char *arg);
	const char *help;
};

static const struct option options[] = {
	{"--runs", "N", set_runs, "how often everything is measured (default 5)"},
	{"--only", "LOAD[,LOAD]...", set_only,
	 "some of cpu, memory, threads, mutex, fileio, fio, tcp (default all)"},
	{"--quick", NULL, set_quick,
	 "one second a load and small files: a look, not a measurement"},
	{"--seconds", "N", set_seconds, "how long a load runs (default 5, with --quick 1)"},
	{"--cpus", "N", set_cpus, "processors, for every place (default 1)"},
	{"--memory", "SIZE", set_memory, "memory of the container and of the VM (default 1G)"},
	{"--with", "qemu", set_with, "measure QEMU too, with the same kernel and disk"},
	{"--without", "host|container|vm", set_without, "leave a place out"},
	{"--container", "crun|runc|podman|namespaces", set_container,
	 "what makes the container (default: the first of these that works)"},
	{"--kernel", "FILE", set_kernel, "the guest's kernel (default: the one that runs here)"},
	{"--modules", "DIR|none", set_modules,
	 "its modules (default /lib/modules/RELEASE; none: its virtio and ext4 are built in)"},
	{"--dir", "DIR", set_dir,
	 "where files and images lie while it runs (default $TMPDIR, else /var/tmp)"},
	{"--json", "FILE|-", set_json, "write everything as JSON; - is standard output"},
	{"--chart", "DIR", set_chart, "draw DIR/bench.svg and DIR/bench.png (needs gnuplot)"},
	{"--list", NULL, set_list, "name the loads with their commands, and run nothing"},
	{"--help", NULL, set_help, "this"},
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static int unknown(const char *word)
{
	const char *names[N_OPTIONS + 1] = {NULL};
	const char *near;
	char name[64];

	for (size_t i = 0; i < N_OPTIONS; i++)
		names[i] = options[i].name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	near = nearest_word(name, names);
	if (word[0] == '-' && near)
		return log_fail(-EINVAL, "bench: %s: no such option: did you mean %s?", word, near);
	return log_fail(-EINVAL, "bench: %s: no such option: see `skiff help bench`", word);
}

/* The option that @word names, which may go on with `=VALUE`. */
static const struct option *find(const char *word, const char **value)
{
	size_t len = strcspn(word, "=");

	*value = word[len] == '=' ? word + len + 1 : NULL;
	if (strcmp(word, "-h") == 0)
		word = "--help", len = strlen(word);
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (strlen(options[i].name) == len && strncmp(word, options[i].name, len) == 0)
			return &options[i];
	return NULL;
}

static int check(const struct bench_options *o)
{
	if (o->places == 0)
		return log_fail(-EINVAL, "bench: --without: no place is left: leave one in");
	for (unsigned i = 0; i < n_loads; i++)
		if (o->loads >> i & 1 && loads[i].files != LOAD_NO_FILES &&
		    (uint64_t)o->size_mib * 3 * MIB > o->memory)
			return log_fail(-EINVAL,
					"bench: --memory: too little to hold files of %u MiB: "
					"give %uM or more, or --quick",
					o->size_mib, o->size_mib * 3);
	return 0;
}

int bench_options_parse(int argc, char **argv, struct bench_options *o)
{
	*o = (struct bench_options){
		.runs = 5,
		.cpus = 1,
		.memory = 1024 * MIB,
		.places = 1u << PLACE_HOST | 1u << PLACE_CONTAINER | 1u << PLACE_VM,
		.loads = (1u << n_loads) - 1,
	};
	for (int i = 0; i < argc; i++) {
		const char *value, *ignored;
		const struct option *opt = find(argv[i], &value);
		int r;

		if (!opt)
			return unknown(argv[i]);
		if (!opt->arg && value)
			return log_fail(-EINVAL, "bench: %s: takes no value", opt->name);
		/* An option's name where a value belongs is a value forgotten. */
		if (opt->arg && !value && (++i == argc || find(argv[i], &ignored)))
			return log_fail(-EINVAL, "bench: %s: give %s", opt->name, opt->arg);
		r = opt->set(o, opt->arg && !value ? argv[i] : value);
		if (r < 0)
			return r;
	}
	o->size_mib = o->quick ? 16 : 256;
	if (!o->seconds)
		o->seconds = o->quick ? 1 : 5;
	return o->help || o->list ? 0 : check(o);
}

void options_print_help(void)
{
	puts("usage: skiff bench [OPTION]...\n"
	     "\n"
	     "What does a virtual machine cost against a container? Runs the same programs on this\n"
	     "host, in a container and in a virtual machine, in turn, on the same number of\n"
	     "processors, and compares medians.\n");
	for (size_t i = 0; i < N_OPTIONS; i++)
		printf("  %s%s%s\n          %s\n", options[i].name, options[i].arg ? " " : "",
		       options[i].arg ? options[i].arg : "", options[i].help);
	puts("\n"
	     "The container and the guest have the same root file system, made of this host's own\n"
	     "programs and libraries. The container shares the host's network, the guest has\n"
	     "`--net user`. What the container may use of memory can only be limited by root.\n"
	     "\n"
	     "Exit status: 0 everything was measured, 1 something failed under way, 2 the options or\n"
	     "this host do not allow it and nothing was measured, 130 interrupted.");
}
