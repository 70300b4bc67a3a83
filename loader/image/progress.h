/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOADER_IMAGE_PROGRESS_H
#define LOADER_IMAGE_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

/*
 * One line on a terminal that says how far a transfer is:
 *
 *   ubuntu:24.04   43% [#########            ]  255.1 MiB of 593.2 MiB  11.3 MiB/s  0:31 left
 *
 * Drawn over itself about five times a second, in plain ASCII without escape sequences, as wide as
 * the terminal is at that moment; the bar goes first where there is little room, then the rest
 * from the right. Nothing is written where there is no terminal.
 */
#define PROGRESS_WIDTH_MAX 200

struct progress {
	int fd;            /* of the terminal; -1: nothing is drawn */
	const char *name;  /* what is fetched */
	char note[64];     /* shown in place of rate and time; "" for none */
	uint64_t done;     /* bytes that are here */
	uint64_t total;    /* 0: unknown */
	uint64_t drawn_ns; /* when it was last drawn; 0: never */
	uint64_t rated_ns; /* when rate was last looked at */
	uint64_t rated_at; /* `done` at that time */
	double rate;       /* bytes a second, smoothed over a few seconds */
	unsigned columns;  /* that the line on the screen takes */
};

/* @fd is drawn on if it is a terminal. @name lives as long as the progress. */
void progress_start(struct progress *p, int fd, const char *name);

/* @done bytes of @total are here. They did not all come just now: the rate starts from here. */
void progress_from(struct progress *p, uint64_t done, uint64_t total);

/* As things stand; drawn if it is time. */
void progress_set(struct progress *p, uint64_t done);

/* What is done instead just now ("waiting to try again"), "" for nothing; drawn at once. */
void progress_note(struct progress *p, const char *note);

/* Leaves the line empty, for whatever is said next. */
void progress_end(struct progress *p);

/* The line as it is drawn, at most @width columns, without blanks at its end. */
void progress_line(const struct progress *p, unsigned width, char out[PROGRESS_WIDTH_MAX + 1]);

#endif
