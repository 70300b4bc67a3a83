/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_LOADS_H
#define VMM_BENCH_LOADS_H

#include "vmm/bench/parse.h"
#include "vmm/bench/words.h"

/*
 * What is measured: a table of loads, each a tool with its arguments, the figure of its output that
 * counts and whether more of it is better. All places run the same ones.
 */
#define LOADS_MAX 32

enum load_files { LOAD_NO_FILES, LOAD_SYSBENCH_FILES, LOAD_FIO_FILE, LOAD_FILES_KINDS };

struct load {
	const char *name; /* `cpu`, `fio-read-32`: a group and perhaps which of it */
	const char *tool; /* the program, a word of the template too */
	const char *title;
	const char *unit;
	int less_is_better;
	const char *template; /* its words; {KEY} stands for one of load_settings */
	parse_fn *parse;
	enum load_files files; /* which must lie in the directory before */
};

extern const struct load loads[];
extern const unsigned n_loads;

/* What may differ from one bench, or from one place, to another. */
struct load_settings {
	unsigned cpus, seconds;
	unsigned size_mib; /* of the files */
	int direct;        /* fio's: around the page cache */
	char server[64];   /* where iperf3 listens */
	unsigned port;
};

/* The settings as one line without newline, and back: 0, or -EBADMSG where it is none. */
void load_settings_print(const struct load_settings *s, char *line, size_t size);
int load_settings_scan(struct load_settings *s, const char *line);

void load_command(const struct load *load, const struct load_settings *s, struct words *w);

/* The command that removes files of kind @files; 0 where writing them anew needs none. */
int load_remove_command(enum load_files files, const struct load_settings *s, struct words *w);

/* The command that writes files of kind @files, which is not LOAD_NO_FILES. */
void load_prepare_command(enum load_files files, const struct load_settings *s, struct words *w);

/* The load of that name, or NULL. */
const struct load *load_find(const char *name);

/*
 * Which loads a list such as `cpu,fio-read-1` means, a group's name for all of it: a bit for each
 * in the table. 0 where a word of it is none, which is said in a sentence that begins with @what.
 */
unsigned loads_select(const char *what, const char *list);

#endif
