/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_INSPECTION_H
#define LOADER_IMAGE_INSPECTION_H

/* `skiff image inspect`: what is known of one image, or of a file. Its exit status. */
int inspection_main(int argc, char **argv);
void inspection_help(void);

#endif
