/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps the last message for a test to judge. One thread. Knows nothing of who speaks. */
#include "tests/lib/said.h"

#include <stddef.h>
#include <stdio.h>

#include "vmm/log.h"

static char last[2048];
static unsigned count;

static void listen_to(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(last, sizeof(last), "%s", line);
	count++;
}

void said_start(void)
{
	log_set_sink(listen_to, NULL);
	said_clear();
}

void said_clear(void)
{
	last[0] = '\0';
	count = 0;
}

const char *said(void)
{
	return last;
}

unsigned said_count(void)
{
	return count;
}
