/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_REPORT_H
#define VMM_BENCH_REPORT_H

struct bench;

/*
 * Writes everything as one JSON object to @path, `-` being standard output: 0, or -errno after one
 * sentence. Keys: skiff, runs, seconds, cpus, memory, files_mib, environment (texts),
 * places (name, title), results (name, title, unit, better, command, places: for each name its
 * median, min, max and runs, for a machine what a second of it went to; ratios: `vm/container` and
 * so on, medians divided, each place over those before it).
 */
int report_write(const struct bench *b, const char *path);

#endif
