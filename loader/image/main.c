/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * skiff-image: the program that looks at what strangers made, so that skiff need not. Started by
 * skiff for one command at a time; the commands are in rooms of their own.
 */
#include <string.h>

#include "loader/image/boot.h"
#include "vmm/log.h"

enum { EXIT_USAGE = 2 };

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "boot"))
		return image_boot_main(argc - 2, argv + 2);
	log_line(LOG_ERROR, "image: %s: no such command", argc > 1 ? argv[1] : "");
	return EXIT_USAGE;
}
