/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loads of `skiff bench`. Pure tables and text; the process that runs them is the agent's
 * business. Threads: as many as processors where throughput is asked for, four times as many where
 * it is what threads cost each other.
 */
#include "vmm/bench/loads.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/log.h"
#include "vmm/nearest.h"

#define FILEIO "sysbench fileio --file-num=4 --file-total-size={size}M "
#define FIO                                                                              \
	"fio --name=load --filename=fio.data --size={size}M --direct={direct} --thread " \
	"--output-format=json "
#define FIO_4K FIO "--bs=4k --ioengine=libaio --norandommap --time_based --runtime={seconds} "
#define IPERF3 "iperf3 -J -c {server} -p {port} -t {seconds}"

const struct load loads[] = {
	{"cpu", "sysbench", "sysbench cpu", "events/s", 0,
	 "sysbench cpu --threads={cpus} --time={seconds} --cpu-max-prime=10000 run",
	 parse_sysbench_cpu, LOAD_NO_FILES},
	{"memory", "sysbench", "sysbench memory, 1K writes", "MiB/s", 0,
	 "sysbench memory --threads={cpus} --time={seconds} --memory-block-size=1K "
	 "--memory-total-size=1000T run",
	 parse_sysbench_memory, LOAD_NO_FILES},
	{"threads", "sysbench", "sysbench threads", "events/s", 0,
	 "sysbench threads --threads={threads} --time={seconds} run", parse_sysbench_rate,
	 LOAD_NO_FILES},
	{"mutex", "sysbench", "sysbench mutex", "s", 1,
	 "sysbench mutex --threads={threads} --mutex-locks={locks} run", parse_sysbench_time,
	 LOAD_NO_FILES},
	{"fileio-rndrd", "sysbench", "sysbench fileio rndrd", "reads/s", 0,
	 FILEIO "--time={seconds} --file-test-mode=rndrd run", parse_sysbench_reads,
	 LOAD_SYSBENCH_FILES},
	{"fileio-rndwr", "sysbench", "sysbench fileio rndwr", "writes/s", 0,
	 FILEIO "--time={seconds} --file-test-mode=rndwr run", parse_sysbench_writes,
	 LOAD_SYSBENCH_FILES},
	{"fileio-seqrd", "sysbench", "sysbench fileio seqrd", "MiB/s", 0,
	 FILEIO "--time={seconds} --file-test-mode=seqrd run", parse_sysbench_read,
	 LOAD_SYSBENCH_FILES},
	{"fio-read-1", "fio", "fio 4K random read, depth 1", "reads/s", 0,
	 FIO_4K "--rw=randread --iodepth=1", parse_fio, LOAD_FIO_FILE},
	{"fio-read-32", "fio", "fio 4K random read, depth 32", "reads/s", 0,
	 FIO_4K "--rw=randread --iodepth=32", parse_fio, LOAD_FIO_FILE},
	{"fio-write-1", "fio", "fio 4K random write, depth 1", "writes/s", 0,
	 FIO_4K "--rw=randwrite --iodepth=1", parse_fio, LOAD_FIO_FILE},
	{"fio-write-32", "fio", "fio 4K random write, depth 32", "writes/s", 0,
	 FIO_4K "--rw=randwrite --iodepth=32", parse_fio, LOAD_FIO_FILE},
	{"tcp-send", "iperf3", "TCP to the host", "Mbit/s", 0, IPERF3, parse_iperf3, LOAD_NO_FILES},
	{"tcp-receive", "iperf3", "TCP from the host", "Mbit/s", 0, IPERF3 " -R", parse_iperf3,
	 LOAD_NO_FILES},
};

const unsigned n_loads = sizeof(loads) / sizeof(loads[0]);

static const char *const prepare[LOAD_FILES_KINDS] = {
	[LOAD_SYSBENCH_FILES] = FILEIO "prepare",
	[LOAD_FIO_FILE] = FIO "--bs=1M --rw=write --ioengine=psync --end_fsync=1",
};

