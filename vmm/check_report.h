/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CHECK_REPORT_H
#define VMM_CHECK_REPORT_H

#include <stdint.h>
#include <stdio.h>

/*
 * What `skiff check` found: a list of items in the order of the reader's interest, and a verdict
 * drawn from them. Linux can run if nothing is missing.
 */
enum check_state {
	CHECK_OK,
	CHECK_NOTE,    /* worth knowing; stops nothing */
	CHECK_MISSING, /* Linux cannot run without it */
};

struct check_item {
	const char *part; /* "kvm", "capability", "guest", "io_uring", "host"; static */
	char name[32];
	enum check_state state;
	char detail[512];
};

#define CHECK_ITEMS_MAX 64

struct check_report {
	struct check_item item[CHECK_ITEMS_MAX];
	unsigned n;
	/* For machines; empty or 0 where it could not be found out. */
	char arch[16];   /* as `uname -m` says it */
	char kernel[72]; /* the release */
	uint64_t cpus;
	uint64_t memory_total;     /* bytes */
	uint64_t memory_available; /* bytes */
};

/* Adds an item; a list that is full drops notes and never what is missing. */
void check_add(struct check_report *report, enum check_state state, const char *part,
	       const char *name, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* True if nothing is missing (and something was looked at). */
int check_can_run_linux(const struct check_report *report);

/* One sentence into @out[0..len): yes, or no and the first reason. */
void check_verdict(const struct check_report *report, char *out, size_t len);

/* Aligned lines and the verdict, for a person; @colour as escape sequences. */
void check_print_text(const struct check_report *report, FILE *f, int colour);

/* One JSON object; its keys are documented in `skiff check --help`. */
void check_print_json(const struct check_report *report, FILE *f);

#endif
