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
#include "vmm/clock.h"
#include "vmm/command.h"
#include "vmm/companion.h"
#include "vmm/config.h"
#include "vmm/launch.h"
#include "vmm/log.h"
#include "vmm/machine.h"
#include "vmm/stats.h"

enum { EXIT_OK = 0, EXIT_HOST = 1, EXIT_USAGE = 2, EXIT_TRIPLE_FAULT = 3 };

static int cmd_run(int argc, char **argv);
static int cmd_image(int argc, char **argv);
static int cmd_bench(int argc, char **argv);
static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static void help_check(void)
{
	check_main(1, (char *[]){"--help", NULL});
}

static void help_image(void)
{
	cmd_image(1, (char *[]){"help"});
}

static void help_bench(void)
{
	cmd_bench(1, (char *[]){"--help"});
}

static const struct command commands[] = {
	{"run", cmd_run, config_print_help,
	 "boot a cloud image, or a kernel, in a virtual machine"},
	{"check", check_main, help_check, "say whether this host can run one, and what is missing"},
	{"image", cmd_image, help_image,
	 "fetch published images and keep them: skiff image pull ubuntu:24.04"},
	{"bench", cmd_bench, help_bench,
	 "measure what a virtual machine costs against a container"},
	{"version", cmd_version, NULL, "print the version"},
	{"help", cmd_help, NULL, "explain a command: skiff help run"},
	{NULL, NULL, NULL, NULL},
};

static void print_usage(FILE *out)
{
	command_list(commands, "skiff", out);
	fprintf(out, "\nTry: skiff check; skiff run ubuntu:24.04 -p 2222:22\n");
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
	uint64_t start_ns = clock_now_ns();
	struct config config;
	struct launch *launch;
	struct machine m;
	int status = EXIT_USAGE;

	for (int i = 0; i < argc; i++) {
		if (command_is_help(argv[i])) {
			config_print_help();
			return EXIT_OK;
		}
	}
	/* A file that may not grow (ulimit -f) is a write that fails, and not the end of a machine.
	 */
	signal(SIGXFSZ, SIG_IGN);
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
	const struct command *command;

	if (argc == 0) {
		print_usage(stdout);
		return EXIT_OK;
	}
	command = command_find(commands, "skiff", argv[0]);
	if (!command)
		return EXIT_USAGE;
	/* skiff help image pull */
	if (argc > 1 && command->run == cmd_image)
		return cmd_image(2, (char *[]){"help", argv[1]});
	if (command->help)
		command->help();
	else
		printf("usage: skiff %s\n\n%s\n", command->name, command->summary);
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
	if (command_is_help(argv[1]))
		return cmd_help(0, NULL);
	if (strcmp(argv[1], "--version") == 0)
		return cmd_version(0, NULL);
	command = command_find(commands, "skiff", argv[1]);
	return command ? command->run(argc - 2, argv + 2) : EXIT_USAGE;
}