#define SETTINGS_FORMAT "cpus=%u seconds=%u size=%u direct=%d port=%u server=%s"
#define SETTINGS_SCAN   "cpus=%u seconds=%u size=%u direct=%d port=%u server=%63s"

void load_settings_print(const struct load_settings *s, char *line, size_t size)
{
	snprintf(line, size, SETTINGS_FORMAT, s->cpus, s->seconds, s->size_mib, s->direct, s->port,
		 s->server);
}

int load_settings_scan(struct load_settings *s, const char *line)
{
	return sscanf(line, SETTINGS_SCAN, &s->cpus, &s->seconds, &s->size_mib, &s->direct,
		      &s->port, s->server) == 6
		       ? 0
		       : -EBADMSG;
}

/* What {KEY} stands for; the text lives until the next call with the same values. */
struct values {
	const struct load_settings *s;
	char text[32];
};

static const char *value(void *arg, const char *key)
{
	struct values *v = arg;
	const struct load_settings *s = v->s;
	const struct {
		const char *key;
		unsigned value;
	} number[] = {
		{"cpus", s->cpus},
		{"threads", s->cpus * 4},
		{"seconds", s->seconds},
		{"locks", s->seconds * 40000},
		{"size", s->size_mib},
		{"port", s->port},
		{"direct", (unsigned)s->direct},
	};

	if (strcmp(key, "server") == 0)
		return s->server;
	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++) {
		if (strcmp(key, number[i].key) == 0) {
			snprintf(v->text, sizeof(v->text), "%u", number[i].value);
			return v->text;
		}
	}
	return NULL;
}

void load_command(const struct load *load, const struct load_settings *s, struct words *w)
{
	words_init(w);
	words_fill(w, load->template, value, &(struct values){.s = s});
}

int load_remove_command(enum load_files files, const struct load_settings *s, struct words *w)
{
	/* sysbench leaves files as they are that are there; fio writes them over. */
	if (files != LOAD_SYSBENCH_FILES)
		return 0;
	words_init(w);
	words_fill(w, FILEIO "cleanup", value, &(struct values){.s = s});
	return 1;
}

void load_prepare_command(enum load_files files, const struct load_settings *s, struct words *w)
{
	words_init(w);
	words_fill(w, prepare[files], value, &(struct values){.s = s});
}

const struct load *load_find(const char *name)
{
	for (unsigned i = 0; i < n_loads; i++)
		if (strcmp(loads[i].name, name) == 0)
			return &loads[i];
	return NULL;
}

static size_t group_len(const struct load *load)
{
	return strcspn(load->name, "-");
}

/* The loads that a word names, a bit each. */
static unsigned named(const char *word)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < n_loads; i++)
		if (strcmp(loads[i].name, word) == 0 ||
		    (strlen(word) == group_len(&loads[i]) &&
		     strncmp(loads[i].name, word, strlen(word)) == 0))
			bits |= 1u << i;
	return bits;
}

static unsigned no_such(const char *what, const char *word)
{
	const char *names[LOADS_MAX + 1] = {NULL};
	const char *near;

	for (unsigned i = 0; i < n_loads; i++)
		names[i] = loads[i].name;
	near = nearest_word(word, names);
	if (near)
		log_line(LOG_ERROR, "%s: %s: no such load: did you mean %s?", what, word, near);
	else
		log_line(LOG_ERROR,
			 "%s: %s: no such load: give some of cpu, memory, threads, mutex, fileio, "
			 "fio, tcp, or one of those that `skiff bench --list` names",
			 what, word);
	return 0;
}

unsigned loads_select(const char *what, const char *list)
{
	unsigned bits = 0;
	char word[64];

	while (*list) {
		size_t len = strcspn(list, ",");
		unsigned more;

		if (len == 0) {
			list++;
			continue;
		}
		snprintf(word, sizeof(word), "%.*s", (int)(len < 63 ? len : 63), list);
		more = named(word);
		if (!more)
			return no_such(what, word);
		bits |= more;
		list += len + (list[len] == ',');
	}
	if (!bits)
		log_line(LOG_ERROR, "%s: names no load: give some, such as cpu,memory", what);
	return bits;
}
