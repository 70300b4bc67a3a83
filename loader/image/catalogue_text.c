/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file loader/image/catalogue.txt as bytes of the program, so that one file is installed. The
 * assembler looks for it from the top of the tree, where make runs.
 */
#include "loader/image/catalogue.h"

__asm__(".pushsection .rodata\n"
	".globl catalogue_text, catalogue_text_end\n"
	"catalogue_text:\n"
	".incbin \"loader/image/catalogue.txt\"\n"
	"catalogue_text_end:\n"
	".byte 0\n"
	".popsection\n");
