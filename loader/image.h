/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_H
#define LOADER_IMAGE_H

#include <stdint.h>

#include "vmm/mem.h"

/*
 * What every loader hands back: a kernel that lies in guest RAM, and how to enter it. The
 * architecture turns this into registers and boot parameters; no loader knows of either.
 */
enum image_entry {
	IMAGE_LINUX64, /* x86 64-bit boot protocol: %rsi -> struct boot_params, identity-mapped */
	IMAGE_PVH,     /* x86 PVH: 32-bit flat, %ebx -> struct hvm_start_info */
	IMAGE_ARM64,   /* arm64 boot protocol: x0 -> FDT, MMU off */
};

enum image_arch {
	IMAGE_ARCH_X86_64,
	IMAGE_ARCH_ARM64,
};

/* The x86 setup header, bytes 0x1f1.. of a bzImage (Documentation/arch/x86/boot.rst). */
#define IMAGE_SETUP_HEADER_OFF 0x1f1
#define IMAGE_SETUP_HEADER_MAX 0x7f

struct image {
	enum image_entry kind;
	gpa_t entry;          /* where the first instruction lies */
	gpa_t start, end;     /* RAM that the kernel needs from the outset, bss included */
	gpa_t initrd_max;     /* the highest address an initrd's last byte may have */
	uint32_t cmdline_max; /* longest command line in bytes, without the NUL */
	uint8_t granule;      /* arm64 page size: 0 not said, 1 4 KiB, 2 16 KiB, 3 64 KiB */
	uint8_t kaslr;        /* the loader chose a random virtual base */
	uint8_t setup_len;    /* bytes of setup header below; 0 for formats without one */
	uint8_t setup[IMAGE_SETUP_HEADER_MAX];
};

enum image_mode {
	IMAGE_AUTO,    /* direct, and bzimage where the payload cannot be unpacked here */
	IMAGE_DIRECT,  /* the payload is unpacked on the host */
	IMAGE_BZIMAGE, /* the guest's own decompressor runs */
};

struct kernel_cache;

struct load_params {
	const char *path;     /* for messages */
	enum image_arch arch; /* what the machine is; a kernel for another one is refused */
	enum image_mode mode;
	int kaslr;           /* choose random bases (no `nokaslr` on the command line) */
	uint64_t initrd_len; /* room that a random base leaves for the initrd; 0 without one */
	struct kernel_cache *cache; /* of unpacked kernels; NULL: none is kept */
	/* Random 64-bit numbers; getrandom() in the program, a fixed sequence in tests. */
	uint64_t (*random)(void *arg);
	void *random_arg;
};

#endif
