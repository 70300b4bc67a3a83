/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * skiff-image: the program that fetches images and looks into them, so that the one in which a
 * guest runs need not. Its commands are in rooms of their own.
 */
#include <string.h>

#include "vmm/log.h"

enum { EXIT_USAGE = 2 };

int main(int argc, char **argv)
{
	log_line(LOG_ERROR, "image: %s: no such command", argc > 1 ? argv[1] : "");
	return EXIT_USAGE;
}
