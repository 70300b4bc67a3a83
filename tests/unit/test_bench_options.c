/* SPDX-License-Identifier: BSD-2-Clause */
/* `skiff bench` as it is typed: what is understood, which loads and commands it means. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/said.h"
#include "vmm/bench/loads.h"
#include "vmm/bench/options.h"

#define ARGS_MAX 8

static int parse(struct bench_options *o, const char *const *words)
{
	char *argv[ARGS_MAX + 1] = {NULL};
	int argc = 0;

	for (; words[argc]; argc++)
		argv[argc] = (char *)words[argc];
	return bench_options_parse(argc, argv, o);
}

static void test_defaults(void **state)
{
	struct bench_options o;

	(void)state;
	assert_int_equal(parse(&o, (const char *const[]){NULL}), 0);
	assert_int_equal(o.runs, 5);
	assert_int_equal(o.seconds, 5);
	assert_int_equal(o.cpus, 1);
	assert_int_equal(o.memory, 1 << 30);
	assert_int_equal(o.places, 1 << PLACE_HOST | 1 << PLACE_CONTAINER | 1 << PLACE_VM);
	assert_int_equal(o.loads, (1 << n_loads) - 1);
	assert_int_equal(parse(&o, (const char *const[]){"--quick", NULL}), 0);
	assert_int_equal(o.seconds, 1);
	assert_int_equal(o.runs, 5);
	assert_true(o.size_mib <= 16);
}

static void test_places(void **state)
{
	struct bench_options o;

	(void)state;
	assert_int_equal(parse(&o, (const char *const[]){"--without=vm", "--with", "qemu",
							 "--without", "host", NULL}),
			 0);
	assert_int_equal(o.places, 1 << PLACE_CONTAINER | 1 << PLACE_QEMU);
}

static void test_complaints(void **state)
{
	static const struct {
		const char *words[ARGS_MAX], *said;
	} cases[] = {
		{{"--onyl", "cpu"}, "bench: --onyl: no such option: did you mean --only?"},
		{{"cpu"}, "bench: cpu: no such option: see `skiff help bench`"},
		{{"--runs"}, "bench: --runs: give N"},
		{{"--runs", "--quick"}, "bench: --runs: give N"},
		{{"--runs=0"}, "bench: --runs: 0: give a number from 1 to 100"},
		{{"--runs=5x"}, "bench: --runs: 5x: give a number from 1 to 100"},
		{{"--quick=1"}, "bench: --quick: takes no value"},
		{{"--only", "cpuu"}, "bench: --only: cpuu: no such load: did you mean cpu?"},
		{{"--only", "cpu,,elephant"},
		 "bench: --only: elephant: no such load: give some of cpu, memory, threads, mutex, "
		 "fileio, fio, tcp, or one of those that `skiff bench --list` names"},
		{{"--only", ","}, "bench: --only: names no load: give some, such as cpu,memory"},
		{{"--only="}, "bench: --only: names no load: give some, such as cpu,memory"},
		{{"--with", "xen"}, "bench: --with: xen: give host, container, vm or qemu"},
		{{"--memory", "1Q"}, "bench: --memory: 1Q: give a size such as 1G"},
		{{"--memory", "64M"},
		 "bench: --memory: 64M: too little for these loads: give 256M or more"},
		{{"--memory", "512M"},
		 "bench: --memory: too little to hold files of 256 MiB: give 768M or more, or --quick"},
		{{"--container", "docker"},
		 "bench: --container: docker: give crun, runc, podman or namespaces"},
		{{"--without=host", "--without=vm", "--without=container"},
		 "bench: --without: no place is left: leave one in"},
	};
	struct bench_options o;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		said_clear();
		assert_int_equal(parse(&o, cases[i].words), -EINVAL);
		assert_string_equal(said(), cases[i].said);
		assert_int_equal(said_count(), 1);
	}
}

static void test_select(void **state)
{
	unsigned all = 0;

	(void)state;
	assert_true(n_loads <= LOADS_MAX);
	for (unsigned i = 0; i < n_loads; i++) {
		assert_int_equal(loads_select("t", loads[i].name), 1u << i);
		assert_ptr_equal(load_find(loads[i].name), &loads[i]);
	}
	assert_null(load_find("fio"));
	all = loads_select("t", "cpu,memory,threads,mutex,fileio,fio,tcp");
	assert_int_equal(all, (1u << n_loads) - 1);
	assert_int_equal(__builtin_popcount(loads_select("t", "fio")), 4);
	assert_int_equal(__builtin_popcount(loads_select("t", "fileio")), 3);
}

static void assert_command(const struct words *w, const char *want)
{
	char text[1024] = "";

	assert_false(w->overflow);
	assert_null(w->v[w->n]);
	for (unsigned i = 0; i < w->n; i++) {
		if (i)
			strncat(text, " ", sizeof(text) - strlen(text) - 1);
		strncat(text, w->v[i], sizeof(text) - strlen(text) - 1);
	}
	assert_string_equal(text, want);
}

static const struct load_settings settings = {
	.cpus = 2, .seconds = 3, .size_mib = 64, .direct = 1, .server = "10.0.2.2", .port = 5201};

static void test_commands(void **state)
{
	struct words w;

	(void)state;
	load_command(load_find("cpu"), &settings, &w);
	assert_command(&w, "sysbench cpu --threads=2 --time=3 --cpu-max-prime=10000 run");
	load_command(load_find("mutex"), &settings, &w);
	assert_command(&w, "sysbench mutex --threads=8 --mutex-locks=120000 run");
	load_command(load_find("tcp-receive"), &settings, &w);
	assert_command(&w, "iperf3 -J -c 10.0.2.2 -p 5201 -t 3 -R");
	load_command(load_find("fio-read-32"), &settings, &w);
	assert_command(&w, "fio --name=load --filename=fio.data --size=64M --direct=1 --thread "
			   "--output-format=json --bs=4k --ioengine=libaio --norandommap "
			   "--time_based --runtime=3 --rw=randread --iodepth=32");
	load_prepare_command(LOAD_SYSBENCH_FILES, &settings, &w);
	assert_command(&w, "sysbench fileio --file-num=4 --file-total-size=64M prepare");
	/* No key is left, and the tool is the first word. */
	for (unsigned i = 0; i < n_loads; i++) {
		load_command(&loads[i], &settings, &w);
		assert_string_equal(w.v[0], loads[i].tool);
		for (unsigned k = 0; k < w.n; k++)
			assert_null(strchr(w.v[k], '{'));
	}
}

