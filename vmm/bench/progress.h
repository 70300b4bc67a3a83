/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_PROGRESS_H
#define VMM_BENCH_PROGRESS_H

/*
 * One line on standard error that says how far a bench is, where that is a terminal; elsewhere
 * nothing. Clear it before anything else is printed.
 */
void progress_begin(unsigned steps);

/* Step @done + 1 is this. */
void progress_step(unsigned done, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Draws it anew, with the time that has passed. */
void progress_draw(void);

void progress_clear(void);

#endif
