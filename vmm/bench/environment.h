/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_ENVIRONMENT_H
#define VMM_BENCH_ENVIRONMENT_H

/*
 * What a reader must know of the machine to judge figures: keys as in JSON, in the order in which
 * they are printed. What cannot be found out is "unknown".
 */
#define ENVIRONMENT_MAX 64

struct environment {
	struct {
		char key[40], value[160];
	} item[ENVIRONMENT_MAX];
	unsigned n;
};

struct bench;

/* Adds one; what does not fit is dropped or cut. Bytes that are no printable ASCII become `?`. */
void environment_add(struct environment *e, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The value of a key, or "unknown". */
const char *environment_value(const struct environment *e, const char *key);

/* Fills in what /proc, /sys and the tools of @b say. */
void environment_read(struct environment *e, const struct bench *b);

#endif