static void test_settings(void **state)
{
	struct load_settings s;
	char line[256];

	(void)state;
	load_settings_print(&settings, line, sizeof(line));
	assert_int_equal(load_settings_scan(&s, line), 0);
	assert_int_equal(s.cpus, 2);
	assert_int_equal(s.seconds, 3);
	assert_int_equal(s.size_mib, 64);
	assert_int_equal(s.direct, 1);
	assert_int_equal(s.port, 5201);
	assert_string_equal(s.server, "10.0.2.2");
	assert_int_equal(load_settings_scan(&s, "cpus=1"), -EBADMSG);
	assert_int_equal(load_settings_scan(&s, ""), -EBADMSG);
}

static void test_words_full(void **state)
{
	static struct words w;

	(void)state;
	words_init(&w);
	for (int i = 0; i < WORDS_MAX; i++)
		words_add(&w, "%d", i);
	assert_false(w.overflow);
	words_add(&w, "one more");
	assert_true(w.overflow);
	assert_int_equal(w.n, WORDS_MAX);
	assert_null(w.v[WORDS_MAX]);
	words_init(&w);
	words_add(&w, "%*s", WORDS_BYTES, "");
	assert_true(w.overflow);
	assert_int_equal(w.n, 0);
}

static int start(void **state)
{
	(void)state;
	said_start();
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),   cmocka_unit_test(test_places),
		cmocka_unit_test(test_complaints), cmocka_unit_test(test_select),
		cmocka_unit_test(test_commands),   cmocka_unit_test(test_settings),
		cmocka_unit_test(test_words_full),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
