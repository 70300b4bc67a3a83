/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a guest's console for the signs of its boot: lines without their escape sequences, looked
 * up in a table. A pure computation on whatever thread calls; knows neither terminals nor clocks.
 */
#include "vmm/boot_watch.h"

#include <string.h>

#define ESC 0x1b

/* Where a sequence ends (ECMA-48): ESC and one byte, CSI at 0x40..0x7e, OSC at BEL or ESC. */
enum { TEXT, AFTER_ESC, IN_CSI, IN_OSC };

static const char *const names[BOOT_STAGES] = {
	[BOOT_NONE] = "process",
	[BOOT_IMAGE] = "image",
	[BOOT_ENTERED] = "entered",
	[BOOT_FIRST_BYTE] = "first byte",
	[BOOT_KERNEL] = "kernel",
	[BOOT_INITRAMFS] = "initramfs",
	[BOOT_INIT] = "init",
	[BOOT_CLOUD_LOCAL] = "cloud-init local",
	[BOOT_CLOUD_NETWORK] = "cloud-init network",
	[BOOT_CLOUD_CONFIG] = "cloud-init config",
	[BOOT_CLOUD_FINAL] = "cloud-init final",
	[BOOT_CLOUD_DONE] = "cloud-init done",
	[BOOT_LOGIN] = "login",
};

/* What a line holds, and, if that is not enough, what else it holds. */
static const struct sign {
	enum boot_stage stage;
	const char *words, *also;
} signs[] = {
	{BOOT_KERNEL, "Linux version ", NULL},
	{BOOT_INITRAMFS, "Run /init as init process", NULL},
	{BOOT_INITRAMFS, "Loading, please wait", NULL}, /* initramfs-tools, also when quiet */
	{BOOT_INIT, "systemd[1]: systemd ", " running in system mode"},
	{BOOT_INIT, "Welcome to ", NULL},
	{BOOT_INIT, "OpenRC ", " is starting up"},
	{BOOT_CLOUD_LOCAL, "Cloud-init v. ", " running 'init-local'"},
	{BOOT_CLOUD_NETWORK, "Cloud-init v. ", " running 'init'"},
	{BOOT_CLOUD_CONFIG, "Cloud-init v. ", " running 'modules:config'"},
	{BOOT_CLOUD_FINAL, "Cloud-init v. ", " running 'modules:final'"},
	{BOOT_CLOUD_DONE, "Cloud-init v. ", " finished at "},
};

/* The words, and whether the line begins with them. */
static const struct {
	const char *words;
	int first;
} troubles[] = {
	{"Kernel panic - not syncing", 0},
	{"You are in emergency mode", 1},
	{"Give root password for maintenance", 1},
	{"ALERT!", 1}, /* initramfs-tools */
};

const char *boot_stage_name(enum boot_stage stage)
{
	return names[stage];
}

void boot_watch_reached(struct boot_watch *w, enum boot_stage stage, uint64_t now_ns)
{
	if (w->at_ns[stage])
		return;
	w->at_ns[stage] = now_ns;
	w->last = stage;
}

static unsigned reached(struct boot_watch *w, enum boot_stage stage, uint64_t now_ns)
{
	unsigned fresh = !w->at_ns[stage];

	boot_watch_reached(w, stage, now_ns);
	return fresh;
}

static unsigned look_for_trouble(struct boot_watch *w)
{
	if (w->trouble[0])
		return 0;
	for (unsigned i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
		const char *at = strstr(w->line, troubles[i].words);
		size_t len;

		if (!at || (troubles[i].first && at != w->line))
			continue;
		len = strlen(at);
		if (len >= sizeof(w->trouble))
			len = sizeof(w->trouble) - 1;
		memcpy(w->trouble, at, len);
		w->trouble[len] = '\0';
		return 1;
	}
	return 0;
}

static unsigned line_ended(struct boot_watch *w, uint64_t now_ns)
{
	unsigned n = 0;

	w->line[w->len] = '\0';
	for (unsigned i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		const char *at = strstr(w->line, signs[i].words);

		if (at && (!signs[i].also || strstr(at, signs[i].also)))
			n += reached(w, signs[i].stage, now_ns);
	}
	n += look_for_trouble(w);
	w->len = 0;
	return n;
}

/* A prompt is a line that has not ended. */
static unsigned look_for_prompt(struct boot_watch *w, uint64_t now_ns)
{
	static const char login[] = " login: ", shell[] = "(initramfs) ",
			  no_root[] = "a shell in the initramfs: no root file system";

	w->line[w->len] = '\0';
	if (w->len >= sizeof(login) - 1 && !strcmp(w->line + w->len - (sizeof(login) - 1), login))
		return reached(w, BOOT_LOGIN, now_ns);
	if (!w->trouble[0] && !strcmp(w->line, shell)) {
		memcpy(w->trouble, no_root, sizeof(no_root));
		return 1;
	}
	return 0;
}

/* Whether @c is text; escape sequences and other control characters are passed over. */
static int is_text(struct boot_watch *w, uint8_t c)
{
	switch (w->escape) {
	case AFTER_ESC:
		w->escape = c == '[' ? IN_CSI : c == ']' ? IN_OSC : TEXT;
		return 0;
	case IN_CSI:
		if (c >= 0x40 && c <= 0x7e)
			w->escape = TEXT;
		return 0;
	case IN_OSC:
		if (c == '\a' || c == '\n')
			w->escape = TEXT;
		else if (c == ESC)
			w->escape = AFTER_ESC;
		return 0;
	default:
		if (c == ESC)
			w->escape = AFTER_ESC;
		return c >= ' ' && c < 0x7f; /* what is told of it is printed */
	}
}

unsigned boot_watch_bytes(struct boot_watch *w, const uint8_t *bytes, size_t len, uint64_t now_ns)
{
	unsigned n = len > 0 ? reached(w, BOOT_FIRST_BYTE, now_ns) : 0;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n')
			n += line_ended(w, now_ns);
		/* A line that is longer than any sign is cut. */
		else if (is_text(w, bytes[i]) && w->len < BOOT_WATCH_LINE)
			w->line[w->len++] = (char)bytes[i];
	}
	return n + look_for_prompt(w, now_ns);
}
