/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_PATIENCE_H
#define VMM_PATIENCE_H

#include <stdint.h>

/*
 * How a thread that serves others shares a processor with them. A thread that wakes up takes the
 * processor from the one that woke it: good while work comes piece by piece. Where it comes in
 * numbers the waker should go on to the end of what it has, so that there is one wake-up, and one
 * interrupt, for all of it. Which of the two it is shows in how much is found at once:
 *
 *	impatient --- several pieces, or after a while on trial ---> patient
 *	   ^                                                            |
 *	   +---------------- one piece at a time again -----------------+
 *
 * The trials are needed because a waker that is interrupted at its first piece never shows that it
 * had more. With a processor for each there is no difference.
 *
 * Used by the thread that it is about, and by no other.
 */
struct patience {
	uint8_t allowed; /* the user has chosen no scheduling policy of his own */
	uint8_t patient;
	unsigned left;    /* finds of one piece until it turns */
	uint64_t started; /* how often it turned patient; for --stats */
};

/* The calling thread's. It begins impatient. */
void patience_init(struct patience *p);

/* @n pieces of work of one kind were found at once; 0 says nothing. */
void patience_found(struct patience *p, unsigned n);

/* Impatient again: before the thread starts others, which would inherit it. */
void patience_end(struct patience *p);

#endif
