/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts and names the cases of cases.h. */
#include "tests/lib/cases.h"

#include <stdio.h>

static unsigned count;
static char name[160];

void case_begin(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	count++;
}

const char *case_name(void)
{
	return name;
}

int cases_report(int failed)
{
	printf("# %u cases\n", count);
	return failed;
}
