/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CHECK_H
#define VMM_CHECK_H

/*
 * `skiff check`: says whether Linux can run on this host under this program and, if not, what
 * stands in the way and what to do. @argv holds the @argc arguments after the command's name.
 * Returns the exit status: 0 Linux can run, 1 it cannot, 2 wrong usage.
 */
int check_main(int argc, char **argv);

#endif
