/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program: its subcommands and their exit codes. Main thread. Everything else is in a room of
 * its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/check.h"
#include "vmm/companion.h"
#include "vmm/config.h"
#include "vmm/launch.h"
#include "vmm/log.h"
#include "vmm/machine.h"
#include "vmm/nearest.h"
#include "vmm/stats.h"

enum { EXIT_OK = 0, EXIT_HOST = 1, EXIT_USAGE = 2, EXIT_TRIPLE_FAULT = 3 };

static int cmd_run(int argc, char **argv);
static int cmd_check(int argc, char **argv);
static int cmd_image(int argc, char **argv);
static int cmd_bench(int argc, char **argv);
static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* arguments after the name */
	const char *summary;
} commands[] = {
	{"run", cmd_run, "boot a cloud image, or a kernel, in a virtual machine"},
	{"check", cmd_check, "say whether this host can run one, and what is missing"},
	{"image", cmd_image, "fetch published images and keep them: skiff image pull ubuntu:24.04"},
	{"bench", cmd_bench, "measure what a virtual machine costs against a container"},
	{"version", cmd_version, "print the version"},
	{"help", cmd_help, "explain a command: skiff help run"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[N_COMMANDS + 1] = {NULL};
	const char *near;

	for (size_t i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i].name;
	near = nearest_word(name, names);
	if (near)
		log_line(LOG_ERROR, "%s: no such command: did you mean `skiff %s`?", name, near);
	else
		log_line(LOG_ERROR, "%s: no such command: see `skiff help`", name);
	return EXIT_USAGE;
}

static void print_usage(FILE *out)
{
	fprintf(out, "usage: skiff COMMAND [OPTION]...\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\nTry: skiff check; skiff run ubuntu:24.04 -p 2222:22\n");
}

static int is_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static int exit_status(enum machine_end end)
{
	switch (end) {
	case MACHINE_POWER_OFF:
	case MACHINE_RESET: /* --no-reboot */
	case MACHINE_QUIT:
		return EXIT_OK;
	case MACHINE_TRIPLE_FAULT:
		log_line(LOG_ERROR, "the guest ended in a triple fault (as it does after "
				    "reboot=t, or when it destroys its own tables)");
		return EXIT_TRIPLE_FAULT;
	default:
		return EXIT_HOST;
	}
}

static int cmd_run(int argc, char **argv)
{
	uint64_t start_ns = machine_now_ns();
	struct config config;
	struct launch *launch;
	struct machine m;
	int status = EXIT_USAGE;

	for (int i = 0; i < argc; i++) {
		if (is_help(argv[i])) {
			config_print_help();
			return EXIT_OK;
		}
	}
	if (config_parse(argc, argv, &config) < 0 || launch_prepare(&config, start_ns, &launch) < 0)
		return EXIT_USAGE;
	if (machine_create(&m, launch_config(launch), start_ns) == 0 &&
	    launch_started(launch) == 0) {
		status = exit_status(machine_run(&m));
		if (config.stats)
			stats_print(&m);
	}
	machine_destroy(&m);
	launch_end(launch);
	/* All is put away: now it may have the effect that whoever sent it waits for. */
	if (m.signal)
		raise(m.signal);
	return status;
}

static int cmd_check(int argc, char **argv)
{
	return check_main(argc, argv);
}

/* The companion takes this process's place: signals and terminal are its own. */
static int become(const char *what, const char *program, int argc, char **argv)
{
	char path[PATH_MAX], **args;

	if (companion_find(what, program, path, sizeof(path)))
		return EXIT_HOST;
	args = calloc((size_t)argc + 2, sizeof(*args));
	if (args) {
		args[0] = path;
		memcpy(args + 1, argv, (size_t)argc * sizeof(*args));
		execv(path, args);
	}
	log_line(LOG_ERROR, "%s: %s: cannot start it: %s", what, path, strerror(errno));
	free(args);
	return EXIT_HOST;
}

static int cmd_image(int argc, char **argv)
{
	return become("image", "skiff-image", argc, argv);
}

static int cmd_bench(int argc, char **argv)
{
	return become("bench", "skiff-bench", argc, argv);
}

static int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("skiff " SKIFF_VERSION);
	return EXIT_OK;
}

static int cmd_help(int argc, char **argv)
{
	if (argc == 0) {
		print_usage(stdout);
		return EXIT_OK;
	}
	if (!find(argv[0]))
		return unknown_command(argv[0]);
	if (strcmp(argv[0], "run") == 0)
		config_print_help();
	else if (strcmp(argv[0], "check") == 0)
		return check_main(1, (char *[]){"--help", NULL});
	else if (strcmp(argv[0], "image") == 0)
		return cmd_image(argc > 1 ? 2 : 1, (char *[]){"help", argc > 1 ? argv[1] : NULL});
	else if (strcmp(argv[0], "bench") == 0)
		return cmd_bench(1, (char *[]){"--help"});
	else
		printf("usage: skiff %s\n\n%s\n", argv[0], find(argv[0])->summary);
	return EXIT_OK;
}

/* What the shell has closed would be the number of the next file that is opened. */
static void open_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const struct command *command;

	open_standard_files();

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (is_help(argv[1]))
		return cmd_help(0, NULL);
	if (strcmp(argv[1], "--version") == 0)
		return cmd_version(0, NULL);
	command = find(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	return command->run(argc - 2, argv + 2);
}
