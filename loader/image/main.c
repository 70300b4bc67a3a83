/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * skiff-image: the program that fetches images and looks into them, so that the one in which a
 * guest runs need not. People call it as `skiff image`, which is this program in that one's place.
 * Its commands are in rooms of their own.
 */
#include <stdio.h>
#include <string.h>

#include "loader/image/boot.h"
#include "loader/image/disk_file.h"
#include "loader/image/inspection.h"
#include "loader/image/pull.h"
#include "loader/image/shelf.h"
#include "vmm/command.h"
#include "vmm/log.h"

#define PROGRAM "skiff image"

enum { EXIT_OK = 0, EXIT_HOST = 1, EXIT_USAGE = 2 };

static int cmd_help(int argc, char **argv);

static const struct command commands[] = {
	{"pull", pull_main, pull_help, "fetch a published image: skiff image pull ubuntu:24.04"},
	{"ls", shelf_ls, shelf_ls_help, "list what is here, or what there is with --available"},
	{"rm", shelf_rm, shelf_rm_help, "take images away"},
	{"inspect", inspection_main, inspection_help, "tell what an image is"},
	{"create", disk_file_create, disk_file_create_help, "make a file that holds a disk"},
	{"info", disk_file_info, disk_file_info_help, "tell what such a file says of itself"},
	{"check", disk_file_check, disk_file_check_help, "look for damage in a qcow2 file"},
	{"resize", disk_file_resize, disk_file_resize_help, "make the disk in a file larger"},
	{"help", cmd_help, NULL, "explain a command: skiff image help pull"},
	{NULL, NULL, NULL, NULL},
};

static void print_usage(FILE *out)
{
	command_list(commands, PROGRAM, out);
	fprintf(out,
		"\nImages are kept once for all machines, in ~/.local/share/skiff/images\n"
		"($XDG_DATA_HOME/skiff/images). Names come from a catalogue that is built in and from\n"
		"your own, ~/.config/skiff/catalogue: `NAME ARCH FORMAT URL [sha256=LIST]` a line.\n");
}

static int cmd_help(int argc, char **argv)
{
	const struct command *command;

	if (argc == 0) {
		print_usage(stdout);
		return EXIT_OK;
	}
	command = command_find(commands, PROGRAM, argv[0]);
	if (!command)
		return EXIT_USAGE;
	if (command->help)
		command->help();
	else
		print_usage(stdout);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	const struct command *command;
	int status;

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (command_is_help(argv[1]))
		return cmd_help(0, NULL);
	/* Not for people: skiff starts it with descriptors. */
	if (strcmp(argv[1], "boot") == 0)
		return image_boot_main(argc - 2, argv + 2);
	command = command_find(commands, PROGRAM, argv[1]);
	if (!command)
		return EXIT_USAGE;
	for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (command_is_help(argv[i]))
			return cmd_help(1, argv + 1);
	status = command->run(argc - 2, argv + 2);
	if ((fflush(stdout) || ferror(stdout)) && status == EXIT_OK) {
		log_line(LOG_ERROR, "image %s: cannot write the answer", command->name);
		status = EXIT_HOST;
	}
	return status;
}
