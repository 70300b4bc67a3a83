/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_PARSE_H
#define VMM_BENCH_PARSE_H

#include <stddef.h>

/*
 * The one figure that is wanted of what a tool printed. @text is all of its output, which may hold
 * warnings before it. 0, or -EBADMSG where the figure is not there, is not a number or is not above
 * zero. Silent: parse_complaint() finds the tool's own words.
 */
typedef int parse_fn(const char *text, double *figure);

parse_fn parse_sysbench_cpu;    /* events a second */
parse_fn parse_sysbench_memory; /* MiB a second */
parse_fn parse_sysbench_rate;   /* events a second, by their number and the total time */
parse_fn parse_sysbench_time;   /* seconds in all */
parse_fn parse_sysbench_reads;  /* requests a second */
parse_fn parse_sysbench_writes; /* requests a second */
parse_fn parse_sysbench_read;   /* MiB a second */
parse_fn parse_fio;             /* JSON: requests a second of the first job, read or written */
parse_fn parse_iperf3;          /* JSON: Mbit a second, as the receiver counted them */

/*
 * What a tool that failed had to say: an "error" of its JSON, else the first line that complains,
 * else its last. One line into @line of @size bytes; empty if it said nothing.
 */
void parse_complaint(const char *text, char *line, size_t size);

#endif
