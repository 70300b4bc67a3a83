/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LIB_CASES_H
#define TESTS_LIB_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After the above, which it needs. */
#include <cmocka.h>

/*
 * Named cases inside cmocka tests: a table's rows, a grid's points. case_begin() names what
 * follows; CHECK() fails the test with that name; cases_report() says how many there were, and is
 * the last thing that main() does.
 */
void case_begin(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *case_name(void);

#define CHECK(x)                                             \
	do {                                                 \
		if (!(x))                                    \
			fail_msg("%s: %s", case_name(), #x); \
	} while (0)

/* Prints `# N cases`, a comment in TAP; returns @failed. */
int cases_report(int failed);

#endif
