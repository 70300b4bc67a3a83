/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BOOT_WATCH_H
#define VMM_BOOT_WATCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * How far a Linux guest's boot has come, told from what it says on its console. Pure: bytes and the
 * time go in, stages come out. A guest may say anything: what is told here is for people to read
 * and decides nothing.
 */
enum boot_stage {
	BOOT_NONE,
	BOOT_IMAGE,      /* kernel and initrd were found */
	BOOT_ENTERED,    /* the first vCPU was started */
	BOOT_FIRST_BYTE, /* the guest spoke */
	BOOT_KERNEL,     /* Linux */
	BOOT_INITRAMFS,
	BOOT_INIT, /* the init of the root file system */
	BOOT_CLOUD_LOCAL,
	BOOT_CLOUD_NETWORK,
	BOOT_CLOUD_CONFIG,
	BOOT_CLOUD_FINAL,
	BOOT_CLOUD_DONE,
	BOOT_LOGIN, /* a login prompt, which may well come before the two above */
	BOOT_STAGES,
};

#define BOOT_WATCH_LINE 200u

struct boot_watch {
	uint64_t at_ns[BOOT_STAGES]; /* when it was first reached; 0: not yet */
	enum boot_stage last;        /* the one reached last */
	char trouble[80];            /* "" or what the guest says it stopped at */
	/* Its own: */
	char line[BOOT_WATCH_LINE + 1];
	unsigned len;
	uint8_t escape; /* inside an escape sequence: its kind */
};

/* A stage was reached that is not told by the console. The first time counts. */
void boot_watch_reached(struct boot_watch *w, enum boot_stage stage, uint64_t now_ns);

/* The guest said @len bytes: how many stages were reached by them, trouble counting as one. */
unsigned boot_watch_bytes(struct boot_watch *w, const uint8_t *bytes, size_t len, uint64_t now_ns);

/* "kernel", "cloud-init network", ... */
const char *boot_stage_name(enum boot_stage stage);

#endif
